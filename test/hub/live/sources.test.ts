import { describe, expect, it } from 'vitest';
import { NOBODY } from '#protocols/outcome.js';
import type { Value } from '#protocols/reading.js';
import { CommandDesk } from '#hub/fleet/commands.js';
import { MemoryStore } from '#hub/store/memory.js';
import type { CommandRow } from '#hub/store/port.js';
import type { CommittedSeries } from '#hub/telemetry/port.js';
import { TelemetryPath } from '#hub/telemetry/telemetry.js';
import { FakeClock } from '#test/support/fake-clock.js';
import { fleetParts, ticks } from '#test/support/hub-parts.js';

const TELEMETRY = {
  maxSeriesPerDevice: 9,
  backlogHighRows: 100,
  backlogLowRows: 1,
  backlogHighBytes: 1e6,
  backlogLowBytes: 1,
};

const reading = (metric: string, value: Value, timeUs: number) => ({ metric, value, timeUs });

describe('committed readings', () => {
  async function watched() {
    const parts = await fleetParts();
    const commits: string[][] = [];
    const listener = (changed: readonly CommittedSeries[]): void => {
      commits.push(changed.map((s) => `${s.device} ${s.metric} ${String(s.latestValue)} ${s.latestUs}`));
    };
    return { ...parts, commits, listener };
  }

  it('are told after their commit, once a commit, each series with its latest value', async () => {
    const { telemetry, store, commits, listener } = await watched();
    telemetry.watch(listener);
    store.hold();
    telemetry.accept('d', [reading('t', 1, 10), reading('u', true, 10)], NOBODY);
    telemetry.accept('d', [reading('t', 2, 20)], NOBODY);
    telemetry.accept('e', [reading('t', 'x', 5)], NOBODY);
    await ticks();
    expect(commits).toEqual([]);
    store.release();
    await ticks();
    expect(commits).toEqual([['d t 2 20', 'd u true 10', 'e t x 5']]);
  });

  it('with a sequence as well, and only those that were stored', async () => {
    const { telemetry, commits, listener } = await watched();
    telemetry.watch(listener);
    await Promise.all([
      telemetry.write({ op: 'stream.open', device: 'd', stream: 's', nextSeq: 1, maxStreams: 4, timeUs: 1 }),
      ticks(),
    ]);
    telemetry.accept('d', [reading('t', 1, 1), reading('u', 1, 1)], NOBODY, { stream: 's', seq: 1 });
    telemetry.accept('d', [reading('t', 9, 9)], NOBODY, { stream: 's', seq: 1 });
    telemetry.accept('d', [reading('t', 9, 9)], NOBODY, { stream: 's', seq: 7 });
    await ticks();
    expect(commits).toEqual([['d t 1 1', 'd u 1 1']]);
  });

  it('are told to nobody before and after, and a batch without readings is no news', async () => {
    const { telemetry, commits, listener } = await watched();
    telemetry.accept('d', [reading('t', 1, 1)], NOBODY);
    await ticks();
    telemetry.watch(listener);
    await Promise.all([telemetry.write({ op: 'token.delete', keyId: 'x' }), ticks()]);
    expect(commits).toEqual([]);
    telemetry.watch(null);
    telemetry.accept('d', [reading('t', 2, 2)], NOBODY);
    await ticks();
    expect(commits).toEqual([]);
  });

  it('a watcher that fails is a fault of the hub, and keeps nobody from being acknowledged', async () => {
    const store = new MemoryStore();
    await store.open();
    const faults: unknown[] = [];
    const path = new TelemetryPath(store, new FakeClock(), TELEMETRY, {
      committed: () => undefined,
      failed: () => undefined,
      recovered: () => undefined,
      fault: (error) => void faults.push(error),
    });
    const fault = new Error('of the watcher');
    path.watch(() => {
      throw fault;
    });
    const outcomes: string[] = [];
    for (const value of [1, 2]) {
      path.accept('d', [reading('t', value, value)], { settle: (outcome) => void outcomes.push(outcome.kind) });
      await ticks();
    }
    expect(outcomes).toEqual(['stored', 'stored']);
    expect(faults).toEqual([fault, fault]);
    expect(await path.drain(0)).toBe(true);
  });
});

describe('commands', () => {
  it('are told in each state, once it is on disk', async () => {
    const { telemetry, store, clock, devices } = await fleetParts();
    await devices.create({ id: 'd' });
    const desk = new CommandDesk(telemetry, store.read, devices, clock, {
      maxPendingCommands: 3,
      commandTtlMs: 60_000,
      commandResponseTimeoutMs: 5000,
      maxCommandBytes: 100,
    });
    const told: CommandRow[] = [];
    desk.onChange = (row) => void told.push(row);
    desk.attach('d', { deliver: () => true });
    store.hold();
    const creating = desk.create({ device: 'd', name: 'reboot', params: {} });
    await ticks();
    expect(told).toEqual([]);
    store.release();
    const { id } = await creating;
    await ticks();
    expect(told.map((row) => row.state)).toEqual(['queued', 'sent']);
    await desk.progress('d', id, { kind: 'received' });
    store.hold();
    const finishing = desk.progress('d', id, { kind: 'result', status: 'failed', value: 7 });
    await ticks();
    expect(told.map((row) => row.state)).toEqual(['queued', 'sent', 'received']);
    store.release();
    await finishing;
    expect(told.at(-1)).toMatchObject({ id, state: 'failed', result: '7' });

    // Those that end with their device are told as well.
    await desk.create({ device: 'd', name: 'again', params: {} });
    desk.gone('d', true);
    expect(told.at(-1)).toMatchObject({ name: 'again', state: 'cancelled' });
  });
});

describe('presence', () => {
  it('is told to all who listen; a device that was deleted is gone, also one that never connected', async () => {
    const { presence } = await fleetParts();
    const told: unknown[] = [];
    presence.onChange((device, view) => void told.push(['one', device, view?.online ?? null]));
    presence.onChange((device, view) => void told.push(['two', device, view?.online ?? null]));
    presence.begin('d', await presence.open('d', 'mqtt', 'a', 'c'), 'mqtt');
    presence.forget('d');
    presence.forget('never');
    expect(told).toEqual([
      ['one', 'd', true],
      ['two', 'd', true],
      ['one', 'd', null],
      ['two', 'd', null],
      ['one', 'never', null],
      ['two', 'never', null],
    ]);
    expect(presence.counts()).toEqual({ online: 0, onlineByProtocol: { mqtt: 0 } });
  });
});
