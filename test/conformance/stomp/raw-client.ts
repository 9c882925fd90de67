import { connect as connectTcp } from 'node:net';
import { WebSocket } from 'ws';
import { frame, take, type Headers, type Received, type Version } from './frames.ts';

/** How the bytes travel. */
export interface Wire {
  readonly version: Version;
  readonly transport: 'TCP' | 'WebSocket';
  /** How frames become writes (TCP) or messages (WebSocket). */
  readonly writing: 'frame by frame' | 'byte by byte' | 'five in one';
}

/** Where the hub is. */
export interface Addresses {
  readonly tcpPort: number;
  readonly wsUrl: string;
}

/** How a connection ended: what was said before, and the code of a WebSocket (null over TCP). */
export interface Ended {
  readonly said: readonly Received[];
  readonly code: number | null;
}

const FIVE = 5;
/** For a hub on a busy machine; a test that gets what it waits for never waits so long. */
const PATIENCE_MS = 8000;

/** One connection that sends what it is told, right or wrong, and shows what comes, frame by frame. */
export class RawClient {
  readonly wire: Wire;
  /** Line ends that came between frames. */
  beats = 0;
  /** What came, as it came: messages over WebSocket, chunks over TCP. */
  readonly messages: { readonly data: Buffer; readonly isBinary: boolean; readonly atMs: number }[] = [];
  readonly #received: Received[] = [];
  readonly #transport: Transport;
  #version: Version;
  #bytes: Buffer = Buffer.alloc(0);
  #unsent: Buffer[] = [];
  #code: number | null | undefined;
  #fault: Error | null = null;
  #changed: () => void = () => undefined;
  #receipts = 0;

  private constructor(wire: Wire, transport: Transport) {
    this.wire = wire;
    this.#version = wire.version;
    this.#transport = transport;
    transport.onBytes = (data, isBinary) => this.#take(data, isBinary);
    transport.onEnd = (code) => {
      this.#code = code;
      this.#changed();
    };
  }

  static async open(wire: Wire, addresses: Addresses, subprotocol = nameOf(wire.version)): Promise<RawClient> {
    const transport =
      wire.transport === 'TCP'
        ? await overTcp(addresses.tcpPort)
        : await overWebSocket(`${addresses.wsUrl}/stomp`, subprotocol);
    return new RawClient(wire, transport);
  }

  /** From now on frames are read as that version writes them. */
  reads(version: Version): void {
    this.#version = version;
  }

  /** The subprotocol that was agreed; null over TCP. */
  get subprotocol(): string | null {
    return this.#transport.subprotocol;
  }

  get isOpen(): boolean {
    return this.#code === undefined;
  }

  /** A receipt that this client has not used. */
  receipt(): string {
    return `r${++this.#receipts}`;
  }

  /** Frames as bytes, cut and joined as the wire says. */
  send(...frames: readonly (Buffer | string)[]): void {
    for (const each of frames) {
      const bytes = Buffer.from(each);
      if (this.wire.writing === 'five in one') this.#gather(bytes);
      else if (this.wire.writing === 'frame by frame') this.#transport.write(bytes);
      else for (const byte of bytes) this.#transport.write(Buffer.from([byte]));
    }
  }

  frame(command: string, headers: Headers | readonly string[] = {}, body: string | Buffer = ''): void {
    this.send(frame(command, headers, body));
  }

  /** One text message of WebSocket. */
  sendText(text: string): void {
    this.#transport.writeText(text);
  }

  /** The next frame, which must be of this command. */
  async next(command: string): Promise<Received> {
    const found = await this.any(command);
    if (found.command !== command) throw new Error(`${shown(found)} where ${command} was expected`);
    return found;
  }

  /** The next frame, whatever it is; `expected` is said when none comes. */
  async any(expected = 'a frame'): Promise<Received> {
    await this.until(expected, () => this.#received.length > 0 || !this.isOpen);
    const found = this.#received.shift();
    if (found === undefined) throw new Error(`closed where ${expected} was expected`);
    return found;
  }

  /** The RECEIPT of that frame is the next that comes. */
  async receipted(receipt: string): Promise<Received> {
    const found = await this.next('RECEIPT');
    if (found.headers['receipt-id'] !== receipt)
      throw new Error(`${shown(found)} where RECEIPT ${receipt} was expected`);
    return found;
  }

  /** The connection is closed by the hub. */
  async closed(): Promise<Ended> {
    await this.until('the close', () => !this.isOpen);
    return { said: this.#received.splice(0), code: this.#code ?? null };
  }

  /** The hub has said ERROR, and nothing else, and closed. */
  async refused(): Promise<Received> {
    const { said } = await this.closed();
    if (said.length !== 1 || said[0]!.command !== 'ERROR')
      throw new Error(`${said.map(shown).join(' ')} instead of ERROR`);
    return said[0]!;
  }

  /** Nothing has come: the answers to BEGIN and ABORT are the next frames. */
  async nothing(): Promise<void> {
    const [begun, aborted] = [this.receipt(), this.receipt()];
    const transaction = `nothing-${begun}`;
    this.send(frame('BEGIN', { transaction, receipt: begun }), frame('ABORT', { transaction, receipt: aborted }));
    await this.receipted(begun);
    await this.receipted(aborted);
  }

  /** The network goes, without a goodbye. Resolves when the socket is gone on this side. */
  async cut(): Promise<void> {
    this.#transport.cut();
    await this.until('the cut', () => !this.isOpen);
  }

  async until(what: string, check: () => boolean): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!check()) {
      if (this.#fault !== null) throw this.#fault;
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`not within ${PATIENCE_MS} ms: ${what}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #gather(bytes: Buffer): void {
    if (this.#unsent.length === 0) queueMicrotask(() => this.#flush());
    this.#unsent.push(bytes);
  }

  #flush(): void {
    const waiting = this.#unsent;
    this.#unsent = [];
    for (let i = 0; i < waiting.length; i += FIVE) this.#transport.write(Buffer.concat(waiting.slice(i, i + FIVE)));
  }

  #take(data: Buffer, isBinary: boolean): void {
    this.messages.push({ data, isBinary, atMs: performance.now() });
    try {
      const { frames, beats, rest } = take(this.#version, Buffer.concat([this.#bytes, data]));
      this.#bytes = rest;
      this.beats += beats;
      this.#received.push(...frames);
    } catch (error) {
      this.#fault = error as Error;
    }
    this.#changed();
  }
}

/** What `Sec-WebSocket-Protocol` calls a version. */
export function nameOf(version: Version): string {
  return `v${version.replace('.', '')}.stomp`;
}

export function shown({ command, headers, body }: Received): string {
  return `${command} ${JSON.stringify(headers)} ${JSON.stringify(body.toString('latin1').slice(0, 200))}`;
}

interface Transport {
  readonly subprotocol: string | null;
  write(bytes: Buffer): void;
  writeText(text: string): void;
  cut(): void;
  onBytes: (bytes: Buffer, isBinary: boolean) => void;
  onEnd: (code: number | null) => void;
}

async function overTcp(port: number): Promise<Transport> {
  const socket = connectTcp({ port, host: '127.0.0.1', noDelay: true });
  const transport: Transport = {
    subprotocol: null,
    write: (bytes) => void socket.write(bytes),
    writeText: () => {
      throw new Error('TCP knows no text messages');
    },
    cut: () => void socket.destroy(),
    onBytes: () => undefined,
    onEnd: () => undefined,
  };
  socket.on('data', (bytes: Buffer) => transport.onBytes(bytes, true));
  socket.on('close', () => transport.onEnd(null));
  // A write after the hub has closed.
  socket.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return transport;
}

async function overWebSocket(url: string, subprotocol: string): Promise<Transport> {
  const socket = new WebSocket(url, [subprotocol], { perMessageDeflate: false });
  const transport: Transport = {
    get subprotocol() {
      return socket.protocol;
    },
    write: (bytes) => socket.send(bytes, () => undefined),
    writeText: (text) => socket.send(text, () => undefined),
    cut: () => socket.terminate(),
    onBytes: () => undefined,
    onEnd: () => undefined,
  };
  socket.on('message', (data: Buffer, isBinary) => transport.onBytes(data, isBinary));
  socket.on('close', (code) => transport.onEnd(code));
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  socket.on('error', () => undefined);
  return transport;
}
