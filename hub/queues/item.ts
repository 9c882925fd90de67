import type { RoutedMessage } from '#protocols/message.js';
import type { Pending } from '#protocols/outcome.js';

/** A message of a queue, as long as it is in memory. */
export interface QueueItem {
  readonly message: RoutedMessage;
  readonly retain: boolean;
  /** Rises in the order in which the messages came. */
  readonly place: number;
  /** What it is charged with. */
  readonly bytes: number;
  /** Some consumer may have had it. */
  dup: boolean;
  /** How often a consumer has refused it. */
  refused: number;
}

/** Where the messages of a queue are: on disk, or in memory. */
export interface Stock {
  /** The one that is next; undefined: there is none, or it is not where it has to be before anybody sees it. */
  peek(): QueueItem | undefined;
  /** Takes out what `peek` gave: it is in other hands until it is `finished`. */
  shift(): void;
  /** A consumer has it. */
  given(item: QueueItem): void;
  /** It is answered, expired or buried: nobody gets it any more. `pending` hears `stored` when that is on disk. */
  finished(item: QueueItem, pending?: Pending): void;
  /** `item.refused` has risen. `pending` as above. */
  refused(item: QueueItem, pending?: Pending): void;
  /** There is room in front. */
  readOn(): void;
}
