import type { IncomingMessage } from 'node:http';
import { WebSocket, type RawData } from 'ws';
import { CLOSE_REASONS } from '#protocols/close-reasons.js';

/** How a connection, or an attempt at one, ended. */
export interface SocketEnd {
  /** For counting: `close 4009 (…)`, `HTTP 503`, `connect ECONNREFUSED …`. */
  readonly why: string;
  /** False: the hub does not want this device back (bad credentials, taken over, …). */
  readonly reconnect: boolean;
  /** What the hub asked for; 0: nothing. */
  readonly retryAfterMs: number;
}

export interface SocketEvents {
  opened(): void;
  message(data: Buffer, isText: boolean): void;
  /** A ping or pong came. */
  alive(): void;
  /** Once, and last. */
  closed(end: SocketEnd): void;
}

export interface DeviceSocket {
  /** False: the socket is not open, nothing was sent. */
  send(unit: Uint8Array | string): boolean;
  /** Closing handshake with code 1000. */
  close(): void;
  /** At once, without a goodbye. */
  terminate(): void;
}

export interface SocketOptions {
  readonly url: string;
  readonly subprotocol: string;
  /** Source address; null: the system chooses. */
  readonly localAddress: string | null;
}

const HANDSHAKE_TIMEOUT_MS = 15_000;
const MAX_PAYLOAD_BYTES = 1024 * 1024;

/** Close codes with which the hub says: do not come back. A code shared by reasons of both kinds is none of them. */
const FINAL_CODES: ReadonlySet<number> = finalCodes();

/** Opens a raw WebSocket that offers one subprotocol. */
export function openSocket(options: SocketOptions, events: SocketEvents): DeviceSocket {
  const socket = new WebSocket(options.url, [options.subprotocol], {
    perMessageDeflate: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    maxPayload: MAX_PAYLOAD_BYTES,
    followRedirects: false,
    ...(options.localAddress === null ? {} : { localAddress: options.localAddress }),
  });
  let failure: SocketEnd | null = null;
  socket.on('open', () => events.opened());
  socket.on('message', (data: RawData, isBinary: boolean) => events.message(toBuffer(data), !isBinary));
  socket.on('ping', () => events.alive());
  socket.on('pong', () => events.alive());
  socket.on('unexpected-response', (_request, response) => {
    failure = refusal(response);
    response.resume();
    socket.terminate();
  });
  socket.on('error', (error) => {
    failure ??= { why: error.message, reconnect: true, retryAfterMs: 0 };
  });
  socket.on('close', (code, reason) => {
    const text = reason.toString('utf8');
    events.closed(
      failure ?? {
        why: text === '' ? `close ${code}` : `close ${code} (${text})`,
        reconnect: !FINAL_CODES.has(code),
        retryAfterMs: 0,
      },
    );
  });
  return {
    send(unit) {
      if (socket.readyState !== WebSocket.OPEN) return false;
      socket.send(unit);
      return true;
    },
    close: () => socket.close(1000),
    terminate: () => socket.terminate(),
  };
}

/** A handshake that the hub answered with HTTP: 429 and 5xx pass, other refusals do not. */
function refusal(response: IncomingMessage): SocketEnd {
  const status = response.statusCode ?? 0;
  const retryAfterS = Number(response.headers['retry-after'] ?? 0);
  return {
    why: `HTTP ${status}`,
    reconnect: status === 429 || status >= 500,
    retryAfterMs: retryAfterS > 0 && retryAfterS <= 3600 ? retryAfterS * 1000 : 0,
  };
}

function toBuffer(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}

function finalCodes(): Set<number> {
  const rows = Object.values(CLOSE_REASONS);
  const welcome = new Set<number>(rows.filter((row) => row.reconnect).map((row) => row.webSocketCode));
  return new Set<number>(rows.map((row) => row.webSocketCode).filter((code) => !welcome.has(code)));
}
