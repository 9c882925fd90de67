import type { Qos, RoutedMessage, Subscription } from '#protocols/message.js';
import type { Principal } from '#protocols/principal.js';
import { resolveMe } from '#protocols/topics.js';
import type { Audience, Router, Subscriber } from '#hub/router/port.js';
import { isCommandTopicOf } from '#hub/sessions/command-topics.js';
import type { RetainedReader } from '#hub/sessions/retained-feed.js';
import type { KeptQueue, NamedQueueRow } from '#hub/store/port.js';
import type { QueueConsumer } from './consumer.ts';
import { Dispatch } from './dispatch.ts';
import { DiskStock } from './disk-stock.ts';
import type { QueueItem } from './item.ts';
import type { SharedQueueParts } from './shared-queue.ts';

export interface DurableFacts {
  /** On disk. */
  readonly id: number;
  /** By which it is found. */
  readonly key: string;
  readonly serial: number;
  /** As its client calls it. */
  readonly name: string;
  readonly principal: Principal;
  readonly clientId: string;
  readonly protocol: string;
  /** As written. */
  readonly filter: string;
  readonly createdMs: number;
}

export interface DurableParts extends SharedQueueParts {
  readonly router: Router;
}

export interface DurableHooks {
  readonly maxDeliveries: number;
  readonly bury: (item: QueueItem) => void;
  /** It has no consumer any more. */
  readonly left: () => void;
}

/** A durable subscription: a subscriber of the router that keeps everything in a queue on disk, also while nobody consumes it. */
export class DurableSubscription implements Subscriber, RetainedReader {
  readonly facts: DurableFacts;
  readonly dispatch: Dispatch;
  readonly #parts: DurableParts;
  readonly #stock: DiskStock;
  readonly #subscription: Subscription;
  readonly #filter: string;
  /** Whose commands do not come this way; null: of an application. */
  readonly #device: string | null;
  /** Since when it has no consumer; null: it has one. */
  detachedMs: number | null = null;
  /** It goes with its consumer. */
  autoDelete: boolean;
  #consumer: QueueConsumer | null = null;
  #dropped = 0;

  constructor(facts: DurableFacts, autoDelete: boolean, parts: DurableParts, hooks: DurableHooks) {
    this.facts = facts;
    this.autoDelete = autoDelete;
    this.#parts = parts;
    const { principal, name, filter } = facts;
    this.#device = principal.kind === 'device' ? principal.id : null;
    this.#filter = this.#device === null ? filter : resolveMe(filter, this.#device);
    // Also what was published at QoS 0 is kept: most STOMP clients ask for no receipt.
    this.#subscription = { id: name, filter, qos: 1 };
    this.#stock = new DiskStock(parts, facts.id, {
      more: () => this.dispatch.pump(),
      expired: () => {
        parts.tallies.expired++;
      },
    });
    const { clock, tallies } = parts;
    const { maxDeliveries, bury } = hooks;
    const idle = (): void => {
      if (this.detachedMs !== null) return;
      this.detachedMs = clock.now();
      this.#consumer = null;
      this.dispatch.forget();
      this.#stock.forget();
      hooks.left();
    };
    this.dispatch = new Dispatch(this.#stock, { clock, tallies, maxDeliveries, bury, idle });
    parts.router.subscribe(this, this.#subscription, this.#filter);
  }

  /** As an earlier run left it. Its consumer, if it had one, is gone. */
  restore({ queue, entries }: KeptQueue): void {
    this.#stock.restore(entries, queue.sentPlace, queue.consumed);
    this.#dropped = queue.dropped;
  }

  get count(): number {
    return this.#stock.count;
  }

  get bytes(): number {
    return this.#stock.bytes;
  }

  get dropped(): number {
    return this.#dropped;
  }

  get subscription(): Subscription {
    return this.#subscription;
  }

  /** One consumer at a time: what an earlier one has is taken back. */
  add(consumer: QueueConsumer): void {
    const before = this.#consumer;
    this.#consumer = consumer;
    const wasIdle = before === null;
    this.detachedMs = null;
    this.put();
    if (wasIdle) this.#stock.open();
    this.dispatch.add(consumer);
    // What one has that has ended stays its own until its connection ends.
    if (before !== null && this.dispatch.has(before)) this.dispatch.takeBack(before);
  }

  retainedTopics(): string[] {
    return this.#parts.router.retained(this.#filter).map(({ topic }) => topic);
  }

  /** Writes what is to be known of it after a start. */
  put(): void {
    const { id, name, principal, clientId, protocol, filter, createdMs } = this.facts;
    const { detachedMs, autoDelete } = this;
    const queue: NamedQueueRow = {
      id,
      name,
      subscription: {
        principalKind: principal.kind,
        principalId: principal.id,
        anonymous: principal.anonymous,
        clientId,
        protocol,
        filter,
        autoDelete,
        detachedUs: detachedMs === null ? null : detachedMs * 1000,
      },
      createdUs: createdMs * 1000,
      consumed: detachedMs === null,
      sentPlace: this.#stock.sentPlace,
      dropped: this.#dropped,
    };
    this.#parts.journal.write({ op: 'namedQueue.put', queue });
  }

  /** It has ended, or the run has: what is on disk stays there. */
  close(): void {
    this.#parts.router.remove(this);
    this.dispatch.close();
    this.#stock.close();
  }

  delete(): void {
    this.close();
    this.#parts.journal.write({ op: 'namedQueue.delete', id: this.facts.id });
  }

  // ---- Subscriber

  get standing(): 'ready' | 'busy' | 'away' {
    return this.detachedMs === null ? 'busy' : 'away';
  }

  get keeps(): boolean {
    return true;
  }

  /** Everything is kept, so it comes with the first of `kept` and `live`. */
  deliver(message: RoutedMessage, _matches: readonly Subscription[], _qos: Qos, audience: Audience): void {
    if (audience === 'live') return;
    if (this.#device !== null && isCommandTopicOf(message.topic, this.#device)) return;
    this.#push(message, false, audience);
  }

  // ---- RetainedReader

  /** For one of any size, so that none is dropped. */
  get hasRoom(): boolean {
    const { windowMessages, maxMessages, windowBytes, maxBytes } = this.#parts.limits;
    const { count, bytes } = this.#stock;
    return (
      count === 0 || (count < Math.min(windowMessages, maxMessages) && bytes < Math.min(windowBytes, maxBytes / 4))
    );
  }

  /** The feed is stopped when its consumer goes. */
  stillWants(): boolean {
    return true;
  }

  give(topic: string): void {
    for (const message of this.#parts.router.retained(topic)) this.#push(message, true, null);
  }

  #push(message: RoutedMessage, retain: boolean, audience: Audience | null): void {
    if (this.#stock.fault(message) !== null) {
      this.#dropped++;
      this.#parts.tallies.dropped++;
      return;
    }
    this.#parts.tallies.sent++;
    this.#stock.push(message, retain, audience);
  }
}
