import { Aedes } from 'aedes';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { AedesRouter } from '#hub/router/aedes.js';
import type { Subscriber } from '#hub/router/port.js';
import { message, routerContract, subscriberOf } from '#test/contract/router.js';
import { FakeClock } from '#test/support/fake-clock.js';

routerContract('aedes', (setup) => new AedesRouter(setup));

describe('what the router expects of aedes', () => {
  const errors: unknown[] = [];
  const setup = {
    maxRetainedMessages: 10,
    maxRetainedBytes: 10_000,
    onError: (error: unknown) => errors.push(error),
    clock: new FakeClock(),
    journal: { kept: () => undefined, removed: () => undefined },
  };

  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
    errors.length = 0;
  });

  function collect(): { topics: string[]; subscriber: Subscriber } {
    const topics: string[] = [];
    return { topics, subscriber: subscriberOf((m) => void topics.push(m.topic)) };
  }

  test("aedes' own $SYS messages reach nobody, whatever the filter", async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const emitted = vi.spyOn(Aedes.prototype, 'publish');
    const router = new AedesRouter(setup);
    const { topics, subscriber } = collect();
    // Before open, so that the birth message meets them too.
    for (const filter of ['#', '$SYS/#', '$SYS/+/heartbeat', '+/+/birth']) {
      router.subscribe(subscriber, { id: filter, filter, qos: 0 }, filter);
    }
    await router.open();
    vi.advanceTimersByTime(5 * 24 * 3600 * 1000);
    await new Promise((resolve) => setImmediate(resolve));
    const own = emitted.mock.calls.map(([packet]) => packet.topic.replace(/^\$SYS\/[^/]+/, '$SYS/id'));
    expect(own).toContain('$SYS/id/birth');
    expect(own).toContain('$SYS/id/heartbeat');
    expect(topics).toEqual([]);
    await new Promise<boolean>((resolve) => router.publish(message('$SYS/hub/uptime', '1'), resolve));
    expect(topics).toEqual(['$SYS/hub/uptime']);
    expect(errors).toEqual([]);
    await router.close();
  });

  test('each filter has one handler, however many subscribe, and none when the last has left', async () => {
    const added = vi.spyOn(Aedes.prototype, 'subscribe');
    const removed = vi.spyOn(Aedes.prototype, 'unsubscribe');
    const router = new AedesRouter(setup);
    await router.open();
    const subscribers = Array.from({ length: 50 }, () => collect().subscriber);
    for (const subscriber of subscribers) {
      for (const filter of ['a/+', 'b']) router.subscribe(subscriber, { id: filter, filter, qos: 0 }, filter);
    }
    expect(added.mock.calls.map(([filter]) => filter)).toEqual(['a/+', 'b']);
    expect(router.stats.filters).toBe(2);
    for (const subscriber of subscribers.slice(1)) router.remove(subscriber);
    expect(removed).not.toHaveBeenCalled();
    router.remove(subscribers[0]!);
    expect(removed.mock.calls.map(([filter, handler]) => [filter, handler])).toEqual(
      added.mock.calls.map(([filter, handler]) => [filter, handler]),
    );
    expect(router.stats.filters).toBe(0);
    await router.close();
  });

  test('a message that nobody wants does not reach aedes', async () => {
    const router = new AedesRouter(setup);
    await router.open();
    const published = vi.spyOn(Aedes.prototype, 'publish');
    const { subscriber } = collect();
    router.subscribe(subscriber, { id: 'a', filter: 'a/#', qos: 0 }, 'a/#');
    router.publish(message('b', '1', 1, true), () => undefined);
    expect(published).not.toHaveBeenCalled();
    router.publish(message('a', '1', 1, true), () => undefined);
    expect(published).toHaveBeenCalledTimes(1);
    await router.close();
  });

  test('an emitter that takes its time changes neither order nor completeness', async () => {
    const original = Aedes.prototype.publish;
    const router = new AedesRouter(setup);
    await router.open();
    let calls = 0;
    vi.spyOn(Aedes.prototype, 'publish').mockImplementation(function (this: Aedes, packet, callback) {
      original.call(this, packet, (error) => {
        if (calls++ % 3 === 0) callback(error);
        else setImmediate(() => callback(error));
      });
    });
    const { topics, subscriber } = collect();
    router.subscribe(subscriber, { id: '#', filter: '#', qos: 0 }, '#');
    const expected = Array.from({ length: 100 }, (_, i) => `t/${i}`);
    await Promise.all(expected.map((topic) => new Promise((done) => router.publish(message(topic, 'm'), done))));
    expect(topics).toEqual(expected);
    await router.close();
  });

  test('a retained message is kept in one step with its deliveries, however long the emitter takes', async () => {
    const original = Aedes.prototype.publish;
    const steps: string[] = [];
    const journal = { kept: () => void steps.push('kept'), removed: () => undefined };
    const router = new AedesRouter({ ...setup, journal });
    await router.open();
    vi.spyOn(Aedes.prototype, 'publish').mockImplementation(function (this: Aedes, packet, callback) {
      original.call(this, packet, (error) => setImmediate(() => callback(error)));
    });
    const subscriber = subscriberOf(() => void steps.push('delivered'));
    router.subscribe(subscriber, { id: 't', filter: 't', qos: 0 }, 't');
    const done = new Promise<void>((resolve) => {
      router.publish(message('t', 'm', 1, true), () => {
        steps.push('done');
        resolve();
      });
    });
    steps.push('published');
    await done;
    expect(steps).toEqual(['published', 'kept', 'delivered', 'done']);
    await router.close();
  });

  test('a message of aedes itself that comes between is not taken for the one under way', async () => {
    const original = Aedes.prototype.publish;
    const router = new AedesRouter(setup);
    await router.open();
    vi.spyOn(Aedes.prototype, 'publish').mockImplementation(function (this: Aedes, packet, callback) {
      original.call(this, { ...packet, topic: '$SYS/id/heartbeat', payload: Buffer.from('id') }, () => undefined);
      original.call(this, packet, callback);
    });
    const [ours, system] = [collect(), collect()];
    router.subscribe(ours.subscriber, { id: 't', filter: 't', qos: 0 }, 't');
    router.subscribe(system.subscriber, { id: '$SYS/#', filter: '$SYS/#', qos: 0 }, '$SYS/#');
    await new Promise((resolve) => router.publish(message('t', 'm'), resolve));
    expect(ours.topics).toEqual(['t']);
    expect(system.topics).toEqual([]);
    await router.close();
  });

  test('an aedes that throws is reported, and later messages go on', async () => {
    const router = new AedesRouter(setup);
    await router.open();
    const { topics, subscriber } = collect();
    router.subscribe(subscriber, { id: '#', filter: '#', qos: 0 }, '#');
    vi.spyOn(Aedes.prototype, 'publish').mockImplementationOnce(() => {
      throw new Error('matcher broke');
    });
    const kept = await Promise.all(
      ['a', 'b'].map((topic) => new Promise((resolve) => router.publish(message(topic, 'm'), resolve))),
    );
    expect(kept).toEqual([true, true]);
    expect(topics).toEqual(['b']);
    expect(errors.map(String)).toEqual(['Error: matcher broke']);
    await router.close();
  });

  test('an error of aedes is reported, and the message is done', async () => {
    const router = new AedesRouter(setup);
    await router.open();
    vi.spyOn(Aedes.prototype, 'publish').mockImplementation((_packet, callback) =>
      callback(new Error('emitter broke')),
    );
    router.subscribe(collect().subscriber, { id: '#', filter: '#', qos: 0 }, '#');
    expect(await new Promise((resolve) => router.publish(message('a', 'm'), resolve))).toBe(true);
    expect(errors.map(String)).toEqual(['Error: emitter broke']);
    await router.close();
  });

  test('a long backlog lets others run in between', async () => {
    const router = new AedesRouter(setup);
    await router.open();
    router.subscribe(collect().subscriber, { id: '#', filter: '#', qos: 0 }, '#');
    let done = 0;
    for (let i = 0; i < 50_000; i++) router.publish(message('t', 'm'), () => done++);
    const seen: number[] = [];
    while (done < 50_000) {
      seen.push(router.backlog);
      expect(router.backlog).toBe(50_000 - done);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(seen.length).toBeGreaterThan(10);
    await router.close();
  });

  test('close from within a delivery waits for it', async () => {
    const router = new AedesRouter(setup);
    await router.open();
    const closing: Promise<void>[] = [];
    let done = 0;
    router.subscribe(
      subscriberOf(() => void closing.push(router.close())),
      { id: 't', filter: 't', qos: 0 },
      't',
    );
    router.publish(message('t', '1'), () => done++);
    expect(done).toBe(1);
    expect(closing).toHaveLength(1);
    await closing[0];
    expect(router.backlog).toBe(0);
  });
});
