import { connect as connectTcp, type Socket } from 'node:net';
import { generate, parser, type Packet } from 'mqtt-packet';
import { WebSocket } from 'ws';

export type Level = 4 | 5;

/** How the bytes travel. */
export interface Wire {
  readonly level: Level;
  readonly transport: 'TCP' | 'WebSocket';
  /** How packets become writes (TCP) or messages (WebSocket). */
  readonly writing: 'packet by packet' | 'byte by byte' | 'five in one';
}

export type Received<C extends Packet['cmd'] = Packet['cmd']> = Extract<Packet, { cmd: C }> & {
  readonly raw: Buffer;
  /** Of a PUBLISH. */
  readonly payload: Buffer;
};

type Ack = 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';

const FIVE = 5;
/** For a hub on a busy machine; a test that gets what it waits for never waits so long. */
const PATIENCE_MS = 8000;

/** One connection that sends what it is told, right or wrong, and shows what comes, packet by packet. */
export class RawClient {
  readonly wire: Wire;
  /** What has come and was not yet looked at. */
  readonly #received: Received[] = [];
  readonly #transport: Transport;
  readonly #parser;
  #bytes: Buffer = Buffer.alloc(0);
  #unsent: Buffer[] = [];
  #ended = false;
  #changed: () => void = () => undefined;
  #nextPacketId = 0;
  /** Packet ids of messages whose PUBREC was sent: their PUBREL is answered on sight. */
  readonly #finishing = new Set<number>();

  private constructor(wire: Wire, transport: Transport) {
    this.wire = wire;
    this.#transport = transport;
    this.#parser = parser({ protocolVersion: wire.level });
    this.#parser.on('error', (error: Error) => {
      throw error;
    });
    transport.onBytes = (bytes) => this.#take(bytes);
    transport.onEnd = () => {
      this.#ended = true;
      this.#changed();
    };
  }

  static async open(wire: Wire, urls: { readonly tcpPort: number; readonly wsUrl: string }): Promise<RawClient> {
    const transport = wire.transport === 'TCP' ? await overTcp(urls.tcpPort) : await overWebSocket(urls.wsUrl);
    return new RawClient(wire, transport);
  }

  /** A packet id that this client has not used. */
  packetId(): number {
    return ++this.#nextPacketId;
  }

  send(...packets: readonly (Packet | Buffer)[]): void {
    for (const packet of packets) {
      const bytes = Buffer.isBuffer(packet) ? packet : generate(packet, { protocolVersion: this.wire.level });
      if (this.wire.writing === 'five in one') this.#gather(bytes);
      else if (this.wire.writing === 'packet by packet') this.#transport.write(bytes);
      else for (const byte of bytes) this.#transport.write(Buffer.from([byte]));
    }
  }

  /** An acknowledgement for that packet. */
  answer(cmd: Ack, { messageId = 0 }: { readonly messageId?: number | undefined }, reasonCode = 0): void {
    this.send({ cmd, messageId, ...(reasonCode === 0 ? {} : { reasonCode }) });
  }

  /** The next packet, which must be of this kind. */
  async next<C extends Packet['cmd']>(cmd: C): Promise<Received<C>> {
    const packet = await this.any(cmd);
    if (packet.cmd !== cmd) throw new Error(`${shown(packet)} where a ${cmd} was expected`);
    return packet as Received<C>;
  }

  /** The next packet, whatever it is; `expected` is said when none comes. */
  async any(expected = 'packet'): Promise<Received> {
    await this.#until(`a ${expected}`, () => this.#received.length > 0 || this.#ended);
    const packet = this.#received.shift();
    if (packet === undefined) throw new Error(`closed where a ${expected} was expected`);
    return packet;
  }

  /** The messages that come before the answer to a PINGREQ. Nothing else may come. */
  async untilPong(): Promise<Received<'publish'>[]> {
    this.send({ cmd: 'pingreq' });
    const messages: Received<'publish'>[] = [];
    for (;;) {
      const packet = await this.any('pingresp');
      if (packet.cmd === 'pingresp') return messages;
      if (packet.cmd !== 'publish') throw new Error(`${shown(packet)} where a message or pingresp was expected`);
      messages.push(packet);
    }
  }

  /** The connection is closed by the other side; what it said before, if anything. */
  async closed(): Promise<Received[]> {
    await this.#until('the close', () => this.#ended);
    return this.#received.splice(0);
  }

  /** Acknowledges a message to the end, while other packets come and go. */
  finish({ qos, messageId }: Received<'publish'>): void {
    if (qos === 1) this.answer('puback', { messageId });
    if (qos !== 2) return;
    this.#finishing.add(messageId!);
    this.answer('pubrec', { messageId });
  }

  /** All that was acknowledged by `finish` is finished. */
  async finished(): Promise<void> {
    await this.#until('the PUBREL of each message', () => this.#finishing.size === 0 || this.#ended);
  }

  /** Nothing has come: the answer to PINGREQ is the next packet. */
  async nothing(): Promise<void> {
    await this.finished();
    this.send({ cmd: 'pingreq' });
    await this.next('pingresp');
  }

  /** The network goes, without a goodbye. Resolves when the socket is gone on this side. */
  async cut(): Promise<void> {
    this.#transport.cut();
    await this.#until('the cut', () => this.#ended);
  }

  /** What a text message of WebSocket would carry. */
  sendText(text: string): void {
    this.#transport.writeText(text);
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

  #take(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    for (let end = packetEnd(this.#bytes); end > 0; end = packetEnd(this.#bytes)) {
      const raw = this.#bytes.subarray(0, end);
      this.#bytes = this.#bytes.subarray(end);
      this.#parser.once('packet', (packet: Packet) => this.#came({ ...packet, raw } as Received));
      this.#parser.parse(raw);
    }
    this.#changed();
  }

  #came(packet: Received): void {
    if (packet.cmd === 'pubrel' && this.#finishing.delete(packet.messageId!)) this.answer('pubcomp', packet);
    else this.#received.push(packet);
  }

  async #until(what: string, check: () => boolean): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!check()) {
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
}

/** Where the first packet ends, or 0: it is not whole. */
function packetEnd(bytes: Buffer): number {
  let length = 0;
  for (let i = 1; i < Math.min(bytes.length, 5); i++) {
    length += (bytes[i]! & 0x7f) << (7 * (i - 1));
    if (bytes[i]! < 0x80) return bytes.length > i + length ? i + 1 + length : 0;
  }
  return 0;
}

function shown(packet: Received): string {
  const { raw, ...fields } = packet;
  return `${JSON.stringify(fields)} (${raw.subarray(0, 64).toString('hex')})`;
}

interface Transport {
  write(bytes: Buffer): void;
  writeText(text: string): void;
  cut(): void;
  onBytes: (bytes: Buffer) => void;
  onEnd: () => void;
}

async function overTcp(port: number): Promise<Transport> {
  const socket: Socket = connectTcp({ port, host: '127.0.0.1', noDelay: true });
  const transport: Transport = {
    write: (bytes) => void socket.write(bytes),
    writeText: () => {
      throw new Error('TCP knows no text messages');
    },
    cut: () => void socket.destroy(),
    onBytes: () => undefined,
    onEnd: () => undefined,
  };
  socket.on('data', (bytes: Buffer) => transport.onBytes(bytes));
  socket.on('close', () => transport.onEnd());
  // A write after the hub has closed.
  socket.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return transport;
}

async function overWebSocket(url: string): Promise<Transport> {
  const socket = new WebSocket(url, ['mqtt'], { perMessageDeflate: false });
  const transport: Transport = {
    write: (bytes) => socket.send(bytes, () => undefined),
    writeText: (text) => socket.send(text),
    cut: () => socket.terminate(),
    onBytes: () => undefined,
    onEnd: () => undefined,
  };
  socket.on('message', (data: Buffer, isBinary) => {
    if (!isBinary) throw new Error('the hub sent text');
    transport.onBytes(data);
  });
  socket.on('close', () => transport.onEnd());
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  socket.on('error', () => undefined);
  return transport;
}
