import type { Duplex } from 'node:stream';
import { STATUS_CODES } from 'node:http';
import type { RefusalCode } from './port.ts';

/** HTTP status of each refusal. 429 and 503 come with Retry-After. */
export const REFUSAL_STATUS: Readonly<Record<RefusalCode, number>> = {
  no_subprotocol: 400,
  unknown_subprotocol: 400,
  malformed_subprotocol: 400,
  not_websocket: 400,
  bad_credentials: 401,
  credentials_contradict: 400,
  protocol_not_allowed: 403,
  device_disabled: 403,
  origin_not_allowed: 403,
  unknown_path: 404,
  too_many_from_address: 429,
  too_many_connections: 503,
  too_many_unidentified: 503,
  // Streams get no HTTP answer; the status places them in the list.
  tls_failed: 400,
  bad_proxy_header: 400,
  shutting_down: 503,
};

/** What each refusal means, in a few words. */
export const REFUSAL_TITLES: Readonly<Record<RefusalCode, string>> = {
  no_subprotocol: 'No subprotocol was offered',
  unknown_subprotocol: 'No offered subprotocol is served',
  malformed_subprotocol: 'Sec-WebSocket-Protocol cannot be read',
  not_websocket: 'Not a WebSocket handshake',
  bad_credentials: 'The credentials are not valid',
  credentials_contradict: 'Two credentials contradict each other',
  protocol_not_allowed: 'The device may not use this protocol',
  device_disabled: 'The device is disabled',
  origin_not_allowed: 'Pages of this origin may not connect',
  unknown_path: 'No WebSocket is served on this path',
  too_many_from_address: 'Too many connections from this address',
  too_many_connections: 'The hub has no room for more connections',
  too_many_unidentified: 'Too many connections have not identified themselves',
  tls_failed: 'TLS could not be agreed',
  bad_proxy_header: 'A trusted proxy sent no PROXY protocol header',
  shutting_down: 'The hub is shutting down',
};

const RETRY_AFTER_S = 5;

export interface Refusal {
  readonly code: RefusalCode;
  readonly detail: string;
  readonly offered: readonly string[];
  readonly served: readonly string[];
}

/** The refusal as an HTTP/1.1 response with an RFC 9457 body; the socket ends after it. */
export function refuse(socket: Duplex, refusal: Refusal): void {
  const { code, detail, offered, served } = refusal;
  const status = REFUSAL_STATUS[code];
  const type = `urn:muster:problem:${code.replaceAll('_', '-')}`;
  const body = Buffer.from(
    JSON.stringify({ type, title: REFUSAL_TITLES[code], status, code, detail, offered, served }),
  );
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Connection: close',
    'Content-Type: application/problem+json',
    `Content-Length: ${body.length}`,
    'Cache-Control: no-store',
  ];
  if (status === 401) head.push('WWW-Authenticate: Bearer realm="muster"');
  if (status === 429 || status === 503) head.push(`Retry-After: ${RETRY_AFTER_S}`);
  if (code === 'not_websocket') head.push('Sec-WebSocket-Version: 13');
  socket.once('finish', () => socket.destroy());
  socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]));
}
