import type { Delivery, Qos, RoutedMessage, Subscription } from '#protocols/message.js';
import type { Clock } from '#hub/clock.js';
import { Fifo } from './fifo.ts';
import type { QueueLimits, QueueObserver, QueueSums, SessionQueue, Taker } from './queue.ts';
import { hasExpired, messageBytes } from './stored-message.ts';

/** The queue of a session that ends with its connection: what its client does not take at once waits in memory, bounded. */
export class MemoryQueue implements SessionQueue {
  readonly lasts = false;
  dropped = 0;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #limits: QueueLimits;
  readonly #sums: QueueSums;
  readonly #observer: QueueObserver;
  /** Null until something has to wait. */
  #fifo: Fifo<Delivery> | null = null;
  #bytes = 0;
  #taker: Taker | null = null;
  #pumping = false;

  constructor(clock: Pick<Clock, 'now'>, limits: QueueLimits, sums: QueueSums, observer: QueueObserver) {
    this.#clock = clock;
    this.#limits = limits;
    this.#sums = sums;
    this.#observer = observer;
  }

  get attached(): boolean {
    return this.#taker !== null;
  }

  get flows(): boolean {
    return this.#taker !== null && this.waiting === 0;
  }

  get hasRoom(): boolean {
    return this.flows;
  }

  get waiting(): number {
    return this.#fifo?.length ?? 0;
  }

  get waitingBytes(): number {
    return this.#bytes;
  }

  /** Hot path. */
  push(message: RoutedMessage, matches: readonly Subscription[], qos: Exclude<Qos, 0>, retain: boolean): void {
    const delivery: Delivery = { message, matches, qos, retain, place: 0, dup: false };
    if (this.waiting === 0 && this.#taker?.forward(delivery) === true) return;
    const bytes = messageBytes(message);
    if (!this.#makeRoom(bytes)) {
      this.#drop();
      return;
    }
    (this.#fifo ??= new Fifo()).push(delivery);
    this.#count(1, bytes);
  }

  attach(taker: Taker): void {
    this.#taker = taker;
    this.pump();
  }

  detach(): void {
    this.#taker = null;
  }

  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#taker !== null) {
        // It stays in its place while it is offered: what comes meanwhile comes behind it.
        const fifo = this.#fifo;
        const delivery = fifo?.peek();
        if (fifo === null || delivery === undefined) break;
        const expired = hasExpired(delivery.message, this.#clock.now());
        const taken = expired || this.#taker.forward(delivery);
        // The connection may have ended by that.
        if (!taken || this.#fifo !== fifo || fifo.peek() !== delivery) break;
        fifo.shift();
        this.#count(-1, -messageBytes(delivery.message));
        if (expired) this.#observer.dropped('expired');
      }
    } finally {
      this.#pumping = false;
    }
  }

  acknowledged(): void {
    // What was taken is the connection's.
  }

  released(_delivery: Delivery, done: () => void): void {
    done();
  }

  close(): void {
    this.#taker = null;
    this.#count(-this.waiting, -this.#bytes);
    this.#fifo?.clear();
  }

  /** False: there is none, or the policy is to refuse. */
  #makeRoom(bytes: number): boolean {
    const { maxMessages, maxBytes, maxBytesInAll, full } = this.#limits;
    if (this.#sums.bytes + bytes > maxBytesInAll || bytes > maxBytes || maxMessages === 0) return false;
    while (this.waiting + 1 > maxMessages || this.#bytes + bytes > maxBytes) {
      // While it is offered, the oldest is out of reach.
      const oldest = full === 'drop_oldest' && !this.#pumping ? this.#fifo?.shift() : undefined;
      if (oldest === undefined) return false;
      this.#count(-1, -messageBytes(oldest.message));
      this.#drop();
    }
    return true;
  }

  #drop(): void {
    this.dropped++;
    this.#observer.dropped('queue');
  }

  #count(messages: number, bytes: number): void {
    this.#bytes += bytes;
    this.#sums.messages += messages;
    this.#sums.bytes += bytes;
  }
}
