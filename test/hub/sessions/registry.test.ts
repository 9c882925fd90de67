import { beforeEach, describe, expect, test } from 'vitest';
import { ABANDONED } from '#protocols/outcome.js';
import { sessionKey } from '#hub/sessions/key.js';
import { ticks } from '#test/support/hub-parts.js';
import { APPLICATION, Client, DEVICE, sub, World, type ConnectOptions } from './parts.ts';

const CLEAN: ConnectOptions = { cleanStart: true, expiryS: 0 };

test('keys keep principals, client ids and kinds apart, whatever characters they hold', () => {
  const key = (kind: 'device' | 'application', id: string, clientId: string) => sessionKey({ kind, id }, clientId);
  const keys = [
    key('device', 'a:b', 'c'),
    key('device', 'a', 'b:c'),
    key('device', 'a', '1:b:c'),
    key('application', 'a', 'b:c'),
    key('device', '1:a', 'b:c'),
    key('device', '', 'a:b:c'),
  ];
  expect(new Set(keys).size).toBe(keys.length);
  expect(key('device', 'a', 'b')).toBe(key('device', 'a', 'b'));
});

describe.each([
  ['that ends with its connection', CLEAN],
  ['that lasts', {}],
] as const)('a session %s, connected', (_, options) => {
  let world: World;
  beforeEach(async () => {
    world = await World.started();
  });

  test('is given messages with matches and QoS', async () => {
    const client = await world.connect(options);
    client.subscribe(sub('t/#', 1), sub('t/+', 0));
    world.publish('t/1', 'm', { qos: 2 });
    await ticks();
    expect(client.taken).toMatchObject([
      { message: { topic: 't/1' }, matches: [{ id: 't/#' }, { id: 't/+' }], qos: 1, retain: false, dup: false },
    ]);
  });

  test('a device is never given its own results back as if they were commands; applications hear of them', async () => {
    const device = await world.connect(options);
    const application = await world.connect({ ...options, principal: APPLICATION });
    device.subscribe(sub('devices/me/commands/#'), sub('devices/+/events/+'));
    application.subscribe(sub('devices/+/commands/#'));
    world.publish('devices/d1/commands/c1/result', 'done');
    world.publish('devices/d1/events/door', 'open');
    await ticks();
    expect(device.texts).toEqual(['open']);
    expect(application.texts).toEqual(['done']);
  });

  test('`me` in a filter is the device, and the match keeps what the client wrote', async () => {
    const client = await world.connect(options);
    client.subscribe(sub('devices/me/twin/desired'));
    for (const id of ['d1', 'd2', 'me']) world.publish(`devices/${id}/twin/desired`, id);
    await ticks();
    expect(client.taken).toMatchObject([{ matches: [{ filter: 'devices/me/twin/desired' }] }]);
    expect(client.texts).toEqual(['d1']);
  });

  test('for an application `me` is a name like others', async () => {
    const client = await world.connect({ ...options, principal: APPLICATION });
    client.subscribe(sub('devices/me/x'));
    world.publish('devices/me/x', 'm');
    await ticks();
    expect(client.texts).toEqual(['m']);
  });

  test('after unsubscribe nothing comes', async () => {
    const client = await world.connect(options);
    client.subscribe(sub('t'));
    expect(client.session.unsubscribe('t')).toBe(true);
    expect(client.session.unsubscribe('t')).toBe(false);
    world.publish('t', 'm');
    await ticks();
    expect(client.texts).toEqual([]);
    expect(world.router.wanted('t')).toBe(false);
  });

  test('with no local its own messages do not come back, by that subscription alone [MQTT-3.8.3-3]', async () => {
    const client = await world.connect(options);
    const origin = client.session.key;
    client.subscribe(sub('a', 2, { noLocal: true }), sub('b/#', 2, { noLocal: true }), sub('b/1', 1));
    world.publish('a', 'own', { origin });
    world.publish('a', 'of another', { origin: 'x' });
    world.publish('a', "the hub's");
    world.publish('b/1', 'own, by one', { origin, qos: 2 });
    await ticks();
    expect(client.texts).toEqual(['of another', "the hub's", 'own, by one']);
    expect(client.taken.at(-1)).toMatchObject({ matches: [{ id: 'b/1' }], qos: 1 });
  });

  test('retain is shown as published where a match wants that, else not at all [MQTT-3.3.1-12, MQTT-3.3.1-13]', async () => {
    const client = await world.connect(options);
    client.subscribe(sub('a'), sub('b', 1, { retainAsPublished: true }));
    for (const topic of ['a', 'b']) world.publish(topic, topic, { retain: true });
    world.publish('b', 'not retained');
    await ticks();
    expect(client.taken.map(({ retain }) => retain)).toEqual([false, true, false]);
  });

  test('retained messages follow each answered subscription, with retain true and the lower QoS', async () => {
    world.publish('t/1', 'one', { qos: 2, retain: true });
    world.publish('t/2', 'two', { qos: 0, retain: true });
    world.publish('own', 'mine', { retain: true, origin: sessionKey(DEVICE, 'c') });
    const client = await world.connect(options);
    const made = [
      sub('t/+', 1),
      sub('t/2', 1),
      sub('own', 1, { noLocal: true }),
      sub('t/1', 1, { id: 's', share: 's' }),
    ];
    client.subscribe(...made);
    world.registry.subscribed(client.session, [...made, sub('gone')]);
    await ticks();
    // QoS 0 does not wait for a commit.
    expect(client.taken.map((d) => [d.message.payload.toString(), d.matches[0]!.id, d.qos, d.retain]).sort()).toEqual([
      ['one', 't/+', 1, true],
      ['two', 't/+', 0, true],
      ['two', 't/2', 0, true],
    ]);
  });

  test('what its client does not take waits in order, up to the bound', async () => {
    world = await World.started({ limits: { maxMessages: 3 } });
    const client = await world.connect({ ...options, window: 1 });
    client.subscribe(sub('t'));
    for (let i = 0; i < 6; i++) {
      world.publish('t', String(i));
      await ticks();
    }
    expect(client.texts).toEqual(['0']);
    expect(client.session.view()).toMatchObject({ queuedMessages: 3, dropped: 2 });
    expect(world.dropped).toEqual({ queue: 2, expired: 0 });
    for (let i = 0; i < 4; i++) {
      client.acknowledge();
      await ticks();
    }
    expect(client.texts).toEqual(['0', '1', '2', '3']);
    expect(world.registry.stats).toMatchObject({ queuedMessages: 0, queuedBytes: 0 });
  });

  test('with drop_oldest the ones that waited longest go', async () => {
    world = await World.started({ limits: { maxMessages: 3, full: 'drop_oldest' } });
    const client = await world.connect({ ...options, window: 1 });
    client.subscribe(sub('t'));
    for (let i = 0; i < 9; i++) {
      world.publish('t', String(i));
      await ticks();
    }
    expect(client.session.view()).toMatchObject({ queuedMessages: 3, dropped: 5 });
    for (let i = 0; i < 9; i++) {
      client.acknowledge();
      await ticks();
    }
    expect(client.texts).toEqual(['0', '6', '7', '8']);
    expect(world.registry.stats).toMatchObject({ queuedMessages: 0, queuedBytes: 0 });
  });

  test('bytes are bounded for one session and for all', async () => {
    world = await World.started({ limits: { maxBytes: 3000, maxBytesInAll: 4000 } });
    const clients = [await world.connect({ ...options, window: 0 })];
    clients.push(await world.connect({ ...options, window: 0, clientId: 'other' }));
    for (const client of clients) client.subscribe(sub('t'));
    world.publish('t', 'x'.repeat(3001));
    for (let i = 0; i < 4; i++) world.publish('t', 'x'.repeat(1000));
    await ticks();
    expect(clients.map(({ session }) => session.view().queuedMessages)).toEqual([2, 1]);
    expect(world.dropped.queue).toBe(2 + 5);
    for (const client of clients) client.leave();
    world.registry.close();
    expect(world.registry.stats).toMatchObject({ queuedMessages: 0, queuedBytes: 0 });
  });

  test('what has expired while it waited is not offered, and counted', async () => {
    const client = await world.connect({ ...options, window: 0 });
    client.subscribe(sub('t'));
    const expiresMs = world.clock.now() + 1000;
    world.publish('t', 'old', { properties: { expiresMs } });
    world.publish('t', 'lasting');
    await ticks();
    world.clock.advance(1000);
    client.window = 9;
    client.session.queue.pump();
    expect(client.texts).toEqual(['lasting']);
    expect(world.dropped).toEqual({ queue: 0, expired: 1 });
    expect(client.session.view()).toMatchObject({ queuedMessages: 0, dropped: 0 });
  });

  test('a takeover leaves the older connection with nothing, and its late release changes nothing', async () => {
    const older = await world.connect(options);
    older.subscribe(sub('t'));
    older.leave();
    const newer = await world.connect(options);
    newer.subscribe(sub('t'));
    expect(older.leave()).toBe(false);
    world.registry.attach(newer.session, older);
    world.publish('t', 'm');
    await ticks();
    expect(older.texts).toEqual([]);
    expect(newer.texts).toEqual(['m']);
    expect(newer.leave()).toBe(true);
    expect(newer.leave()).toBe(false);
  });

  test('its connection may end while a message is handed to it', async () => {
    const client = await world.connect(options);
    client.subscribe(sub('t'));
    const { forward } = client;
    client.forward = (delivery) => {
      client.leave();
      return forward.call(client, delivery);
    };
    world.publish('t', '1');
    world.publish('t', '2');
    await ticks();
    expect(client.texts).toEqual(['1']);
    expect(world.faults).toEqual([]);
    const again = await world.connect(options);
    expect(again.texts).toEqual(again.session.lasts ? ['1', '2'] : []);
    expect(again.taken.map(({ dup }) => dup)).toEqual(again.session.lasts ? [true, false] : []);
  });
});

describe('a session that ends with its connection', () => {
  let world: World;
  beforeEach(async () => {
    world = await World.started();
  });

  test('is gone with it, and nothing of it was written', async () => {
    const client = await world.connect(CLEAN);
    client.subscribe(sub('t'));
    world.publish('t', 'm');
    expect(client.leave()).toBe(true);
    await ticks();
    expect(world.router.wanted('t')).toBe(false);
    expect(world.registry.stats).toMatchObject({ connected: 0, away: 0 });
    expect(client.resumed).toBe(false);
    expect(await world.store.read.startState()).toMatchObject({ sessions: [], lastSessionId: 0, lastMessageId: 0 });
  });

  test('discards a kept session with its subscriptions and its queue [MQTT-3.1.2-6]', async () => {
    const first = await world.connect();
    first.subscribe(sub('t'));
    first.leave();
    world.publish('t', 'm');
    const second = await world.connect(CLEAN);
    expect(second.resumed).toBe(false);
    world.publish('t', 'n');
    await ticks();
    expect(second.texts).toEqual([]);
    expect((await world.store.read.startState()).sessions).toEqual([]);
    expect(world.registry.stats).toMatchObject({ queuedMessages: 0, queuedBytes: 0 });
  });

  test('is not resumed by one that lasts and takes over', async () => {
    const first = await world.connect(CLEAN);
    first.subscribe(sub('t'));
    const second = await world.connect();
    expect(second.resumed).toBe(false);
    expect(first.leave()).toBe(false);
    expect(world.router.wanted('t')).toBe(false);
  });
});

describe('a session that lasts', () => {
  let world: World;
  beforeEach(async () => {
    world = await World.started();
  });

  test('keeps subscriptions, and queues QoS 1 and 2 but not 0 while it is away [MQTT-3.1.2-4, MQTT-3.1.2-5]', async () => {
    const first = await world.connect();
    first.subscribe(sub('t/+', 1), sub('zero', 0));
    first.leave();
    world.publish('t/a', '1', { qos: 1 });
    world.publish('t/a', '2', { qos: 0 });
    world.publish('t/a', '3', { qos: 2 });
    world.publish('zero', '4', { qos: 1 });
    const second = await world.connect();
    expect(second.resumed).toBe(true);
    expect(second.session).toBe(first.session);
    expect(second.texts).toEqual(['1', '3']);
    world.publish('t/a', '5', { qos: 0 });
    expect(second.texts).toEqual(['1', '3', '5']);
    expect(first.texts).toEqual([]);
  });

  test('begins anew with a clean start, and lasts as well', async () => {
    const first = await world.connect();
    first.subscribe(sub('t'));
    first.leave();
    world.publish('t', 'm');
    const second = await world.connect({ cleanStart: true });
    expect(second.resumed).toBe(false);
    second.leave();
    expect((await world.connect()).resumed).toBe(true);
    expect(world.router.wanted('t')).toBe(false);
  });

  test('is not resumed where its subscriptions are not allowed any more', async () => {
    const first = await world.connect();
    first.subscribe(sub('t'));
    first.leave();
    const asked: string[] = [];
    const second = await world.connect({
      accept: (kept) => {
        for (const { filter } of kept) asked.push(filter);
        return false;
      },
    });
    expect(asked).toEqual(['t']);
    expect(second.resumed).toBe(false);
    expect(world.router.wanted('t')).toBe(false);
  });

  test('messages wait from open until attach', async () => {
    const first = await world.connect();
    first.subscribe(sub('t'));
    first.leave();
    const second = new Client(world, 10);
    world.open(second);
    world.publish('t', 'm');
    await ticks();
    expect(second.texts).toEqual([]);
    world.registry.attach(second.session, second);
    await ticks();
    expect(second.texts).toEqual(['m']);
  });

  test('expires after its time without a connection, not a millisecond before', async () => {
    const client = await world.connect({ expiryS: 60 });
    client.subscribe(sub('t'));
    world.clock.advance(200_000);
    client.leave();
    world.clock.advance(59_999);
    expect(world.registry.stats).toMatchObject({ connected: 0, away: 1, expired: 0 });
    world.clock.advance(1);
    expect(world.registry.stats).toMatchObject({ away: 0, expired: 1 });
    expect(world.router.wanted('t')).toBe(false);
    expect((await world.connect()).resumed).toBe(false);
  });

  test('is kept for as long as it asked, and no longer than the hub allows', async () => {
    const [short, long] = [await world.connect({ expiryS: 10 }), await world.connect({ expiryS: 1e9, clientId: 'l' })];
    expect([short.session.expiryS, long.session.expiryS]).toEqual([10, 60]);
    short.leave();
    long.leave();
    world.clock.advance(10_000);
    expect(world.registry.stats).toMatchObject({ away: 1, expired: 1 });
    world.clock.advance(50_000);
    expect(world.registry.stats).toMatchObject({ away: 0, expired: 2 });
  });

  test('may be changed by its goodbye: longer, shorter, or over at once', async () => {
    for (const [expiryS, kept] of [
      [30, 30],
      [1e9, 60],
      [0, null],
    ] as const) {
      const client = await world.connect({ expiryS: 20, clientId: String(expiryS) });
      world.registry.changeExpiry(client.session, expiryS);
      client.leave();
      expect(client.session.expiryS).toBe(kept ?? 0);
    }
    expect(world.registry.stats.away).toBe(2);
    const clean = await world.connect(CLEAN);
    world.registry.changeExpiry(clean.session, 100);
    clean.leave();
    expect(world.registry.stats.away).toBe(2);
  });

  test('is resumed by a connection that does not want to keep it, and ends with that', async () => {
    const first = await world.connect();
    first.subscribe(sub('t'));
    first.leave();
    world.publish('t', 'm');
    const last = await world.connect({ expiryS: 0 });
    expect([last.resumed, last.texts]).toEqual([true, ['m']]);
    last.leave();
    await ticks();
    expect((await world.store.read.startState()).sessions).toEqual([]);
  });

  test('coming back begins its time anew; each session has its own time', async () => {
    const [a, b] = [await world.connect({ clientId: 'a' }), await world.connect({ clientId: 'b' })];
    a.leave();
    world.clock.advance(30_000);
    b.leave();
    const again = await world.connect({ clientId: 'a' });
    world.clock.advance(10_000);
    again.leave();
    world.clock.advance(50_000);
    expect(world.registry.stats).toMatchObject({ away: 1, expired: 1 });
    expect((await world.connect({ clientId: 'a' })).resumed).toBe(true);
    expect((await world.connect({ clientId: 'b' })).resumed).toBe(false);
  });

  test('a step of the wall clock expires nothing', async () => {
    (await world.connect()).leave();
    world.clock.step(10 * 24 * 3600 * 1000);
    world.clock.advance(59_000);
    expect(world.registry.stats.expired).toBe(0);
  });

  test('an expiry of months is kept: timers of Node end at 24 days', async () => {
    const DAY_S = 24 * 3600;
    world = await World.started({ expiryMs: 90 * DAY_S * 1000 });
    (await world.connect({ expiryS: 90 * DAY_S })).leave();
    world.clock.advance(90 * DAY_S * 1000 - 1);
    expect(world.registry.stats.away).toBe(1);
    world.clock.advance(1);
    expect(world.registry.stats).toMatchObject({ away: 0, expired: 1 });
  });

  test('at most maxSessions are kept without a connection: the one away for longest goes, on disk too', async () => {
    world = await World.started({ maxSessions: 2 });
    for (const clientId of ['a', 'b']) (await world.connect({ clientId })).leave();
    const c = await world.connect({ clientId: 'c' });
    expect(world.registry.stats).toMatchObject({ connected: 1, away: 2, evicted: 0 });
    c.leave();
    expect(world.registry.stats).toMatchObject({ connected: 0, away: 2, evicted: 1 });
    await world.crash();
    expect((await world.connect({ clientId: 'b' })).resumed).toBe(true);
    expect((await world.connect({ clientId: 'a' })).resumed).toBe(false);
  });

  test('one whose hub died with its connection open has been without one since then, however often the hub starts', async () => {
    const client = await world.connect();
    client.subscribe(sub('t'));
    await ticks();
    await world.crash();
    world.publish('t', 'never sent', { qos: 2 });
    await ticks();
    world.clock.advance(40_000);
    await world.crash();
    expect(world.registry.stats).toMatchObject({ away: 1 });
    const again = await world.connect();
    expect(again.taken.map(({ dup }) => dup)).toEqual([false]);
    await world.crash();
    world.clock.advance(40_000);
    await world.crash();
    world.clock.advance(20_000);
    expect(world.registry.stats).toMatchObject({ away: 0, expired: 1 });
  });

  test('a QoS 2 message that was given up leaves its packet id free on disk too', async () => {
    const { session } = await world.connect();
    session.received(5);
    session.writeReceipt(5);
    session.decided(5, ABANDONED);
    await ticks();
    const { sessions } = await world.store.read.startState();
    expect(sessions[0]!.receipts).toEqual([]);
  });

  test('one that is being opened waits for its connection as long as that takes, and takes no place', async () => {
    world = await World.started({ maxSessions: 1 });
    (await world.connect({ clientId: 'a' })).leave();
    const opening = new Client(world, 1);
    world.open(opening, { clientId: 'b' });
    world.clock.advance(59_999);
    expect(world.registry.stats).toMatchObject({ connected: 1, away: 1 });
    expect(opening.leave()).toBe(true);
    expect(world.registry.stats).toMatchObject({ connected: 0, away: 1, evicted: 1 });
  });

  test('maxSessions below 1 is refused', async () => {
    await expect(World.started({ maxSessions: 0 })).rejects.toThrow(RangeError);
  });

  test('goes with its device', async () => {
    const here = await world.connect();
    (await world.connect({ clientId: 'away' })).leave();
    (await world.connect({ principal: { ...DEVICE, id: 'd2' } })).leave();
    world.registry.forget('d1');
    expect(world.registry.stats).toMatchObject({ connected: 1, away: 1 });
    here.leave();
    await ticks();
    const { sessions } = await world.store.read.startState();
    expect(sessions.map(({ session }) => session.principalId)).toEqual(['d2']);
  });
});

describe('retained messages of a session that lasts', () => {
  test('go on where its connection ended: each is sent once', async () => {
    const world = await World.started();
    for (let i = 0; i < 9; i++) world.publish(`t/${i}`, String(i), { qos: 2, retain: true });
    const first = await world.connect({ window: 3 });
    first.subscribe(sub('t/+'));
    world.registry.subscribed(first.session, [...first.session.state.subscriptions.values()]);
    await ticks();
    first.acknowledge(2);
    first.leave();
    const second = await world.connect({ window: 100 });
    for (let i = 0; i < 20; i++) {
      world.clock.advance(5);
      await ticks();
    }
    expect([...first.texts.slice(0, 2), ...second.texts].sort()).toEqual('0 1 2 3 4 5 6 7 8'.split(' '));
  });
});

describe('the list', () => {
  test('shows all sessions in pages', async () => {
    const world = await World.started();
    const names = ['a', 'b', 'c', 'd', 'e'];
    for (const clientId of names) await world.connect({ clientId, principal: APPLICATION });
    const clean = await world.connect({ ...CLEAN, clientId: 'f' });
    clean.subscribe(sub('t'));
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { items, next } = world.registry.list({ after, limit: 2 });
      seen.push(...items.map(({ clientId }) => clientId));
      after = next;
    } while (after !== null);
    expect(seen).toEqual([...names, 'f']);
    expect(() => world.registry.list({ after: 'x', limit: 1 })).toThrow(RangeError);
    expect(world.registry.list({ after: null, limit: 100 }).items.at(-1)).toEqual({
      principal: DEVICE,
      clientId: 'f',
      protocol: 'mqtt',
      connected: true,
      lasts: false,
      expiryS: 0,
      createdMs: world.clock.now(),
      detachedMs: null,
      subscriptions: 1,
      queuedMessages: 0,
      queuedBytes: 0,
      inFlight: 0,
      dropped: 0,
    });
  });
});
