import type { Delivery, Qos, RoutedMessage, Subscription } from '#protocols/message.js';
import type { Audience } from '#hub/router/port.js';

/** Where the messages of a queue go: a connection's session. */
export interface Taker {
  /** See `DeviceSession.forward`. */
  forward(delivery: Delivery): boolean;
}

/** What waits for one session. Two of them: in memory, for sessions that end with their connection, and on disk. */
export interface SessionQueue {
  /** On disk. */
  readonly lasts: boolean;
  readonly attached: boolean;
  /** Its client takes what comes now at once, as far as is known. */
  readonly flows: boolean;
  /** Retained messages may come: none of them would be dropped. */
  readonly hasRoom: boolean;
  /** Messages and bytes that wait; those that were sent and are not finished are not among them. */
  readonly waiting: number;
  readonly waitingBytes: number;
  /** Messages dropped because it was full. */
  readonly dropped: number;
  /** A message that the session is owed. `audience` null: it is for this session alone. */
  push(
    message: RoutedMessage,
    matches: readonly Subscription[],
    qos: Exclude<Qos, 0>,
    retain: boolean,
    audience: Audience | null,
  ): void;
  /** From now on messages go to `taker`. */
  attach(taker: Taker): void;
  /** The connection is over. */
  detach(): void;
  /** Offers what waits, as far as it is taken. */
  pump(): void;
  /** A message that was taken is finished, or skipped for good. */
  acknowledged(delivery: Delivery): void;
  /** A QoS 2 message is finished, its packet id is not. `done` when that is where the queue is. */
  released(delivery: Delivery, done: () => void): void;
  /** The session is over. */
  close(): void;
}

/** At a full queue: what comes is dropped, or what has waited longest. */
export type QueueFull = 'refuse_newest' | 'drop_oldest';

export interface QueueLimits {
  /** Of each session, what was sent and is not finished aside. */
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** Of all sessions together, everything counted. */
  readonly maxBytesInAll: number;
  readonly full: QueueFull;
  /** Messages that a connected session with a queue on disk has in memory ahead of its client, and their bytes; at least one. */
  readonly windowMessages: number;
  readonly windowBytes: number;
  /** Bytes of those windows together; past it each has one message. */
  readonly windowBytesInAll: number;
}

/** What all queues share. */
export interface QueueSums {
  /** Messages and bytes in all queues, unfinished ones included. */
  messages: number;
  bytes: number;
  windowBytes: number;
}

/** Told to metrics. Must not throw. */
export interface QueueObserver {
  /** A message did not get to a client: its queue was full, or it had expired. */
  dropped(why: 'queue' | 'expired'): void;
  /** The queue on disk could not be read; it is tried again. */
  failed(error: unknown): void;
}
