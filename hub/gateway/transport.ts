import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';

/** What carries a connection: a WebSocket, or a TCP or TLS stream by itself. */
export interface Transport {
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Bytes taken and not yet handed to the kernel. */
  readonly bufferedBytes: number;
  /** The peer answers pings by itself. Where it does not, the kernel's keep-alive and the protocol's own rule find the dead. */
  readonly pings: boolean;
  pause(): void;
  resume(): void;
  /** Hot path: the units of a tick leave in one write. False: the transport has closed meanwhile. `drained` is called when they are written. */
  write(frames: readonly (Uint8Array | string)[], drained: (() => void) | null): boolean;
  ping(): void;
  /** Lets what was written go out, then closes; resumes reading, without which a close never finishes. */
  close(webSocketCode: number, text: string): void;
  /** At once. */
  terminate(): void;
}

/** RFC 6455: bytes as binary messages, strings as text ones. */
export class WebSocketTransport implements Transport {
  readonly pings = true;
  readonly #webSocket: WebSocket;
  readonly #socket: Socket;

  constructor(webSocket: WebSocket, socket: Socket) {
    this.#webSocket = webSocket;
    this.#socket = socket;
    // Acknowledgements are small and awaited.
    socket.setNoDelay(true);
  }

  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  get bytesWritten(): number {
    return this.#socket.bytesWritten;
  }

  get bufferedBytes(): number {
    return this.#webSocket.bufferedAmount;
  }

  pause(): void {
    this.#webSocket.pause();
  }

  resume(): void {
    this.#webSocket.resume();
  }

  write(frames: readonly (Uint8Array | string)[], drained: (() => void) | null): boolean {
    const webSocket = this.#webSocket;
    if (webSocket.readyState !== webSocket.OPEN) return false;
    this.#socket.cork();
    const last = frames.length - 1;
    for (let i = 0; i <= last; i++) {
      const frame = frames[i]!;
      const options = { binary: typeof frame !== 'string' };
      if (i === last && drained !== null) webSocket.send(frame, options, drained);
      else webSocket.send(frame, options);
    }
    this.#socket.uncork();
    return true;
  }

  ping(): void {
    this.#webSocket.ping();
  }

  close(webSocketCode: number, text: string): void {
    // A paused WebSocket never finishes its close.
    if (this.#webSocket.isPaused) this.#webSocket.resume();
    this.#webSocket.close(webSocketCode, text);
  }

  terminate(): void {
    this.#webSocket.terminate();
  }
}

/** How long the peer may take to close its side after ours. */
const CLOSE_TIMEOUT_MS = 3000;

/** The bytes of the protocol and nothing around them (MQTT 3.1.1, 4.2). */
export class StreamTransport implements Transport {
  readonly pings = false;
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
  }

  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  get bytesWritten(): number {
    return this.#socket.bytesWritten;
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  write(frames: readonly (Uint8Array | string)[], drained: (() => void) | null): boolean {
    const socket = this.#socket;
    if (!socket.writable) return false;
    socket.cork();
    const last = frames.length - 1;
    for (let i = 0; i <= last; i++) {
      if (i === last && drained !== null) socket.write(frames[i]!, drained);
      else socket.write(frames[i]!);
    }
    socket.uncork();
    return true;
  }

  ping(): void {
    // TCP has none that a program could send.
  }

  close(_webSocketCode: number, _text: string): void {
    const socket = this.#socket;
    // Bytes that were sent and not read would turn the close into a reset, and the peer would lose our goodbye.
    socket.resume();
    socket.end();
    // Not the socket's own time-out: a peer that goes on sending would put it off for ever.
    const timer = setTimeout(() => socket.destroy(), CLOSE_TIMEOUT_MS);
    timer.unref();
    socket.once('close', () => clearTimeout(timer));
  }

  terminate(): void {
    this.#socket.destroy();
  }
}
