import { connect, type Socket } from 'node:net';

export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

export interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/**
 * A WebSocket client that does nothing by itself: answers no ping and no close, and reads only while it is not paused.
 * Its masking key is zero, so that what is sent stands in the clear on the wire.
 */
export class RawWebSocket {
  readonly socket: Socket;
  /** What came since the handshake. */
  readonly frames: Frame[] = [];
  bytesReceived = 0;
  /** The TCP connection is over. */
  gone = false;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
  }

  static async open(port: number, subprotocol: string): Promise<RawWebSocket> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const raw = new RawWebSocket(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => (raw.gone = true));
    socket.write(
      `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n` +
        `Sec-WebSocket-Protocol: ${subprotocol}\r\n\r\n`,
    );
    await new Promise<void>((resolve, reject) => {
      let head = Buffer.alloc(0);
      const onData = (data: Buffer): void => {
        head = Buffer.concat([head, data]);
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        socket.off('data', onData);
        const status = head.toString('latin1', 0, head.indexOf('\r\n'));
        if (!status.includes(' 101 ')) {
          reject(new Error(status));
          return;
        }
        socket.on('data', (more) => raw.#received(more));
        raw.#received(head.subarray(end + 4));
        resolve();
      };
      socket.on('data', onData);
      socket.on('close', () => reject(new Error('the connection ended during the handshake')));
    });
    return raw;
  }

  /** One message in one frame. False: the socket's buffer is full, as `Socket.write` says. */
  send(payload: Uint8Array | string, opcode = typeof payload === 'string' ? TEXT : BINARY): boolean {
    return this.socket.write(frame(payload, opcode));
  }

  /** Nothing is read from the kernel any more. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Payloads of all data frames so far, joined. */
  get received(): Buffer {
    return Buffer.concat(this.frames.filter((f) => f.opcode <= BINARY).map((f) => f.payload));
  }

  /** The close frame, once it came. */
  get closeFrame(): { code: number; reason: string } | null {
    const found = this.frames.find(({ opcode }) => opcode === CLOSE);
    if (found === undefined) return null;
    return { code: found.payload.readUInt16BE(0), reason: found.payload.toString('utf8', 2) };
  }

  destroy(): void {
    this.socket.destroy();
  }

  #received(data: Buffer): void {
    this.bytesReceived += data.length;
    this.#rest = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    for (let next = readFrame(this.#rest); next !== null; next = readFrame(this.#rest)) {
      this.frames.push(next.frame);
      this.#rest = this.#rest.subarray(next.end);
    }
  }
}

/** One masked frame with the key 0 (RFC 6455, 5.2). */
export function frame(payload: Uint8Array | string, opcode: number): Buffer {
  const body = Buffer.from(payload as Uint8Array);
  const first = 0x80 | opcode;
  const key = [0, 0, 0, 0];
  if (body.length < 126) return Buffer.concat([Buffer.from([first, 0x80 | body.length, ...key]), body]);
  const long = body.length > 0xffff;
  const head = Buffer.alloc(long ? 14 : 8);
  head[0] = first;
  head[1] = 0x80 | (long ? 127 : 126);
  if (long) head.writeBigUInt64BE(BigInt(body.length), 2);
  else head.writeUInt16BE(body.length, 2);
  return Buffer.concat([head, body]);
}

function readFrame(bytes: Buffer): { frame: Frame; end: number } | null {
  if (bytes.length < 2) return null;
  let length = bytes[1]! & 0x7f;
  let at = 2;
  if (length === 126) {
    if (bytes.length < 4) return null;
    length = bytes.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    if (bytes.length < 10) return null;
    length = Number(bytes.readBigUInt64BE(2));
    at = 10;
  }
  const end = at + length;
  if (bytes.length < end) return null;
  return { frame: { opcode: bytes[0]! & 0x0f, payload: bytes.subarray(at, end) }, end };
}
