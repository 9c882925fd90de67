import { beforeEach, describe, expect, it } from 'vitest';
import { DURABLE_PACKET_IDS } from '#protocols/session-state.js';
import { StoreError, type StoreReader } from '#hub/store/port.js';
import { ticks } from '#test/support/hub-parts.js';
import { Client, LIMITS, sub, World, type ConnectOptions } from './parts.ts';

type Query = Parameters<StoreReader['sessionQueue']>[0];

let world: World;
beforeEach(async () => {
  world = await World.started();
});

/** A session that subscribes to `t` and has lost its connection. */
async function away(options: ConnectOptions = {}): Promise<Client> {
  const client = await world.connect(options);
  client.subscribe(sub('t'));
  client.leave();
  await ticks();
  return client;
}

function publishMany(count: number, text = '', from = 0): void {
  for (let i = 0; i < count; i++) world.publish('t', `${from + i}${text}`);
}

const numbers = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => String(from + i));

describe('a message for a session that lasts', () => {
  it('is offered after its commit, not before', async () => {
    const client = await world.connect();
    client.subscribe(sub('t'));
    world.store.hold();
    publishMany(2);
    await ticks();
    expect(client.texts).toEqual([]);
    world.store.release();
    await ticks();
    expect(client.texts).toEqual(['0', '1']);
    expect(client.taken.map(({ place }) => place)).toEqual([1, 2]);
  });

  it('is written once, however many sessions keep it, and goes with the last of them', async () => {
    const clients = [await world.connect(), await world.connect({ clientId: 'other' })];
    for (const client of clients) client.subscribe(sub('t'));
    publishMany(2);
    await ticks();
    expect(await world.store.read.startState()).toMatchObject({ lastMessageId: 2 });
    for (const client of clients) client.acknowledge();
    await ticks();
    const { sessions } = await world.store.read.startState();
    expect(sessions.map(({ queue }) => queue.count)).toEqual([0, 0]);
  });

  it('keeps all that it says through a restart', async () => {
    await away();
    const properties = {
      responseTopic: 'r',
      correlationData: Buffer.from([1, 2]),
      payloadIsText: true,
      expiresMs: world.clock.now() + 50_000,
    };
    const fields = {
      contentType: 'text/plain',
      headers: [
        ['a', '1'],
        ['a', '2'],
      ] as const,
      qos: 2 as const,
    };
    world.publish('t', 'text', { ...fields, properties, origin: 'x', retain: true });
    await ticks();
    await world.crash();
    const { taken } = await world.connect();
    const { origin: _, ...message } = {
      ...fields,
      topic: 't',
      payload: Buffer.from('text'),
      properties,
      retain: true,
      origin: 'x',
    };
    expect(taken[0]).toMatchObject({ message, qos: 2, retain: false, place: 1, dup: false });
    expect(Buffer.isBuffer(taken[0]!.message.payload)).toBe(true);
  });

  it('still names a subscription that has ended since', async () => {
    const client = await away();
    publishMany(1);
    client.session.unsubscribe('t');
    const again = await world.connect();
    expect(again.taken).toMatchObject([{ matches: [{ id: 't', filter: 't' }] }]);
  });
});

describe('the window', () => {
  it('holds what comes next; the rest is read from the disk as the client goes on', async () => {
    const queries: Query[] = [];
    const { read } = world.store;
    const sessionQueue = read.sessionQueue.bind(read);
    read.sessionQueue = (query) => {
      queries.push(query);
      return sessionQueue(query);
    };
    await away();
    publishMany(50);
    const client = await world.connect({ window: 1 });
    const { windowMessages } = LIMITS;
    for (let i = 0; i < 50; i++) {
      client.acknowledge();
      await ticks();
    }
    expect(client.texts).toEqual(numbers(50));
    expect(Math.max(...queries.map(({ limit }) => limit))).toBe(windowMessages);
    // Half a window at a time, not one by one.
    expect(queries.length).toBeLessThan(50 / (windowMessages / 2) + 3);
  });

  it('is bounded in bytes, and large messages come one by one', async () => {
    await away();
    publishMany(6, 'x'.repeat(6000));
    const client = await world.connect({ window: 1 });
    for (let i = 0; i < 6; i++) {
      expect(client.taken).toHaveLength(i + 1);
      client.acknowledge();
      await ticks();
    }
    expect(client.taken).toHaveLength(6);
  });

  it('of many sessions is bounded together: past that each has one message', async () => {
    world = await World.started({ limits: { windowBytesInAll: 0 } });
    const clients: Client[] = [];
    for (const clientId of ['a', 'b']) clients.push(await world.connect({ clientId, window: 0 }));
    for (const client of clients) client.subscribe(sub('t'));
    publishMany(20);
    await ticks();
    for (const client of clients) {
      client.window = 1;
      client.session.queue.pump();
      for (let i = 0; i < 20; i++) {
        client.acknowledge();
        await ticks();
      }
      expect(client.texts).toEqual(numbers(20));
    }
  });

  it('is read on while new messages keep coming, in order', async () => {
    await away();
    publishMany(10);
    const client = await world.connect({ window: 2 });
    for (let i = 0; i < 60; i++) {
      if (i < 30) publishMany(1, '', 10 + i);
      client.acknowledge(1);
      await ticks(i % 3);
    }
    expect(client.texts).toEqual(numbers(40));
  });

  it('waits for messages that are on their way to the disk', async () => {
    await away();
    world.store.hold();
    publishMany(3);
    await ticks();
    const connecting = world.connect();
    publishMany(2, '', 3);
    world.store.release();
    const client = await connecting;
    publishMany(2, '', 5);
    await ticks();
    expect(client.texts).toEqual(numbers(7));
    expect(world.faults).toEqual([]);
  });

  it('tries again when the disk cannot be read', async () => {
    await away();
    publishMany(1);
    const { read } = world.store;
    const sessionQueue = read.sessionQueue.bind(read);
    let fails = 2;
    read.sessionQueue = (query) => (fails-- > 0 ? Promise.reject(new StoreError('io', 'no')) : sessionQueue(query));
    const client = await world.connect();
    expect(client.texts).toEqual([]);
    for (let i = 0; i < 2; i++) {
      world.clock.advance(1000);
      await ticks();
    }
    expect(client.texts).toEqual(['0']);
    expect(world.faults).toHaveLength(2);
    client.leave();
    world.clock.advance(10_000);
  });

  it('believes the disk where it counted more than is there', async () => {
    const client = await away();
    publishMany(2);
    await ticks();
    world.journal.write({ op: 'queue.remove', session: client.session.id!, place: 2 });
    await ticks();
    const again = await world.connect();
    expect(again.texts).toEqual(['0']);
    expect(world.faults).toMatchObject([{ message: expect.stringMatching('1 messages too many') }]);
    again.acknowledge();
    publishMany(1, '', 7);
    await ticks();
    expect(again.texts).toEqual(['0', '7']);
    again.acknowledge();
    expect(world.registry.stats).toMatchObject({ queuedMessages: 0, queuedBytes: 0 });
  });
});

describe('what was sent and not finished', () => {
  it('is sent again on the next connection, first and with DUP; the rest follows without', async () => {
    await away();
    publishMany(5);
    const first = await world.connect({ window: 3 });
    first.acknowledge(1);
    expect(first.texts).toEqual(numbers(4));
    first.leave();
    const second = await world.connect();
    expect(second.taken.map(({ place, dup }) => [place, dup])).toEqual([
      [2, true],
      [3, true],
      [4, true],
      [5, false],
    ]);
  });

  it('keeps its place and DUP through a restart after a goodbye', async () => {
    await away();
    publishMany(4);
    const first = await world.connect({ window: 2 });
    first.leave();
    await ticks();
    await world.crash();
    const second = await world.connect();
    expect(second.taken.map(({ place, dup }) => [place, dup])).toEqual([
      [1, true],
      [2, true],
      [3, false],
      [4, false],
    ]);
  });

  it('may be all of the queue, when the hub died with the connection open', async () => {
    await away();
    publishMany(3);
    await world.connect({ window: 1 });
    await world.crash();
    const second = await world.connect();
    expect(second.taken.map(({ place, dup }) => [place, dup])).toEqual([
      [1, true],
      [2, true],
      [3, true],
    ]);
    publishMany(1, '', 3);
    await ticks();
    expect(second.taken.at(-1)).toMatchObject({ place: 4, dup: false });
  });

  it('of QoS 2 does not expire: its packet id has to be finished with', async () => {
    await away();
    const expires = { properties: { expiresMs: world.clock.now() + 5000 } };
    for (const qos of [1, 2] as const)
      for (const text of ['sent', 'waits']) world.publish('t', `${text} ${qos}`, { ...expires, qos });
    world.publish('t', 'other');
    const first = await world.connect({ window: 3 });
    expect(first.take()).toEqual(['sent 1', 'waits 1', 'sent 2']);
    first.leave();
    world.clock.advance(5000);
    const second = await world.connect();
    expect(second.texts).toEqual(['sent 2', 'other']);
    expect(world.dropped).toEqual({ queue: 0, expired: 3 });
  });
});

describe('a release that is owed', () => {
  it('is told when it is on disk, and found again by the next connection and the next run', async () => {
    const client = await world.connect();
    client.subscribe(sub('t'));
    for (const text of ['a', 'b', 'c']) world.publish('t', text, { qos: 2 });
    await ticks();
    world.store.hold();
    let told = 0;
    for (const delivery of client.inFlight.splice(0, 2)) client.session.queue.released(delivery, () => told++);
    await ticks();
    expect(told).toBe(0);
    world.store.release();
    await ticks();
    expect(told).toBe(2);
    expect(client.session.view()).toMatchObject({ queuedMessages: 0 });
    expect(world.registry.stats.queuedMessages).toBe(1);

    await world.crash();
    const next = await world.connect();
    expect(next.texts).toEqual(['c']);
    expect([...next.session.state.inFlight]).toMatchObject([
      [1, { kind: 'released', delivery: { place: 1, qos: 2 } }],
      [2, { kind: 'released', delivery: { place: 2, qos: 2 } }],
    ]);
    for (const entry of next.session.state.inFlight.values()) {
      if (entry.kind === 'released') next.session.queue.acknowledged(entry.delivery);
    }
    await ticks();
    const { sessions } = await world.store.read.startState();
    expect(sessions[0]!.queue).toMatchObject({ count: 1, released: [], first: 3 });
  });

  it('counts against nothing, and a late word about what is finished changes nothing', async () => {
    const client = await world.connect();
    client.subscribe(sub('t'));
    world.publish('t', 'a', { qos: 2 });
    world.publish('t', 'b', { qos: 1 });
    await ticks();
    const [two, one] = client.inFlight as [Client['inFlight'][0], Client['inFlight'][0]];
    const { queue } = client.session;
    for (let i = 0; i < 2; i++) queue.acknowledged(one);
    for (let i = 0; i < 2; i++) queue.released(two, () => undefined);
    expect(world.registry.stats).toMatchObject({ queuedMessages: 0, queuedBytes: 0 });
    for (let i = 0; i < 2; i++) queue.acknowledged(two);
    queue.released(two, () => undefined);
    await ticks();
    expect(world.registry.stats).toMatchObject({ queuedMessages: 0, queuedBytes: 0 });
    expect((await world.store.read.startState()).sessions[0]!.queue).toMatchObject({ count: 0, last: 0 });
  });
});

describe('a full queue', () => {
  it('refuses what comes, also after a restart, and remembers how much', async () => {
    world = await World.started({ limits: { maxMessages: 3 } });
    await away();
    publishMany(5);
    const first = await world.connect({ window: 0 });
    first.leave();
    await ticks();
    await world.crash();
    publishMany(2, '', 5);
    const second = await world.connect();
    expect(second.texts).toEqual(['0', '1', '2']);
    expect(second.session.view().dropped).toBe(4);
  });

  it('has room for as much as before while the client has messages in hand', async () => {
    world = await World.started({ limits: { maxMessages: 2 } });
    const client = await world.connect({ window: 3 });
    client.subscribe(sub('t'));
    for (let i = 0; i < 6; i++) {
      publishMany(1, '', i);
      await ticks();
    }
    expect(client.texts).toEqual(['0', '1', '2']);
    expect(client.session.view()).toMatchObject({ queuedMessages: 2, dropped: 1 });
    client.acknowledge();
    await ticks();
    expect(client.texts).toEqual(['0', '1', '2', '3', '4']);
  });

  describe('that drops its oldest', () => {
    const options = { limits: { maxMessages: 5, full: 'drop_oldest' as const } };

    it('looks for them on disk while its session is away, also those of an earlier run', async () => {
      world = await World.started(options);
      await away();
      publishMany(5);
      await ticks();
      await world.crash();
      for (let i = 5; i < 17; i++) {
        publishMany(1, '', i);
        if (i % 3 === 0) await ticks();
      }
      await ticks(20);
      const client = await world.connect();
      expect(client.texts).toEqual(numbers(5, 12));
      expect(client.session.view().dropped).toBe(12);
      client.acknowledge();
      expect(world.registry.stats).toMatchObject({ queuedMessages: 0, queuedBytes: 0 });
      expect(world.faults).toEqual([]);
    });

    it('is not cut behind the back of a client that returns: what goes then can still be read', async () => {
      let looked: Promise<unknown> = Promise.resolve();
      const sessionQueue = async (query: Query): ReturnType<StoreReader['sessionQueue']> => {
        const rows = await world.store.read.sessionQueue(query);
        await looked;
        return rows;
      };
      world = await World.started({ ...options, reader: { sessionQueue } });
      await away();
      const look = Promise.withResolvers<null>();
      looked = look.promise;
      publishMany(8);
      await ticks(10);

      // The commit of what `open` wrote is under way when the oldest are found.
      world.store.hold();
      const client = new Client(world, 100);
      const { session } = world.open(client);
      const onDisk = new Promise<void>((resolve) => world.registry.onDisk(session, resolve));
      await ticks();
      look.resolve(null);
      await ticks();
      world.store.release();
      world.store.hold();
      await onDisk;
      world.registry.attach(session, client);
      await ticks();
      world.store.release();
      await ticks(10);
      client.acknowledge();
      await ticks(10);
      publishMany(2, '', 8);
      await ticks(10);
      expect(client.texts).toEqual(numbers(7, 3));
      expect(client.session.view().dropped).toBe(3);
      client.acknowledge();
      await ticks();
      expect(world.registry.stats).toMatchObject({ queuedMessages: 0, queuedBytes: 0 });
      expect(world.faults).toEqual([]);
    });

    it('reuses no packet id of a release that is owed, however many messages it drops meanwhile', async () => {
      world = await World.started({ limits: { maxMessages: 5000, maxBytes: 1e8, full: 'drop_oldest' } });
      const client = await world.connect();
      client.subscribe(sub('t'));
      world.publish('t', 'first', { qos: 2 });
      await ticks();
      client.session.queue.released(client.inFlight[0]!, () => undefined);
      client.leave();
      await ticks();
      for (let i = 0; i < 12; i++) {
        publishMany(5000);
        await ticks(60);
      }
      const again = await world.connect({ window: 10_000 });
      await ticks(400);
      // The packet id of place DURABLE_PACKET_IDS + 1 would be that of place 1.
      const places = again.taken.map(({ place }) => place);
      expect(Math.max(...places)).toBe(DURABLE_PACKET_IDS);
    });

    it('never holds more than twice its bound, however fast messages come', async () => {
      world = await World.started(options);
      const client = await away();
      publishMany(100);
      expect(client.session.view()).toMatchObject({ queuedMessages: 10, dropped: 90 });
      await ticks(10);
      expect(client.session.view()).toMatchObject({ queuedMessages: 5, dropped: 95 });
      expect((await world.connect()).texts).toEqual(numbers(5, 5));
    });

    it('leaves what the client has in hand, and QoS 2 messages that it may know', async () => {
      world = await World.started(options);
      await away();
      for (let i = 0; i < 5; i++) world.publish('t', String(i), { qos: i === 1 ? 1 : 2 });
      const first = await world.connect({ window: 3 });
      publishMany(6, '', 5);
      await ticks();
      expect(first.session.view()).toMatchObject({ queuedMessages: 5 });
      first.leave();
      // 0, 1 and 2 are its client's already; 1 is of QoS 1.
      publishMany(2, '', 11);
      await ticks(10);
      const second = await world.connect();
      expect(second.texts).toEqual(['0', '2', '10', '11', '12']);
    });

    it('drops from the window and reads on, while its client is slow', async () => {
      world = await World.started(options);
      const client = await world.connect({ window: 0 });
      client.subscribe(sub('t'));
      for (let i = 0; i < 40; i++) {
        publishMany(1, '', i);
        await ticks(i % 4);
      }
      await ticks(10);
      expect(client.session.view()).toMatchObject({ queuedMessages: 5, dropped: 35 });
      client.window = 9;
      client.session.queue.pump();
      await ticks();
      expect(client.texts).toEqual(numbers(5, 35));
    });
  });
});

describe.each(['refuse_newest', 'drop_oldest'] as const)('a queue that may hold no message, %s', (full) => {
  it('keeps nothing from a client that takes it at once', async () => {
    world = await World.started({ limits: { maxMessages: 0, full } });
    world.publish('t', 'retained', { retain: true });
    const client = await world.connect();
    client.subscribe(sub('t'));
    world.registry.subscribed(client.session, [...client.session.state.subscriptions.values()]);
    publishMany(3);
    await ticks();
    expect(client.texts).toEqual(['retained', '0', '1', '2']);
    client.acknowledge();
    client.leave();
    publishMany(2);
    await ticks();
    expect(client.session.view()).toMatchObject({ queuedMessages: 0, dropped: 2 });
  });
});

describe('places', () => {
  it('go on above those of earlier runs', async () => {
    await away();
    publishMany(3);
    const client = await world.connect();
    client.acknowledge();
    client.leave();
    await ticks();
    await world.crash();
    publishMany(1, '', 3);
    expect((await world.connect()).taken).toMatchObject([{ place: 4, dup: false }]);
  });

  it('reach no further than packet ids do: one message that is never acknowledged fills the queue in the end', async () => {
    world = await World.started({
      limits: { maxMessages: 1e6, maxBytes: 1e9, windowMessages: 1000, windowBytes: 1e9 },
    });
    const client = await world.connect({ window: 1e6 });
    client.subscribe(sub('t'));
    publishMany(1);
    await ticks();
    const stuck = client.inFlight.splice(0);
    let sent = 1;
    while (client.session.view().dropped === 0) {
      publishMany(1000);
      await ticks();
      sent += 1000;
      client.acknowledge();
      client.take();
    }
    expect(sent - client.session.view().dropped).toBe(DURABLE_PACKET_IDS);
    client.session.queue.acknowledged(stuck[0]!);
    publishMany(1);
    await ticks();
    expect(client.taken).toMatchObject([{ place: DURABLE_PACKET_IDS + 1 }]);
  });
});

describe('a commit that fails', () => {
  it('holds back what it has, and is tried again', async () => {
    const client = await world.connect();
    client.subscribe(sub('t'));
    world.store.failNext('full');
    publishMany(2);
    await ticks();
    expect(client.texts).toEqual([]);
    world.clock.advance(5000);
    await ticks();
    expect(client.texts).toEqual(['0', '1']);
  });

  it('that the hub gave up on offers nothing', async () => {
    const client = await world.connect();
    client.subscribe(sub('t'));
    publishMany(1);
    world.telemetry.abandon();
    await ticks();
    expect(client.texts).toEqual([]);
  });
});
