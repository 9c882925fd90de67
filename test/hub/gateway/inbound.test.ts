import { describe, expect, it } from 'vitest';
import { ProtocolError } from '#protocols/errors.js';
import { DEFAULT_LIMITS } from '#protocols/limits.js';
import type { RoutedMessage } from '#protocols/message.js';
import type { Outcome } from '#protocols/outcome.js';
import type { Principal } from '#protocols/principal.js';
import type { PublishRequest } from '#protocols/subprotocol.js';
import { TopicAccess } from '#hub/fleet/access.js';
import { CommandDesk } from '#hub/fleet/commands.js';
import { Inbound } from '#hub/gateway/inbound.js';
import type { Audience } from '#hub/router/port.js';
import { MemoryRouter } from '#hub/router/memory.js';
import type { QueueFault } from '#hub/queues/book.js';
import { AwayList } from '#hub/sessions/away.js';
import { SessionJournal } from '#hub/sessions/journal.js';
import { SessionRegistry } from '#hub/sessions/registry.js';
import type { Session } from '#hub/sessions/session.js';
import { WillBook } from '#hub/sessions/wills.js';
import { StoreError } from '#hub/store/port.js';
import { LIMITS, sub } from '#test/hub/sessions/parts.js';
import { fleetParts, ticks } from '#test/support/hub-parts.js';

const DEVICE: Principal = { kind: 'device', id: 'd', anonymous: true };

async function inbound(principal = DEVICE, { maxRetainedMessages = 1, refusesSingly = false } = {}) {
  const parts = await fleetParts();
  const { store, clock, telemetry, devices } = parts;
  await devices.create({ id: 'd' });
  const commands = new CommandDesk(telemetry, store.read, devices, clock, {
    maxPendingCommands: 3,
    commandTtlMs: 60_000,
    commandResponseTimeoutMs: 5000,
    maxCommandBytes: 100,
  });
  const journal = new SessionJournal(telemetry);
  const router = new MemoryRouter({
    maxRetainedMessages,
    maxRetainedBytes: 10_000,
    clock,
    journal,
    onError: (error) => {
      throw error;
    },
  });
  const faults: unknown[] = [];
  const outcomes: Outcome[] = [];
  const registry = new SessionRegistry({
    router,
    clock,
    journal,
    reader: store.read,
    wills: new WillBook(clock, journal, () => undefined),
    limits: LIMITS,
    expiryMs: 60_000,
    sums: { messages: 0, bytes: 0, windowBytes: 0 },
    away: new AwayList(clock, 9),
    observer: { dropped: () => undefined, failed: (error) => faults.push(error) },
  });
  const session = (clientId: string, expiryS: number): Session => {
    const holder = { forward: () => false };
    const open = { principal, clientId, protocol: 'mqtt', cleanStart: false, expiryS, holder, accept: () => true };
    return registry.open(open).session;
  };
  let notRetained = 0;
  const queued: RoutedMessage[] = [];
  let queueFault: QueueFault | null = null;
  const services = {
    clock,
    limits: DEFAULT_LIMITS,
    devices,
    telemetry,
    commands,
    router,
    journal,
    anyLasting: () => registry.anyLasting,
    queues: {
      send: (message: RoutedMessage) => {
        if (queueFault !== null) return queueFault;
        queued.push(message);
        journal.put(message, { session: 1, place: queued.length, qos: 1, retain: false, matches: [], bytes: 1 });
        return null;
      },
      fault: () => queueFault,
    },
    access: new TopicAccess({ devicePublish: ['open/{id}'], deviceSubscribe: [], denySubscribe: [] }),
    largeIntegers: 'refuse' as const,
    keep: { rejectedPerDevice: 9, rejectedInAll: 9, eventsPerDevice: 9 },
    rejected: () => undefined,
    notRetained: () => {
      notRetained++;
    },
  };
  const sender = { principal, rules: null, protocol: 'mqtt', origin: 'me', refusesSingly };
  const tested = new Inbound(services, sender, (piece) => {
    try {
      piece();
    } catch (error) {
      faults.push(error);
    }
  });
  const pending = { settle: (outcome: Outcome) => void outcomes.push(outcome) };
  const publish = (topic: string, text: string, retain = false): void => {
    const headers: [string, string][] = [];
    const payload = Buffer.from(text);
    tested.publish({ topic, payload, qos: 1, retain, contentType: null, headers }, pending, undefined);
  };
  const request = (topic: string, text: string, more: Partial<PublishRequest> = {}): PublishRequest => {
    return { topic, payload: Buffer.from(text), qos: 1, retain: false, contentType: null, headers: [], ...more };
  };
  return {
    ...parts,
    router,
    session,
    tested,
    pending,
    request,
    publish,
    faults,
    outcomes,
    notRetained: () => notRetained,
    queued,
    fillQueues: () => {
      queueFault = { limit: 'maxQueueMessages', message: 'full' };
    },
  };
}

const RESULT = '{"status":"succeeded"}';

describe("a device's word on a command that is no longer under way", () => {
  it('ends the connection when the store cannot say whether there was one: an ack that never comes would hold up all behind it', async () => {
    const { tested, publish, pending, store, faults, outcomes } = await inbound();
    store.read.command = () => Promise.reject(new StoreError('io', 'a bad sector'));
    tested.progress('c-1', { kind: 'received' }, pending, () => undefined);
    publish('devices/me/commands/c-2/result', RESULT);
    await ticks();
    expect(outcomes).toEqual([]);
    expect(faults).toHaveLength(2);
    for (const fault of faults) {
      expect(fault).toBeInstanceOf(ProtocolError);
      expect(fault).toMatchObject({ reason: 'store_unavailable' });
    }
  });

  it('is left unanswered by a hub that stops: it says goodbye by itself', async () => {
    const { publish, store, faults, outcomes } = await inbound();
    store.read.command = () => Promise.reject(new StoreError('closed', 'the hub stopped'));
    publish('devices/me/commands/c-2/result', RESULT);
    await ticks();
    expect({ outcomes, faults }).toEqual({ outcomes: [], faults: [] });
  });

  it('is refused to an application whose command it never was, after the call that brought it', async () => {
    const { publish, faults, outcomes } = await inbound({ kind: 'application', id: 'app', anonymous: false });
    publish('devices/d/commands/c-2/result', RESULT);
    await ticks();
    expect(outcomes).toEqual([]);
    expect(faults).toMatchObject([{ reason: 'not_authorized' }]);
  });
});

describe('a result', () => {
  it.each([9, 50_000])(
    'whose value is nested %i deep is in the rejected list, and no fault of the hub',
    async (levels) => {
      const { publish, faults, outcomes } = await inbound();
      publish('devices/me/commands/c/result', `{"status":"failed","value":${'['.repeat(levels)}${']'.repeat(levels)}}`);
      await ticks();
      expect(faults).toEqual([]);
      expect(outcomes).toMatchObject([{ kind: 'rejected', code: 'too_deep', recorded: true }]);
    },
  );
});

describe('a retained message', () => {
  it('that the full table does not keep is routed, acknowledged as that, and counted', async () => {
    const { publish, outcomes, notRetained } = await inbound();
    publish('a', 'kept', true);
    publish('b', 'too many', true);
    publish('c', 'not retained', false);
    await ticks();
    expect(outcomes).toEqual([{ kind: 'routed' }, { kind: 'routed' }, { kind: 'routed' }]);
    expect(notRetained()).toBe(1);
  });
});

const APPLICATION: Principal = { kind: 'application', id: 'app', anonymous: false };
const queueOf = async (parts: Awaited<ReturnType<typeof inbound>>, { id }: Session) => {
  const rows = await parts.store.read.sessionQueue({ session: id!, afterPlace: 0, limit: 99, maxBytes: 1e6 });
  return rows.map(({ message }) => Buffer.from(message.payload).toString());
};

describe('a message on a free topic', () => {
  it('is acknowledged at once where nobody keeps it, and after the commit of what keeps it', async () => {
    const parts = await inbound();
    const { publish, outcomes, session, store } = parts;
    publish('a', 'nobody');
    expect(outcomes).toHaveLength(1);
    session('passing', 0).subscribe(sub('a'));
    publish('a', 'in memory');
    expect(outcomes).toHaveLength(2);
    const keeper = session('lasting', 60);
    keeper.subscribe(sub('a'));
    publish('a', 'on disk');
    publish('kept', 'retained', true);
    store.hold();
    await ticks();
    expect(outcomes).toHaveLength(2);
    store.release();
    await ticks();
    expect(outcomes).toEqual(outcomes.map(() => ({ kind: 'routed' })));
    expect(outcomes).toHaveLength(4);
    expect(await queueOf(parts, keeper)).toEqual(['on disk']);
    expect((await store.read.startState()).retained).toMatchObject([{ topic: 'kept', origin: 'me' }]);
  });

  it('carries who sent it, and copies of all that would pin the socket', async () => {
    const { tested, router, pending, request } = await inbound();
    const seen: unknown[] = [];
    const deliver = (message: unknown): void => void seen.push(message);
    router.subscribe({ standing: 'ready', keeps: false, deliver }, sub('a'), 'a');
    const correlationData = Buffer.from('abc');
    const sent = request('a', 'text', { properties: { correlationData, responseTopic: 'r' } });
    tested.publish(sent, pending, undefined);
    sent.payload.fill(0);
    correlationData.fill(0);
    expect(seen).toMatchObject([
      {
        origin: 'me',
        payload: Buffer.from('text'),
        properties: { correlationData: Buffer.from('abc'), responseTopic: 'r' },
      },
    ]);
  });
});

describe('copies of readings in other formats than JSON', () => {
  const senml = '[{"n":"a","u":"Cel","v":1},{"n":"b","t":-1,"v":2}]';

  it.each(['devices/me/telemetry', 'devices/me/telemetry/senml-json', 'devices/d/telemetry/senml-json'])(
    'are JSON on the topic of all readings, published on %s',
    async (topic) => {
      const { router, tested, pending, request, outcomes, clock } = await inbound();
      const heard: RoutedMessage[] = [];
      const deliver = (message: RoutedMessage): void => void heard.push(message);
      router.subscribe({ standing: 'ready', keeps: false, deliver }, sub('devices/+/telemetry'), 'devices/+/telemetry');
      const properties = { correlationData: Buffer.from('c') };
      const headers = [['trace', '1']] as const;
      const contentType = 'application/senml+json';
      tested.publish(request(topic, senml, { qos: 0, contentType, headers, properties }), pending, undefined);
      await ticks();
      expect(outcomes).toMatchObject([{ kind: 'stored' }]);
      const common = { topic: 'devices/d/telemetry', qos: 0, contentType: 'application/json', headers, origin: 'me' };
      expect(heard).toMatchObject([common, common]);
      expect(heard.map(({ payload }) => payload.toString())).toEqual(['{"a":1}', `{"ts":${clock.now() - 1000},"b":2}`]);
      expect(heard[0]!.properties).toMatchObject({ correlationData: Buffer.from('c'), payloadIsText: true });
    },
  );

  it('are, of JSON, the payload as it came, however its format was named', async () => {
    const parts = await inbound();
    const keeper = parts.session('lasting', 60);
    keeper.subscribe(sub('devices/+/telemetry'));
    parts.publish('devices/me/telemetry', '{ "a":  1 }');
    parts.publish('devices/me/telemetry/json', '{ "a":  2 }');
    await ticks();
    expect(await queueOf(parts, keeper)).toEqual(['{ "a":  1 }', '{ "a":  2 }']);
  });

  it('hold every value of a metric that comes twice for one time, and no metric that JSON would take for the time', async () => {
    const contentType = 'application/senml+json';
    const time = 1_700_000_000;
    const pack = JSON.stringify([
      { n: 'a', bt: time, v: 1 },
      { n: 'b', v: 2 },
      { n: 'a', v: 3 },
      { n: 'ts', v: 4 },
    ]);
    const parts = await inbound();
    const keeper = parts.session('lasting', 60);
    keeper.subscribe(sub('devices/+/telemetry'));
    for (const payload of [pack, '[{"n":"ts","v":5}]']) {
      parts.tested.publish(parts.request('devices/me/telemetry', payload, { contentType }), parts.pending, undefined);
    }
    await ticks();
    expect(await queueOf(parts, keeper)).toEqual([`{"ts":${time}000,"a":1,"b":2}`, `{"ts":${time}000,"a":3}`]);
    expect(parts.outcomes).toMatchObject([{ kind: 'stored' }, { kind: 'stored' }]);
    expect((await parts.store.read.log(0, 10)).map(({ metric, value }) => [metric, value])).toEqual([
      ['a', 1],
      ['b', 2],
      ['a', 3],
      ['ts', 4],
      ['ts', 5],
    ]);
  });

  it('do not leave when the payload contradicts its name, and it is kept as it came', async () => {
    const parts = await inbound();
    const keeper = parts.session('lasting', 60);
    keeper.subscribe(sub('devices/+/telemetry'));
    const contentType = 'application/senml+json';
    parts.tested.publish(parts.request('devices/me/telemetry/cbor', senml, { contentType }), parts.pending, undefined);
    await ticks();
    expect(parts.outcomes).toMatchObject([{ kind: 'rejected', code: 'unsupported_format', recorded: true }]);
    expect(await queueOf(parts, keeper)).toEqual([]);
  });
});

describe('copies of readings and events', () => {
  it('go to sessions that last in the transaction of the reading, and to all others after it', async () => {
    const parts = await inbound();
    const { session, router, publish, store, outcomes } = parts;
    const keeper = session('lasting', 60);
    keeper.subscribe(sub('devices/+/telemetry'));
    keeper.subscribe(sub('devices/+/events/door'));
    const heard: [Audience, string][] = [];
    for (const [filter, id] of [
      ['devices/+/telemetry', 1],
      ['devices/+/events/door', 2],
    ] as const) {
      const deliver = (m: { payload: Buffer }, _m: unknown, _q: unknown, audience: Audience): void =>
        void heard.push([audience, m.payload.toString()]);
      router.subscribe({ standing: 'ready', keeps: false, deliver }, sub(filter, 1, { id: String(id) }), filter);
    }
    store.hold();
    publish('devices/me/telemetry', '{"t":1}');
    publish('devices/me/events/door', 'open');
    await ticks();
    const kept = [
      ['kept', '{"t":1}'],
      ['kept', 'open'],
    ];
    expect(heard).toEqual(kept);
    expect(await queueOf(parts, keeper)).toEqual([]);
    const before = store.commits;
    store.release();
    await ticks();
    expect(store.commits).toBe(before + 1);
    expect(heard).toEqual([...kept, ['live', '{"t":1}'], ['live', 'open']]);
    expect(await queueOf(parts, keeper)).toEqual(['{"t":1}', 'open']);
    expect(outcomes).toMatchObject([{ kind: 'stored' }, { kind: 'stored' }]);
  });

  it('do not go to sessions that last when the device has too many metrics: its message is refused, not stored', async () => {
    const parts = await inbound(DEVICE, { refusesSingly: true });
    const keeper = parts.session('lasting', 60);
    keeper.subscribe(sub('devices/+/telemetry'));
    const names = Array.from({ length: 10 }, (_, i) => `m${i}`);
    const pack = JSON.stringify(Object.fromEntries(names.slice(1).map((name) => [name, 1])));
    parts.publish('devices/me/telemetry', pack);
    parts.publish('devices/me/telemetry', '{"further":1}');
    parts.tested.ingest([{ metric: 'further', timeUs: null, value: 2 }], parts.pending, undefined);
    await ticks();
    expect(parts.outcomes).toMatchObject([
      { kind: 'stored' },
      { kind: 'rejected', code: 'series_limit', recorded: true },
      { kind: 'rejected', code: 'series_limit', recorded: true },
    ]);
    expect(await queueOf(parts, keeper)).toEqual([pack]);
  });

  it('of what is numbered go to all after the commit, and not twice', async () => {
    const parts = await inbound();
    const { session, tested, pending, request, outcomes } = parts;
    const keeper = session('lasting', 60);
    keeper.subscribe(sub('devices/+/telemetry'));
    keeper.subscribe(sub('devices/+/events/+'));
    for (const topic of ['devices/me/telemetry', 'devices/me/events/e'] as const) {
      const stream = topic;
      tested.publish(request(topic, '{"t":1}'), pending, { stream, seq: 1 });
      tested.publish(request(topic, '{"t":1}'), pending, { stream, seq: 1 });
    }
    await ticks();
    expect(outcomes.map((o) => o.kind === 'stored' && o.duplicate)).toEqual([false, true, false, true]);
    expect(await queueOf(parts, keeper)).toEqual(['{"t":1}', '{"t":1}']);
  });

  it('of records without topics, one for each time, come in order', async () => {
    const parts = await inbound();
    const keeper = parts.session('lasting', 60);
    keeper.subscribe(sub('devices/+/telemetry'));
    const reading = (timeUs: number) => ({ metric: 't', timeUs, value: timeUs });
    parts.tested.ingest([reading(1000), reading(2000)], parts.pending, undefined);
    parts.tested.event('door', { open: true }, parts.pending, undefined);
    await ticks();
    expect(await queueOf(parts, keeper)).toEqual(['{"ts":1,"t":1000}', '{"ts":2,"t":2000}']);
    expect(parts.outcomes).toMatchObject([{ kind: 'stored' }, { kind: 'stored' }]);
  });
});

describe('a message of QoS 2', () => {
  const receipts = async (parts: Awaited<ReturnType<typeof inbound>>) =>
    (await parts.store.read.startState()).sessions[0]?.receipts;

  it.each([
    ['a reading', 'devices/me/telemetry', '{"t":1}'],
    ['an event', 'devices/me/events/door', 'open'],
    ['a message on a free topic', 'free', 'x'],
  ])('%s has its packet id on disk in the same transaction', async (_, topic, text) => {
    const parts = await inbound();
    const { tested, session, pending, request, store } = parts;
    const own = session('c', 60);
    await ticks();
    const before = store.commits;
    tested.publishOnce(request(topic, text, { qos: 2, receipt: 7 }), 7, own, pending);
    expect(own.state.received.has(7)).toBe(true);
    await ticks();
    expect(store.commits).toBe(before + 1);
    expect(parts.outcomes).toHaveLength(1);
    expect(await receipts(parts)).toEqual([7]);
    expect(own.state.received.has(7)).toBe(true);
  });

  it('a result as well, after the command knows it', async () => {
    const parts = await inbound();
    const { tested, session, pending, request, store, outcomes } = parts;
    const own = session('c', 60);
    store.read.command = () => Promise.resolve({ command: { device: 'd', state: 'succeeded' } as never, history: [] });
    tested.publishOnce(request('devices/me/commands/c/result', RESULT, { qos: 2 }), 7, own, pending);
    await ticks();
    expect(outcomes).toMatchObject([{ kind: 'stored' }]);
    expect(await receipts(parts)).toEqual([7]);
  });

  it('that is refused leaves its packet id free, in memory and on disk', async () => {
    const parts = await inbound();
    const { tested, session, pending, request, outcomes } = parts;
    const own = session('c', 60);
    tested.publishOnce(request('devices/me/telemetry', 'no JSON', { qos: 2 }), 7, own, pending);
    tested.publishOnce(request('devices/x/telemetry', '{}', { qos: 2 }), 8, own, pending);
    expect([...own.state.received]).toEqual([7, 8]);
    await ticks();
    expect(outcomes).toMatchObject([{ code: 'malformed_payload' }, { code: 'unknown_device' }]);
    expect([...own.state.received]).toEqual([]);
    expect(await receipts(parts)).toEqual([]);
  });

  it('of a session that ends with its connection writes nothing and waits for nothing', async () => {
    const parts = await inbound();
    const own = parts.session('c', 0);
    parts.tested.publishOnce(parts.request('free', 'x', { qos: 2 }), 7, own, parts.pending);
    expect(parts.outcomes).toEqual([{ kind: 'routed' }]);
    own.forgetReceipt(7, () => parts.outcomes.push({ kind: 'abandoned' }));
    expect(parts.outcomes).toHaveLength(2);
    expect(own.state.received.size).toBe(0);
  });

  it('that cannot be decided ends the connection, and the next one need not wait for it', async () => {
    const parts = await inbound();
    const { tested, session, pending, request, faults, store } = parts;
    const own = session('c', 60);
    store.read.command = () => Promise.reject(new StoreError('io', 'a bad sector'));
    tested.publishOnce(request('devices/me/commands/c/result', RESULT, { qos: 2 }), 7, own, pending);
    let decided = false;
    own.whenDecided(() => (decided = true));
    expect(decided).toBe(false);
    await ticks();
    expect(decided).toBe(true);
    expect(faults).toMatchObject([{ reason: 'store_unavailable' }]);
    expect(own.state.received.has(7)).toBe(false);
  });
});

describe('a message that its sender may not send', () => {
  it('is refused by itself where the protocol can say so, and ends the connection of an application elsewhere', async () => {
    const singly = await inbound(APPLICATION, { refusesSingly: true });
    singly.publish('$SYS/x', 'x');
    singly.publish('devices/me/telemetry', '{}');
    expect(singly.outcomes).toMatchObject([
      { kind: 'rejected', code: 'topic_not_allowed', recorded: false },
      { kind: 'rejected', code: 'topic_not_allowed', recorded: false },
    ]);
    const other = await inbound(APPLICATION);
    expect(() => other.publish('$SYS/x', 'x')).toThrow(ProtocolError);
  });

  it('stands in the rejected list of a device, whose policy may open topics to it', async () => {
    const { publish, outcomes, store } = await inbound({ ...DEVICE, anonymous: false });
    publish('open/d', 'allowed');
    publish('open/e', 'not its own');
    await ticks();
    expect(outcomes).toMatchObject([
      { kind: 'routed' },
      { kind: 'rejected', code: 'topic_not_allowed', recorded: true },
    ]);
    const { items } = await store.read.rejected('d', { limit: 9, after: null });
    expect(items).toMatchObject([{ topic: 'open/e', code: 'topic_not_allowed' }]);
  });
});

describe('a message to a queue', () => {
  it('goes there and to nobody’s subscription, and is acknowledged after the commit', async () => {
    const { publish, router, store, outcomes, queued } = await inbound(APPLICATION);
    const seen: string[] = [];
    const deliver = (message: RoutedMessage): void => void seen.push(message.topic);
    for (const filter of ['#', '$queue/#', '+/jobs']) {
      const subscriber = { standing: 'ready' as const, keeps: false, deliver };
      router.subscribe(subscriber, { id: filter, filter, qos: 1 }, filter);
    }
    store.hold();
    publish('$queue/jobs', 'a');
    await ticks();
    expect(outcomes).toEqual([]);
    store.release();
    await ticks();
    expect(outcomes).toEqual([{ kind: 'stored', duplicate: false }]);
    expect(queued.map(({ topic, payload }) => `${topic} ${payload.toString()}`)).toEqual(['$queue/jobs a']);
    expect(seen).toEqual([]);
  });

  it('makes no other message wait for the disk', async () => {
    const { publish, store, outcomes } = await inbound(APPLICATION);
    store.hold();
    publish('$queue/jobs', 'a');
    publish('free', 'b');
    await ticks();
    expect(outcomes).toEqual([{ kind: 'routed' }]);
    store.release();
  });

  it('that is full is refused by itself where the protocol can, else by an error that names the limit', async () => {
    const single = await inbound(APPLICATION, { refusesSingly: true });
    single.fillQueues();
    single.publish('$queue/jobs', 'a');
    expect(single.outcomes).toEqual([{ kind: 'rejected', code: 'queue_full', message: 'full', recorded: false }]);
    single.tested.check([single.request('$queue/jobs', 'a')]);
    const other = await inbound(APPLICATION);
    other.fillQueues();
    const refused = { reason: 'limit_exceeded', context: { 'muster-limit': 'maxQueueMessages' } };
    expect(() => other.publish('$queue/jobs', 'a')).toThrow(expect.objectContaining(refused));
    expect(() => other.tested.check([other.request('free', 'b'), other.request('$queue/jobs', 'a')])).toThrow(
      expect.objectContaining(refused),
    );
    expect(other.outcomes).toEqual([]);
    expect(() => other.tested.check([other.request('devices/x/presence', 'a')])).toThrow(
      expect.objectContaining({ reason: 'not_authorized' }),
    );
    other.tested.check([other.request('free', 'a')]);
  });

  it('of QoS 2 is there with its packet id, or neither is', async () => {
    const { tested, session, pending, request, outcomes, store, queued, fillQueues } = await inbound(APPLICATION, {
      refusesSingly: true,
    });
    const lasting = session('c', 60);
    tested.publishOnce(request('$queue/jobs', 'a', { qos: 2 }), 7, lasting, pending);
    await ticks();
    expect(outcomes).toMatchObject([{ kind: 'stored' }]);
    expect(queued).toHaveLength(1);
    expect((await store.read.startState()).sessions[0]!.receipts).toEqual([7]);
    fillQueues();
    tested.publishOnce(request('$queue/jobs', 'b', { qos: 2 }), 8, lasting, pending);
    await ticks();
    expect(outcomes).toMatchObject([{ kind: 'stored' }, { kind: 'rejected', code: 'queue_full' }]);
    expect([...lasting.state.received]).toEqual([7]);
    expect((await store.read.startState()).sessions[0]!.receipts).toEqual([7]);
  });
});
