import { beforeEach, describe, expect, test } from 'vitest';
import type { Qos, RoutedMessage, Subscription } from '#protocols/message.js';
import type { DeviceSession } from '#protocols/subprotocol.js';
import { MemoryRouter } from '#hub/router/memory.js';
import { SessionRegistry, sessionKey, type SessionRegistryOptions } from '#hub/router/sessions.js';
import { message } from '#test/contract/router.js';
import { FakeClock } from '#test/support/fake-clock.js';

class FakeSession implements DeviceSession {
  readonly forwarded: { text: string; matches: string[]; qos: Qos; retain: boolean }[] = [];

  forward(m: RoutedMessage, matches: readonly Subscription[], qos: Qos): void {
    this.forwarded.push({ text: m.payload.toString(), matches: matches.map((s) => s.id), qos, retain: m.retain });
  }

  get texts(): string[] {
    return this.forwarded.map((f) => f.text);
  }

  receive(): void {}
  deliver(): boolean {
    return false;
  }
  writable(): void {}
  beat(): void {}
  end(): void {}
  closed(): void {}
}

describe('session registry', () => {
  const KEY = 'device:2:d1:c1';
  let clock: FakeClock;
  let router: MemoryRouter;
  let dropped: string[];
  let registry: SessionRegistry;

  function make(options: Partial<SessionRegistryOptions> = {}): SessionRegistry {
    return new SessionRegistry({
      router,
      clock,
      expiryMs: 60_000,
      maxSessions: 10,
      maxQueuedMessages: 3,
      maxQueuedBytes: 10_000,
      onDropped: (key) => dropped.push(key),
      ...options,
    });
  }

  beforeEach(() => {
    clock = new FakeClock();
    dropped = [];
    router = new MemoryRouter({
      maxRetainedMessages: 10,
      maxRetainedBytes: 10_000,
      onError: (error) => {
        throw error;
      },
    });
    registry = make();
  });

  function publish(topic: string, text: string, qos: Qos = 1, retain = false): void {
    router.publish(message(topic, text, qos, retain), () => undefined);
  }

  function connect(persistent: boolean, key = KEY, deviceId: string | null = 'd1') {
    const session = new FakeSession();
    const opened = registry.open(key, persistent);
    registry.attach(key, session, deviceId);
    return { session, ...opened };
  }

  function drain(state: { queue: { shift(): { message: RoutedMessage } | undefined } }): string[] {
    const texts: string[] = [];
    for (let item = state.queue.shift(); item !== undefined; item = state.queue.shift()) {
      texts.push(item.message.payload.toString());
    }
    return texts;
  }

  const sub = (filter: string, qos: Qos = 1, id = filter): Subscription => ({ id, filter, qos });

  test('keys keep principals, client ids and kinds apart, whatever characters they hold', () => {
    const key = (kind: 'device' | 'application', id: string, clientId: string) =>
      sessionKey({ kind, id, anonymous: false }, clientId);
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

  describe('connected', () => {
    test('messages go to the session, with matches and QoS', () => {
      const { session } = connect(false);
      registry.subscribe(KEY, sub('t/#', 1));
      registry.subscribe(KEY, sub('t/+', 0));
      publish('t/1', 'm', 2);
      expect(session.forwarded).toEqual([{ text: 'm', matches: ['t/#', 't/+'], qos: 1, retain: false }]);
    });

    test('a device is never given its own results back as if they were commands; applications hear of them', () => {
      const device = connect(false).session;
      const application = connect(false, 'application:3:app:c', null).session;
      registry.subscribe(KEY, sub('devices/me/commands/#'));
      registry.subscribe(KEY, sub('devices/+/events/+'));
      registry.subscribe('application:3:app:c', sub('devices/+/commands/#'));
      publish('devices/d1/commands/c1/result', 'done');
      publish('devices/d1/events/door', 'open');
      expect(device.texts).toEqual(['open']);
      expect(application.texts).toEqual(['done']);
    });

    test('`me` in a filter is the device, and the match keeps what the client wrote', () => {
      const { session, state } = connect(false);
      registry.subscribe(KEY, sub('devices/me/twin/desired'));
      publish('devices/d1/twin/desired', 'm');
      publish('devices/d2/twin/desired', 'n');
      publish('devices/me/twin/desired', 'o');
      expect(session.forwarded.map((f) => [f.text, f.matches])).toEqual([['m', ['devices/me/twin/desired']]]);
      expect([...state.subscriptions.keys()]).toEqual(['devices/me/twin/desired']);
    });

    test('for an application `me` is a name like others', () => {
      const { session } = connect(false, KEY, null);
      registry.subscribe(KEY, sub('devices/me/x'));
      publish('devices/me/x', 'm');
      expect(session.texts).toEqual(['m']);
    });

    test('after unsubscribe nothing comes', () => {
      const { session, state } = connect(true);
      registry.subscribe(KEY, sub('t'));
      expect(registry.unsubscribe(KEY, 't')).toBe(true);
      expect(registry.unsubscribe(KEY, 't')).toBe(false);
      expect(registry.unsubscribe('unknown', 't')).toBe(false);
      publish('t', 'm');
      expect(session.texts).toEqual([]);
      expect(state.subscriptions.size).toBe(0);
      expect(router.wanted('t')).toBe(false);
    });

    test('retained messages follow each answered subscription, with retain true and the lower QoS', () => {
      publish('t/1', 'one', 2, true);
      publish('t/2', 'two', 0, true);
      publish('devices/d1/presence', 'online', 1, true);
      const { session } = connect(false);
      const made = [sub('t/+', 1), sub('t/2', 1), sub('devices/me/presence', 0), sub('gone', 1)];
      for (const s of made.slice(0, 3)) registry.subscribe(KEY, s);
      expect(session.texts).toEqual([]);
      registry.subscribed(KEY, made);
      expect(session.forwarded).toEqual([
        { text: 'one', matches: ['t/+'], qos: 1, retain: true },
        { text: 'two', matches: ['t/+'], qos: 0, retain: true },
        { text: 'two', matches: ['t/2'], qos: 0, retain: true },
        { text: 'online', matches: ['devices/me/presence'], qos: 0, retain: true },
      ]);
    });

    test('a call before open says so', () => {
      expect(() => registry.subscribe('unknown', sub('t'))).toThrow(/open it/);
      expect(() => registry.attach('unknown', new FakeSession(), null)).toThrow(/open it/);
      registry.subscribed('unknown', [sub('t')]);
    });
  });

  describe('a clean session', () => {
    test('ends with its connection', () => {
      const { session, resumed } = connect(false);
      expect(resumed).toBe(false);
      registry.subscribe(KEY, sub('t'));
      expect(registry.detach(KEY, session)).toBe(true);
      publish('t', 'm');
      expect(session.texts).toEqual([]);
      expect(router.wanted('t')).toBe(false);
      expect(registry.stats).toMatchObject({ sessions: 0, detached: 0 });
      expect(connect(true).resumed).toBe(false);
    });

    test('discards a kept session with its subscriptions and its queue [MQTT-3.1.2-6]', () => {
      const first = connect(true);
      registry.subscribe(KEY, sub('t'));
      registry.detach(KEY, first.session);
      publish('t', 'm');
      const second = connect(false);
      expect(second.resumed).toBe(false);
      expect(second.state).not.toBe(first.state);
      expect(second.state.queue.length).toBe(0);
      publish('t', 'n');
      expect(second.session.texts).toEqual([]);
    });

    test('is not resumed by a persistent one that takes over', () => {
      connect(false);
      registry.subscribe(KEY, sub('t'));
      const second = connect(true);
      expect(second.resumed).toBe(false);
      expect(router.wanted('t')).toBe(false);
    });
  });

  describe('a persistent session', () => {
    test('keeps subscriptions, and queues QoS 1 and 2 but not 0 while it is away [MQTT-3.1.2-4, MQTT-3.1.2-5]', () => {
      const first = connect(true);
      registry.subscribe(KEY, sub('t/+', 1));
      registry.subscribe(KEY, sub('zero', 0));
      registry.detach(KEY, first.session);
      publish('t/a', '1', 1);
      publish('t/a', '2', 0);
      publish('t/a', '3', 2);
      publish('zero', '4', 1);
      const second = connect(true);
      expect(second.resumed).toBe(true);
      expect(second.state).toBe(first.state);
      expect(drain(second.state)).toEqual(['1', '3']);
      publish('t/a', '5', 0);
      expect(second.session.texts).toEqual(['5']);
      expect(first.session.texts).toEqual([]);
    });

    test('counts what does not fit into the queue', () => {
      const { session, state } = connect(true);
      registry.subscribe(KEY, sub('t'));
      registry.detach(KEY, session);
      for (let i = 0; i < 5; i++) publish('t', String(i));
      expect(drain(state)).toEqual(['0', '1', '2']);
      expect(dropped).toEqual([KEY, KEY]);
      expect(registry.stats.dropped).toBe(2);
    });

    test('messages wait from open until attach', () => {
      registry.detach(KEY, connect(true).session);
      registry.attach(KEY, new FakeSession(), 'd1');
      registry.subscribe(KEY, sub('t'));
      const { state } = registry.open(KEY, true);
      publish('t', 'm');
      expect(drain(state)).toEqual(['m']);
      const session = new FakeSession();
      registry.attach(KEY, session, 'd1');
      publish('t', 'n');
      expect(session.texts).toEqual(['n']);
    });

    test('a takeover leaves the older connection with nothing, and its late detach changes nothing', () => {
      const older = connect(true);
      registry.subscribe(KEY, sub('t'));
      const newer = connect(true);
      expect(newer.state).toBe(older.state);
      expect(registry.detach(KEY, older.session)).toBe(false);
      publish('t', 'm');
      expect(older.session.texts).toEqual([]);
      expect(newer.session.texts).toEqual(['m']);
      expect(registry.detach(KEY, newer.session)).toBe(true);
      expect(registry.detach(KEY, newer.session)).toBe(false);
    });

    test('a late detach between open and attach of the newer one changes nothing either', () => {
      for (const persistent of [true, false]) {
        const older = connect(persistent);
        registry.open(KEY, persistent);
        expect(registry.detach(KEY, older.session)).toBe(false);
        const session = new FakeSession();
        registry.attach(KEY, session, 'd1');
        registry.subscribe(KEY, sub('t'));
        publish('t', 'm');
        expect(session.texts).toEqual(['m']);
      }
    });

    test('expires after expiryMs without a connection, not a millisecond before', () => {
      const { session } = connect(true);
      registry.subscribe(KEY, sub('t'));
      clock.advance(200_000);
      registry.detach(KEY, session);
      clock.advance(59_999);
      expect(registry.stats).toMatchObject({ sessions: 1, detached: 1, expired: 0 });
      clock.advance(1);
      expect(registry.stats).toMatchObject({ sessions: 0, detached: 0, expired: 1 });
      expect(router.wanted('t')).toBe(false);
      expect(connect(true).resumed).toBe(false);
    });

    test('coming back begins its time anew; each session has its own time', () => {
      const a = connect(true, 'a');
      const b = connect(true, 'b');
      registry.detach('a', a.session);
      clock.advance(30_000);
      registry.detach('b', b.session);
      const again = connect(true, 'a');
      clock.advance(10_000);
      registry.detach('a', again.session);
      clock.advance(50_000);
      expect(registry.stats).toMatchObject({ detached: 1, expired: 1 });
      expect(registry.open('a', true).resumed).toBe(true);
      expect(registry.open('b', true).resumed).toBe(false);
    });

    test('a step of the wall clock expires nothing', () => {
      registry.detach(KEY, connect(true).session);
      clock.step(10 * 24 * 3600 * 1000);
      clock.advance(59_000);
      expect(registry.stats.expired).toBe(0);
    });

    test('an expiry of months is kept: timers of Node end at 24 days', () => {
      registry = make({ expiryMs: 90 * 24 * 3600 * 1000 });
      registry.detach(KEY, connect(true).session);
      clock.advance(89 * 24 * 3600 * 1000);
      expect(registry.stats.detached).toBe(1);
      clock.advance(24 * 3600 * 1000);
      expect(registry.stats).toMatchObject({ detached: 0, expired: 1 });
    });

    test('at most maxSessions are kept without a connection: the one away for longest goes', () => {
      const sessions = Array.from({ length: 11 }, (_, i) => ({ key: `k${i}`, ...connect(true, `k${i}`) }));
      for (const { key, session } of sessions.slice(0, 10)) registry.detach(key, session);
      expect(registry.stats).toMatchObject({ sessions: 11, detached: 10, evicted: 0 });
      registry.detach('k10', sessions[10]!.session);
      expect(registry.stats).toMatchObject({ sessions: 10, detached: 10, evicted: 1 });
      expect(registry.open('k1', true).resumed).toBe(true);
      expect(registry.open('k10', true).resumed).toBe(true);
      expect(registry.open('k0', true).resumed).toBe(false);
    });

    test('one that is being opened takes no place from those that are kept', () => {
      registry = make({ maxSessions: 2 });
      for (const key of ['a', 'b']) registry.detach(key, connect(true, key).session);
      for (const key of ['c', 'd', 'e']) registry.open(key, false);
      expect(registry.stats).toMatchObject({ sessions: 5, detached: 2, evicted: 0 });
      for (const key of ['c', 'd', 'e']) registry.attach(key, new FakeSession(), null);
      expect(registry.open('a', true).resumed).toBe(true);
    });

    test('one that is being opened waits for its connection as long as that takes', () => {
      registry = make({ expiryMs: 0 });
      registry.open(KEY, true);
      clock.advance(60_000);
      const session = new FakeSession();
      registry.attach(KEY, session, null);
      registry.detach(KEY, session);
      clock.advance(1);
      expect(registry.stats).toMatchObject({ sessions: 0, detached: 0 });
    });

    test('maxSessions below 1 is refused', () => {
      expect(() => make({ maxSessions: 0 })).toThrow(RangeError);
    });

    test('close forgets everything', () => {
      connect(true);
      registry.subscribe(KEY, sub('t'));
      registry.detach('x', connect(true, 'x').session);
      registry.close();
      expect(registry.stats).toMatchObject({ sessions: 0, detached: 0 });
      expect(router.wanted('t')).toBe(false);
    });
  });
});
