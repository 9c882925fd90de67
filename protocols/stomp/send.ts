import type { ProtocolLimits } from '../limits.ts';
import type { PublishRequest } from '../subprotocol.ts';
import { topicOfDestination } from './destinations.ts';
import type { Header } from './encoder.ts';
import { frameError, requiredHeader, type StompFrame } from './frame.ts';

/** Headers that STOMP or this hub uses in SEND or MESSAGE. Everything else is the users' and travels with the message. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'destination',
  'content-length',
  'content-type',
  'receipt',
  'transaction',
  'retain',
  'subscription',
  'message-id',
  'ack',
  'command-id',
  'command-name',
  'deadline',
]);

/** The headers of a message that are its sender's own. On the way out it keeps other protocols' messages from forging ours. */
export function userHeaders(headers: Iterable<Header>): Header[] {
  const own: Header[] = [];
  for (const header of headers) if (!OWN_HEADERS.has(header[0])) own.push(header);
  return own;
}

/** Reads a SEND frame: QoS 1 when a receipt is asked for, else 0. Throws ProtocolError. */
export function readSend(frame: StompFrame, limits: ProtocolLimits): PublishRequest {
  refuseTransaction(frame);
  const destination = topicOfDestination(requiredHeader(frame, 'destination'), limits);
  if (!destination.ok) throw frameError(frame, 'protocol_error', destination.message);
  const retain = frame.headers.get('retain');
  if (retain !== undefined && retain !== 'true' && retain !== 'false') {
    throw frameError(frame, 'protocol_error', `the header 'retain' is 'true' or 'false'`);
  }
  return {
    topic: destination.topic,
    payload: frame.body,
    qos: frame.headers.has('receipt') ? 1 : 0,
    retain: retain === 'true',
    contentType: frame.headers.get('content-type') ?? null,
    headers: userHeaders(frame.headers),
  };
}

/** A frame of a transaction that is not served must not be carried out as if it stood alone. */
export function refuseTransaction(frame: StompFrame): void {
  if (frame.headers.has('transaction')) {
    throw frameError(
      frame,
      'protocol_error',
      'transactions are not served here; send it without the header transaction',
    );
  }
}
