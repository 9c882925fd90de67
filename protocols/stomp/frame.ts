import type { CloseReason } from '../close-reasons.ts';
import { ProtocolError } from '../errors.ts';

export interface StompFrame {
  readonly command: string;
  /** Unescaped, in order; of a repeated header the first (STOMP 1.2, Repeated Header Entries). */
  readonly headers: ReadonlyMap<string, string>;
  /** May be a slice of the bytes that were fed in: copy what outlives the call. */
  readonly body: Buffer;
}

/** Frames that a client sends (STOMP 1.2, Client Frames and Connecting). */
export const CLIENT_COMMANDS: ReadonlySet<string> = new Set([
  'CONNECT',
  'STOMP',
  'SEND',
  'SUBSCRIBE',
  'UNSUBSCRIBE',
  'ACK',
  'NACK',
  'BEGIN',
  'COMMIT',
  'ABORT',
  'DISCONNECT',
]);

/** Frames that a server sends. */
export const SERVER_COMMANDS: ReadonlySet<string> = new Set(['CONNECTED', 'MESSAGE', 'RECEIPT', 'ERROR']);

/** "Only the SEND, MESSAGE, and ERROR frames MAY have a body" (STOMP 1.2, STOMP Frames). */
export const COMMANDS_WITH_BODY: ReadonlySet<string> = new Set(['SEND', 'MESSAGE', 'ERROR']);

/** For a ProtocolError: an ERROR "SHOULD" name the receipt of the frame at fault (STOMP 1.2, ERROR). */
export function receiptContext(headers: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  const receipt = headers.get('receipt');
  return receipt === undefined ? {} : { 'receipt-id': receipt };
}

/** The header of an ERROR that names the limit which was passed. */
export const LIMIT_HEADER = 'muster-limit';
/** The header of an ERROR at a gap: the seq with which to go on. */
export const EXPECTED_HEADER = 'muster-expected';

/** The error to throw about this frame. */
export function frameError(frame: StompFrame, reason: CloseReason, message: string): ProtocolError {
  return new ProtocolError(reason, `${frame.command}: ${message}`, receiptContext(frame.headers));
}

/** The error to throw about this frame when it passes a limit: `message` says which, and `limit` is its name. */
export function limitError(
  frame: StompFrame,
  limit: string,
  message: string,
  reason: CloseReason = 'limit_exceeded',
): ProtocolError {
  const context = { ...receiptContext(frame.headers), [LIMIT_HEADER]: limit };
  return new ProtocolError(reason, `${frame.command}: ${message} (${limit})`, context);
}

/** Throws ProtocolError when the header is missing or empty. */
export function requiredHeader(frame: StompFrame, name: string): string {
  const value = frame.headers.get(name);
  if (value === undefined || value === '') {
    throw frameError(frame, 'protocol_error', `the header '${name}' is required`);
  }
  return value;
}

/** A header that is `true` or `false`; false when it is missing. Throws ProtocolError on anything else. */
export function flagHeader(frame: StompFrame, name: string): boolean {
  const value = frame.headers.get(name);
  if (value === undefined || value === 'false') return false;
  if (value === 'true') return true;
  throw frameError(frame, 'protocol_error', `the header '${name}' is 'true' or 'false'`);
}

/** A short, printable excerpt of what a client sent. Never of a header that may hold a secret. */
export function excerpt(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}
