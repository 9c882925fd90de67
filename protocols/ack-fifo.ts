import type { Outcome, Pending } from './outcome.ts';

/**
 * The one queue of acknowledgements that a session owes, over all topics and kinds: they leave in the order in which
 * the messages came [MQTT-4.6.0-2], however their outcomes arrive.
 *
 * `T` is what the session needs to write the acknowledgement (packet id, receipt id, seq).
 */
export class AckFifo<T> {
  readonly #release: (token: T, outcome: Outcome) => void;
  #entries: Entry<T>[] = [];
  #head = 0;
  #open = true;

  /** `release` is called once for each entry, in order, when it and all before it are settled. */
  constructor(release: (token: T, outcome: Outcome) => void) {
    this.#release = release;
  }

  /** Acknowledgements still owed. */
  get size(): number {
    return this.#entries.length - this.#head;
  }

  push(token: T): Pending {
    const entry = new Entry(this, token);
    this.#entries.push(entry);
    return entry;
  }

  /** The link is gone: outcomes that still come are dropped. */
  close(): void {
    this.#open = false;
    this.#entries = [];
    this.#head = 0;
  }

  /** Called by an entry that was settled. */
  advance(): void {
    while (this.#open && this.#head < this.#entries.length) {
      const entry = this.#entries[this.#head]!;
      if (entry.outcome === null) break;
      this.#head++;
      this.#release(entry.token, entry.outcome);
    }
    if (this.#head === this.#entries.length) {
      if (this.#head > 0) {
        this.#entries = [];
        this.#head = 0;
      }
    } else if (this.#head > 1024) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }
}

class Entry<T> implements Pending {
  readonly #fifo: AckFifo<T>;
  readonly token: T;
  outcome: Outcome | null = null;

  constructor(fifo: AckFifo<T>, token: T) {
    this.#fifo = fifo;
    this.token = token;
  }

  settle(outcome: Outcome): void {
    if (this.outcome !== null) return;
    this.outcome = outcome;
    this.#fifo.advance();
  }
}
