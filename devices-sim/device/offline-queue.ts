import type { WorldMessage } from '../world.ts';

/** A message that its device keeps until the hub has acknowledged it. */
export interface QueuedMessage {
  /** Place in the device's queue, from 1 without holes; the CBOR protocol's seq. */
  readonly seq: number;
  readonly message: WorldMessage;
  /** When it was measured, on the run's monotonic clock. */
  readonly dueMs: number;
  /** When it was last sent, on the same clock. */
  sentMs: number;
  /** How often it was sent. */
  sends: number;
}

/**
 * Unacknowledged messages of one device, in order: sent ones stay until their acknowledgement, and after a cut all of
 * them are sent again from the oldest.
 */
export class OfflineQueue {
  readonly #capacity: number;
  /** seq of `#messages[0]`. */
  #firstSeq = 1;
  /** Null: acknowledged while an older one is not. */
  #messages: (QueuedMessage | null)[] = [];
  /** Index of the next message to send on this connection. */
  #cursor = 0;
  #unacknowledged = 0;
  #inFlight = 0;
  #highestSent = 0;

  /** `capacity`: messages kept at most; a device has no endless memory. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Messages not yet acknowledged, sent or not. */
  get size(): number {
    return this.#unacknowledged;
  }

  /** Messages sent on this connection and not yet acknowledged. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** seq of the oldest message that is not acknowledged, or of the next one to come. */
  get firstSeq(): number {
    return this.#firstSeq;
  }

  /** Highest seq that was ever sent; 0: none. */
  get highestSent(): number {
    return this.#highestSent;
  }

  /** False: the queue is full and the message is not kept. */
  push(message: WorldMessage, dueMs: number): boolean {
    if (this.#messages.length >= this.#capacity) return false;
    const seq = this.#firstSeq + this.#messages.length;
    this.#messages.push({ seq, message, dueMs, sentMs: 0, sends: 0 });
    this.#unacknowledged++;
    return true;
  }

  /** The next message to send on this connection, which now counts as in flight; null: there is none. */
  takeNext(): QueuedMessage | null {
    while (this.#cursor < this.#messages.length) {
      const queued = this.#messages[this.#cursor++] ?? null;
      if (queued === null) continue;
      this.#inFlight++;
      this.#highestSent = Math.max(this.#highestSent, queued.seq);
      return queued;
    }
    return null;
  }

  /** Settles one message, in any order. Null: it is not in flight on this connection. */
  acknowledge(seq: number): QueuedMessage | null {
    const index = seq - this.#firstSeq;
    if (index < 0 || index >= this.#cursor) return null;
    const queued = this.#messages[index] ?? null;
    if (queued === null) return null;
    this.#messages[index] = null;
    this.#unacknowledged--;
    this.#inFlight--;
    this.#dropSettled();
    return queued;
  }

  /**
   * Settles what the hub has decided before this connection, in order: everything below `seq`, whether it was sent
   * again on this connection or not. Call it before the first `takeNext` of a connection.
   */
  acknowledgeBefore(seq: number): QueuedMessage[] {
    const settled: QueuedMessage[] = [];
    const end = Math.min(seq - this.#firstSeq, this.#messages.length);
    for (let index = 0; index < end; index++) {
      const queued = this.#messages[index] ?? null;
      if (queued === null) continue;
      settled.push(queued);
      this.#messages[index] = null;
      this.#unacknowledged--;
      if (index < this.#cursor) this.#inFlight--;
    }
    this.#dropSettled();
    return settled;
  }

  /** The connection is gone: everything unacknowledged is to be sent again, from the oldest. */
  rewind(): void {
    this.#cursor = 0;
    this.#inFlight = 0;
  }

  #dropSettled(): void {
    let settled = 0;
    while (settled < this.#messages.length && this.#messages[settled] === null) settled++;
    if (settled === 0) return;
    this.#messages.splice(0, settled);
    this.#firstSeq += settled;
    this.#cursor = Math.max(0, this.#cursor - settled);
  }
}
