import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { beforeEach, describe, expect, it } from 'vitest';
import type { DurableRequest } from '#hub/queues/durables.js';
import { ticks } from '#test/support/hub-parts.js';
import { APPLICATION, DEVICE, message, sub } from '../sessions/parts.ts';
import { QueueWorld, Taking, Told } from './parts.ts';

let world: QueueWorld;

beforeEach(async () => {
  world = await QueueWorld.started();
});

const REQUEST: DurableRequest = {
  principal: APPLICATION,
  clientId: 'c',
  protocol: 'stomp',
  id: 's',
  filter: 't/#',
  autoDelete: false,
};

async function consume(more: Partial<DurableRequest> = {}, taking = new Taking()): Promise<Taking> {
  taking.dispatch = world.book.durables.consume({ ...REQUEST, ...more }, taking.consumer).durable.dispatch;
  await ticks();
  return taking;
}

/** What waits for each, by id. */
function waiting(): Record<string, number> {
  const { items } = world.book.list({ after: null, limit: 100 });
  return Object.fromEntries(items.map(({ name, messages }) => [name, messages]));
}

async function onDisk(): Promise<string[]> {
  return (await world.store.read.startState()).queues.map(({ queue }) => queue.name);
}

/** In a function of its own, so that nothing here holds it. */
async function consumerOfBefore(): Promise<WeakRef<Taking>> {
  const taking = await consume();
  taking.leave();
  return new WeakRef(taking);
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

describe('a durable subscription', () => {
  it('keeps what matches while nobody consumes it, of any QoS, and gives it in order', async () => {
    const first = await consume();
    world.publish('t/a', '1');
    await ticks();
    expect(first.take()).toEqual(['1']);
    first.acknowledgeAll();
    first.leave();
    world.publish('t/a', '2', { qos: 0 });
    world.publish('other', 'x');
    world.publish('t/b', '3', { qos: 2 });
    await ticks();
    expect(waiting()).toEqual({ s: 2 });
    const again = await consume();
    expect(again.take()).toEqual(['2', '3']);
    again.acknowledgeAll();
    await ticks();
    expect(world.sums).toMatchObject({ messages: 0, bytes: 0 });
  });

  it('is its client’s own: by principal, client id and id', async () => {
    const takings = [
      await consume(),
      await consume({ clientId: 'd' }),
      await consume({ id: 'ss' }),
      await consume({ principal: DEVICE }),
    ];
    world.publish('t/a', '1');
    await ticks();
    expect(takings.map((taking) => taking.take())).toEqual([['1'], ['1'], ['1'], ['1']]);
    expect(world.book.stats.subscriptions).toBe(4);
  });

  it('shares the row of a message with sessions that keep it', async () => {
    await consume();
    const session = await world.connect({ principal: APPLICATION, clientId: 'm' });
    session.subscribe(sub('t/#'));
    const before = (await world.store.read.startState()).lastMessageId;
    world.publish('t/a', '1');
    await ticks();
    expect((await world.store.read.startState()).lastMessageId).toBe(before + 1);
    expect(session.take()).toEqual(['1']);
  });

  it('takes a reading with its own transaction, once', async () => {
    const taking = await consume();
    const reading = message('t/a', 'r');
    world.router.publish(reading, () => void world.journal.takeWritten(), 'kept');
    world.router.publish(reading, () => void world.journal.takeWritten(), 'live');
    await ticks();
    expect(taking.take()).toEqual(['r']);
  });

  it('of a device means its own tree by `me`, and gets no commands', async () => {
    const taking = await consume({ principal: DEVICE, filter: 'devices/me/#' });
    world.publish('devices/d1/events/door', '1');
    world.publish('devices/d1/commands/7/reboot', '2');
    world.publish('devices/d2/events/door', '3');
    await ticks();
    expect(taking.take()).toEqual(['1']);
  });

  it('goes on across a crash, with what waits; what a consumer may have had is marked', async () => {
    const taking = await consume({}, new Taking(1));
    world.publish('t/a', '1');
    world.publish('t/a', '2');
    await ticks();
    expect(taking.take()).toEqual(['1']);
    await world.crash();
    world.publish('t/a', '3');
    expect((await consume()).take()).toEqual(['1*', '2*', '3']);
  });

  it('to another filter under the same id begins anew, without what had come for it', async () => {
    (await consume()).leave();
    world.publish('t/a', 'old');
    await ticks();
    const taking = await consume({ filter: 'u' });
    world.publish('t/a', 'no');
    world.publish('u', 'new');
    await ticks();
    expect(taking.take()).toEqual(['new']);
    expect(await onDisk()).toEqual(['s']);
  });

  it('has one consumer: what an older one has comes to the newer', async () => {
    const older = await consume();
    world.publish('t/a', '1');
    await ticks();
    const newer = await consume();
    expect(newer.take()).toEqual(['1*']);
    older.leave();
    world.publish('t/a', '2');
    await ticks();
    expect([older.take(), newer.take()]).toEqual([['1'], ['2']]);
  });

  it('with auto-delete goes with its consumer, also when the hub dies', async () => {
    (await consume({ autoDelete: true })).leave();
    await ticks();
    expect(await onDisk()).toEqual([]);
    await consume({ autoDelete: true });
    expect(await onDisk()).toEqual(['s']);
    await world.crash();
    expect(world.book.stats.subscriptions).toBe(0);
    await ticks();
    expect(await onDisk()).toEqual([]);
  });

  it('becomes one with auto-delete, or one without, when it is taken up again so', async () => {
    (await consume()).leave();
    world.publish('t/a', '1');
    await ticks();
    const taking = await consume({ autoDelete: true });
    expect(taking.take()).toEqual(['1']);
    taking.leave();
    await ticks();
    expect(await onDisk()).toEqual([]);
  });

  it('is forgotten with its messages when told so, with a consumer or without', async () => {
    const taking = await consume();
    world.publish('t/a', '1');
    await ticks();
    expect(world.book.durables.forget(REQUEST)).toBe(true);
    expect(world.book.durables.forget(REQUEST)).toBe(false);
    // A late answer changes nothing.
    taking.answer(true);
    taking.leave();
    await ticks();
    expect([await onDisk(), world.sums.messages]).toEqual([[], 0]);
    world.publish('t/a', '2');
    await ticks();
    expect(taking.take()).toEqual(['1']);
  });

  it('that has ended hears of no answers, not of those of consumers that ended before it either', async () => {
    const taking = await consume();
    world.publish('t/a', '1');
    world.publish('t/a', '2');
    await ticks();
    taking.dispatch.remove(taking.consumer);
    expect(world.book.durables.forget(REQUEST)).toBe(true);
    const told = new Told();
    taking.answer(true, told);
    expect(told.outcome).toMatchObject({ kind: 'routed' });
    taking.leave();
    await ticks();
    expect(world.sums).toMatchObject({ messages: 0, bytes: 0 });
    expect(await onDisk()).toEqual([]);
  });

  it('goes with its device', async () => {
    await consume({ principal: DEVICE, filter: 'devices/me/#' });
    (await consume({ principal: DEVICE, filter: 'devices/me/#', id: 'away' })).leave();
    await consume();
    world.book.durables.forgetDevice('d1');
    await ticks();
    expect(await onDisk()).toEqual(['s']);
  });

  it('that is full drops what comes, and counts it', async () => {
    world = await QueueWorld.started({ limits: { maxMessages: 2 } });
    (await consume()).leave();
    for (const text of ['1', '2', '3']) world.publish('t/a', text);
    await ticks();
    const [view] = world.book.list({ after: null, limit: 9 }).items;
    expect(view).toMatchObject({ kind: 'subscription', messages: 2, dropped: 1 });
    expect((await consume()).take()).toEqual(['1', '2']);
    expect(world.book.stats.tallies.dropped).toBe(1);
  });

  it('refused too often puts a message into the common dead letters', async () => {
    const taking = await consume({}, new Taking(1));
    world.publish('t/a', 'bad');
    await ticks();
    for (let i = 0; i < 3; i++) {
      taking.answer(false);
      await ticks();
    }
    const dead = world.consume('dead-letters');
    await ticks();
    expect(dead.taken[0]!.message.headers).toEqual([
      ['original-topic', 't/a'],
      ['dead-in', 'c/s'],
      ['refused', '3'],
    ]);
  });
});

describe('retained messages', () => {
  function keep(...topics: readonly string[]): void {
    for (const topic of topics) world.publish(topic, topic, { retain: true });
  }

  it('come to a new subscription, as far as it takes them, and not again', async () => {
    keep('t/1', 't/2', 't/3', 't/4', 't/5', 't/6', 'u');
    await ticks();
    const taking = await consume({}, new Taking(1));
    expect(waiting().s).toBeLessThan(6);
    for (let i = 0; i < 6; i++) {
      taking.acknowledgeAll();
      world.clock.advance(5);
      await ticks();
    }
    expect(taking.taken.every(({ retain }) => retain)).toBe(true);
    expect(taking.take()).toEqual(['t/1', 't/2', 't/3', 't/4', 't/5', 't/6']);
    taking.acknowledgeAll();
    taking.leave();
    expect((await consume()).take()).toEqual([]);
  });

  it('all come, however large they are beside what may wait', async () => {
    world = await QueueWorld.started({ limits: { maxBytes: 8_000, windowBytes: 8_000, windowMessages: 100 } });
    const topics = Array.from({ length: 20 }, (_, i) => `t/${String(i).padStart(2, '0')}`);
    for (const topic of topics) world.publish(topic, topic + '.'.repeat(1_000), { retain: true });
    await ticks();
    const taking = await consume({}, new Taking(1));
    for (let i = 0; i < 30; i++) {
      taking.acknowledgeAll();
      world.clock.advance(5);
      await ticks();
    }
    expect(taking.take().map((text) => text.slice(0, 4))).toEqual(topics);
    expect(world.book.stats.tallies.dropped).toBe(0);
  });

  it('all come where fewer may wait than are read ahead', async () => {
    world = await QueueWorld.started({ limits: { maxMessages: 2 } });
    keep('t/1', 't/2', 't/3', 't/4', 't/5', 't/6');
    await ticks();
    const taking = await consume({}, new Taking(1));
    for (let i = 0; i < 10; i++) {
      taking.acknowledgeAll();
      world.clock.advance(5);
      await ticks();
    }
    expect(taking.take()).toEqual(['t/1', 't/2', 't/3', 't/4', 't/5', 't/6']);
  });

  it('that were not given when the consumer left follow with the next', async () => {
    keep('t/1', 't/2', 't/3', 't/4', 't/5', 't/6');
    await ticks();
    (await consume({}, new Taking(1))).leave();
    const taking = await consume();
    for (let i = 0; i < 6; i++) {
      taking.acknowledgeAll();
      world.clock.advance(5);
      await ticks();
    }
    expect(new Set(taking.take().map((text) => text.replace('*', '')))).toEqual(
      new Set(['t/1', 't/2', 't/3', 't/4', 't/5', 't/6']),
    );
  });
});

describe('without a consumer', () => {
  it('it is kept for the time that sessions are, and that goes on across a restart', async () => {
    (await consume()).leave();
    (await consume({ id: 'other' })).leave();
    world.clock.advance(40_000);
    await consume({ id: 'other' });
    await world.crash();
    expect(Object.keys(waiting()).sort()).toEqual(['other', 's']);
    world.clock.advance(20_001);
    await ticks();
    expect(Object.keys(waiting())).toEqual(['other']);
    expect(await onDisk()).toEqual(['other']);
  });

  it('it counts with the sessions that are away: past the bound the longest away goes, of either kind', async () => {
    world = await QueueWorld.started({ maxSessions: 2 });
    const session = await world.connect({ principal: APPLICATION, clientId: 'm' });
    session.leave();
    (await consume({ id: '1' })).leave();
    expect(world.registry.stats.away).toBe(1);
    (await consume({ id: '2' })).leave();
    await ticks();
    expect(world.registry.stats).toMatchObject({ away: 0, evicted: 1 });
    (await world.connect({ principal: APPLICATION, clientId: 'n' })).leave();
    await ticks();
    expect(await onDisk()).toEqual(['2']);
    expect(world.registry.stats.away).toBe(1);
  });

  it('after a restart, too, whatever was away longest goes first, of either kind', async () => {
    world = await QueueWorld.started({ maxSessions: 3 });
    (await consume({ id: 'oldest' })).leave();
    world.clock.advance(10);
    (await world.connect({ principal: APPLICATION, clientId: 'm' })).leave();
    world.clock.advance(10);
    (await consume({ id: 'newest' })).leave();
    await ticks();
    await world.crash();
    (await world.connect({ principal: APPLICATION, clientId: 'n' })).leave();
    await ticks();
    expect(await onDisk()).toEqual(['newest']);
    expect(world.registry.stats).toMatchObject({ away: 2, evicted: 0 });
  });

  it('holds nothing of the connection that it had', async () => {
    const gone = await consumerOfBefore();
    await ticks();
    collectGarbage();
    expect(gone.deref()).toBeUndefined();
  });

  it('whose time was over while the hub was down is not there any more', async () => {
    (await consume()).leave();
    await ticks();
    world.clock.advance(30_000);
    await world.crash();
    world.book.close();
    world.clock.advance(30_001);
    await world.start();
    expect(world.book.stats.subscriptions).toBe(0);
  });
});
