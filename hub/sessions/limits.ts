import type { ProtocolLimits } from '#protocols/limits.js';
import type { QueueFull, QueueLimits } from './queue.ts';

/** What of the configuration the queues are bounded by. */
export interface QueueConfig {
  readonly limits: Pick<ProtocolLimits, 'maxInFlight' | 'maxQueuedMessages' | 'maxQueuedBytes'>;
  readonly maxQueuedBytesInAll: number;
  readonly queueFull: QueueFull;
}

/** One read of the disk brings a few dozen messages of the usual size; large ones come one by one. */
export const WINDOW_BYTES = 256 * 1024;
/** A thousand connected sessions with full windows of small messages, or 256 with full windows of large ones. */
export const WINDOW_BYTES_IN_ALL = 64 * 1024 * 1024;
/** Topics of retained messages that sessions without a connection are still owed, together: 8 MB of references. */
export const MAX_OWED_TOPICS = 1_000_000;

export function queueLimits({ limits, maxQueuedBytesInAll, queueFull }: QueueConfig): QueueLimits {
  return {
    maxMessages: limits.maxQueuedMessages,
    maxBytes: limits.maxQueuedBytes,
    maxBytesInAll: maxQueuedBytesInAll,
    full: queueFull,
    // While one half is on its way to the client, the other is read.
    windowMessages: 2 * limits.maxInFlight,
    windowBytes: WINDOW_BYTES,
    windowBytesInAll: WINDOW_BYTES_IN_ALL,
  };
}
