import { CLOSE_REASONS, type CloseReason } from '#protocols/close-reasons.js';

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
  message(data: Uint8Array, isText: boolean): void;
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

/** Begins to open a socket. Events come later, never before it returns. */
export type OpenSocket = (events: SocketEvents) => DeviceSocket;

/** Names in `Sec-WebSocket-Protocol`. */
export const SUBPROTOCOLS = { mqtt: 'mqtt', stomp: 'v12.stomp', cbor: 'v1.cbor.muster' } as const;

/** Close codes with which the hub says: do not come back. A code shared by reasons of both kinds is none of them. */
const FINAL_CODES: ReadonlySet<number> = finalCodes();

/** The end of a WebSocket that was closed with this code and reason; the hub's reasons begin with their name: `taken_over: …`. */
export function closeEnd(code: number, reason: string): SocketEnd {
  return {
    why: reason === '' ? `close ${code}` : `close ${code} (${reason})`,
    reconnect: reconnectBy(/^[a-z_]+(?=:)/.exec(reason)?.[0] ?? '') ?? !FINAL_CODES.has(code),
    retryAfterMs: 0,
  };
}

/** Whether a device comes back after a reason of the hub's; null: the name is none. */
export function reconnectBy(reason: string): boolean | null {
  return Object.hasOwn(CLOSE_REASONS, reason) ? CLOSE_REASONS[reason as CloseReason].reconnect : null;
}

/** The hub answered with an HTTP status that ends the attempt: time-outs, "too early", "too many", 5xx and what a proxy says pass, other 4xx do not. */
export function refusalEnd(status: number, retryAfter: string | undefined, text = ''): SocketEnd {
  const retryAfterS = Number(retryAfter ?? 0);
  const passes = status < 400 || status >= 500 || PASSING.has(status);
  return {
    why: text === '' ? `HTTP ${status}` : `HTTP ${status} (${text})`,
    reconnect: passes,
    retryAfterMs: retryAfterS > 0 && retryAfterS <= 3600 ? retryAfterS * 1000 : 0,
  };
}

const PASSING: ReadonlySet<number> = new Set([404, 407, 408, 421, 425, 429]);

function finalCodes(): Set<number> {
  const rows = Object.values(CLOSE_REASONS);
  const welcome = new Set<number>(rows.filter((row) => row.reconnect).map((row) => row.webSocketCode));
  return new Set<number>(rows.map((row) => row.webSocketCode).filter((code) => !welcome.has(code)));
}
