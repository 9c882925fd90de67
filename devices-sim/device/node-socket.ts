import type { IncomingMessage } from 'node:http';
import { WebSocket, type RawData } from 'ws';
import { closeEnd, refusalEnd, type DeviceSocket, type SocketEnd, type SocketEvents } from './socket.ts';

/** What `node:tls` takes for a hub with a certificate of one's own, or one that asks for the device's. */
export interface TlsOptions {
  readonly ca?: string | Buffer | (string | Buffer)[];
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly servername?: string;
}

export interface SocketOptions {
  readonly url: string;
  readonly subprotocol: string;
  /** Source address; null: the system chooses. */
  readonly localAddress: string | null;
  readonly tls?: TlsOptions;
}

const HANDSHAKE_TIMEOUT_MS = 15_000;
const MAX_PAYLOAD_BYTES = 1024 * 1024;

/** Opens a raw WebSocket that offers one subprotocol. */
export function openSocket(options: SocketOptions, events: SocketEvents): DeviceSocket {
  const socket = new WebSocket(options.url, [options.subprotocol], {
    perMessageDeflate: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    maxPayload: MAX_PAYLOAD_BYTES,
    followRedirects: false,
    ...(options.localAddress === null ? {} : { localAddress: options.localAddress }),
    ...options.tls,
  });
  let failure: SocketEnd | null = null;
  socket.on('open', () => events.opened());
  socket.on('message', (data: RawData, isBinary: boolean) => events.message(toBuffer(data), !isBinary));
  socket.on('ping', () => events.alive());
  socket.on('pong', () => events.alive());
  socket.on('unexpected-response', (_request, response: IncomingMessage) => {
    failure = refusalEnd(response.statusCode ?? 0, response.headers['retry-after']);
    response.resume();
    socket.terminate();
  });
  socket.on('error', (error) => {
    failure ??= { why: error.message, reconnect: true, retryAfterMs: 0 };
  });
  socket.on('close', (code, reason) => events.closed(failure ?? closeEnd(code, reason.toString('utf8'))));
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

function toBuffer(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
