import { closeEnd, type DeviceSocket, type SocketEvents } from './socket.ts';

/** The part of a browser's WebSocket that is used: also what Node has under that name. */
export interface StandardWebSocket {
  binaryType: string;
  readonly readyState: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  send(data: Uint8Array<ArrayBuffer> | string): void;
  close(code?: number, reason?: string): void;
}

const OPEN = 1;

/**
 * Opens a WebSocket as browsers have it. They say nothing of pings, and nothing of a refused handshake but that it failed
 * (code 1006): such an end always means to try again.
 */
export function openStandardSocket(url: string, subprotocol: string, events: SocketEvents): DeviceSocket {
  const socket = new (
    globalThis as unknown as { WebSocket: new (url: string, protocols: string[]) => StandardWebSocket }
  ).WebSocket(url, [subprotocol]);
  let ended = false;
  const end = (code: number, reason: string): void => {
    if (ended) return;
    ended = true;
    events.closed(closeEnd(code, reason));
  };
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => {
    if (!ended) events.opened();
  };
  socket.onmessage = ({ data }: { readonly data: ArrayBuffer | string }) => {
    if (ended) return;
    if (typeof data === 'string') events.message(new TextEncoder().encode(data), true);
    else events.message(new Uint8Array(data), false);
  };
  socket.onclose = ({ code, reason }: { readonly code: number; readonly reason: string }) => end(code, reason);
  return {
    send(unit) {
      if (socket.readyState !== OPEN) return false;
      socket.send(unit as Uint8Array<ArrayBuffer> | string);
      return true;
    },
    close: () => socket.close(1000),
    // A browser cannot cut a connection: it may wait long for the other side's close. Nobody waits for it here.
    terminate: () => {
      socket.close(4000, 'given up');
      queueMicrotask(() => end(1006, ''));
    },
  };
}
