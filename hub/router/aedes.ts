import { Aedes } from 'aedes';
import type { Qos, RoutedMessage, Subscription } from '#protocols/message.js';
import { hidesFromWildcards } from '#protocols/topics.js';
import { FilterIndex } from './filter-index.ts';
import { groupsOf, Interests, listOf, matchesOf, type FilterEntry } from './interests.ts';
import { checkLevels, lowerQos } from './live.ts';
import { noPersistence } from './no-persistence.ts';
import type { Audience, Router, Subscriber } from './port.ts';
import { RetainedMessages, type RetainedOptions } from './retained.ts';

export interface RouterOptions extends RetainedOptions {
  /** A subscriber or a `done` threw, or aedes failed: for the log. Nobody else is harmed by it. Must not throw. */
  readonly onError: (error: unknown) => void;
}

/** Messages and deliveries after which the router lets others run: a few milliseconds of work. */
const WORK_PER_TURN = 4096;
/** Topics whose answer to `wanted` is remembered. One or two for each device of a large fleet; at most 128 characters each. */
const MAX_CACHED_TOPICS = 32_768;
/** aedes tells other brokers by `$SYS` topics that it lives. There are none, so it says so once a day. */
const HEARTBEAT_INTERVAL_MS = 24 * 3600 * 1000;

/** A message on its way, and the one after it. */
interface Job {
  readonly message: RoutedMessage;
  readonly done: (kept: boolean) => void;
  readonly audience: Audience;
  /** Filters that aedes said match. */
  readonly matched: FilterEntry[];
  /** aedes has called every handler. */
  routed: boolean;
  next: Job | null;
}

type Handler = (packet: { readonly payload: string | Buffer }, callback: () => void) => void;

/**
 * Live routing on aedes' in-process emitter, which matches topics to filters. Order, delivery, retained messages and
 * the `$` rule are ours.
 *
 * - One message at a time. aedes is given QoS 0 without RETAIN, whatever the message has: neither changes who gets
 *   it, and at QoS 1 aedes asks its persistence first, so that later messages overtake.
 * - One aedes handler a filter. It notes the match and calls back at once; nothing is delivered inside aedes' call:
 *   the emitter is still walking its own list of handlers then, and a subscription made meanwhile would change that.
 */
export class AedesRouter implements Router {
  readonly #broker: Aedes;
  readonly #onError: (error: unknown) => void;
  readonly #retained: RetainedMessages;
  readonly #index = new FilterIndex(MAX_CACHED_TOPICS);
  readonly #interests = new Interests(
    (entry) => this.#listen(entry),
    (entry) => this.#unlisten(entry),
  );
  readonly #handlers = new Map<FilterEntry, Handler>();

  #underWay: Job | null = null;
  #first: Job | null = null;
  #last: Job | null = null;
  #backlog = 0;
  #pumping = false;
  /** Messages and deliveries since others last ran. */
  #work = 0;
  #turnAsked = false;
  #closing = false;

  #published = 0;
  #delivered = 0;
  #failed = 0;

  constructor(options: RouterOptions) {
    this.#onError = options.onError;
    this.#retained = new RetainedMessages(options);
    this.#broker = new Aedes({ persistence: noPersistence, heartbeatInterval: HEARTBEAT_INTERVAL_MS });
    // Without a listener an error event would end the process.
    (this.#broker as NodeJS.EventEmitter).on('error', this.#onError);
  }

  async open(): Promise<void> {
    await this.#broker.listen();
  }

  /** Delivers what was published before, without pause. Later publishes are answered `done(false)` and go nowhere. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#pump();
    // Still under way only when a subscriber called this while it was given a message.
    while (this.#backlog > 0) await new Promise((resolve) => setImmediate(resolve));
    await new Promise<void>((resolve) => this.#broker.close(resolve));
  }

  restore(retained: Iterable<RoutedMessage>): void {
    this.#retained.restore(retained);
  }

  publish(message: RoutedMessage, done: (kept: boolean) => void, audience: Audience = 'all'): void {
    checkLevels(message.topic);
    if (this.#closing) {
      done(false);
      return;
    }
    this.#published++;
    this.#backlog++;
    const job: Job = { message, done, audience, matched: [], routed: false, next: null };
    if (this.#last === null) this.#first = job;
    else this.#last.next = job;
    this.#last = job;
    this.#pump();
  }

  subscribe(subscriber: Subscriber, subscription: Subscription, filter: string): void {
    checkLevels(filter);
    this.#interests.set(subscriber, subscription, filter);
  }

  unsubscribe(subscriber: Subscriber, id: string): boolean {
    return this.#interests.delete(subscriber, id);
  }

  remove(subscriber: Subscriber): void {
    this.#interests.remove(subscriber);
  }

  retained(filter: string): readonly RoutedMessage[] {
    return this.#retained.matching(filter);
  }

  wanted(topic: string): boolean {
    return this.#index.matches(topic);
  }

  get backlog(): number {
    return this.#backlog;
  }

  /** `failed`: deliveries that threw. `filters`: different filters that somebody subscribes to. */
  get stats(): Router['stats'] & { readonly failed: number; readonly filters: number } {
    const { subscriptions, shared } = this.#interests.counts;
    return {
      published: this.#published,
      delivered: this.#delivered,
      failed: this.#failed,
      filters: this.#index.size,
      subscriptions,
      sharedSubscriptions: shared,
      retained: this.#retained.count,
      retainedBytes: this.#retained.bytes,
    };
  }

  /** `Aedes.subscribe` takes effect before it returns, so a message published next is matched. */
  #listen(entry: FilterEntry): void {
    // Both parameters must stand here: the emitter looks at the function's length.
    const handler: Handler = (packet, callback) => {
      this.#note(entry, packet.payload);
      callback();
    };
    this.#handlers.set(entry, handler);
    this.#index.add(entry.filter);
    this.#broker.subscribe(entry.filter, handler, nothing);
  }

  /** `Aedes.unsubscribe` takes effect a turn later; until then the handler notes an entry without subscribers. */
  #unlisten(entry: FilterEntry): void {
    this.#index.delete(entry.filter);
    this.#broker.unsubscribe(entry.filter, this.#handlers.get(entry)!, nothing);
    this.#handlers.delete(entry);
  }

  /** aedes' own `$SYS` messages come here too: only the very payload of the message under way is ours. */
  #note(entry: FilterEntry, payload: unknown): void {
    const job = this.#underWay;
    if (job === null || payload !== job.message.payload) return;
    if (entry.wildcardFirst && hidesFromWildcards(job.message.topic)) return;
    job.matched.push(entry);
  }

  /** A loop and no recursion, however many wait; what is published meanwhile is queued. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    for (;;) {
      if (this.#underWay !== null) {
        if (!this.#underWay.routed) break;
        this.#finish(this.#underWay);
      } else {
        const job = this.#first;
        if (job === null || (this.#work >= WORK_PER_TURN && !this.#closing)) break;
        this.#first = job.next;
        if (this.#first === null) this.#last = null;
        this.#begin(job);
      }
    }
    this.#pumping = false;
    this.#askTurn();
  }

  #begin(job: Job): void {
    const { message } = job;
    this.#work++;
    this.#underWay = job;
    if (!this.#index.matches(message.topic)) {
      job.routed = true;
      return;
    }
    const { topic, payload } = message;
    try {
      this.#broker.publish({ cmd: 'publish', topic, payload, qos: 0, retain: false, dup: false }, (error) => {
        // Success is null here, whatever the types of aedes say.
        this.#routed(job, error instanceof Error ? error : null);
      });
    } catch (error) {
      this.#routed(job, error);
    }
  }

  #routed(job: Job, error: unknown): void {
    if (error !== null) this.#onError(error);
    job.routed = true;
    // The in-process emitter is done before `publish` returns; another one would not be.
    if (!this.#pumping) queueMicrotask(() => this.#pump());
  }

  #finish(job: Job): void {
    const { message, audience } = job;
    // Kept, delivered and done in one step, however long the emitter took: what that writes is one transaction.
    const kept = !message.retain || this.#retained.keep(message);
    this.#deliver(message, job.matched, audience);
    this.#underWay = null;
    this.#backlog--;
    try {
      job.done(kept);
    } catch (error) {
      this.#onError(error);
    }
  }

  #deliver(message: RoutedMessage, entries: readonly FilterEntry[], audience: Audience): void {
    if (entries.length !== 1) {
      for (const { subscriber, matches, qos } of matchesOf(entries)) {
        this.#give(subscriber, message, matches, qos, audience);
      }
    } else {
      for (const interest of listOf(entries[0]!)) {
        if (interest.matches.length === 0) continue;
        this.#give(interest.holder.subscriber, message, interest.matches, interest.qos, audience);
      }
    }
    for (const entry of entries) if (entry.groups !== null) this.#share(message, entry, audience);
  }

  #share(message: RoutedMessage, entry: FilterEntry, audience: Audience): void {
    for (const group of groupsOf(entry)) {
      const turn = group.take(message, audience);
      if (turn === null) continue;
      const { subscriber, subscription } = turn.member;
      this.#give(subscriber, message, [subscription], turn.qos, turn.audience);
    }
  }

  #give(
    subscriber: Subscriber,
    message: RoutedMessage,
    matches: readonly Subscription[],
    highest: Qos,
    audience: Audience,
  ): void {
    this.#work++;
    try {
      subscriber.deliver(message, matches, lowerQos(message.qos, highest), audience);
      this.#delivered++;
    } catch (error) {
      this.#failed++;
      this.#onError(error);
    }
  }

  /** One turn of the event loop later the work begins to count anew, and what waits goes on. */
  #askTurn(): void {
    if (this.#turnAsked || this.#work === 0) return;
    this.#turnAsked = true;
    setImmediate(() => {
      this.#turnAsked = false;
      this.#work = 0;
      this.#pump();
    });
  }
}

function nothing(): void {
  // aedes wants a callback.
}
