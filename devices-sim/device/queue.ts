import type { CommandBook } from './command-book.ts';
import type { Message } from './message.ts';

/** A message that its device keeps until the hub has acknowledged it. */
export interface QueuedMessage {
  /** Place in the queue for as long as the queue lasts, from 1 without holes. */
  readonly position: number;
  /** Place in the stream: what the hub knows it by. Right from `takeNext` on; a new stream counts anew. */
  seq: number;
  readonly message: Message;
  /** What it counts against the queue's bound. */
  readonly bytes: number;
  /** When it was given to the queue, on the monotonic clock of whoever did. */
  readonly dueMs: number;
  /** When it was last sent, on the same clock. */
  sentMs: number;
  /** How often it was sent. */
  sends: number;
  /** Who waits for it; null: nobody, or not in this run of the program. */
  waiter: Waiter | null;
}

/** Hears what becomes of a message. */
export interface Waiter {
  /** It will survive what the queue survives. */
  kept(): void;
  /** It is on the hub's disk. */
  stored(): void;
  failed(code: FailureCode, text: string): void;
}

/**
 * Why a message will not be stored: `refused` by the hub, `dropped` for newer ones, `disk` when the queue could not write it down,
 * `too_large` for the hub. `closed`: the client was closed before the hub had it; a file queue still has it.
 */
export type FailureCode = 'refused' | 'dropped' | 'disk' | 'too_large' | 'closed';

/** Bounds of a queue, and what happens at them. */
export interface QueueBounds {
  readonly maxMessages: number;
  /** Bytes of all messages together, by estimate. */
  readonly maxBytes: number;
  /**
   * `refuse`: the new message is not taken. `drop-oldest`: it is, and the oldest ones go; but not while there is a connection, as
   * nothing that the hub was told of can be left out then.
   */
  readonly whenFull: 'refuse' | 'drop-oldest';
}

/** What became of a new message. */
export interface Pushed {
  readonly queued: QueuedMessage;
  /** Messages that gave way to it. */
  readonly dropped: readonly QueuedMessage[];
}

/**
 * Unacknowledged messages of one device, in order: sent ones stay until their acknowledgement, and after a cut all of
 * them are sent again from the oldest. With them what the device knows of commands.
 */
export interface DeviceQueue {
  /** Random name under which the hub counts these messages. */
  readonly stream: string;
  /** Messages not yet acknowledged, sent or not. */
  readonly size: number;
  /** What they weigh. */
  readonly bytes: number;
  /** Messages sent on this connection and not yet acknowledged. */
  readonly inFlight: number;
  /** seq of the oldest message that is not acknowledged, or of the next one to come. */
  readonly firstSeq: number;
  /** Highest seq of this stream that was sent; 0: none, as far as this run of the program knows. */
  readonly highestSent: number;
  /** Highest seq that a message of this stream has. */
  readonly lastSeq: number;
  readonly commands: CommandBook;
  /** Whether old messages may give way to new ones: false while the hub has been told where the queue begins. */
  mayDrop: boolean;
  /** Called when messages became fit to be sent a while after `push`. */
  onKept: (() => void) | null;

  /** Null: the queue is full and the message is not kept. */
  push(message: Message, dueMs: number, waiter: Waiter | null): Pushed | null;
  /** The next message to send on this connection, which now counts as in flight; null: there is none that is kept. */
  takeNext(): QueuedMessage | null;
  /** Settles one message, in any order. Null: it is not in flight on this connection. */
  acknowledge(seq: number): QueuedMessage | null;
  /** Settles everything below `seq`, in order, whether it was sent on this connection or not. */
  acknowledgeBefore(seq: number): QueuedMessage[];
  /** The connection is gone: everything unacknowledged is to be sent again, from the oldest. */
  rewind(): void;
  /** Gives the stream a new name, in which the oldest message is number 1. Only without a connection. */
  renew(): void;
  /** Resolves when everything is written down. No other call may follow. */
  close(): Promise<void>;
}

/** 96 bits: no two queues of a device have one name. */
export function randomStream(): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
