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
  readonly reader: RetainedReader;
  next: number;
}

/**
 * A subscription may match far more retained messages than a session may have waiting. They are remembered by topic and
 * given as the client takes them; each is looked up when its turn comes, so that none is older than what was sent live.
 */
export class RetainedFeed {
  readonly #clock: Clock;
  #waiting: Waiting[] = [];
  #scheduled = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Gives the first ones at once, the rest in turns. */
  start(reader: RetainedReader, owed: OwedTopics): void {
    const waiting: Waiting = { ...owed, reader };
    if (this.#give(waiting)) return;
    this.#waiting.push(waiting);
    this.#later();
  }

  /** Gives the reader no more; what it is still owed can be started again. */
  stop(reader: RetainedReader): readonly OwedTopics[] {
    const own = this.#waiting.filter((waiting) => waiting.reader === reader);
    if (own.length > 0) this.#waiting = this.#waiting.filter((waiting) => waiting.reader !== reader);
    return own.map(({ subscription, topics, next }) => ({ subscription, topics, next }));
  }

  get size(): number {
    return this.#waiting.length;
  }

  #later(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.after(TURN_MS, () => {
      this.#scheduled = false;
      // Giving may end a connection, which stops its reader.
      for (const waiting of this.#waiting.slice()) {
        if (this.#waiting.includes(waiting) && this.#give(waiting)) {
          this.#waiting = this.#waiting.filter((other) => other !== waiting);
        }
      }
      if (this.#waiting.length > 0) this.#later();
    });
  }

  /** True: there is no more to give. */
  #give(waiting: Waiting): boolean {
    const { reader, subscription, topics } = waiting;
    if (!reader.stillWants(subscription)) return true;
    const end = Math.min(topics.length, waiting.next + PER_TURN);
    while (waiting.next < end && reader.hasRoom) reader.give(topics[waiting.next++]!, subscription);
    return waiting.next >= topics.length;
  }
}
