import { describe, expect, test, vi } from 'vitest';
import type { Channel, ChannelEvents } from '#devices-sim/device/channel.js';
import { CommandRejected, DeviceClient, type ClientParts, type CommandHandler } from '#devices-sim/device/client.js';
import { MemoryQueue } from '#devices-sim/device/memory-queue.js';
import type { DataMessage, Message } from '#devices-sim/device/message.js';
import type { QueueBounds } from '#devices-sim/device/queue.js';
import type { SocketEnd } from '#devices-sim/device/socket.js';
import type { Receipt, StreamStart, WireCommand, WireResult } from '#devices-sim/device/wire.js';
import { Schedule } from '#devices-sim/schedule.js';

const WALL_MS = Date.UTC(2026, 0, 1);

/** The hub's side of one connection. */
class FakeChannel implements Channel {
  readonly start: StreamStart;
  readonly events: ChannelEvents;
  readonly sent: { seq: number; message: Message; resent: boolean }[] = [];
  readonly results: WireResult[] = [];
  readonly receipts: Receipt[] = [];
  window = 64;
  opensGaps = true;
  maxSeqTaken = Infinity;
  maxResultBytes = Infinity;
  closed = false;
  terminated = false;
  beats = 0;

  constructor(start: StreamStart, events: ChannelEvents) {
    this.start = start;
    this.events = events;
  }

  send(seq: number, message: Message, resent: boolean): boolean {
    if (seq > this.maxSeqTaken) return false;
    this.sent.push({ seq, message, resent });
    return true;
  }
  received(receipt: Receipt): void {
    this.receipts.push(receipt);
  }
  result(result: WireResult): boolean {
    if (JSON.stringify(result).length > this.maxResultBytes) return false;
    this.results.push(result);
    return true;
  }
  beat(): void {
    this.beats++;
  }
  close(): void {
    this.closed = true;
    this.events.closed({ why: 'close 1000', reconnect: true, retryAfterMs: 0 });
  }
  terminate(): void {
    this.terminated = true;
  }

  ready(resume: number | null = this.start.next, hubTimeMs: number | null = null): this {
    this.events.ready(resume, hubTimeMs);
    return this;
  }
  end(end: Partial<SocketEnd> = {}): void {
    this.events.closed({ why: 'lost', reconnect: true, retryAfterMs: 0, ...end });
  }
  seqs(): number[] {
    return this.sent.splice(0).map(({ seq }) => seq);
  }
}

/** A client whose clock moves when told. */
function bench(options: Partial<ClientParts> & { bounds?: Partial<QueueBounds>; opensGaps?: boolean } = {}) {
  let nowMs = 0;
  const schedule = new Schedule();
  const channels: FakeChannel[] = [];
  const seconds = new Set<() => void>();
  const queue = new MemoryQueue(options.bounds);
  const client = new DeviceClient({
    queue,
    openChannel: (start, events) => {
      const channel = new FakeChannel(start, events);
      channel.opensGaps = options.opensGaps ?? true;
      channels.push(channel);
      return channel;
    },
    hearsPings: true,
    onCommand: null,
    commandsAtOnce: 1,
    maxMessageBytes: 1000,
    clock: 'hub',
    reconnect: { baseMs: 1000, capMs: 8000 },
    random: { next: () => 0.5 },
    schedule: {
      at: (atMs, run) => schedule.at(atMs, run),
      everySecond: (run) => {
        seconds.add(run);
        return () => seconds.delete(run);
      },
    },
    monotonicMs: () => nowMs,
    wallMs: () => WALL_MS + nowMs,
    ...options,
  });
  const told: unknown[] = [];
  for (const name of ['online', 'offline', 'refused', 'stored', 'lost', 'fault', 'closed'] as const) {
    client.on(name, (...what: unknown[]) => void told.push([name, ...what]));
  }
  return {
    client,
    queue,
    channels,
    told,
    channel: () => channels.at(-1)!,
    advance: (ms: number) => {
      for (const end = nowMs + ms; nowMs < end;) {
        nowMs = Math.min(end, nowMs + 1000);
        schedule.advance(nowMs);
        for (const run of seconds) run();
      }
    },
    seconds,
  };
}

/** How a promise stands, once what is due now has been done. */
async function stateOf(promise: Promise<unknown>): Promise<string> {
  const open = Symbol('open');
  const settled = promise.then(
    () => 'done',
    (error: unknown) => (error as { code?: string }).code ?? 'error',
  );
  await Promise.resolve();
  await Promise.resolve();
  const state = await Promise.race([settled, Promise.resolve().then(() => Promise.resolve(open))]);
  return typeof state === 'string' ? state : 'open';
}

const n = (value: number) => ({ n: value });

describe('sending', () => {
  test('a promise settles when the hub says so, and not before', async () => {
    const b = bench();
    const [first, second] = [b.client.send(n(1)), b.client.send(n(2))];
    expect(await stateOf(first.kept)).toBe('done');
    b.channel().ready();
    expect(b.channel().seqs()).toEqual([1, 2]);
    expect(await stateOf(first)).toBe('open');
    b.channel().events.acknowledgedUpTo(1);
    expect([await stateOf(first), await stateOf(second)]).toEqual(['done', 'open']);
    b.channel().events.refused(2, 'NACK series_limit: no more');
    await expect(second).rejects.toMatchObject({ code: 'refused', message: 'NACK series_limit: no more' });
    expect(b.client.figures).toMatchObject({ sent: 2, stored: 1, refused: 1 });
  });

  test('who does not look at the promise hears of it by an event, and nothing is unhandled', async () => {
    const b = bench();
    void b.client.event('boot');
    b.channel().ready();
    b.channel().events.refused(1, 'no');
    await new Promise((resolve) => setImmediate(resolve));
    expect(b.told.at(-1)).toMatchObject([
      'lost',
      { message: { event: 'boot', value: null }, error: { code: 'refused' } },
    ]);
  });

  test('readings carry the time at which they were given, however late they leave', () => {
    const b = bench();
    void b.client.send(n(1));
    b.advance(500);
    void b.client.send(n(2), WALL_MS - 0.5);
    void b.client.send([{ metric: 'a', value: true, timeMs: WALL_MS - 1 }]);
    b.channel().ready();
    expect(b.channel().sent.map(({ message }) => message)).toEqual([
      { timeUs: WALL_MS * 1000, readings: [{ metric: 'n', value: 1 }] },
      { timeUs: WALL_MS * 1000 - 500, readings: [{ metric: 'n', value: 2 }] },
      { timeUs: (WALL_MS + 500) * 1000, readings: [{ metric: 'a', value: true, timeUs: (WALL_MS - 1) * 1000 }] },
    ]);
  });

  test('a machine whose clock was never set leaves the time to the hub, until the hub has told its own', () => {
    const b = bench({ wallMs: () => 5000 });
    void b.client.send(n(1));
    expect(b.client.now()).toBe(5000);
    b.channel().ready(1, WALL_MS);
    expect(b.client.now()).toBe(WALL_MS);
    b.advance(2000);
    void b.client.send(n(2));
    expect(b.client.now()).toBe(WALL_MS + 2000);
    expect(b.channel().sent.map(({ message }) => (message as { timeUs: number | null }).timeUs)).toEqual([
      null,
      (WALL_MS + 2000) * 1000,
    ]);
    expect(bench({ clock: 'local', wallMs: () => 5000 }).client.now()).toBe(5000);
  });

  test.each<[string, () => unknown]>([
    ['nothing', () => ({})],
    ['a name that is empty', () => ({ '': 1 })],
    ['the name ts', () => ({ ts: 1 })],
    ['NaN', () => ({ a: NaN })],
    ['an integer past 2^53', () => ({ a: 2 ** 53 })],
    ['an object', () => ({ a: {} })],
    ['null', () => ({ a: null })],
    ['too many readings', () => Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`m${i}`, 1]))],
    ['too many bytes', () => ({ a: 'x'.repeat(1000) })],
    ['a time that is none', () => [{ metric: 'a', value: 1, timeMs: NaN }]],
  ])('%s cannot be sent', (_, readings) => {
    expect(() => bench().client.send(readings() as never)).toThrow(TypeError);
  });

  test('1e300 can, and -0 is 0', () => {
    const b = bench();
    void b.client.send({ a: 1e300, b: -0 });
    b.channel().ready();
    const { readings } = b.channel().sent[0]!.message as DataMessage;
    expect(readings.map(({ value }) => Object.is(value, 0) || value)).toEqual([1e300, true]);
  });

  test('an event is a copy of what was given', () => {
    const b = bench();
    const value = { a: [1] };
    void b.client.event('boot', value);
    value.a.push(2);
    b.channel().ready();
    expect(b.channel().sent[0]!.message).toEqual({ event: 'boot', value: { a: [1] } });
    expect(() => b.client.event('no spaces')).toThrow(TypeError);
    expect(() => b.client.event('x', () => 1)).toThrow(TypeError);
  });

  test('a full queue refuses the new message, or drops the oldest ones; both are told and counted', async () => {
    const refusing = bench({ bounds: { maxMessages: 1 } });
    void refusing.client.send(n(1));
    await expect(refusing.client.send(n(2)).kept).rejects.toMatchObject({ code: 'queue_full' });
    expect(refusing.client.figures.full).toBe(1);
    const dropping = bench({ bounds: { maxMessages: 2, whenFull: 'drop-oldest' } });
    dropping.channel().end();
    const oldest = dropping.client.send(n(1));
    void dropping.client.send(n(2));
    void dropping.client.send(n(3));
    await expect(oldest).rejects.toMatchObject({ code: 'dropped' });
    expect(dropping.client.figures.dropped).toBe(1);
    // Nobody has heard of number 1 yet: the introduction says that it is left out.
    dropping.advance(1000);
    expect(dropping.channel().start.next).toBe(2);
    // From here on numbers cannot be left out, or every connection would end as soon as it has begun.
    await expect(dropping.client.send(n(4))).rejects.toMatchObject({ code: 'queue_full' });
    expect(dropping.channel().ready().seqs()).toEqual([2, 3]);
  });

  test('what an earlier run of the program left, and is lost now, is told by the event', () => {
    const queue = new MemoryQueue({ maxMessages: 2, whenFull: 'drop-oldest' });
    for (const timeUs of [1, 2]) queue.push({ timeUs, readings: [] }, 0, null);
    const b = bench({ queue });
    b.channel().end();
    void b.client.send(n(3));
    expect(b.told.at(-1)).toMatchObject(['lost', { message: { timeUs: 1 }, error: { code: 'dropped' } }]);
    b.advance(1000);
    b.channel().ready().events.refused(2, 'no');
    expect(b.told.at(-1)).toMatchObject(['lost', { message: { timeUs: 2 }, error: { code: 'refused' } }]);
    expect(b.client.figures).toMatchObject({ dropped: 1, refused: 1 });
  });

  test('a message larger than this hub takes is refused, and the next connection leaves its number out', async () => {
    const b = bench();
    b.channel().maxSeqTaken = 1;
    const sendings = [1, 2, 3].map((value) => b.client.send(n(value)));
    b.channel().ready();
    await expect(sendings[1]).rejects.toMatchObject({ code: 'too_large' });
    b.advance(1000);
    expect(b.channel().start.next).toBe(1);
    b.channel().ready();
    expect(b.channel().seqs()).toEqual([1, 3]);
    // Number 3 does not fit behind 1.
    b.channel().events.gap(2);
    expect(await stateOf(sendings[0]!)).toBe('done');
    b.advance(2000);
    expect(b.channel().start.next).toBe(3);
    expect(b.channel().ready().seqs()).toEqual([3]);
  });
});

test('a message that is too large costs the stream only when the hub has decided what was under way before it', () => {
  const b = bench({ opensGaps: false });
  const before = b.channel().start.stream;
  b.channel().maxSeqTaken = 1;
  for (const value of [1, 2, 3]) void b.client.send(n(value));
  b.channel().ready(null);
  expect(b.channel().seqs()).toEqual([1]);
  b.advance(1000);
  // Number 1 may be stored: under another name it would be stored again.
  expect(b.channel().start.stream).toBe(before);
  b.channel().ready(null);
  expect(b.channel().seqs()).toEqual([1, 3]);
  b.channel().events.gap(2);
  b.advance(2000);
  expect(b.channel().start.stream).not.toBe(before);
  expect(b.channel().ready(null).seqs()).toEqual([1]);
});

describe('numbers that do not fit', () => {
  test('a program that sends as soon as it is online sends nothing that the hub has, nor hides that the hub has more', async () => {
    const b = bench();
    const first = b.client.send(n(1));
    b.channel().ready();
    b.channel().end();
    b.client.on('online', () => void b.client.send(n(2)));
    b.advance(1000);
    b.channel().ready(2);
    expect(await stateOf(first)).toBe('done');
    expect(b.channel().seqs()).toEqual([2]);
    b.channel().end();
    b.advance(2000);
    expect(() => b.channel().ready(4)).toThrow('the hub goes on at seq 4');
    expect(b.channel().seqs()).toEqual([]);
  });

  test('what lies before the gap is decided, and the client goes on there by a new connection', async () => {
    const b = bench();
    const sendings = [1, 2, 3].map((value) => b.client.send(n(value)));
    b.channel().ready();
    b.channel().events.gap(2);
    expect(await Promise.all(sendings.map(stateOf))).toEqual(['done', 'open', 'open']);
    expect(b.channels[0]!.terminated).toBe(true);
    b.advance(1000);
    expect(b.channel().start.next).toBe(2);
    expect(b.channel().ready().sent).toMatchObject([
      { seq: 2, resent: true },
      { seq: 3, resent: true },
    ]);
  });

  test('where only a new stream can leave numbers out, one is begun', () => {
    const b = bench({ opensGaps: false, bounds: { maxMessages: 2, whenFull: 'drop-oldest' } });
    const before = b.channel().start.stream;
    b.channel().end();
    for (const value of [1, 2, 3]) void b.client.send(n(value));
    b.advance(1000);
    expect(b.channel().start.stream).toBe(before);
    b.channel().ready(null);
    expect(b.channel().seqs()).toEqual([2, 3]);
    b.channel().events.gap(1);
    b.advance(1000);
    expect(b.channel().start.stream).not.toBe(before);
    expect(b.channel().ready(null).seqs()).toEqual([1, 2]);
    b.channel().events.acknowledged(1);
    b.channel().events.acknowledged(2);
    expect(b.client.queued).toBe(0);
  });

  test('a hub that knows more of the stream than the device is told of a new one', () => {
    const b = bench();
    void b.client.send(n(1));
    const before = b.channel().start.stream;
    expect(() => b.channel().ready(7)).toThrow('the hub goes on at seq 7');
    b.channel().events.broken('the hub goes on at seq 7');
    expect(b.told.at(-2)).toMatchObject(['fault', { text: 'the hub goes on at seq 7' }]);
    b.advance(1000);
    expect(b.channel().start).toMatchObject({ next: 1 });
    expect(b.channel().start.stream).not.toBe(before);
  });
});

describe('connections', () => {
  test('come back after a wait that grows, and at once when asked to', () => {
    const b = bench();
    expect(b.client.state).toBe('connecting');
    const waits: number[] = [];
    for (let i = 0; i < 5; i++) {
      b.channel().end();
      waits.push((b.told.at(-1) as [string, { retryInMs: number }])[1].retryInMs);
      b.advance(waits.at(-1)!);
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 4000]);
    b.channel().end();
    const before = b.channels.length;
    b.client.connect();
    expect(b.channels).toHaveLength(before + 1);
    b.channel().ready();
    expect(b.client.state).toBe('online');
    b.channel().end();
    expect(b.client.state).toBe('offline');
  });

  test('come back soon after a connection that lasted, also when there was nothing to send', () => {
    const b = bench();
    for (let i = 0; i < 6; i++) {
      b.channel().end();
      b.advance(8000);
    }
    b.channel().ready();
    for (let i = 0; i < 60; i++) {
      b.channel().events.heard();
      b.advance(1000);
    }
    b.channel().end();
    expect(b.told.at(-1)).toEqual(['offline', { reason: 'lost', wasOnline: true, retryInMs: 500 }]);
  });

  test('one that cannot even be begun is told to the program, and leaves no timer', () => {
    const seconds = new Set<() => void>();
    const schedule: ClientParts['schedule'] = {
      at: () => ({ cancel: () => undefined }),
      everySecond: (run) => {
        seconds.add(run);
        return () => seconds.delete(run);
      },
    };
    const openChannel = (): never => {
      throw new TypeError('Invalid character in header content ["authorization"]');
    };
    expect(() => bench({ openChannel, schedule })).toThrow('Invalid character');
    expect(seconds.size).toBe(0);
  });

  test('two clients cannot have one queue, one after the other can', async () => {
    const b = bench();
    expect(() => bench({ queue: b.queue })).toThrow('a queue belongs to one client');
    await b.client.close({ timeoutMs: 0 });
    expect(bench({ queue: b.queue }).client.state).toBe('connecting');
  });

  test('wait as long as the hub asks for, and then some', () => {
    const b = bench();
    b.channel().end({ retryAfterMs: 30_000 });
    b.advance(30_000);
    expect(b.channels).toHaveLength(1);
    b.advance(1000);
    expect(b.channels).toHaveLength(2);
  });

  test('end for good when the hub does not want the device, until the program asks again', () => {
    const b = bench();
    void b.client.send(n(1));
    b.channel().end({ why: 'close 4003 (bad_credentials: …)', reconnect: false });
    expect(b.told.at(-1)).toEqual(['refused', { reason: 'close 4003 (bad_credentials: …)' }]);
    b.advance(600_000);
    expect([b.channels.length, b.client.state, b.client.queued]).toEqual([1, 'refused', 1]);
    b.client.connect();
    b.channel().ready();
    expect(b.channel().seqs()).toEqual([1]);
  });

  test('a dead one is noticed where no ping can be heard: when an answer is owed', () => {
    const b = bench({ hearsPings: false });
    b.channel().ready();
    b.advance(600_000);
    expect(b.channels).toHaveLength(1);
    void b.client.send(n(1));
    b.advance(89_000);
    expect(b.channels[0]!.terminated).toBe(false);
    b.advance(1000);
    expect(b.channels[0]!.terminated).toBe(true);
  });

  test('a listener that throws stops neither the client nor the others', () => {
    const uncaught = vi.spyOn(globalThis, 'queueMicrotask').mockImplementation(() => undefined);
    const b = bench();
    b.client.on('online', () => {
      throw new Error('mine');
    });
    const other = vi.fn();
    const stop = b.client.on('online', other);
    b.channel().ready();
    expect(other).toHaveBeenCalledTimes(1);
    expect(uncaught).toHaveBeenCalledTimes(1);
    stop();
    uncaught.mockRestore();
  });
});

describe('commands', () => {
  const command = (id: string): WireCommand => ({ id, name: 'blink', params: { times: 2 } });
  const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  test.each<[string, CommandHandler | null, Partial<WireResult>]>([
    ['returns a value', ({ params }) => ({ did: params }), { status: 'succeeded', value: { did: { times: 2 } } }],
    ['returns nothing', () => undefined, { status: 'succeeded', value: null }],
    ['promises a value', async () => 7, { status: 'succeeded', value: 7 }],
    ['throws', () => Promise.reject(new Error('no ink')), { status: 'failed', value: { error: 'no ink' } }],
    ['rejects', () => Promise.reject(new CommandRejected('never')), { status: 'rejected', value: { error: 'never' } }],
    [
      'rejects with a value',
      () => Promise.reject(new CommandRejected('never', { code: 7 })),
      { status: 'rejected', value: { code: 7 } },
    ],
    ['returns what is no JSON', () => 1n, { status: 'failed' }],
    ['is missing', null, { status: 'rejected', value: { error: 'this device takes no commands' } }],
  ])('a handler that %s', async (_, onCommand, expected) => {
    const b = bench({ onCommand });
    b.channel().ready().events.command(command('c-1'), 17);
    await soon();
    expect(b.channel().receipts).toEqual([17]);
    expect(b.channel().results).toMatchObject([{ commandId: 'c-1', ...expected }]);
  });

  test('a repeat is answered and not worked on again, also after the hub had the answer', async () => {
    const onCommand = vi.fn(() => 'done');
    const b = bench({ onCommand });
    b.channel().ready().events.command(command('c-1'), 1);
    await soon();
    b.channel().events.command(command('c-1'), 2);
    expect(b.channel().results).toHaveLength(1);
    b.channel().events.resultAcknowledged('c-1', true);
    b.channel().events.command(command('c-1'), 3);
    expect(b.channel().results).toHaveLength(2);
    expect(b.channel().receipts).toEqual([1, 2, 3]);
    expect(onCommand).toHaveBeenCalledTimes(1);
  });

  test('a repeat of one that is being worked on is not worked on again', async () => {
    const work = Promise.withResolvers<string>();
    const onCommand = vi.fn(() => work.promise);
    const b = bench({ onCommand });
    b.channel().ready().events.command(command('c-1'), 1);
    b.channel().events.command(command('c-1'), 2);
    b.channel().end();
    b.advance(1000);
    b.channel().ready().events.command(command('c-1'), 3);
    work.resolve('done');
    await soon();
    expect(onCommand).toHaveBeenCalledTimes(1);
    expect(b.channel()).toMatchObject({ receipts: [3], results: [{ commandId: 'c-1', value: 'done' }] });
  });

  test('an answer is kept until the hub has it, and sent again on the next connection', async () => {
    const b = bench({ onCommand: () => 'done' });
    b.channel().ready().events.command(command('c-1'), 1);
    b.channel().end();
    await soon();
    expect(b.channel().results).toEqual([]);
    for (let i = 0; i < 2; i++) {
      b.advance(8000);
      expect(b.channel().ready().results).toHaveLength(1);
      if (i === 0) b.channel().end();
    }
    b.channel().events.resultAcknowledged('c-1', false);
    b.channel().end();
    b.advance(8000);
    expect(b.channel().ready().results).toEqual([]);
  });

  test('an answer that the hub does not take is replaced by word of that, once', async () => {
    const b = bench({ onCommand: () => 'x'.repeat(500) });
    b.channel().ready().maxResultBytes = 300;
    b.channel().events.command(command('c-1'), 1);
    await soon();
    const refusedBy = (text: string) => ({
      commandId: 'c-1',
      status: 'succeeded',
      value: { error: `the hub did not take the value of this answer: ${text}` },
    });
    expect(b.channel().results.splice(0)).toEqual([refusedBy('larger than the hub takes')]);
    b.channel().events.resultRefused('c-1', 'NACK too_deep: …');
    expect(b.channel().results).toEqual([]);
    expect(b.queue.commands.owedCount).toBe(0);
    b.channel().maxResultBytes = Infinity;
    b.channel().events.command(command('c-2'), 2);
    await soon();
    b.channel().events.tooLarge('c-2', 'STOMP ERROR: too_large');
    expect(b.channels[0]!.terminated).toBe(true);
    b.advance(1000);
    expect(b.channel().ready().results).toMatchObject([{ commandId: 'c-2', status: 'succeeded' }]);
  });

  test('an answer larger than what may leave says so instead', async () => {
    const b = bench({ onCommand: () => 'x'.repeat(2000) });
    b.channel().ready().events.command(command('c-1'), 1);
    await soon();
    expect(b.channel().results).toMatchObject([
      { status: 'succeeded', value: { error: 'the value weighs 2002 bytes; 1000 may leave' } },
    ]);
  });

  test('are worked on one after another, or as many at once as is wanted', async () => {
    for (const commandsAtOnce of [1, 3]) {
      const running: string[] = [];
      const b = bench({
        commandsAtOnce,
        onCommand: ({ id }) => {
          running.push(id);
          return new Promise(() => undefined);
        },
      });
      b.channel().ready();
      for (const id of ['a', 'b', 'c', 'd']) b.channel().events.command(command(id), id);
      await soon();
      expect(running).toEqual(['a', 'b', 'c'].slice(0, commandsAtOnce));
    }
  });

  test('one in whose midst the program ended is answered as failed by the next one', async () => {
    const queue = new MemoryQueue();
    queue.commands.start('c-1', () => undefined);
    const next = bench({ queue, onCommand: () => 'again' });
    next.channel().ready().events.command(command('c-1'), 1);
    await soon();
    expect(next.channel().results).toMatchObject([{ commandId: 'c-1', status: 'failed' }]);
    expect(next.channel().results).toHaveLength(1);
  });

  test('answers are bounded; those that the hub has go first', () => {
    const b = bench();
    const { commands } = b.queue;
    for (let i = 0; i < 300; i++) {
      commands.answer({ commandId: `c-${i}`, status: 'succeeded', value: i }, () => undefined);
      if (i % 2 === 0) commands.taken(`c-${i}`);
    }
    expect([...commands.all()]).toHaveLength(256);
    expect(commands.owedCount).toBe(150);
    commands.answer({ commandId: 'large', status: 'succeeded', value: 'x'.repeat(300_000) }, () => undefined);
    expect([...commands.all()].map(({ id }) => id)).toEqual(['large']);
  });
});

describe('closing', () => {
  test('waits for what is under way, says goodbye, and takes nothing more', async () => {
    const b = bench();
    const sending = b.client.send(n(1));
    b.channel().ready();
    const closing = b.client.close();
    expect(b.channel().closed).toBe(false);
    await expect(b.client.send(n(2))).rejects.toMatchObject({ code: 'closed' });
    b.channel().events.acknowledgedUpTo(1);
    expect(await closing).toBe(0);
    expect(await stateOf(sending)).toBe('done');
    expect([b.channel().closed, b.client.state, b.seconds.size]).toEqual([true, 'closed', 0]);
    expect(b.told.at(-1)).toEqual(['closed']);
    b.advance(60_000);
    expect(b.channels).toHaveLength(1);
    expect(await b.client.close()).toBe(0);
  });

  test('waits for the answer of a command', async () => {
    const work = Promise.withResolvers<string>();
    const b = bench({ onCommand: () => work.promise });
    b.channel().ready().events.command({ id: 'c-1', name: 'x', params: null }, 1);
    const closing = b.client.close();
    work.resolve('done');
    await new Promise((resolve) => setImmediate(resolve));
    expect([b.channel().results.length, b.channel().closed]).toEqual([1, false]);
    b.channel().events.resultAcknowledged('c-1', true);
    expect(await closing).toBe(0);
  });

  test('gives up after a while, and says how much is left', async () => {
    const b = bench();
    const sending = b.client.send(n(1));
    const closing = b.client.close({ timeoutMs: 5000 });
    // It still tries to connect.
    b.channel().end();
    b.advance(1000);
    expect(b.channels).toHaveLength(2);
    b.advance(4000);
    expect(await closing).toBe(1);
    await expect(sending).rejects.toMatchObject({ code: 'closed' });
  });

  test('does not wait where the hub does not want the device', async () => {
    const b = bench();
    void b.client.send(n(1));
    b.channel().end({ reconnect: false });
    expect(await b.client.close()).toBe(1);
  });
});
