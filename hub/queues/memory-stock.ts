import type { RoutedMessage } from '#protocols/message.js';
import { STORED, type Pending } from '#protocols/outcome.js';
import { Fifo } from '#hub/sessions/fifo.js';
import type { QueueLimits, QueueSums } from '#hub/sessions/queue.js';
import { messageBytes } from '#hub/sessions/stored-message.js';
import type { QueueItem, Stock } from './item.ts';

/** What the temporary queues of one connection hold together. */
export type Own = Pick<QueueSums, 'messages' | 'bytes'>;

/** The messages of a temporary queue: in memory alone, bounded with the others of its connection, those in the hands of its consumers included. */
export class MemoryStock implements Stock {
  readonly #limits: QueueLimits;
  readonly #sums: QueueSums;
  readonly #own: Own;
  readonly #fifo = new Fifo<QueueItem>();
  #place = 0;
  #count = 0;
  #bytes = 0;

  constructor(limits: QueueLimits, sums: QueueSums, own: Own) {
    this.#limits = limits;
    this.#sums = sums;
    this.#own = own;
  }

  get count(): number {
    return this.#count;
  }

  /** False: there is no room. */
  push(message: RoutedMessage): boolean {
    const { maxMessages, maxBytes, maxBytesInAll } = this.#limits;
    const bytes = messageBytes(message);
    if (this.#own.messages + 1 > maxMessages || this.#own.bytes + bytes > maxBytes) return false;
    if (this.#sums.bytes + bytes > maxBytesInAll) return false;
    this.#fifo.push({ message, retain: false, place: ++this.#place, bytes, dup: false, refused: 0 });
    this.#add(1, bytes);
    return true;
  }

  close(): void {
    this.#fifo.clear();
    this.#add(-this.#count, -this.#bytes);
  }

  peek(): QueueItem | undefined {
    return this.#fifo.peek();
  }

  shift(): void {
    this.#fifo.shift();
  }

  given(): void {
    // There is nothing to remember it for.
  }

  finished({ bytes }: QueueItem, pending?: Pending): void {
    this.#add(-1, -bytes);
    pending?.settle(STORED);
  }

  refused(_item: QueueItem, pending?: Pending): void {
    pending?.settle(STORED);
  }

  readOn(): void {
    // Everything is here.
  }

  #add(messages: number, bytes: number): void {
    this.#count += messages;
    this.#bytes += bytes;
    for (const sums of [this.#own, this.#sums]) {
      sums.messages += messages;
      sums.bytes += bytes;
    }
  }
}
