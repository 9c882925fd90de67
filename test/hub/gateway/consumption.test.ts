import { beforeEach, describe, expect, it } from 'vitest';
import type { QueueRef } from '#protocols/message.js';
import { TopicAccess } from '#hub/fleet/access.js';
import type { TopicRules } from '#hub/fleet/scopes.js';
import type { Connection } from '#hub/gateway/connection.js';
import { Consumption } from '#hub/gateway/consumption.js';
import { HubSession } from '#hub/gateway/hub-session.js';
import type { Services } from '#hub/gateway/services.js';
import { ticks } from '#test/support/hub-parts.js';
import { QueueWorld, Taking } from '../queues/parts.ts';
import { APPLICATION, DEVICE, message } from '../sessions/parts.ts';

let world: QueueWorld;

beforeEach(async () => {
  world = await QueueWorld.started();
});

const ACCESS = new TopicAccess({ devicePublish: [], deviceSubscribe: [], denySubscribe: [] });

function consumption(rules: TopicRules | null = null, principal = APPLICATION, maxSubscriptions = 3) {
  const limits = { maxTopicLevels: 4, maxSubscriptions, maxInFlight: 2 };
  const taking = new Taking();
  const identity = { principal, clientId: 'c', key: 'k', epoch: 0, rules };
  const tested = new Consumption({ queues: world.book, access: ACCESS, limits }, identity, 'stomp', taking);
  const consume = (id: string, queue: QueueRef, filter = 'f') =>
    tested.consume({ subscription: { id, filter, qos: 1 }, queue, prefetch: 9 });
  return { tested, taking, consume };
}

const queue = (name: string): QueueRef => ({ kind: 'queue', name });
const durable = (id: string, filter: string): QueueRef => ({ kind: 'subscription', id, filter, autoDelete: false });
const temporary = (name: string): QueueRef => ({ kind: 'temporary', name });
const GRANTED = { ok: true, qos: 1, existed: false };
const NOT_AUTHORIZED = { ok: false, reason: 'not_authorized' };
const past = (limit: string) => ({ ok: false, reason: 'limit', limit });

describe('a consumer', () => {
  it('gets what its queue has, at most the hub’s window of it, and gives back what it has when the connection ends', async () => {
    const { tested, taking, consume } = consumption();
    world.send('q', '1', '2', '3');
    expect(consume('s', queue('q'))).toEqual(GRANTED);
    await ticks();
    expect(taking.take()).toEqual(['1', '2']);
    tested.end();
    expect(world.view('q')).toMatchObject({ messages: 3, unacknowledged: 0, consumers: 0 });
  });

  it('that ended with messages in hand gives them back with its connection at the latest', async () => {
    const { tested, consume } = consumption();
    world.send('q', '1');
    consume('s', queue('q'));
    await ticks();
    expect(tested.cancel('s', false)).toBe(true);
    expect(tested.cancel('s', false)).toBe(false);
    expect(world.view('q')).toMatchObject({ unacknowledged: 1, consumers: 0 });
    tested.end();
    expect(world.view('q')).toMatchObject({ unacknowledged: 0, messages: 1 });
  });

  it('whose session did not take a message is offered it when the session says so', async () => {
    const { tested, taking, consume } = consumption();
    taking.congested = true;
    consume('s', queue('q'));
    world.send('q', '1');
    await ticks();
    taking.congested = false;
    tested.ready();
    await ticks();
    expect(taking.take()).toEqual(['1']);
  });

  it('needs the right to subscribe to the topic of the queue', () => {
    const rules = { publish: [], subscribe: ['$queue/mine/#', 'a/#'] };
    const { consume } = consumption(rules);
    expect(consume('1', queue('mine/a'))).toEqual(GRANTED);
    expect(consume('2', queue('other'))).toEqual(NOT_AUTHORIZED);
    expect(consume('2', durable('2', 'a/b'))).toEqual(GRANTED);
    expect(consume('3', durable('3', 'b'))).toEqual(NOT_AUTHORIZED);
    expect(consume('3', durable('3', '$queue/mine/a'))).toEqual(NOT_AUTHORIZED);
    const device = consumption(null, DEVICE);
    expect(device.consume('1', queue('mine/a'))).toEqual(NOT_AUTHORIZED);
    expect(device.consume('2', durable('2', 'devices/me/#'))).toEqual(GRANTED);
    expect(device.consume('3', durable('3', 'devices/d2/#'))).toEqual(NOT_AUTHORIZED);
  });

  it('is one of at most so many', () => {
    const { tested, consume } = consumption();
    for (const id of ['1', '2', '3']) expect(consume(id, queue(id))).toEqual(GRANTED);
    expect(consume('4', queue('4'))).toEqual(past('maxSubscriptions'));
    tested.cancel('1', false);
    expect(consume('4', queue('4'))).toEqual(GRANTED);
  });

  it('is refused where there may be no more queues, or no such deep filter', () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) world.send(name, 'x');
    const { consume } = consumption();
    expect(consume('1', queue('f'))).toEqual(past('maxQueues'));
    expect(consume('1', durable('1', 'a/b/c/d/e'))).toEqual(past('maxTopicLevels'));
    expect(consume('1', queue('a'))).toEqual(GRANTED);
  });
});

describe('a durable subscription', () => {
  it('is told from a new one', () => {
    const first = consumption();
    expect(first.consume('s', durable('s', 'a'))).toEqual(GRANTED);
    first.tested.end();
    const second = consumption();
    expect(second.consume('s', durable('s', 'a'))).toEqual({ ...GRANTED, existed: true });
  });

  it('that may not be any more is refused, and goes', () => {
    const first = consumption();
    first.consume('s', durable('s', 'a'));
    first.tested.end();
    expect(consumption({ publish: [], subscribe: ['b'] }).consume('s', durable('s', 'a'))).toEqual(NOT_AUTHORIZED);
    expect(world.book.stats.subscriptions).toBe(0);
  });

  it('stays when its client asks for what it may not have under the same id', async () => {
    const { tested, consume } = consumption({ publish: [], subscribe: ['t/#'] });
    consume('s', durable('s', 't/#'));
    tested.cancel('s', false);
    world.publish('t/a', '1');
    await ticks();
    expect(consume('s', durable('s', 'secret'))).toEqual(NOT_AUTHORIZED);
    const again = consumption({ publish: [], subscribe: ['t/#'] });
    again.consume('s', durable('s', 't/#'));
    await ticks();
    expect(again.taking.take()).toEqual(['1']);
  });

  it('that is told to go takes nobody’s place among those that are kept without a consumer', async () => {
    world = await QueueWorld.started({ maxSessions: 1 });
    const { tested, consume } = consumption();
    consume('kept', durable('kept', 't/#'));
    consume('gone', durable('gone', 't/#'));
    tested.cancel('kept', false);
    expect(tested.cancel('gone', true)).toBe(true);
    expect([...world.book.durables.all()].map(({ facts }) => facts.name)).toEqual(['kept']);
  });

  it('is forgotten on demand, also without having been taken up', () => {
    const first = consumption();
    first.consume('s', durable('s', 'a'));
    first.tested.end();
    const second = consumption();
    expect(second.tested.cancel('s', true)).toBe(true);
    expect(second.tested.cancel('s', true)).toBe(false);
    expect(world.book.stats.subscriptions).toBe(0);
  });
});

describe('a temporary queue', () => {
  it('has one topic for one name, which is another one elsewhere', () => {
    const { tested } = consumption();
    const topic = tested.temporaryTopic('r');
    expect(topic).toMatch(/^\$reply\/[\w-]{22}$/);
    expect(tested.temporaryTopic('r')).toBe(topic);
    expect(tested.temporaryTopic('s')).not.toBe(topic);
    expect(consumption().tested.temporaryTopic('r')).not.toBe(topic);
  });

  it('is there from its first consumer to the end of the connection, and those that are empty are not counted', async () => {
    const { tested, taking, consume } = consumption();
    for (const name of ['1', '2', '3', '4', '5']) {
      const topic = tested.temporaryTopic(name);
      expect(consume(name, temporary(name), topic)).toEqual(GRANTED);
      expect(tested.cancel(name, false)).toBe(true);
    }
    expect(world.book.stats.temporary).toBe(0);
    const topic = tested.temporaryTopic('r');
    consume('r', temporary('r'), topic);
    world.sendMessage(message(topic, 'answer'));
    await ticks();
    expect(taking.take()).toEqual(['answer']);
    tested.end();
    expect(world.book.stats.temporary).toBe(0);
  });

  it('shares with the others of its connection what the queue of one session may hold', async () => {
    world = await QueueWorld.started({ limits: { maxMessages: 3 } });
    const [mine, yours] = [consumption(), consumption()];
    const made = [mine.tested.temporaryTopic('a'), mine.tested.temporaryTopic('b'), yours.tested.temporaryTopic('a')];
    const [a, b, other] = made as [string, string, string];
    mine.consume('1', temporary('a'), a);
    mine.consume('2', temporary('b'), b);
    yours.consume('1', temporary('a'), other);
    for (const topic of [a, b, a, b, a, other]) world.sendMessage(message(topic, 'x'));
    await ticks();
    expect(world.book.stats.tallies.dropped).toBe(2);
    expect(yours.taking.take()).toEqual(['x']);
    mine.taking.acknowledgeAll();
    await ticks();
    mine.taking.take();
    for (const topic of [b, b, b, b]) world.sendMessage(message(topic, 'y'));
    expect(world.book.stats.tallies.dropped).toBe(3);
    mine.tested.end();
    yours.tested.end();
    expect(world.sums).toMatchObject({ messages: 0, bytes: 0 });
  });

  it('is one of at most so many, those that wait without a consumer included', async () => {
    const { tested, taking, consume } = consumption(null, APPLICATION, 2);
    taking.congested = true;
    for (const name of ['1', '2']) {
      const topic = tested.temporaryTopic(name);
      consume(name, temporary(name), topic);
      world.sendMessage(message(topic, 'x'));
      await ticks();
      tested.cancel(name, false);
    }
    expect(consume('3', temporary('3'), tested.temporaryTopic('3'))).toEqual(past('maxSubscriptions'));
    expect(consume('1', temporary('1'), tested.temporaryTopic('1'))).toEqual(GRANTED);
  });
});

describe('an answer to a message of a queue', () => {
  it('is written, so that its client waits with everybody else while the store lags', async () => {
    let looks = 0;
    const connection = { wrote: () => looks++ } as unknown as Connection;
    const session = new HubSession(connection, {} as Services, null, []);
    const taking = world.consume('dead-letters/q');
    world.send('dead-letters/q', '1');
    await ticks();
    for (let i = 1; i < 5; i++) {
      session.returned(taking.inHand.shift()!, true);
      expect(looks).toBe(i);
      await ticks();
    }
    session.acknowledged(taking.inHand.shift()!);
    expect(looks).toBe(5);
  });
});
