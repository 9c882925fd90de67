import type { RoutedMessage } from '#protocols/message.js';
import type { ReadAheadParts } from '#hub/sessions/read-ahead.js';
import type { KeptQueue, NamedQueueRow } from '#hub/store/port.js';
import type { QueueConsumer } from './consumer.ts';
import { Dispatch } from './dispatch.ts';
import { DiskStock, type Bound } from './disk-stock.ts';
import type { QueueItem } from './item.ts';
import type { QueueTallies } from './tallies.ts';

export interface SharedQueueParts extends ReadAheadParts {
  readonly tallies: QueueTallies;
}

export interface SharedQueueHooks {
  readonly maxDeliveries: number;
  readonly bury: (item: QueueItem) => void;
  /** It is empty, and nobody consumes it. */
  readonly gone: () => void;
}

/** A queue by name: on disk from its first message or consumer to the moment when it has neither. */
export class SharedQueue {
  readonly id: number;
  readonly name: string;
  /** Rises over all queues of a run, for lists. */
  readonly serial: number;
  readonly createdMs: number;
  readonly dispatch: Dispatch;
  readonly #parts: SharedQueueParts;
  readonly #hooks: SharedQueueHooks;
  readonly #stock: DiskStock;
  #consumed = false;

  constructor(
    { id, name, createdMs, serial }: Pick<SharedQueue, 'id' | 'name' | 'createdMs' | 'serial'>,
    parts: SharedQueueParts,
    hooks: SharedQueueHooks,
  ) {
    this.id = id;
    this.name = name;
    this.serial = serial;
    this.createdMs = createdMs;
    this.#parts = parts;
    this.#hooks = hooks;
    this.#stock = new DiskStock(parts, id, {
      more: () => this.dispatch.pump(),
      expired: () => {
        parts.tallies.expired++;
        this.#lookForEnd();
      },
    });
    const { clock, tallies } = parts;
    const { maxDeliveries, bury } = hooks;
    this.dispatch = new Dispatch(this.#stock, { clock, tallies, maxDeliveries, bury, idle: () => this.#idle() });
  }

  /** As an earlier run left it. Its consumers, if it had any, are gone. */
  restore({ queue, entries }: KeptQueue): void {
    this.#stock.restore(entries, queue.sentPlace, queue.consumed);
    if (queue.consumed) this.put();
  }

  /** Messages, in the hands of consumers or not. */
  get count(): number {
    return this.#stock.count;
  }

  get bytes(): number {
    return this.#stock.bytes;
  }

  fault(message: RoutedMessage): Bound | null {
    return this.#stock.fault(message);
  }

  /** It was full for somebody. */
  makeRoom(): void {
    this.#stock.makeRoom();
  }

  /** It has room. */
  push(message: RoutedMessage): void {
    this.#stock.push(message, false, null);
  }

  add(consumer: QueueConsumer): void {
    if (!this.#consumed) {
      this.#consumed = true;
      // Before anything is given out: what a crash leaves says that it may have been.
      this.put();
      this.#stock.open();
    }
    this.dispatch.add(consumer);
  }

  /** Writes what is to be known of it after a start. */
  put(): void {
    const { id, name, createdMs } = this;
    const queue: NamedQueueRow = {
      id,
      name,
      subscription: null,
      createdUs: createdMs * 1000,
      consumed: this.#consumed,
      sentPlace: this.#stock.sentPlace,
      dropped: 0,
    };
    this.#parts.journal.write({ op: 'namedQueue.put', queue });
  }

  /** It has ended, or the run has: what is on disk stays there. */
  close(): void {
    this.dispatch.close();
    this.#stock.close();
  }

  /** Ends it, with its messages, on disk too. */
  delete(): void {
    this.close();
    this.#parts.journal.write({ op: 'namedQueue.delete', id: this.id });
  }

  #idle(): void {
    if (!this.#consumed) return;
    this.#consumed = false;
    this.dispatch.forget();
    this.#stock.forget();
    if (!this.#lookForEnd()) this.put();
  }

  #lookForEnd(): boolean {
    if (this.#consumed || this.#stock.count > 0) return false;
    this.#hooks.gone();
    return true;
  }
}
