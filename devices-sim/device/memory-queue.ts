import { CommandBook, NO_COMMAND_LOG } from './command-book.ts';
import { messageBytes, type Message } from './message.ts';
import {
  randomStream,
  type DeviceQueue,
  type Pushed,
  type QueueBounds,
  type QueuedMessage,
  type Waiter,
} from './queue.ts';

/** A device keeps three hours at one message in ten seconds, and no endless memory. */
export const MEMORY_QUEUE_BOUNDS: QueueBounds = {
  maxMessages: 1000,
  maxBytes: 1024 * 1024,
  whenFull: 'refuse',
};

/** Where a queue in memory begins: one that was read from elsewhere goes on. */
export interface QueueStart {
  readonly stream: string;
  /** seq 1 of the stream is position `base` + 1. */
  readonly base: number;
  /** Position of the next message. */
  readonly next: number;
  /** Messages may be sent at once; else after `keep`. */
  readonly keptAtOnce: boolean;
  readonly commands: CommandBook;
}

/** Gone with the program. Also what every other queue keeps in memory. */
export class MemoryQueue implements DeviceQueue {
  mayDrop = true;
  onKept: (() => void) | null = null;
  readonly commands: CommandBook;
  readonly #bounds: QueueBounds;
  readonly #keptAtOnce: boolean;
  #stream: string;
  #base: number;
  /** Position of `#messages[#head]`. */
  #first: number;
  /** Null: acknowledged while an older one is not, or before `#head`. */
  #messages: (QueuedMessage | null)[] = [];
  #head = 0;
  /** Position of the next message to send on this connection. */
  #cursor: number;
  /** Messages below this position may be sent. */
  #keptBefore: number;
  #highestSent = 0;
  #size = 0;
  #bytes = 0;
  #inFlight = 0;

  constructor(bounds: Partial<QueueBounds> = {}, start: Partial<QueueStart> = {}) {
    const { stream = randomStream(), base = 0, next = 1, keptAtOnce = true } = start;
    this.commands = start.commands ?? new CommandBook(NO_COMMAND_LOG);
    this.#bounds = { ...MEMORY_QUEUE_BOUNDS, ...bounds };
    this.#keptAtOnce = keptAtOnce;
    this.#stream = stream;
    this.#base = base;
    this.#first = this.#cursor = this.#keptBefore = next;
  }

  get stream(): string {
    return this.#stream;
  }

  /** Position of the first message of the stream, less 1. */
  get base(): number {
    return this.#base;
  }

  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get firstSeq(): number {
    return this.#first - this.#base;
  }

  get highestSent(): number {
    return this.#highestSent;
  }

  get lastSeq(): number {
    return this.nextPosition - 1 - this.#base;
  }

  /** Position of the oldest message that is not acknowledged. */
  get firstPosition(): number {
    return this.#first;
  }

  get nextPosition(): number {
    return this.#first + this.#messages.length - this.#head;
  }

  push(message: Message, dueMs: number, waiter: Waiter | null, bytes = messageBytes(message)): Pushed | null {
    const dropped = this.#makeRoom(bytes);
    if (dropped === null) return null;
    const position = this.nextPosition;
    const queued: QueuedMessage = { position, seq: 0, message, bytes, dueMs, sentMs: 0, sends: 0, waiter };
    this.#messages.push(queued);
    this.#size++;
    this.#bytes += bytes;
    if (this.#keptAtOnce) {
      this.#keptBefore = position + 1;
      waiter?.kept();
    }
    return { queued, dropped };
  }

  /** Everything below this position may be sent now. */
  keep(position: number): void {
    for (let at = this.#keptBefore; at < position; at++) this.#at(at)?.waiter?.kept();
    this.#keptBefore = Math.max(this.#keptBefore, position);
    this.onKept?.();
  }

  /** Puts back what was read from a file, in order and whatever the bounds; null: settled while an older one is not. */
  restore(messages: readonly { readonly message: Message | null; readonly bytes: number }[]): void {
    for (const { message, bytes } of messages) {
      const position = this.nextPosition;
      this.#messages.push(
        message === null ? null : { position, seq: 0, message, bytes, dueMs: 0, sentMs: 0, sends: 0, waiter: null },
      );
      if (message === null) continue;
      this.#size++;
      this.#bytes += bytes;
    }
    this.#keptBefore = this.nextPosition;
    this.#dropSettled();
    // An earlier run of the program may have sent all of it.
    this.#highestSent = this.lastSeq;
  }

  /** Takes back what was pushed from this position on and never kept. */
  takeBack(position: number): QueuedMessage[] {
    const from = Math.max(position, this.#keptBefore, this.#first);
    const taken = this.#messages.splice(this.#head + from - this.#first).filter((queued) => queued !== null);
    for (const { bytes } of taken) {
      this.#size--;
      this.#bytes -= bytes;
    }
    return taken;
  }

  /** Those that are not acknowledged, oldest first. */
  *unacknowledged(): Iterable<QueuedMessage> {
    for (let i = this.#head; i < this.#messages.length; i++) {
      const queued = this.#messages[i];
      if (queued) yield queued;
    }
  }

  takeNext(): QueuedMessage | null {
    const end = Math.min(this.#keptBefore, this.nextPosition);
    while (this.#cursor < end) {
      const queued = this.#at(this.#cursor++);
      if (queued === null) continue;
      this.#inFlight++;
      queued.seq = queued.position - this.#base;
      if (queued.seq > this.#highestSent) this.#highestSent = queued.seq;
      return queued;
    }
    return null;
  }

  acknowledge(seq: number): QueuedMessage | null {
    const position = seq + this.#base;
    if (position < this.#first || position >= this.#cursor) return null;
    const queued = this.#at(position);
    if (queued === null) return null;
    this.#settle(queued);
    this.#dropSettled();
    return queued;
  }

  acknowledgeBefore(seq: number): QueuedMessage[] {
    const settled: QueuedMessage[] = [];
    const end = Math.min(seq + this.#base, this.nextPosition);
    for (let position = this.#first; position < end; position++) {
      const queued = this.#at(position);
      if (queued === null) continue;
      queued.seq = position - this.#base;
      settled.push(queued);
      this.#settle(queued);
    }
    this.#dropSettled();
    return settled;
  }

  rewind(): void {
    this.#cursor = this.#first;
    this.#inFlight = 0;
  }

  renew(stream = randomStream()): void {
    this.#stream = stream;
    this.#base = this.#first - 1;
    this.#highestSent = 0;
    this.rewind();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Null: there is none for this message. */
  #makeRoom(bytes: number): QueuedMessage[] | null {
    const { maxMessages, maxBytes, whenFull } = this.#bounds;
    const dropped: QueuedMessage[] = [];
    // Places are counted, not messages: an acknowledged one behind an older one still takes part in the order.
    const isFull = (): boolean => this.nextPosition - this.#first >= maxMessages || this.#bytes + bytes > maxBytes;
    if (bytes > maxBytes || ((whenFull === 'refuse' || !this.mayDrop) && isFull())) return null;
    while (isFull()) {
      const oldest = this.#at(this.#first)!;
      this.#settle(oldest);
      this.#dropSettled();
      dropped.push(oldest);
    }
    return dropped;
  }

  #at(position: number): QueuedMessage | null {
    return this.#messages[this.#head + position - this.#first] ?? null;
  }

  #settle(queued: QueuedMessage): void {
    this.#messages[this.#head + queued.position - this.#first] = null;
    this.#size--;
    this.#bytes -= queued.bytes;
    if (queued.position < this.#cursor) this.#inFlight--;
  }

  #dropSettled(): void {
    while (this.#head < this.#messages.length && this.#messages[this.#head] === null) {
      this.#head++;
      this.#first++;
    }
    if (this.#cursor < this.#first) this.#cursor = this.#first;
    if (this.#keptBefore < this.#first) this.#keptBefore = this.#first;
    // Cheap on the whole: the list is moved once for as many as have left.
    if (this.#head >= 32 && this.#head * 2 >= this.#messages.length) {
      this.#messages = this.#messages.slice(this.#head);
      this.#head = 0;
    }
  }
}
