import type { Header } from './encoder.ts';

/** Headers that STOMP or this hub uses in SEND or MESSAGE. Everything else is the users' and travels with the message. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'destination',
  'content-length',
  'content-type',
  'receipt',
  'transaction',
  'retain',
  'redelivered',
  'subscription',
  'message-id',
  'ack',
  'command-id',
  'command-name',
  'deadline',
]);

/**
 * The headers of a message that are its sender's own, those in `besides` left out. On the way out it keeps other protocols'
 * messages from forging ours.
 */
export function userHeaders(headers: Iterable<Header>, besides?: readonly string[]): Header[] {
  const own: Header[] = [];
  for (const header of headers) {
    if (!OWN_HEADERS.has(header[0]) && besides?.includes(header[0]) !== true) own.push(header);
  }
  return own;
}
