import type { RoutedMessage } from '#protocols/message.js';
import type { Outcome, Pending } from '#protocols/outcome.js';
import type { Audience, RetainedJournal } from '#hub/router/port.js';
import type { SessionWrite, StartState, SubscriptionRow } from '#hub/store/port.js';
import type { Telemetry } from '#hub/telemetry/port.js';
import { messageBytes, toStored } from './stored-message.ts';

/** What a write without a message costs the backlog, about. */
const WRITE_BYTES = 128;

/** An entry of a session's queue, before its message has an id. */
export interface NewEntry {
  readonly session: number;
  readonly place: number;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly matches: readonly string[];
  readonly bytes: number;
}

/**
 * Where sessions, retained messages and wills write: the batch that fills now, in order. A message that several sessions keep
 * is written once.
 */
export class SessionJournal implements RetainedJournal {
  readonly #telemetry: Pick<Telemetry, 'keep' | 'settleAfterCommit'>;
  #lastMessageId = 0;
  #lastQueueId = 0;
  /** The message that was written last and whom it was for: the next session that keeps it names the same id. */
  #message: RoutedMessage | null = null;
  #audience: Audience = 'all';
  #wrote = false;

  constructor(telemetry: Pick<Telemetry, 'keep' | 'settleAfterCommit'>) {
    this.#telemetry = telemetry;
  }

  /** Ids go on above those of earlier runs. */
  restore({ lastMessageId, lastSessionId }: Pick<StartState, 'lastMessageId' | 'lastSessionId'>): void {
    this.#lastMessageId = lastMessageId;
    this.#lastQueueId = lastSessionId;
  }

  /** A number for whatever has a queue on disk, a session or a named queue; never given twice. */
  newQueueId(): number {
    return ++this.#lastQueueId;
  }

  write(write: SessionWrite, bytes = WRITE_BYTES): void {
    this.#telemetry.keep(write, bytes);
  }

  /**
   * Writes an entry with its message. `audience` null: this session alone keeps it. An id is never named again later: the row of
   * a message goes with the last entry that names it.
   */
  enqueue(message: RoutedMessage, audience: Audience | null, entry: NewEntry): void {
    if (audience === null || message !== this.#message || audience !== this.#audience) {
      const id = ++this.#lastMessageId;
      this.write({ op: 'message.add', id, message: toStored(message, false) }, messageBytes(message));
      this.#message = audience === null ? null : message;
      this.#audience = audience ?? 'all';
    }
    this.write({ op: 'queue.add', message: this.#lastMessageId, ...entry });
    this.#wrote = true;
  }

  /** The same for a message that comes by itself, and not from the router: nobody's answer is taken for its own. */
  put(message: RoutedMessage, entry: NewEntry): void {
    const id = ++this.#lastMessageId;
    // Its id is the last one: the next session that keeps the router's message writes it again.
    this.#message = null;
    this.write({ op: 'message.add', id, message: toStored(message, false) }, messageBytes(message));
    this.write({ op: 'queue.add', message: id, ...entry });
  }

  subscription(session: number, subscription: SubscriptionRow): void {
    this.write({ op: 'subscription.put', session, subscription });
  }

  kept(message: RoutedMessage): void {
    this.write({ op: 'retained.put', message: toStored(message, true) }, messageBytes(message));
    this.#wrote = true;
  }

  removed(topic: string): void {
    this.write({ op: 'retained.delete', topic });
    this.#wrote = true;
  }

  /**
   * Called in `done` of each message that the router was given: was anything written because of it? A message whose `done` does not
   * ask leaves its answer to the next, whose sender then waits for a commit that it did not need.
   */
  takeWritten(): boolean {
    this.#message = null;
    const wrote = this.#wrote;
    this.#wrote = false;
    return wrote;
  }

  /** Runs `then` when everything that was written so far is on disk; never, when the hub gives up on it. */
  afterCommit(then: () => void): void {
    this.#telemetry.settleAfterCommit({
      settle(outcome) {
        if (outcome.kind !== 'abandoned') then();
      },
    });
  }

  /** The same, for the sender of a message. */
  afterCommitSettle(pending: Pending, outcome: Outcome): void {
    this.#telemetry.settleAfterCommit({
      settle: (committed) => pending.settle(committed.kind === 'abandoned' ? committed : outcome),
    });
  }

  settleAfterCommit(pending: Pending): void {
    this.#telemetry.settleAfterCommit(pending);
  }
}
