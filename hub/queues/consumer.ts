import type { Delivery, Qos, RoutedMessage, Subscription } from '#protocols/message.js';
import type { Taker } from '#hub/sessions/queue.js';
import type { Dispatch } from './dispatch.ts';
import type { QueueItem } from './item.ts';

/** What a consumer holds is in memory: past so many bytes it gets nothing more until it answers. One message it may always have. */
const MAX_BYTES_IN_HAND = 1024 * 1024;

/** Who takes messages of a queue: a subscription of a connection. */
export class QueueConsumer {
  readonly subscription: Subscription;
  /** Most messages that it has unanswered. */
  readonly prefetch: number;
  readonly taker: Taker;
  /** What it was given and has not answered. */
  readonly #handed = new Set<Handed>();
  #bytes = 0;
  /** It did not take what it was offered, and has not said since that it would. */
  blocked = false;

  constructor(subscription: Subscription, prefetch: number, taker: Taker) {
    this.subscription = subscription;
    this.prefetch = Math.max(1, prefetch);
    this.taker = taker;
  }

  get hasRoom(): boolean {
    return !this.blocked && this.#handed.size < this.prefetch && this.#bytes < MAX_BYTES_IN_HAND;
  }

  /** Messages that it has not answered. */
  get inHand(): number {
    return this.#handed.size;
  }

  take(handed: Handed): void {
    this.#handed.add(handed);
    this.#bytes += handed.item.bytes;
  }

  /** False: it does not have it any more. */
  letGo(handed: Handed): boolean {
    if (!this.#handed.delete(handed)) return false;
    this.#bytes -= handed.item.bytes;
    return true;
  }

  /** In the order in which it was given them. */
  letGoAll(): readonly Handed[] {
    const all = [...this.#handed];
    this.#handed.clear();
    this.#bytes = 0;
    return all;
  }
}

/** A message in the hands of a consumer. It comes back with the answer. */
export class Handed implements Delivery {
  readonly message: RoutedMessage;
  readonly matches: readonly Subscription[];
  readonly qos: Qos;
  readonly retain: boolean;
  readonly place: number;
  readonly dup: boolean;
  /** Of which queue. */
  readonly queue: Dispatch;
  readonly consumer: QueueConsumer;
  readonly item: QueueItem;

  constructor(queue: Dispatch, consumer: QueueConsumer, item: QueueItem) {
    this.message = item.message;
    this.matches = [consumer.subscription];
    this.qos = consumer.subscription.qos;
    this.retain = item.retain;
    this.place = item.place;
    this.dup = item.dup;
    this.queue = queue;
    this.consumer = consumer;
    this.item = item;
  }
}

/** The consumers of a queue, in turn. */
export class Consumers {
  readonly #all = new Set<QueueConsumer>();
  /** Those with room, in the order of their turns. */
  readonly #ready = new Set<QueueConsumer>();

  get size(): number {
    return this.#all.size;
  }

  has(consumer: QueueConsumer): boolean {
    return this.#all.has(consumer);
  }

  add(consumer: QueueConsumer): void {
    this.#all.add(consumer);
    this.look(consumer);
  }

  delete(consumer: QueueConsumer): boolean {
    this.#ready.delete(consumer);
    return this.#all.delete(consumer);
  }

  /** Whose turn it is; undefined: nobody has room. */
  get first(): QueueConsumer | undefined {
    return this.#ready.values().next().value;
  }

  /** It has had its turn. */
  tookTurn(consumer: QueueConsumer): void {
    this.#ready.delete(consumer);
    this.look(consumer);
  }

  /** Its room has changed. */
  look(consumer: QueueConsumer): void {
    if (!this.#all.has(consumer) || !consumer.hasRoom) this.#ready.delete(consumer);
    else this.#ready.add(consumer);
  }

  clear(): readonly QueueConsumer[] {
    const all = [...this.#all];
    this.#all.clear();
    this.#ready.clear();
    return all;
  }
}
