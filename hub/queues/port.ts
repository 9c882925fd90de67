import type { Principal } from '#protocols/principal.js';
import type { QueueTallies } from './tallies.ts';

/** What people and programs may see of a queue on disk. Times are milliseconds since 1970. */
export interface QueueView {
  readonly kind: 'queue' | 'subscription';
  /** Of a durable subscription, the id that its client gave it. */
  readonly name: string;
  /** Whose durable subscription it is; null: a queue. */
  readonly subscription: DurableView | null;
  readonly createdMs: number;
  /** Messages that wait; those that consumers have and have not answered aside. */
  readonly messages: number;
  /** Bytes of all, in the hands of consumers or not. */
  readonly bytes: number;
  readonly consumers: number;
  /** Given to a consumer, and not answered. */
  readonly unacknowledged: number;
  /** Messages in the queue of its dead letters; of a durable subscription 0, as those of all stand in one. */
  readonly deadLetters: number;
  /** Messages that a durable subscription had to drop because it was full. */
  readonly dropped: number;
}

export interface DurableView {
  readonly principal: Principal;
  readonly clientId: string;
  readonly filter: string;
  /** Since when it has no consumer; null: it has one. */
  readonly detachedMs: number | null;
}

export interface QueueStats {
  /** How many there are. */
  readonly queues: number;
  readonly subscriptions: number;
  readonly temporary: number;
  /** In the queues on disk, durable subscriptions aside, which are counted with the sessions. */
  readonly messages: number;
  readonly bytes: number;
  /** Of all queues of all kinds. */
  readonly consumers: number;
  readonly unacknowledged: number;
  readonly tallies: Readonly<QueueTallies>;
}

export interface Queues {
  /** Queues in the order in which they began in this run, then durable subscriptions. Throws RangeError for an `after` that was never given out. */
  list(query: { readonly after: string | null; readonly limit: number }): {
    readonly items: readonly QueueView[];
    readonly next: string | null;
  };
  /** Null: there is no such queue. */
  find(name: string): QueueView | null;
  /** Ends a queue with its messages, on disk when it resolves. `consumed`: not while somebody consumes it. */
  delete(name: string): Promise<'deleted' | 'not_found' | 'consumed'>;
  readonly stats: QueueStats;
}
