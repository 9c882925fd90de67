import type { Subscription } from '#protocols/message.js';
import type { Clock } from '#hub/clock.js';

/** Messages that are given to a session in one turn; a turn waits until the session's queue is empty. */
const PER_TURN = 64;
const TURN_MS = 5;

/** A session, as far as retained messages go. */
export interface RetainedReader {
  /** True: nothing waits in the session's queue, so that none of what comes now is dropped there. */
  readonly hasRoom: boolean;
  /** False: the subscription is over. */
  stillWants(subscription: Subscription): boolean;
  /** The retained message of this topic as it is now goes to the session; nothing when it was removed meanwhile. */
  give(topic: string, subscription: Subscription): void;
}

/** What a reader is still owed. */
export interface OwedTopics {
  readonly subscription: Subscription;
  readonly topics: readonly string[];
  /** The first that was not given. */
  readonly next: number;
}

interface Waiting extends OwedTopics {
  next: number;
}

/**
 * A subscription may match far more retained messages than a session may have waiting. They are remembered by topic and
 * given as the client takes them, one subscription after the other; each is looked up when its turn comes, so that none is older than
 * what was sent live.
 */
export class RetainedFeed {
  readonly #clock: Clock;
  /** Of each reader in the order of its subscriptions, at least one: a turn costs one look at each reader that takes nothing. */
  readonly #waiting = new Map<RetainedReader, Waiting[]>();
  #scheduled = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Gives the first ones at once, where nothing of the reader's waits, and the rest in turns. */
  start(reader: RetainedReader, owed: OwedTopics): void {
    // A client may subscribe again and again and take nothing.
    const before = (this.#waiting.get(reader) ?? []).filter(({ subscription }) => reader.stillWants(subscription));
    const waiting = [...before, { ...owed }];
    // Before anything is given: that may end the connection, which stops its reader.
    this.#waiting.set(reader, waiting);
    if (before.length === 0) this.#give(reader, waiting);
    if (this.#waiting.size > 0) this.#later();
  }

  /** Gives the reader no more; what it is still owed can be started again. */
  stop(reader: RetainedReader): readonly OwedTopics[] {
    const waiting = this.#waiting.get(reader) ?? [];
    this.#waiting.delete(reader);
    return waiting.filter(({ subscription }) => reader.stillWants(subscription)).map((owed) => ({ ...owed }));
  }

  /** Readers that are owed something. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Gives nobody any more. */
  close(): void {
    this.#waiting.clear();
  }

  #later(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.after(TURN_MS, () => {
      this.#scheduled = false;
      for (const [reader, waiting] of this.#waiting) this.#give(reader, waiting);
      if (this.#waiting.size > 0) this.#later();
    });
  }

  /** Giving may end the connection, which stops its reader. */
  #give(reader: RetainedReader, waiting: Waiting[]): void {
    let left = PER_TURN;
    const goesOn = (): boolean => left > 0 && this.#waiting.get(reader) === waiting;
    for (let first = waiting[0]; first !== undefined && goesOn(); first = waiting[0]) {
      const { subscription, topics } = first;
      if (reader.stillWants(subscription)) {
        for (; first.next < topics.length && goesOn() && reader.hasRoom; left--) {
          reader.give(topics[first.next++]!, subscription);
        }
        if (first.next < topics.length) return;
      }
      waiting.shift();
    }
    if (waiting.length === 0 && this.#waiting.get(reader) === waiting) this.#waiting.delete(reader);
  }
}
