import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Delivery, RoutedMessage } from '#protocols/message.js';
import type { Outcome } from '#protocols/outcome.js';
import type { DurableRequest } from '#hub/queues/durables.js';
import { ticks } from '#test/support/hub-parts.js';
import { APPLICATION, message } from '../sessions/parts.ts';
import { QUEUE_LIMITS, QueueWorld, Taking, text } from './parts.ts';

/**
 * Producers and consumers of one queue, or of one durable subscription, on a hub that may die at any commit, with room for much or for little, on a disk that
 * may refuse a commit. What they saw is compared with what they were promised: nothing that was accepted, does not expire and
 * was acknowledged to its producer is lost, nothing is with two consumers at once, nothing comes again whose ACK was confirmed, and all in order.
 */

const MAX_DELIVERIES = 3;
const NARROW = { maxMessages: 7, windowMessages: 2 };
const EXPIRY_MS = 50;
const ADVANCE_MS = 40;

/** What everybody outside the hub knows. */
class Truth {
  /** Its producer was told that it is on disk. */
  readonly promised = new Set<string>();
  /** In the order in which they came for the first time. */
  readonly seen: string[] = [];
  /** A consumer was told that its ACK is on disk. */
  readonly confirmed = new Set<string>();
  /** A consumer has sent its ACK, whatever became of that. */
  readonly handled = new Set<string>();
  /** ACK was sent in this run. */
  readonly acknowledged = new Set<string>();
  readonly inHand = new Set<string>();
  readonly faults: string[] = [];
  readonly #seen = new Set<string>();

  given(delivery: Delivery): void {
    const what = text(delivery);
    if (this.inHand.has(what)) this.faults.push(`${what} is with two consumers`);
    if (this.confirmed.has(what)) this.faults.push(`${what} came again after its ACK was confirmed`);
    if (this.acknowledged.has(what)) this.faults.push(`${what} came again in the run of its ACK`);
    if (this.#seen.has(what) && !delivery.dup) this.faults.push(`${what} came again and does not say so`);
    this.inHand.add(what);
    if (this.#seen.has(what)) return;
    this.#seen.add(what);
    this.seen.push(what);
  }
}

class Consumer extends Taking {
  readonly #truth: Truth;

  constructor(truth: Truth, prefetch: number) {
    super(prefetch);
    this.#truth = truth;
  }

  override forward(delivery: Delivery): boolean {
    if (!this.congested) this.#truth.given(delivery);
    return super.forward(delivery);
  }

  override answer(accepted: boolean): void {
    const delivery = this.inHand[0];
    if (delivery === undefined) return;
    const what = text(delivery);
    this.#truth.inHand.delete(what);
    if (!accepted) {
      super.answer(false);
      return;
    }
    this.#truth.acknowledged.add(what);
    this.#truth.handled.add(what);
    super.answer(true, {
      settle: ({ kind }: Outcome) => {
        if (kind === 'stored') this.#truth.confirmed.add(what);
      },
    });
  }

  override leave(): void {
    for (const delivery of this.inHand) this.#truth.inHand.delete(text(delivery));
    super.leave();
  }
}

type Step =
  | { readonly do: 'send' | 'send expiring'; readonly n: number }
  | { readonly do: 'join' | 'leave' | 'end' | 'congest'; readonly who: number }
  | { readonly do: 'ack' | 'nack'; readonly who: number; readonly n: number }
  | { readonly do: 'tick' | 'advance' | 'hold' | 'release' | 'fail' }
  | { readonly do: 'crash'; readonly lost: boolean };

const who = fc.nat(2);
const n = fc.integer({ min: 1, max: 6 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('send', 'send', 'send expiring'), n }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('join'), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('leave', 'end', 'congest'), who }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('ack', 'ack', 'nack'), who, n }) },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constantFrom('tick', 'tick', 'tick', 'advance', 'hold', 'release', 'fail') }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash'), lost: fc.boolean() }) },
);

type Kind = 'queue' | 'durable subscription';

const DURABLE: DurableRequest = {
  principal: APPLICATION,
  clientId: 'c',
  protocol: 'stomp',
  id: 's',
  filter: 't',
  autoDelete: false,
};

class Run {
  readonly #world: QueueWorld;
  readonly #kind: Kind;
  readonly #truth = new Truth();
  #consumers: (Consumer | null)[] = [null, null, null];
  /** They have ended with messages in hand. */
  #ended: Consumer[] = [];
  #next = 0;

  constructor(world: QueueWorld, kind: Kind) {
    this.#world = world;
    this.#kind = kind;
  }

  /** A durable subscription is there before anything is sent to it. */
  async begin(): Promise<void> {
    if (this.#kind === 'queue') return;
    this.#join(0);
    await ticks();
  }

  async step(one: Step): Promise<void> {
    switch (one.do) {
      case 'send':
        for (let i = 0; i < one.n; i++) this.#send(false);
        return;
      case 'send expiring':
        for (let i = 0; i < one.n; i++) this.#send(true);
        return;
      case 'advance':
        this.#world.clock.advance(ADVANCE_MS);
        await ticks(1);
        return;
      case 'fail':
        this.#world.store.failNext('full');
        return;
      case 'join':
        if (this.#consumers[one.who] === null) this.#join(one.who);
        return;
      case 'leave':
        this.#consumers[one.who]?.leave();
        this.#consumers[one.who] = null;
        return;
      case 'end':
        this.#end(one.who);
        return;
      case 'congest':
        this.#congest(this.#consumers[one.who] ?? null);
        return;
      case 'ack':
      case 'nack':
        for (let i = 0; i < one.n; i++) this.#consumers[one.who]?.answer(one.do === 'ack');
        if (one.n === 1) for (const consumer of this.#ended) consumer.answer(one.do === 'ack');
        return;
      case 'tick':
        await ticks(1);
        return;
      case 'hold':
        this.#world.store.hold();
        return;
      case 'release':
        this.#world.store.release();
        return;
      case 'crash':
        await this.#crash(one.lost);
    }
  }

  /** Everybody who is left lets go, and one consumer takes all there is. */
  async finish(): Promise<void> {
    const world = this.#world;
    world.store.release();
    world.store.clearFailures();
    // A commit that was refused is tried again within two seconds.
    for (let waitedMs = 0; waitedMs < 3000; waitedMs += 100) {
      world.clock.advance(100);
      await ticks(1);
    }
    for (const consumer of [...this.#consumers, ...this.#ended]) consumer?.leave();
    const last = new Consumer(this.#truth, 4);
    this.#consume(last);
    const dead = world.consume(this.#kind === 'queue' ? 'dead-letters/q' : 'dead-letters');
    for (let round = 0; round < 200; round++) {
      await ticks(2);
      while (last.inHand.length > 0) last.answer(true);
    }
    const buried = dead.take().map((what) => what.replace('*', ''));
    dead.acknowledgeAll();
    await ticks();
    last.leave();
    dead.leave();
    world.book.durables.forget(DURABLE);
    await ticks();
    expect([...this.#truth.faults, ...world.faults]).toEqual([]);
    const decided = new Set([...this.#truth.handled, ...buried]);
    expect([...this.#truth.promised].filter((what) => !decided.has(what))).toEqual([]);
    expect(new Set(buried).size, 'dead once').toBe(buried.length);
    expect(this.#truth.seen).toEqual([...this.#truth.seen].sort());
    expect(world.book.stats).toMatchObject({ queues: 0, messages: 0, bytes: 0, consumers: 0, unacknowledged: 0 });
    expect((await world.store.read.startState()).queues).toEqual([]);
  }

  #send(expires: boolean): void {
    const what = String(this.#next++).padStart(4, '0');
    const { clock, journal } = this.#world;
    const more = expires ? { properties: { expiresMs: clock.now() + EXPIRY_MS } } : {};
    if (this.#isTaken(what, more) && !expires) journal.afterCommit(() => this.#truth.promised.add(what));
  }

  /** False: there was no room. */
  #isTaken(what: string, more: Partial<RoutedMessage>): boolean {
    const { book } = this.#world;
    if (this.#kind === 'queue') return this.#world.sendMessage(message('$queue/q', what, more)) === null;
    const { dropped } = book.stats.tallies;
    this.#world.publish('t', what, more);
    return book.stats.tallies.dropped === dropped;
  }

  #join(at: number): void {
    const joining = new Consumer(this.#truth, 1 + at * 3);
    // Of a durable subscription there is one consumer: it takes over.
    if (this.#kind !== 'queue') {
      for (const consumer of this.#consumers) consumer?.leave();
      this.#consumers = [null, null, null];
    }
    this.#consume(joining);
    this.#consumers[at] = joining;
  }

  #consume(joining: Consumer): void {
    if (this.#kind === 'queue') this.#world.consume('q', joining);
    else joining.dispatch = this.#world.book.durables.consume(DURABLE, joining.consumer).durable.dispatch;
  }

  #end(at: number): void {
    const consumer = this.#consumers[at];
    if (!consumer) return;
    consumer.dispatch.remove(consumer.consumer);
    this.#ended.push(consumer);
    this.#consumers[at] = null;
  }

  #congest(consumer: Consumer | null): void {
    if (consumer === null) return;
    consumer.congested = !consumer.congested;
    if (!consumer.congested) consumer.dispatch.unblock(consumer.consumer);
  }

  async #crash(lost: boolean): Promise<void> {
    this.#consumers = [null, null, null];
    this.#ended = [];
    this.#truth.inHand.clear();
    await this.#world.crash(lost);
    this.#truth.acknowledged.clear();
  }
}

it.each(['queue', 'durable subscription'] as const)(
  'of a %s nothing acknowledged is lost, given twice at once, or given out of order, whoever comes and goes and whenever the hub dies',
  async (kind) => {
    const run = async (narrow: boolean, steps: readonly Step[]): Promise<void> => {
      const bounds = narrow ? NARROW : {};
      const queues = { maxDeliveries: MAX_DELIVERIES, queue: { ...QUEUE_LIMITS.queue, ...bounds } };
      const world = await QueueWorld.started({ limits: bounds, queues });
      const all = new Run(world, kind);
      await all.begin();
      for (const one of steps) await all.step(one);
      await all.finish();
    };
    await fc.assert(fc.asyncProperty(fc.boolean(), fc.array(step, { maxLength: 200, size: 'max' }), run), {
      numRuns: 800,
    });
  },
  120_000,
);
