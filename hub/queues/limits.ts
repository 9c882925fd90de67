import type { ProtocolLimits } from '#protocols/limits.js';
import { WINDOW_BYTES, WINDOW_BYTES_IN_ALL } from '#hub/sessions/limits.js';
import type { QueueLimits } from '#hub/sessions/queue.js';

/** What of the configuration the queues are bounded by. */
export interface NamedQueueConfig {
  readonly limits: Pick<ProtocolLimits, 'maxInFlight' | 'maxTopicBytes' | 'maxTopicLevels'>;
  readonly maxQueues: number;
  readonly maxQueueMessages: number;
  readonly maxQueueBytes: number;
  readonly maxQueueBytesInAll: number;
  readonly maxDeliveries: number;
}

export interface NamedQueueLimits {
  readonly maxQueues: number;
  /** Of each queue. */
  readonly queue: QueueLimits;
  readonly maxDeliveries: number;
  readonly maxTopicBytes: number;
  readonly maxTopicLevels: number;
}

/** Windows of consumers that are filled while a page is read. */
const CONSUMERS_AHEAD = 8;

export function namedQueueLimits(config: NamedQueueConfig): NamedQueueLimits {
  const { limits, maxQueues, maxQueueMessages, maxQueueBytes, maxQueueBytesInAll, maxDeliveries } = config;
  return {
    maxQueues,
    queue: {
      maxMessages: maxQueueMessages,
      maxBytes: maxQueueBytes,
      maxBytesInAll: maxQueueBytesInAll,
      full: 'refuse_newest',
      windowMessages: CONSUMERS_AHEAD * limits.maxInFlight,
      windowBytes: WINDOW_BYTES,
      windowBytesInAll: WINDOW_BYTES_IN_ALL,
    },
    maxDeliveries,
    maxTopicBytes: limits.maxTopicBytes,
    maxTopicLevels: limits.maxTopicLevels,
  };
}

/**
 * What bounds a durable subscription and a temporary queue: as the queue of a session, but what is with the consumer counts, so that there is
 * room for a window at least.
 */
export function ownQueueLimits(
  session: QueueLimits,
  { maxInFlight, maxMessageBytes }: Pick<ProtocolLimits, 'maxInFlight' | 'maxMessageBytes'>,
): QueueLimits {
  return {
    ...session,
    maxMessages: Math.max(session.maxMessages, maxInFlight),
    maxBytes: Math.max(session.maxBytes, 2 * maxMessageBytes),
  };
}
