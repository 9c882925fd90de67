import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Command } from '#protocols/message.js';
import { CommandDesk, type CommandSink } from '#hub/fleet/commands.js';
import type { DeviceBook } from '#hub/fleet/devices.js';
import type { MemoryStore } from '#hub/store/memory.js';
import type { TelemetryPath } from '#hub/telemetry/telemetry.js';
import type { FakeClock } from '#test/support/fake-clock.js';
import { fleetParts, ticks } from '#test/support/hub-parts.js';

class Sink implements CommandSink {
  readonly got: Command[] = [];
  ready = true;
  deliver(command: Command): boolean {
    if (this.ready) this.got.push(command);
    return this.ready;
  }
}

let store: MemoryStore;
let clock: FakeClock;
let telemetry: TelemetryPath;
let desk: CommandDesk;
let devices: DeviceBook;

function newDesk(): CommandDesk {
  return new CommandDesk(telemetry, store.read, devices, clock, {
    maxPendingCommands: 3,
    commandTtlMs: 60_000,
    commandResponseTimeoutMs: 5000,
    maxCommandBytes: 100,
  });
}

beforeEach(async () => {
  ({ store, clock, telemetry, devices } = await fleetParts());
  await devices.create({ id: 'd' });
  desk = newDesk();
});

const create = (extra: object = {}) => desk.create({ device: 'd', name: 'reboot', params: { in: 5 }, ...extra });
const stateOf = async (id: string) => (await store.read.command(id))!.command.state;
const historyOf = async (id: string) => (await store.read.command(id))!.history.map((event) => event.state);

describe('a connection that takes back what it was handed', () => {
  it('is handed it again, in order, as another attempt; what was received or has ended is not among it', async () => {
    const sink = new Sink();
    desk.attach('d', sink);
    const ids = [(await create()).id, (await create()).id, (await create()).id];
    await desk.progress('d', ids[1]!, { kind: 'received' });
    await desk.cancel(ids[0]!);
    const fourth = await create();
    sink.got.length = 0;
    desk.offer('d');
    expect(sink.got).toEqual([]);
    desk.takeBack('d', sink);
    desk.offer('d');
    expect(sink.got).toMatchObject([
      { id: ids[2], attempts: 1 },
      { id: fourth.id, attempts: 1 },
    ]);
    await ticks();
    expect(await historyOf(ids[2]!)).toEqual(['queued', 'sent', 'sent']);
  });

  it('has nothing to take back of what another was handed', async () => {
    const [old, present] = [new Sink(), new Sink()];
    desk.attach('d', old);
    await create();
    desk.attach('d', present);
    desk.offer('d');
    desk.takeBack('d', old);
    desk.offer('d');
    expect([old.got.length, present.got.length]).toEqual([1, 1]);
  });
});

describe('a command', () => {
  it('is on disk before it is sent, and is then sent, received and succeeded', async () => {
    const sink = new Sink();
    desk.attach('d', sink);
    store.hold();
    const creating = create();
    await ticks();
    expect(sink.got).toEqual([]);
    store.release();
    const { id } = await creating;
    expect(sink.got).toMatchObject([{ id, device: 'd', name: 'reboot', params: { in: 5 }, attempts: 0 }]);
    expect(sink.got[0]!.payload.toString()).toBe('{"in":5}');
    await ticks();
    expect(await stateOf(id)).toBe('sent');
    await desk.progress('d', id, { kind: 'received' });
    expect(await stateOf(id)).toBe('received');
    await desk.progress('d', id, { kind: 'result', status: 'succeeded', value: { uptime: 1 } });
    expect((await store.read.command(id))!.command).toMatchObject({ state: 'succeeded', result: '{"uptime":1}' });
    expect(await historyOf(id)).toEqual(['queued', 'sent', 'received', 'succeeded']);
  });

  it('stays queued while no connection takes it: bytes that went nowhere are not "sent"', async () => {
    const { id } = await create();
    const sink = new Sink();
    sink.ready = false;
    desk.attach('d', sink);
    desk.offer('d');
    await ticks();
    expect(await stateOf(id)).toBe('queued');
    sink.ready = true;
    desk.offer('d');
    desk.offer('d');
    await ticks();
    expect(sink.got).toHaveLength(1);
    expect(await stateOf(id)).toBe('sent');
  });

  it('is handed to the next connection until it is received, in the order of creation', async () => {
    const first = await create();
    const second = await create();
    const [one, two, three] = [new Sink(), new Sink(), new Sink()];
    desk.attach('d', one);
    desk.offer('d');
    desk.attach('d', two);
    desk.detach('d', one);
    desk.offer('d');
    expect(two.got.map((c) => c.id)).toEqual([first.id, second.id]);
    expect(two.got[0]!.attempts).toBe(1);
    await desk.progress('d', first.id, { kind: 'received' });
    desk.attach('d', three);
    desk.offer('d');
    expect(three.got.map((c) => c.id)).toEqual([second.id]);
  });

  it('survives a restart of the hub', async () => {
    const { id } = await create();
    const received = await create();
    desk.attach('d', new Sink());
    await desk.progress('d', received.id, { kind: 'received' });
    await ticks();
    clock.advance(1000);
    desk = newDesk();
    desk.restore(await store.read.startState());
    const sink = new Sink();
    desk.attach('d', sink);
    desk.offer('d');
    expect(sink.got.map((c) => c.id)).toEqual([id]);
    // The response time-out runs from when it was received, not from the restart.
    clock.advance(4000);
    await ticks();
    expect(await stateOf(received.id)).toBe('timed_out');
  });

  it('expires while undelivered, and times out once received: two clocks', async () => {
    const undelivered = await create({ ttlMs: 1000 });
    const slow = await create({ ttlMs: 1000, responseTimeoutMs: 3000 });
    await desk.progress('d', slow.id, { kind: 'received' });
    clock.advance(999);
    await ticks();
    expect(await stateOf(undelivered.id)).toBe('queued');
    clock.advance(1);
    await ticks();
    expect(await stateOf(undelivered.id)).toBe('expired');
    expect(await stateOf(slow.id)).toBe('received');
    clock.advance(2000);
    await ticks();
    expect(await stateOf(slow.id)).toBe('timed_out');
  });

  it('may be answered before it is acknowledged; what comes after changes nothing', async () => {
    const { id } = await create();
    const answer = { kind: 'result', status: 'failed', value: 'no' } as const;
    expect(await desk.progress('d', id, answer)).toBe('stored');
    expect(await desk.progress('d', id, { kind: 'received' })).toBe('stored');
    expect(await desk.progress('d', id, { kind: 'result', status: 'succeeded', value: 1 })).toBe('stored');
    expect((await store.read.command(id))!.command).toMatchObject({
      state: 'failed',
      result: '"no"',
      lateStatus: null,
    });
  });

  it('keeps a late result and shows it as late', async () => {
    const { id } = await create({ ttlMs: 10 });
    clock.advance(10);
    await ticks();
    await desk.progress('d', id, { kind: 'result', status: 'succeeded', value: 7 });
    const { command, history } = (await store.read.command(id))!;
    expect(command).toMatchObject({ state: 'expired', result: null, lateStatus: 'succeeded', lateResult: '7' });
    expect(history.at(-1)).toMatchObject({ state: 'expired', detail: 'late result: succeeded' });
  });

  it('a repeated result is acknowledged only when the first one is on disk', async () => {
    const { id } = await create();
    const answer = { kind: 'result', status: 'succeeded', value: 1 } as const;
    store.hold();
    const acknowledged: string[] = [];
    void desk.progress('d', id, answer).then(() => acknowledged.push('first'));
    void desk.progress('d', id, answer).then(() => acknowledged.push('second'));
    await ticks();
    expect(acknowledged).toEqual([]);
    store.release();
    await ticks();
    expect(acknowledged).toEqual(['first', 'second']);
  });

  it('that is received twice is so for the second time, too, only when the first one is on disk', async () => {
    const { id } = await create();
    store.hold();
    const acknowledged: string[] = [];
    void desk.progress('d', id, { kind: 'received' }).then(() => acknowledged.push('first'));
    void desk.progress('d', id, { kind: 'received' }).then(() => acknowledged.push('second'));
    await ticks();
    expect(acknowledged).toEqual([]);
    store.release();
    await ticks();
    expect(acknowledged).toEqual(['first', 'second']);
  });

  it('of another device is unknown to this one', async () => {
    await devices.create({ id: 'e' });
    const { id } = await create();
    expect(await desk.progress('e', id, { kind: 'received' })).toBe('unknown');
    expect(await desk.progress('d', 'no-such', { kind: 'received' })).toBe('unknown');
    expect(await stateOf(id)).toBe('queued');
  });

  it('can be cancelled while queued or sent, not later', async () => {
    const [queued, received] = [await create(), await create()];
    await desk.progress('d', received.id, { kind: 'received' });
    expect(await desk.cancel(queued.id)).toMatchObject({ state: 'cancelled' });
    await expect(desk.cancel(received.id)).rejects.toMatchObject({ code: 'conflict' });
    await expect(desk.cancel(queued.id)).rejects.toMatchObject({ code: 'conflict' });
    await expect(desk.cancel('none')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('is refused when the name, the parameters or the times are not what they must be', async () => {
    for (const wrong of [
      { name: 'a/b' },
      { name: 'result' },
      { name: '' },
      { name: 'x'.repeat(65) },
      { params: 'x'.repeat(99) },
      { ttlMs: 0 },
    ]) {
      await expect(create(wrong)).rejects.toMatchObject({ code: 'invalid' });
    }
    const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
    await expect(create({ params: nested(8) })).rejects.toMatchObject({ code: 'invalid' });
    await create({ params: nested(7) });
    await expect(create({ device: 'nobody' })).rejects.toMatchObject({ code: 'not_found' });
    await create({ name: 'x'.repeat(64), params: 'x'.repeat(98) });
  });

  it('is refused beyond the bound of unfinished ones', async () => {
    const commands = [await create(), await create(), await create()];
    await expect(create()).rejects.toMatchObject({ code: 'limit' });
    await desk.progress('d', commands[0]!.id, { kind: 'result', status: 'succeeded', value: null });
    await create();
  });

  it('goes with its device', async () => {
    const { id } = await create();
    const waiting = desk.wait(id, 60_000);
    desk.gone('d', true);
    expect(await waiting).toMatchObject({ state: 'cancelled' });
    expect(desk.counts()).toMatchObject({ queued: 0, cancelled: 1 });
  });
});

describe('waiting for a result', () => {
  it('ends with the result, or with the time', async () => {
    const { id } = await create();
    const [short, long] = [desk.wait(id, 100), desk.wait(id, 10_000)];
    clock.advance(100);
    expect(await short).toMatchObject({ state: 'queued' });
    await desk.progress('d', id, { kind: 'result', status: 'succeeded', value: 1 });
    expect(await long).toMatchObject({ state: 'succeeded', result: '1' });
    expect(await desk.wait(id, 10)).toMatchObject({ state: 'succeeded' });
    await expect(desk.wait('none', 10)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('never answers with a result that is not on disk', async () => {
    const { id } = await create();
    store.hold();
    void desk.progress('d', id, { kind: 'result', status: 'succeeded', value: 1 });
    let told = false;
    const waiting = desk.wait(id, 50).then((row) => {
      told = true;
      return row;
    });
    await ticks();
    expect(told).toBe(false);
    store.release();
    expect(await waiting).toMatchObject({ state: 'succeeded' });
  });

  it('ends with the time although the end of the command waits for its disk: with the state that is on disk', async () => {
    const { id } = await create();
    const waiting = desk.wait(id, 50);
    store.hold();
    const ending = desk.progress('d', id, { kind: 'result', status: 'succeeded', value: 1 });
    await ticks();
    clock.advance(50);
    expect(await waiting).toMatchObject({ id, state: 'queued', result: null });
    store.release();
    await ending;
    expect(await desk.wait(id, 50)).toMatchObject({ state: 'succeeded' });
  });

  it('a disk that refuses is told to the sender, not hidden', async () => {
    store.hold();
    const creating = create();
    await ticks();
    telemetry.abandon();
    await expect(creating).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('a result that could not be written', () => {
  it('is not said to be stored, and is taken when the device says it again', async () => {
    const sink = new Sink();
    desk.attach('d', sink);
    const { id } = await create();
    await ticks();
    const result = { kind: 'result', status: 'succeeded', value: 1 } as const;
    vi.spyOn(telemetry, 'write').mockResolvedValueOnce({ ok: false, code: 'failed', message: 'no' });
    await expect(desk.progress('d', id, result)).rejects.toThrow('the state of the command could not be written: no');
    expect(await stateOf(id)).toBe('sent');
    await expect(desk.progress('d', id, result)).resolves.toBe('stored');
    const stored = (await store.read.command(id))!.command;
    expect(stored).toMatchObject({ state: 'succeeded', result: '1', lateStatus: null });
    expect(await historyOf(id)).toEqual(['queued', 'sent', 'succeeded']);
  });

  it('of a command that went with its device meanwhile needs no place', async () => {
    const sink = new Sink();
    desk.attach('d', sink);
    const { id } = await create();
    vi.spyOn(telemetry, 'write').mockResolvedValueOnce({ ok: false, code: 'not_found', message: 'gone' });
    await expect(desk.progress('d', id, { kind: 'received' })).resolves.toBe('stored');
  });
});
