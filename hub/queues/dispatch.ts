import { ROUTED, STORED, type Pending } from '#protocols/outcome.js';
import type { Clock } from '#hub/clock.js';
import { hasExpired } from '#hub/sessions/stored-message.js';
import { Consumers, Handed, type QueueConsumer } from './consumer.ts';
import type { QueueItem, Stock } from './item.ts';
import type { QueueTallies } from './tallies.ts';

export interface DispatchOptions {
  readonly clock: Pick<Clock, 'now'>;
  /** A message that was refused so often is dead. */
  readonly maxDeliveries: number;
  readonly tallies: QueueTallies;
  /** Where a dead message goes, in one step with leaving this queue. */
  readonly bury: (item: QueueItem) => void;
  /** The last consumer has gone, and all that it had is answered or taken back. */
  readonly idle: () => void;
}

/**
 * Gives the messages of one queue to its consumers: each message to one of them, consumers in turn, as far as they have room; what came
 * back goes first, in the order in which it once came. Giving out happens after the call that caused it, so that the
 * answers of one transaction are carried out in one go.
 */
export class Dispatch {
  readonly #stock: Stock;
  readonly #options: DispatchOptions;
  readonly #consumers = new Consumers();
  /** Came back: in order. */
  #returned: QueueItem[] = [];
  /** In the hands of consumers, of those that have ended too. */
  #out = 0;
  #pumping = false;
  #asked = false;
  #closed = false;

  constructor(stock: Stock, options: DispatchOptions) {
    this.#stock = stock;
    this.#options = options;
  }

  get consumers(): number {
    return this.#consumers.size;
  }

  get unacknowledged(): number {
    return this.#out;
  }

  has(consumer: QueueConsumer): boolean {
    return this.#consumers.has(consumer);
  }

  add(consumer: QueueConsumer): void {
    this.#consumers.add(consumer);
    this.soon();
  }

  /** It gets nothing more; what it has stays its own until it answers or is taken back. */
  remove(consumer: QueueConsumer): void {
    this.#consumers.delete(consumer);
    this.#lookForIdle();
  }

  /** It gets nothing more, and what it has goes to others. */
  takeBack(consumer: QueueConsumer): void {
    this.#consumers.delete(consumer);
    const had = consumer.letGoAll();
    if (this.#closed) return;
    for (const { item } of had) {
      this.#out--;
      item.dup = true;
      this.#stock.given(item);
      this.#giveBack(item);
    }
    this.#lookForIdle();
    this.soon();
  }

  /** A consumer that did not take what it was offered takes more now. */
  unblock(consumer: QueueConsumer): void {
    consumer.blocked = false;
    this.#consumers.look(consumer);
    this.soon();
  }

  acknowledged(handed: Handed, pending?: Pending): void {
    if (!this.#answered(handed)) {
      // It was taken back before.
      pending?.settle(ROUTED);
      return;
    }
    this.#options.tallies.acknowledged++;
    this.#stock.finished(handed.item, pending);
    this.#lookForIdle();
  }

  /** `refused`: it is no good to this consumer, which counts; else it was given back unread. */
  returned(handed: Handed, refused: boolean, pending?: Pending): void {
    if (!this.#answered(handed)) {
      pending?.settle(ROUTED);
      return;
    }
    const { item } = handed;
    item.dup = true;
    if (!refused) {
      this.#giveBack(item);
      pending?.settle(STORED);
    } else if (++item.refused < this.#options.maxDeliveries) {
      this.#giveBack(item);
      this.#stock.refused(item, pending);
    } else {
      this.#options.bury(item);
      this.#stock.finished(item, pending);
    }
    this.#lookForIdle();
  }

  /** Gives out what there is, after the call that is under way. */
  soon(): void {
    if (this.#asked) return;
    this.#asked = true;
    queueMicrotask(() => {
      this.#asked = false;
      this.pump();
    });
  }

  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#giveNext());
    } finally {
      this.#pumping = false;
    }
    if (this.#consumers.size > 0) this.#stock.readOn();
  }

  /** Forgets what is in memory: it is on disk. */
  forget(): void {
    this.#returned = [];
  }

  /** The queue has ended: nobody gets anything, and late answers change nothing. */
  close(): void {
    this.#closed = true;
    for (const consumer of this.#consumers.clear()) consumer.letGoAll();
    this.#returned = [];
    this.#out = 0;
  }

  /** False: there is nothing, or nobody takes it. */
  #giveNext(): boolean {
    const back = this.#returned[0];
    const item = back ?? this.#stock.peek();
    const consumer = this.#consumers.first;
    if (item === undefined || consumer === undefined) return false;
    if (back === undefined) this.#stock.shift();
    else this.#returned.shift();
    if (hasExpired(item.message, this.#options.clock.now())) {
      this.#options.tallies.expired++;
      this.#stock.finished(item);
      return true;
    }
    const handed = new Handed(this, consumer, item);
    // Before it is offered: the session may answer it, and the connection may end, from within.
    consumer.take(handed);
    this.#out++;
    if (consumer.taker.forward(handed)) {
      this.#options.tallies.given++;
      if (handed.dup) this.#options.tallies.redelivered++;
      item.dup = true;
      this.#stock.given(item);
    } else {
      consumer.blocked = true;
      if (consumer.letGo(handed)) {
        this.#out--;
        this.#giveBack(item);
      }
    }
    this.#consumers.tookTurn(consumer);
    return true;
  }

  #answered(handed: Handed): boolean {
    const { consumer } = handed;
    if (!consumer.letGo(handed) || this.#closed) return false;
    this.#out--;
    this.#consumers.look(consumer);
    this.soon();
    return true;
  }

  /** Mostly behind all others that came back. */
  #giveBack(item: QueueItem): void {
    let at = this.#returned.length;
    while (at > 0 && this.#returned[at - 1]!.place > item.place) at--;
    this.#returned.splice(at, 0, item);
  }

  #lookForIdle(): void {
    if (!this.#closed && this.#consumers.size === 0 && this.#out === 0) this.#options.idle();
  }
}
