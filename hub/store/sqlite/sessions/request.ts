import type { SessionWrite } from '../../port.ts';
import { messageBuffers, type MessageColumns } from './message-columns.ts';

/** The session writes of a batch as the writer gets them: worked out to rows, the frequent ones as columns. Made in this order. */
export interface SessionRequest {
  /** Sessions, named queues, subscriptions and wills, in the order given. */
  readonly others: readonly OtherWrite[];
  readonly messages: NewMessages | null;
  /** Messages of earlier batches that are added or named again. */
  readonly older: readonly OlderMessage[];
  readonly entries: EntryColumns | null;
  /** Rows of the queue, each once. Releases are made before removals. */
  readonly released: Float64Array;
  /** The last word on each row. */
  readonly refused: readonly { readonly row: number; readonly times: number }[];
  readonly removed: Float64Array;
  readonly receipts: ReceiptColumns | null;
  /** The last of each topic. */
  readonly retained: MessageColumns | null;
  readonly retainedGone: readonly string[];
  /** Highest ids given in this batch; 0: none. */
  readonly lastSessionId: number;
  readonly lastMessageId: number;
}

export type OtherWrite = Extract<
  SessionWrite,
  { op: `session.${string}` | `namedQueue.${string}` | `subscription.${string}` | `will.${string}` }
>;

export interface NewMessages {
  readonly columns: MessageColumns;
  readonly id: Float64Array;
  /** How many entries name it: at least one. */
  readonly entries: Uint32Array;
}

export interface OlderMessage {
  readonly id: number;
  /** Null: it was named, not added. */
  readonly message: MessageColumns | null;
  readonly entries: number;
}

export interface EntryColumns {
  readonly count: number;
  /** Entry i has the row firstRow + i. */
  readonly firstRow: number;
  readonly session: Float64Array;
  readonly place: Float64Array;
  readonly message: Float64Array;
  readonly bytes: Float64Array;
  readonly flags: Uint8Array;
  /** Index into `texts`. */
  readonly matches: Uint32Array;
  readonly texts: readonly string[];
}

export interface ReceiptColumns {
  readonly session: Float64Array;
  readonly packetId: Uint16Array;
  /** 1: added, 0: removed. In the order given. */
  readonly added: Uint8Array;
}

/** What is given away with the request. */
export function requestBuffers(request: SessionRequest): ArrayBuffer[] {
  const { messages, entries, receipts, retained, released, removed } = request;
  const buffers = [released.buffer, removed.buffer];
  if (messages !== null) buffers.push(messages.id.buffer, messages.entries.buffer, ...messageBuffers(messages.columns));
  if (retained !== null) buffers.push(...messageBuffers(retained));
  if (entries !== null) {
    const { session, place, message, bytes, flags, matches } = entries;
    for (const { buffer } of [session, place, message, bytes, flags, matches]) buffers.push(buffer);
  }
  if (receipts !== null) buffers.push(receipts.session.buffer, receipts.packetId.buffer, receipts.added.buffer);
  return buffers as ArrayBuffer[];
}

/** Ids of subscriptions as text: nearly always there is one. */
export function matchesText(matches: readonly string[]): string {
  return matches.length === 1 ? `=${matches[0]}` : JSON.stringify(matches);
}

export function matchesOf(text: string): string[] {
  return text.startsWith('=') ? [text.slice(1)] : (JSON.parse(text) as string[]);
}
