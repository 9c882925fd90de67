import { Fifo } from './fifo.ts';
import type { QueueLimits, QueueSums } from './queue.ts';
import type { QueuedMessage } from './queued-message.ts';

/** What a connected session has of its queue in memory: the messages that come next, in order, bounded in number and bytes. */
export class Window {
  readonly #limits: QueueLimits;
  readonly #sums: QueueSums;
  readonly #messages = new Fifo<QueuedMessage>();
  #bytes = 0;

  constructor(limits: QueueLimits, sums: QueueSums) {
    this.#limits = limits;
    this.#sums = sums;
  }

  get length(): number {
    return this.#messages.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** One message always fits. */
  fits(bytes: number): boolean {
    if (this.length === 0) return true;
    const { windowMessages, windowBytes, windowBytesInAll } = this.#limits;
    return (
      this.length < windowMessages &&
      this.#bytes + bytes <= windowBytes &&
      this.#sums.windowBytes + bytes <= windowBytesInAll
    );
  }

  /** How much may be read into it now; null: nothing, as long as it is more than half full. */
  get free(): { readonly messages: number; readonly bytes: number } | null {
    const { windowMessages, windowBytes, windowBytesInAll } = this.#limits;
    const messages = windowMessages - this.length;
    const bytes = Math.min(windowBytes - this.#bytes, windowBytesInAll - this.#sums.windowBytes);
    if (this.length === 0) return { messages, bytes: Math.max(1, bytes) };
    return messages * 2 < windowMessages || bytes <= 0 ? null : { messages, bytes };
  }

  peek(): QueuedMessage | undefined {
    return this.#messages.peek();
  }

  push(queued: QueuedMessage): void {
    this.#messages.push(queued);
    this.#charge(queued.bytes);
  }

  shift(): void {
    const queued = this.#messages.shift();
    if (queued !== undefined) this.#charge(-queued.bytes);
  }

  /** Puts back what was just taken. */
  unshift(queued: QueuedMessage): void {
    this.#messages.unshift(queued);
    this.#charge(queued.bytes);
  }

  /** Takes out the first for which `test` is true. */
  takeFirst(test: (queued: QueuedMessage) => boolean): QueuedMessage | undefined {
    const queued = this.#messages.takeFirst(test);
    if (queued !== undefined) this.#charge(-queued.bytes);
    return queued;
  }

  clear(): void {
    this.#messages.clear();
    this.#charge(-this.#bytes);
  }

  #charge(bytes: number): void {
    this.#bytes += bytes;
    this.#sums.windowBytes += bytes;
  }
}
