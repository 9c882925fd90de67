import { ProtocolError, type RejectCode } from '#protocols/errors.js';
import type { RoutedMessage } from '#protocols/message.js';
import { NOBODY, STORED, type Pending } from '#protocols/outcome.js';
import type { QueueBook, QueueFault } from '#hub/queues/book.js';
import type { SessionJournal } from '#hub/sessions/journal.js';

export interface ToQueueServices {
  readonly queues: Pick<QueueBook, 'send' | 'fault'>;
  readonly journal: SessionJournal;
  /** Counts a message that was not taken. */
  readonly rejected: (code: RejectCode) => void;
}

/**
 * Puts a client's message into a queue: on disk, with what `along` writes, before its sender is told. A full queue is said in the protocol's
 * words, by a ProtocolError unless the protocol `refusesSingly`: nobody is told that the hub kept what it did not.
 */
export function sendToQueue(
  { queues, journal, rejected }: ToQueueServices,
  message: RoutedMessage,
  refusesSingly: boolean,
  pending: Pending,
  along: () => void,
): void {
  const fault = queues.send(message);
  if (fault === null) {
    along();
    if (pending !== NOBODY) journal.afterCommitSettle(pending, STORED);
    return;
  }
  rejected('queue_full');
  if (!refusesSingly) throw full(fault);
  pending.settle({ kind: 'rejected', code: 'queue_full', message: fault.message, recorded: false });
}

/** Throws what one of these messages would be refused with, sent one after the other, where the protocol can refuse no single one. */
export function checkQueues({ queues }: Pick<ToQueueServices, 'queues'>, messages: readonly RoutedMessage[]): void {
  const fault = queues.fault(messages);
  if (fault !== null) throw full(fault);
}

function full({ limit, message }: QueueFault): ProtocolError {
  if (limit === null) return new ProtocolError('protocol_error', message);
  return new ProtocolError('limit_exceeded', `${message} (${limit})`, { 'muster-limit': limit });
}
