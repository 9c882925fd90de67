import { Fifo } from './fifo.ts';
import type { QueueLimits, QueueSums } from './queue.ts';

/** What is in memory of a queue on disk that is given out: the messages that come next, in order, bounded in number and bytes. */
export class Window<Queued extends { readonly bytes: number }> {
  readonly #limits: QueueLimits;
  readonly #sums: QueueSums;
  readonly #messages = new Fifo<Queued>();
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

  peek(): Queued | undefined {
    return this.#messages.peek();
  }

  push(queued: Queued): void {
    this.#messages.push(queued);
    this.#charge(queued.bytes);
  }

  shift(): void {
    const queued = this.#messages.shift();
    if (queued !== undefined) this.#charge(-queued.bytes);
  }

  /** Puts back what was just taken. */
  unshift(queued: Queued): void {
    this.#messages.unshift(queued);
    this.#charge(queued.bytes);
  }

  /** Takes out the first for which `test` is true. */
  takeFirst(test: (queued: Queued) => boolean): Queued | undefined {
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
