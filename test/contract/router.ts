import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Qos, RoutedMessage, Subscription } from '#protocols/message.js';
import { matchesFilter } from '#protocols/topics.js';
import type { Audience, RetainedJournal, Router, Subscriber } from '#hub/router/port.js';
import { retainedSize } from '#hub/router/retained.js';
import { FakeClock } from '#test/support/fake-clock.js';

export interface RouterSetup {
  readonly maxRetainedMessages: number;
  readonly maxRetainedBytes: number;
  readonly onError: (error: unknown) => void;
  readonly clock: FakeClock;
  readonly journal: RetainedJournal;
}

interface Delivery {
  readonly message: RoutedMessage;
  readonly matches: readonly Subscription[];
  readonly qos: Qos;
  readonly audience: Audience;
}

/** Remembers what it was given, and may do something about it. */
class Recorder implements Subscriber {
  standing: Subscriber['standing'] = 'ready';
  keeps = false;
  readonly got: Delivery[] = [];
  react: (delivery: Delivery) => void = () => undefined;

  deliver(message: RoutedMessage, matches: readonly Subscription[], qos: Qos, audience: Audience): void {
    const delivery = { message, matches, qos, audience };
    this.got.push(delivery);
    this.react(delivery);
  }

  get texts(): string[] {
    return this.got.map((d) => d.message.payload.toString());
  }
}

/** A subscriber that is always ready and keeps nothing. */
export function subscriberOf(deliver: Subscriber['deliver']): Subscriber {
  return { standing: 'ready', keeps: false, deliver };
}

export function message(topic: string, text: string, qos: Qos = 0, retain = false): RoutedMessage {
  return Object.freeze({ topic, payload: Buffer.from(text), qos, retain, contentType: null, headers: [] });
}

function subscription(filter: string, qos: Qos = 0, id = filter): Subscription {
  return { id, filter, qos };
}

/** What `hub/router/port.ts` promises, shown of one implementation. */
export function routerContract(name: string, make: (setup: RouterSetup) => Router): void {
  describe(`router: ${name}`, () => {
    let router: Router;
    let errors: unknown[];
    let clock: FakeClock;
    /** What the journal heard: `+topic text`, `-topic`. */
    let journal: string[];

    function start(): Router {
      return make({
        maxRetainedMessages: 100,
        maxRetainedBytes: 100_000,
        onError: (error) => errors.push(error),
        clock,
        journal: {
          kept: (m) => journal.push(`+${m.topic} ${m.payload.toString()}`),
          removed: (topic) => journal.push(`-${topic}`),
        },
      });
    }

    beforeEach(async () => {
      errors = [];
      journal = [];
      clock = new FakeClock();
      router = start();
      await router.open();
    });
    afterEach(async () => {
      await router.close();
    });

    function publish(m: RoutedMessage, audience?: Audience): Promise<boolean> {
      return new Promise((resolve) => router.publish(m, resolve, audience));
    }

    function subscribe(...filters: string[]): Recorder {
      const recorder = new Recorder();
      for (const filter of filters) router.subscribe(recorder, subscription(filter), filter);
      return recorder;
    }

    describe('delivery', () => {
      test('messages arrive in the order of publish whatever their QoS and retain flags', async () => {
        const recorder = subscribe('t');
        const order: string[] = [];
        await new Promise<void>((resolve) => {
          router.publish(message('t', 'A', 1, true), () => order.push('A'));
          router.publish(message('t', 'B', 1), () => order.push('B'));
          router.publish(message('t', 'C', 0), () => order.push('C'));
          router.publish(message('t', 'D', 2, true), () => {
            order.push('D');
            resolve();
          });
        });
        expect(recorder.texts).toEqual(['A', 'B', 'C', 'D']);
        expect(order).toEqual(['A', 'B', 'C', 'D']);
      });

      test('10,000 messages reach 100 subscribers in order', async () => {
        const recorders = Array.from({ length: 100 }, () => ({ next: 0, wrong: 0 }));
        recorders.forEach((r, i) => {
          const filter = ['a/b', 'a/+', 'a/#'][i % 3]!;
          const subscriber = subscriberOf((m) => {
            if (m.payload.readUInt32BE() === r.next) r.next++;
            else r.wrong++;
          });
          router.subscribe(subscriber, subscription(filter), filter);
        });
        let done = 0;
        for (let i = 0; i < 10_000; i++) {
          const payload = Buffer.alloc(4);
          payload.writeUInt32BE(i);
          const m: RoutedMessage = { ...message('a/b', '', (i % 3) as Qos), payload };
          router.publish(m, () => done++);
        }
        await publish(message('other', 'end'));
        expect(done).toBe(10_000);
        expect(recorders).toEqual(recorders.map(() => ({ next: 10_000, wrong: 0 })));
        expect(router.backlog).toBe(0);
      });

      test('a subscriber with overlapping filters gets a message once, with all its matches in the order they were made', async () => {
        const recorder = new Recorder();
        const other = new Recorder();
        const made = ['a/#', 'x', 'a/+', 'a/b', '+/b'].map((filter, i) => subscription(filter, (i % 2) as Qos));
        for (const s of made) {
          router.subscribe(recorder, s, s.filter);
          router.subscribe(other, s, s.filter);
        }
        router.unsubscribe(other, 'a/+');
        await publish(message('a/b', 'm', 2));
        expect(recorder.got).toHaveLength(1);
        expect(recorder.got[0]!.matches).toEqual([made[0], made[2], made[3], made[4]]);
        expect(recorder.got[0]!.qos).toBe(1);
        expect(other.got[0]!.matches).toEqual([made[0], made[3], made[4]]);
      });

      test('two subscriptions with the same filter are one delivery with two matches', async () => {
        const recorder = new Recorder();
        router.subscribe(recorder, subscription('t', 0, 's1'), 't');
        router.subscribe(recorder, subscription('t', 1, 's2'), 't');
        await publish(message('t', 'm', 1));
        expect(recorder.got.map((d) => d.matches.map((s) => s.id))).toEqual([['s1', 's2']]);
        expect(recorder.got[0]!.qos).toBe(1);
        router.unsubscribe(recorder, 's2');
        await publish(message('t', 'n', 1));
        expect(recorder.got[1]!.matches.map((s) => s.id)).toEqual(['s1']);
        expect(recorder.got[1]!.qos).toBe(0);
      });

      test('QoS is the lower of the message and the highest match', async () => {
        const results: number[] = [];
        for (const granted of [0, 1, 2] as const) {
          for (const published of [0, 1, 2] as const) {
            const recorder = new Recorder();
            router.subscribe(recorder, subscription('q', granted), 'q');
            await publish(message('q', 'm', published));
            results.push(recorder.got[0]!.qos);
            router.remove(recorder);
          }
        }
        expect(results).toEqual([0, 0, 0, 0, 1, 1, 0, 1, 2]);
      });

      test('all subscribers share the published object', async () => {
        const recorders = [subscribe('t'), subscribe('#'), subscribe('t', '+')];
        const m: RoutedMessage = Object.freeze({
          ...message('t', 'm', 1),
          contentType: 'text/plain',
          headers: Object.freeze([['a', 'b']] as const),
        });
        await publish(m);
        for (const recorder of recorders) expect(recorder.got[0]!.message).toBe(m);
      });

      test('retain stays as it was published: what a receiver sees is decided where its subscription is known', async () => {
        const recorder = subscribe('t', '#');
        const m = message('t', 'm', 1, true);
        await publish(m);
        expect(recorder.got[0]!.message).toBe(m);
      });

      test('the audience is told to everybody, all unless something else is said', async () => {
        const recorder = subscribe('t', '#');
        await publish(message('t', '1'));
        await publish(message('t', '2', 1), 'kept');
        await publish(message('t', '2', 1), 'live');
        expect(recorder.got.map((d) => d.audience)).toEqual(['all', 'kept', 'live']);
      });

      test('done is called right after the deliveries of its message, before any of the next', async () => {
        const order: string[] = [];
        for (const name of ['a', 'b']) {
          const subscriber = subscriberOf((m) => void order.push(`${name} ${m.payload.toString()}`));
          router.subscribe(subscriber, subscription('t'), 't');
        }
        router.subscribe(
          subscriberOf(() => {
            for (const text of ['1', '2']) router.publish(message('t', text), () => order.push(`done ${text}`));
          }),
          subscription('start'),
          'start',
        );
        await publish(message('start', ''));
        await publish(message('end', ''));
        expect(order).toEqual(['a 1', 'b 1', 'done 1', 'a 2', 'b 2', 'done 2']);
      });

      test('a message to nobody is done all the same', async () => {
        subscribe('other');
        expect(await publish(message('t', 'm', 1))).toBe(true);
        expect(router.stats).toMatchObject({ published: 1, delivered: 0 });
        expect(router.backlog).toBe(0);
      });

      test('a message with an empty payload is delivered', async () => {
        const recorder = subscribe('t');
        await publish(message('t', ''));
        expect(recorder.texts).toEqual(['']);
      });

      test('names that objects inherit are topics like others', async () => {
        const recorder = subscribe('__proto__/+', 'constructor', 'toString/#');
        for (const topic of ['__proto__/x', 'constructor', 'toString', 'hasOwnProperty'])
          await publish(message(topic, topic));
        expect(recorder.texts).toEqual(['__proto__/x', 'constructor', 'toString']);
      });

      test('counts what was published and delivered', async () => {
        subscribe('a', '#');
        subscribe('a');
        await publish(message('a', '1'));
        await publish(message('b', '2'));
        expect(router.stats).toMatchObject({ published: 2, delivered: 3 });
      });
    });

    describe('matching', () => {
      test.each([
        ['#', '$SYS/x', false],
        ['+/x', '$SYS/x', false],
        ['+', '$SYS', false],
        ['#', '$', false],
        ['$SYS/#', '$SYS/x', true],
        ['$SYS/+', '$SYS/x', true],
        ['$SYS/#', '$SYS', true],
        ['$other/x', '$other/x', true],
        ['a/#', 'a/$b', true],
        ['a/+', 'a/$b', true],
        ['#', 'a/$SYS', true],
        ['a/#', 'a', true],
        ['a/#', 'a/', true],
        ['a/#', 'a/b/c', true],
        ['a/#', 'ab', false],
        ['#', '/', true],
        ['/', '/', true],
        ['+/+', '/', true],
        ['/+', '/', true],
        ['+/', '/', true],
        ['+', '/', false],
        ['/#', '/', true],
        ['/#', '/a', true],
        ['/#', 'a', false],
        ['a//b', 'a//b', true],
        ['a/+/b', 'a//b', true],
        ['a/+/+/b', 'a//b', false],
        ['a/#', 'a//b', true],
        ['a/b', 'a//b', false],
        ['a/+', 'a', false],
        ['a/+', 'a/', true],
        ['+/b', 'a/b/c', false],
        ['+/+/#', 'a', false],
        ['+/+/#', 'a/b', true],
        ['A', 'a', false],
        ['é', 'e\u0301', false],
        ['#', 'devices/d/presence', false],
        ['+/+/presence', 'devices/d/presence', false],
        ['devices/#', 'devices/d/presence', true],
        ['devices/+/presence', 'devices/d/presence', true],
        ['#', 'devices/d/telemetry', true],
      ])('%s on %s: %s [MQTT-4.7.1-2, MQTT-4.7.1-3, MQTT-4.7.2-1]', async (filter, topic, expected) => {
        const recorder = subscribe(filter);
        expect(router.wanted(topic)).toBe(expected);
        await publish(message(topic, 'm', 1, true));
        expect(recorder.got.length).toBe(expected ? 1 : 0);
        expect(router.retained(filter).length).toBe(expected ? 1 : 0);
      });

      const level = fc.constantFrom('', 'a', 'b', '$x', 'long');
      const topics = fc
        .array(level, { minLength: 1, maxLength: 5 })
        .map((levels) => levels.join('/'))
        .filter((topic) => topic !== '');
      const filters = fc
        .tuple(
          fc.array(fc.oneof({ weight: 2, arbitrary: level }, fc.constant('+')), { minLength: 1, maxLength: 5 }),
          fc.boolean(),
        )
        .map(([levels, hash]) => (hash ? [...levels.slice(1), '#'] : levels).join('/'))
        .filter((filter) => filter !== '');

      test('100 random filters match what the plain reading of the standard says, while they come and go', async () => {
        await fc.assert(
          fc.asyncProperty(
            fc.array(filters, { minLength: 100, maxLength: 100 }),
            fc.array(topics, { minLength: 1, maxLength: 10 }),
            fc.infiniteStream(fc.boolean()),
            async (allFilters, allTopics, stays) => {
              const holders = allFilters.map((filter) => ({ filter, recorder: subscribe(filter), subscribed: true }));
              for (const topic of allTopics) {
                for (const holder of holders) holder.recorder.got.length = 0;
                await publish(message(topic, 'm'));
                const got = holders.filter((h) => h.recorder.got.length === 1).map((h) => h.filter);
                const expected = holders.filter((h) => h.subscribed && matchesFilter(h.filter, topic));
                expect(got).toEqual(expected.map((h) => h.filter));
                expect(router.wanted(topic)).toBe(expected.length > 0);
                for (const holder of holders) {
                  if (!holder.subscribed || stays.next().value) continue;
                  expect(router.unsubscribe(holder.recorder, holder.filter)).toBe(true);
                  holder.subscribed = false;
                }
              }
              for (const holder of holders) router.remove(holder.recorder);
              for (const topic of allTopics) expect(router.wanted(topic)).toBe(false);
            },
          ),
          { numRuns: 30 },
        );
      });
    });

    describe('subscriptions', () => {
      test('a message published right after subscribe is delivered, one published before is not', async () => {
        const done = publish(message('t', 'before'));
        const recorder = subscribe('t');
        await publish(message('t', 'after'));
        await done;
        expect(recorder.texts).toEqual(['after']);
      });

      test('the last subscriber of a filter leaves and another comes in the same tick', async () => {
        const first = subscribe('t/+');
        router.unsubscribe(first, 't/+');
        const second = subscribe('t/+');
        await publish(message('t/1', '1'));
        await new Promise((resolve) => setImmediate(resolve));
        await publish(message('t/1', '2'));
        expect(first.texts).toEqual([]);
        expect(second.texts).toEqual(['1', '2']);
      });

      test('the same id replaces: the new QoS and the new filter count', async () => {
        const recorder = new Recorder();
        router.subscribe(recorder, subscription('a', 0, 's'), 'a');
        router.subscribe(recorder, subscription('a', 1, 's'), 'a');
        await publish(message('a', '1', 1));
        expect(recorder.got).toHaveLength(1);
        expect(recorder.got[0]!.qos).toBe(1);
        expect(recorder.got[0]!.matches).toEqual([subscription('a', 1, 's')]);
        router.subscribe(recorder, subscription('b', 1, 's'), 'b');
        expect(router.wanted('a')).toBe(false);
        await publish(message('a', '2', 1));
        await publish(message('b', '3', 1));
        expect(recorder.texts).toEqual(['1', '3']);
        expect(router.unsubscribe(recorder, 's')).toBe(true);
        expect(router.wanted('b')).toBe(false);
      });

      test('the matches of a delivery stay as they were when the subscription changes later', async () => {
        const recorder = subscribe('t');
        await publish(message('t', 'm'));
        router.subscribe(recorder, subscription('t', 2), 't');
        router.unsubscribe(recorder, 't');
        expect(recorder.got[0]!.matches).toEqual([subscription('t', 0)]);
      });

      test('the filter may differ from what the client wrote', async () => {
        const recorder = new Recorder();
        const s = subscription('devices/me/twin/desired', 1);
        router.subscribe(recorder, s, 'devices/d1/twin/desired');
        await publish(message('devices/d1/twin/desired', 'm', 1));
        expect(recorder.got[0]!.matches).toEqual([s]);
        expect(router.wanted('devices/me/twin/desired')).toBe(false);
      });

      test('who unsubscribed or was removed gets nothing more', async () => {
        const [a, b] = [subscribe('t', '#'), subscribe('t', '+')];
        expect(router.unsubscribe(a, 't')).toBe(true);
        expect(router.unsubscribe(a, 't')).toBe(false);
        expect(router.unsubscribe(new Recorder(), 't')).toBe(false);
        router.remove(b);
        router.remove(b);
        await publish(message('t', 'm'));
        expect(a.got.map((d) => d.matches.map((s) => s.id))).toEqual([['#']]);
        expect(b.got).toEqual([]);
        expect(router.unsubscribe(b, '+')).toBe(false);
      });

      test('wanted follows every change', () => {
        expect(router.wanted('a/b')).toBe(false);
        const a = subscribe('a/+');
        expect(router.wanted('a/b')).toBe(true);
        const b = subscribe('a/b', 'a/+');
        router.remove(a);
        expect(router.wanted('a/b')).toBe(true);
        router.unsubscribe(b, 'a/b');
        expect(router.wanted('a/b')).toBe(true);
        expect(router.wanted('a/c')).toBe(true);
        router.unsubscribe(b, 'a/+');
        expect(router.wanted('a/b')).toBe(false);
        expect(router.wanted('a/c')).toBe(false);
        subscribe('#');
        expect(router.wanted('a/b')).toBe(true);
      });

      test('are counted, shared ones by themselves, through every change', () => {
        const counts = () => [router.stats.subscriptions, router.stats.sharedSubscriptions];
        const a = subscribe('t', '+', '#');
        const b = subscribe('t');
        const shared: Subscription = { id: 's', filter: 't', qos: 0, share: 'g' };
        router.subscribe(b, shared, 't');
        router.subscribe(b, { ...shared, qos: 1 }, 't');
        expect(counts()).toEqual([5, 1]);
        router.subscribe(b, shared, 'u');
        router.subscribe(a, subscription('t', 2), 't');
        expect(counts()).toEqual([5, 1]);
        router.subscribe(b, subscription('u', 0, 's'), 'u');
        router.unsubscribe(a, '+');
        router.unsubscribe(a, 'none');
        expect(counts()).toEqual([4, 0]);
        router.remove(a);
        router.remove(b);
        expect(counts()).toEqual([0, 0]);
      });

      test('a removal takes nothing from another subscriber of the same filter', async () => {
        const [a, b] = [subscribe('t/#'), subscribe('t/#')];
        router.remove(a);
        await new Promise((resolve) => setImmediate(resolve));
        await publish(message('t', 'm'));
        expect(b.texts).toEqual(['m']);
      });

      test('100 levels are routed, 101 are refused before anything changes', async () => {
        const deep = Array.from({ length: 100 }, () => 'x').join('/');
        const recorder = subscribe(deep, `${deep.slice(0, -1)}+`);
        await publish(message(deep, 'm'));
        expect(recorder.got[0]!.matches).toHaveLength(2);
        expect(() => subscribe(`${deep}/x`)).toThrow(RangeError);
        expect(() => router.publish(message(`${deep}/x`, 'm'), () => undefined)).toThrow(RangeError);
        expect(router.backlog).toBe(0);
        expect(router.wanted(`${deep}/x`)).toBe(false);
      });
    });

    describe('during a delivery', () => {
      test('who is unsubscribed or removed by another gets nothing more, not even this message', async () => {
        const first = subscribe('t');
        const second = subscribe('t');
        const third = subscribe('t', '+');
        const fourth = subscribe('t', '+');
        first.react = () => {
          router.unsubscribe(second, 't');
          router.remove(third);
          router.unsubscribe(fourth, 't');
        };
        await publish(message('t', '1'));
        expect(second.got).toEqual([]);
        expect(third.got).toEqual([]);
        expect(fourth.got.map((d) => d.matches.map((s) => s.id))).toEqual([['+']]);
        await publish(message('t', '2'));
        expect(first.texts).toEqual(['1', '2']);
        expect(second.got).toEqual([]);
        expect(third.got).toEqual([]);
      });

      test('a subscriber that leaves within its own delivery harms nobody', async () => {
        const leaving = subscribe('t');
        const staying = subscribe('t');
        leaving.react = () => router.remove(leaving);
        await publish(message('t', '1'));
        await publish(message('t', '2'));
        expect(leaving.texts).toEqual(['1']);
        expect(staying.texts).toEqual(['1', '2']);
      });

      test('the only subscriber of a filter may leave and come back within its own delivery', async () => {
        const recorder = subscribe('t');
        recorder.react = () => {
          router.unsubscribe(recorder, 't');
          router.subscribe(recorder, subscription('t', 1), 't');
        };
        for (const text of ['1', '2', '3']) await publish(message('t', text, 1));
        expect(recorder.texts).toEqual(['1', '2', '3']);
      });

      test('who subscribes gets the next message, not this one', async () => {
        const late = new Recorder();
        const first = subscribe('t');
        first.react = () => router.subscribe(late, subscription('t'), 't');
        await publish(message('t', '1'));
        await publish(message('t', '2'));
        expect(first.texts).toEqual(['1', '2']);
        expect(late.texts).toEqual(['2']);
      });

      test('a message published within a delivery comes after this one for everybody', async () => {
        const first = subscribe('t', 'echo');
        const second = subscribe('t', 'echo');
        const order: string[] = [];
        first.react = ({ message: m }) => {
          if (m.topic === 't')
            router.publish(message('echo', `echo of ${m.payload.toString()}`), () => order.push('echo'));
        };
        router.publish(message('t', '1'), () => order.push('1'));
        await publish(message('t', '2'));
        await publish(message('end', ''));
        expect(first.texts).toEqual(second.texts);
        expect(second.texts.indexOf('1')).toBeLessThan(second.texts.indexOf('echo of 1'));
        expect(order.indexOf('1')).toBeLessThan(order.indexOf('echo'));
        expect(second.texts.toSorted()).toEqual(['1', '2', 'echo of 1', 'echo of 2']);
      });

      test('a message may be published within done', async () => {
        const recorder = subscribe('t');
        const kept = await new Promise<boolean>((resolve) => {
          router.publish(message('t', '1'), () => router.publish(message('t', '2', 1, true), resolve));
        });
        expect(kept).toBe(true);
        expect(recorder.texts).toEqual(['1', '2']);
      });

      test('100,000 messages that wait for one delivery are all routed, in order', async () => {
        const recorder = subscribe('start');
        let next = 0;
        let wrong = 0;
        let highest = 0;
        router.subscribe(
          subscriberOf((m) => {
            if (m.payload.readUInt32BE() === next) next++;
            else wrong++;
          }),
          subscription('t/+'),
          't/+',
        );
        recorder.react = () => {
          for (let i = 0; i < 100_000; i++) {
            const payload = Buffer.allocUnsafe(4);
            payload.writeUInt32BE(i);
            router.publish({ ...message('t/x', '', 1), payload }, () => undefined);
          }
          highest = router.backlog;
        };
        await publish(message('start', ''));
        await publish(message('end', ''));
        expect(highest).toBeGreaterThanOrEqual(100_000);
        expect(wrong).toBe(0);
        expect(next).toBe(100_000);
        expect(router.backlog).toBe(0);
      });

      test('a subscriber that throws is reported and harms nobody', async () => {
        const before = subscribe('t', '#');
        const bad = subscribe('t');
        const after = subscribe('t');
        bad.react = () => {
          throw new Error('broken subscriber');
        };
        expect(await publish(message('t', '1', 1, true))).toBe(true);
        await publish(message('t', '2'));
        expect(before.texts).toEqual(['1', '2']);
        expect(after.texts).toEqual(['1', '2']);
        expect(errors.map(String)).toEqual(['Error: broken subscriber', 'Error: broken subscriber']);
        expect(router.stats.delivered).toBe(4);
      });

      test('a done that throws is reported, and later messages go on', async () => {
        const recorder = subscribe('t');
        router.publish(message('t', '1'), () => {
          throw new Error('broken done');
        });
        await publish(message('t', '2'));
        expect(recorder.texts).toEqual(['1', '2']);
        expect(errors.map(String)).toEqual(['Error: broken done']);
      });
    });

    describe('retained messages', () => {
      test('the last message of each topic, oldest first, with retain true', async () => {
        for (const [topic, text] of [
          ['b', '1'],
          ['a', '2'],
          ['c/d', '3'],
          ['b', '4'],
        ] as const) {
          await publish(message(topic, text, 1, true));
        }
        await publish(message('a', 'not kept', 1, false));
        expect(router.retained('#').map((m) => m.payload.toString())).toEqual(['2', '3', '4']);
        expect(router.retained('#').every((m) => m.retain)).toBe(true);
        expect(router.retained('b').map((m) => m.payload.toString())).toEqual(['4']);
        expect(router.retained('+').map((m) => m.topic)).toEqual(['a', 'b']);
        expect(router.retained('c/#').map((m) => m.topic)).toEqual(['c/d']);
        expect(router.retained('c')).toEqual([]);
        expect(router.stats.retained).toBe(3);
      });

      test('are not given by subscribe: the session asks for them', async () => {
        await publish(message('t', 'm', 1, true));
        expect(subscribe('t').got).toEqual([]);
      });

      test('an empty payload removes, is not kept, and reaches live subscribers', async () => {
        const recorder = subscribe('t');
        await publish(message('t', 'm', 1, true));
        expect(await publish(message('t', '', 1, true))).toBe(true);
        expect(await publish(message('never', '', 1, true))).toBe(true);
        expect(router.retained('#')).toEqual([]);
        expect(router.stats).toMatchObject({ retained: 0, retainedBytes: 0 });
        expect(recorder.got.map((d) => d.message.payload.length)).toEqual([1, 0]);
      });

      test('an empty payload without retain removes nothing', async () => {
        await publish(message('t', 'm', 1, true));
        await publish(message('t', '', 1, false));
        expect(router.retained('t')).toHaveLength(1);
      });

      test('the table is full at its number: done(false), live subscribers still get it, replacing and removing work', async () => {
        const recorder = subscribe('#');
        for (let i = 0; i < 100; i++) expect(await publish(message(`t/${i}`, 'm', 1, true))).toBe(true);
        expect(await publish(message('t/100', 'too many', 1, true))).toBe(false);
        expect(recorder.texts.at(-1)).toBe('too many');
        expect(router.retained('t/100')).toEqual([]);
        expect(await publish(message('t/7', 'replaced', 1, true))).toBe(true);
        expect(router.retained('#').at(-1)!.payload.toString()).toBe('replaced');
        expect(await publish(message('t/8', '', 1, true))).toBe(true);
        expect(await publish(message('t/100', 'fits now', 1, true))).toBe(true);
        expect(router.stats.retained).toBe(100);
      });

      test('the table is full at its bytes, to the byte; a refused replacement leaves the earlier one', async () => {
        const room = (topic: string, bytes: number): RoutedMessage =>
          message(topic, 'x'.repeat(bytes - retainedSize(message(topic, ''))), 1, true);
        expect(await publish(room('a', 60_000))).toBe(true);
        expect(await publish(room('b', 40_001))).toBe(false);
        expect(await publish(room('b', 40_000))).toBe(true);
        expect(router.stats).toMatchObject({ retained: 2, retainedBytes: 100_000 });
        expect(await publish(room('b', 40_001))).toBe(false);
        expect(retainedSize(router.retained('b')[0]!)).toBe(40_000);
        expect(await publish(room('b', 39_000))).toBe(true);
        expect(await publish(room('a', 61_000))).toBe(true);
        expect(router.stats.retainedBytes).toBe(100_000);
        expect(router.retained('#').map((m) => m.topic)).toEqual(['b', 'a']);
      });

      test('has expired: it is not shown, and takes no room a second later', async () => {
        const inOneMinute = { properties: { expiresMs: clock.now() + 60_000 } };
        const room = 'x'.repeat(70_000);
        await publish({ ...message('t/1', room, 1, true), ...inOneMinute });
        await publish(message('t/2', 'stays', 1, true));
        clock.advance(59_999);
        expect(router.retained('#').map((m) => m.topic)).toEqual(['t/1', 't/2']);
        expect(await publish(message('t/3', room, 1, true))).toBe(false);
        clock.advance(1);
        expect(router.retained('#').map((m) => m.topic)).toEqual(['t/2']);
        expect(router.retained('t/1')).toEqual([]);
        clock.advance(1000);
        expect(router.stats.retained).toBe(1);
        expect(await publish(message('t/3', room, 1, true))).toBe(true);
        expect(journal.filter((line) => line.startsWith('-'))).toEqual(['-t/1']);
      });

      test('does not expire once it was replaced by one that stays', async () => {
        await publish({ ...message('t', '1', 1, true), properties: { expiresMs: clock.now() + 1000 } });
        await publish(message('t', '2', 1, true));
        clock.advance(10_000);
        expect(router.retained('t').map((m) => m.payload.toString())).toEqual(['2']);
        expect(router.stats.retained).toBe(1);
      });

      test('leaves the table in time when the clock was set back', async () => {
        const expiring = (topic: string) => ({
          ...message(topic, '1', 1, true),
          properties: { expiresMs: clock.now() + 1000 },
        });
        await publish(expiring('a'));
        clock.advance(2000);
        expect(router.stats.retained).toBe(0);
        clock.step(-3_600_000);
        await publish(expiring('b'));
        expect(router.stats.retained).toBe(1);
        clock.advance(1000);
        expect(router.retained('#')).toEqual([]);
        expect(router.stats.retained).toBe(0);
      });

      test('the journal hears of each change before done, and of nothing else', async () => {
        const heard: string[][] = [];
        for (const m of [
          message('t', '1', 1, true),
          message('t', '2', 1, true),
          message('t', '3', 1, false),
          message('never', '', 1, true),
          message('t', '', 1, true),
          message('t', 'x'.repeat(100_001), 1, true),
        ]) {
          router.publish(m, () => heard.push(journal.splice(0)));
        }
        await publish(message('end', ''));
        expect(heard).toEqual([['+t 1'], ['+t 2'], [], [], ['-t'], []]);
      });

      test('the journal hears in one step with the deliveries and done', async () => {
        const steps: string[] = [];
        const recorder = subscribe('t');
        recorder.react = () => steps.push(`delivered, journal ${journal.join()}`);
        await new Promise<void>((resolve) => {
          router.publish(message('t', '1', 1, true), () => {
            steps.push('done');
            resolve();
          });
        });
        expect(steps).toEqual(['delivered, journal +t 1', 'done']);
      });

      test('of an earlier run are restored in order, past the bounds too, and the journal hears nothing', async () => {
        const second = start();
        const many = Array.from({ length: 150 }, (_, i) => message(`t/${i}`, String(i), 1, true));
        const expired = { ...message('old', 'x', 1, true), properties: { expiresMs: clock.now() } };
        second.restore([expired, ...many]);
        await second.open();
        expect(journal).toEqual([]);
        expect(second.retained('#').map((m) => m.topic)).toEqual(many.map((m) => m.topic));
        expect(second.retained('#').every((m) => m.retain)).toBe(true);
        expect(second.stats.retained).toBe(150);
        expect(journal).toEqual(['-old']);
        const put = (m: RoutedMessage) => new Promise((resolve) => second.publish(m, resolve));
        expect(await put(message('new', 'x', 1, true))).toBe(false);
        expect(await put(message('t/0', '', 1, true))).toBe(true);
        await second.close();
      });

      test('is kept when the message is delivered: a subscriber that asks within the delivery finds it', async () => {
        const recorder = subscribe('t');
        let found: string[] = [];
        recorder.react = () => {
          found = router.retained('t').map((m) => m.payload.toString());
        };
        await publish(message('t', 'm', 1, true));
        expect(found).toEqual(['m']);
      });
    });

    describe('share groups (MQTT 5.0, 4.8.2)', () => {
      /** Subscribes to `$share/{share}/{filter}`. */
      function member(filter: string, share = 'g', qos: Qos = 1, fields: Partial<Recorder> = {}): Recorder {
        const recorder = Object.assign(new Recorder(), fields);
        router.subscribe(recorder, { id: `$share/${share}/${filter}`, filter, qos, share }, filter);
        return recorder;
      }
      const keeper: Partial<Recorder> = { standing: 'away', keeps: true };

      test('each message goes to one member, in turn', async () => {
        const members = [member('t/#'), member('t/#'), member('t/#')];
        for (let i = 0; i < 7; i++) await publish(message('t/x', String(i), 1));
        expect(members.map((m) => m.texts)).toEqual([
          ['0', '3', '6'],
          ['1', '4'],
          ['2', '5'],
        ]);
        expect(router.stats.delivered).toBe(7);
      });

      test('a group is a share name and a filter: each gets its copy, and so do subscriptions that are not shared', async () => {
        const plain = subscribe('t/a', 't/+');
        const [a, b, c] = [member('t/+', 'g1'), member('t/+', 'g2'), member('t/a', 'g1')];
        await publish(message('t/a', 'm', 1));
        for (const recorder of [plain, a, b, c]) expect(recorder.texts).toEqual(['m']);
        expect(plain.got[0]!.matches.map((s) => s.id)).toEqual(['t/a', 't/+']);
        await publish(message('t/b', 'n', 1));
        expect([plain, a, b, c].map((r) => r.texts.length)).toEqual([2, 2, 2, 1]);
      });

      test('a session that is in several groups, or subscribes besides, gets a delivery for each, with its own QoS', async () => {
        const recorder = new Recorder();
        const subs: Subscription[] = [
          { id: 't', filter: 't', qos: 0 },
          { id: '$share/g/t', filter: 't', qos: 1, share: 'g' },
          { id: '$share/h/t', filter: 't', qos: 2, share: 'h', identifier: 7 },
        ];
        for (const s of subs) router.subscribe(recorder, s, s.filter);
        await publish(message('t', 'm', 2));
        expect(recorder.got.map((d) => [d.matches, d.qos])).toEqual([
          [[subs[0]], 0],
          [[subs[1]], 1],
          [[subs[2]], 2],
        ]);
      });

      test('the same id replaces and keeps its turn; another share name is another group', async () => {
        const [first, second] = [member('t'), member('t')];
        await publish(message('t', '1', 2));
        router.subscribe(second, { id: '$share/g/t', filter: 't', qos: 2, share: 'g' }, 't');
        await publish(message('t', '2', 2));
        expect(first.texts).toEqual(['1']);
        expect(second.got.map((d) => d.qos)).toEqual([2]);
        router.subscribe(second, { id: '$share/g/t', filter: 't', qos: 2, share: 'h' }, 't');
        await publish(message('t', '3', 2));
        expect([first.texts, second.texts]).toEqual([
          ['1', '3'],
          ['2', '3'],
        ]);
        // No longer shared at all.
        router.subscribe(second, { id: '$share/g/t', filter: 't', qos: 2 }, 't');
        await publish(message('t', '4', 2));
        expect([first.texts.at(-1), second.texts.at(-1)]).toEqual(['4', '4']);
      });

      test('wildcards in the first level of the filter match no topic that begins with $', async () => {
        const recorder = member('#');
        await publish(message('$SYS/x', 'm'));
        await publish(message('x', 'n'));
        expect(recorder.texts).toEqual(['n']);
      });

      test('are wanted as long as a member is there', async () => {
        const [a, b] = [member('t/+'), member('t/+')];
        expect(router.wanted('t/x')).toBe(true);
        expect(router.unsubscribe(a, '$share/g/t/+')).toBe(true);
        expect(router.unsubscribe(a, '$share/g/t/+')).toBe(false);
        expect(router.wanted('t/x')).toBe(true);
        router.remove(b);
        expect(router.wanted('t/x')).toBe(false);
        await publish(message('t/x', 'm'));
        expect([a.got, b.got]).toEqual([[], []]);
      });

      test('a member that leaves takes nobody else’s turn', async () => {
        const members = [member('t'), member('t'), member('t'), member('t')];
        for (let i = 0; i < 2; i++) await publish(message('t', String(i)));
        router.remove(members[0]!);
        await publish(message('t', '2'));
        router.remove(members[3]!);
        for (let i = 3; i < 6; i++) await publish(message('t', String(i)));
        expect(members.map((m) => m.texts)).toEqual([['0'], ['1', '3', '5'], ['2', '4'], []]);
      });

      test('a member that leaves within a delivery of the same message gets none of it, and another does', async () => {
        const plain = subscribe('t');
        const [first, second] = [member('t'), member('t')];
        plain.react = () => router.remove(first);
        await publish(message('t', 'm', 1));
        expect([first.texts, second.texts]).toEqual([[], ['m']]);
      });

      test.each([
        ['ready before busy', { standing: 'busy', keeps: true }, { standing: 'ready', keeps: false }],
        ['ready before away', { standing: 'away', keeps: true }, { standing: 'ready', keeps: false }],
        ['busy before away', { standing: 'away', keeps: true }, { standing: 'busy', keeps: false }],
        ['busy that keeps before busy', { standing: 'busy', keeps: false }, { standing: 'busy', keeps: true }],
        ['away that keeps before away', { standing: 'away', keeps: false }, { standing: 'away', keeps: true }],
      ] as const)('%s', async (_, worse, better) => {
        for (const order of [0, 1]) {
          const filter = `t/${order}`;
          const members = (order === 0 ? [worse, better] : [better, worse]).map((f) => member(filter, 'g', 1, f));
          for (let i = 0; i < 3; i++) await publish(message(filter, 'm', 1));
          expect(members[1 - order]!.texts).toHaveLength(3);
        }
      });

      test('those of the best rank take turns among themselves', async () => {
        const members = [member('t', 'g', 1, keeper), member('t'), member('t', 'g', 1, keeper), member('t')];
        for (let i = 0; i < 4; i++) await publish(message('t', String(i), 1));
        for (const m of [members[1]!, members[3]!]) m.standing = 'away';
        for (let i = 4; i < 8; i++) await publish(message('t', String(i), 1));
        expect(members.map((m) => m.texts)).toEqual([
          ['4', '6'],
          ['0', '2'],
          ['5', '7'],
          ['1', '3'],
        ]);
      });

      test('a session that is away keeps no QoS 0: there it is worth no more than one that drops', async () => {
        const [kept, dropping] = [member('t', 'g', 0, keeper), member('t', 'g', 1, { standing: 'away' })];
        for (let i = 0; i < 2; i++) await publish(message('t', 'm', 1));
        expect([kept.got.length, dropping.got.length]).toEqual([1, 1]);
      });

      test('a message for kept and then for live goes to one member: to one that keeps it at the first, else at the second', async () => {
        const [lasting, passing] = [member('t', 'g', 1, { keeps: true }), member('t')];
        for (let i = 0; i < 4; i++) {
          const reading = message('t', String(i), 1);
          await publish(reading, 'kept');
          expect(passing.texts).toHaveLength(Math.floor(i / 2));
          await publish(reading, 'live');
        }
        expect(lasting.got.map((d) => [d.message.payload.toString(), d.audience])).toEqual([
          ['0', 'kept'],
          ['2', 'kept'],
        ]);
        expect(passing.got.map((d) => [d.message.payload.toString(), d.audience])).toEqual([
          ['1', 'live'],
          ['3', 'live'],
        ]);
      });

      test('a QoS 0 message goes to whose turn it is after the commit, lasting or not', async () => {
        const lasting = member('t', 'g', 1, { keeps: true });
        const reading = message('t', 'm', 0);
        await publish(reading, 'kept');
        expect(lasting.got).toEqual([]);
        await publish(reading, 'live');
        expect(lasting.got.map((d) => [d.qos, d.audience])).toEqual([[0, 'live']]);
      });

      test('it gets lost by no change of the members between the two', async () => {
        const passing = member('t');
        const reading = message('t', 'm', 1);
        await publish(reading, 'kept');
        router.remove(passing);
        const lasting = member('t', 'g', 1, keeper);
        await publish(reading, 'live');
        // For `live` alone it would be no business of a session that lasts.
        expect(lasting.got.map((d) => d.audience)).toEqual(['all']);
      });
    });

    test('close delivers what was published before; later publishes are answered and go nowhere', async () => {
      const recorder = subscribe('t');
      let done = 0;
      for (let i = 0; i < 20_000; i++) router.publish(message('t', ''), () => done++);
      await router.close();
      expect(done).toBe(20_000);
      expect(recorder.got).toHaveLength(20_000);
      expect(await publish(message('t', 'late', 1, true))).toBe(false);
      expect(recorder.got).toHaveLength(20_000);
      expect(router.retained('#')).toEqual([]);
    });
  });
}
