import type { Delivery, RoutedMessage, Subscription } from '#protocols/message.js';
import type { Outcome, Pending } from '#protocols/outcome.js';

/** An entry of a queue on disk. */
export interface Entry {
  readonly message: RoutedMessage;
  readonly matches: readonly Subscription[];
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly place: number;
  /** What it is charged with. */
  readonly bytes: number;
}

/** A message of the window, and then on its way to the client. Settled when it is on disk. */
export class QueuedMessage implements Delivery, Pending {
  readonly message: RoutedMessage;
  readonly matches: readonly Subscription[];
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly place: number;
  readonly dup: boolean;
  readonly bytes: number;
  isCommitted: boolean;
  readonly #queue: { committed(queued: QueuedMessage): void };

  constructor(
    queue: { committed(queued: QueuedMessage): void },
    { message, matches, qos, retain, place, bytes }: Entry,
    dup: boolean,
    isCommitted: boolean,
  ) {
    this.#queue = queue;
    this.message = message;
    this.matches = matches;
    this.qos = qos;
    this.retain = retain;
    this.place = place;
    this.bytes = bytes;
    this.dup = dup;
    this.isCommitted = isCommitted;
  }

  settle(outcome: Outcome): void {
    if (outcome.kind === 'abandoned') return;
    this.isCommitted = true;
    this.#queue.committed(this);
  }
}

/** One of QoS 2 that may have been sent is the client's already, with its packet id. */
export function isDroppable({ qos, dup }: Pick<Delivery, 'qos' | 'dup'>): boolean {
  return qos === 1 || !dup;
}
