import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { Form, Template } from './wire-forms.ts';

/**
 * A closed loop of devices that costs little: messages stand encoded, framed and masked in a ring as long as the window, and what
 * changes is patched in place. A place is used again when its message is acknowledged, so the socket never holds on to one that changes.
 */

export interface LoadTotals {
  /** Messages acknowledged. */
  messages: number;
  /** Bytes of WebSocket frames since the devices were told to begin. */
  bytesOut: number;
  bytesIn: number;
}

export class Load {
  readonly totals: LoadTotals = { messages: 0, bytesOut: 0, bytesIn: 0 };
  readonly #devices: LoadDevice[];

  private constructor(devices: LoadDevice[]) {
    this.#devices = devices;
    for (const device of devices) device.totals = this.totals;
  }

  /** Resolves when all devices may begin. */
  static async open(port: number, form: Form, devices: number, window: number, records: number): Promise<Load> {
    const load = new Load(Array.from({ length: devices }, (_, i) => new LoadDevice(`d${i}`, form, window, records)));
    for (const device of load.#devices) await device.open(port);
    return load;
  }

  start(): void {
    for (const device of this.#devices) device.send();
  }

  /** Sends nothing more, and resolves when all that was sent is acknowledged. Rejects after a minute. */
  async drain(): Promise<void> {
    for (const device of this.#devices) device.stopped = true;
    for (let tries = 0; this.#devices.some((device) => device.underWay > 0); tries++) {
      if (tries > 600) throw new Error('what was sent is not acknowledged after a minute');
      await wait(100);
    }
    for (const device of this.#devices) device.close();
  }
}

class LoadDevice {
  totals: LoadTotals = { messages: 0, bytesOut: 0, bytesIn: 0 };
  stopped = false;
  readonly #name: string;
  readonly #form: Form;
  readonly #mask = randomBytes(4);
  readonly #templates: Template[];
  /** All frames of the window, one after another, each `#frameBytes` long. */
  readonly #ring: Buffer;
  readonly #frameBytes: number;
  readonly #headBytes: number;
  #socket: Socket | null = null;
  #sent = 0;
  #acknowledged = 0;
  #unread: Buffer = Buffer.alloc(0);
  #begin: () => void = () => undefined;

  constructor(name: string, form: Form, window: number, records: number) {
    this.#name = name;
    this.#form = form;
    this.#templates = Array.from({ length: window }, (_, slot) => form.message(slot, records));
    const frames = this.#templates.map(({ bytes }) => this.#framed(bytes));
    this.#ring = Buffer.concat(frames);
    this.#frameBytes = frames[0]!.length;
    this.#headBytes = this.#frameBytes - this.#templates[0]!.bytes.length;
  }

  get underWay(): number {
    return this.#sent - this.#acknowledged;
  }

  open(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#begin = resolve;
      const socket = connect(port, '127.0.0.1');
      this.#socket = socket;
      socket.setNoDelay(true);
      socket.on('error', reject);
      socket.on('close', () => {
        if (!this.stopped) throw new Error(`the hub closed the connection of ${this.#name}`);
      });
      const { path, subprotocol } = this.#form;
      const lines = [
        `GET ${path} HTTP/1.1`,
        `Host: 127.0.0.1:${port}`,
        'Upgrade: websocket',
        'Connection: Upgrade',
        `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
        'Sec-WebSocket-Version: 13',
        `Sec-WebSocket-Protocol: ${subprotocol}`,
      ];
      socket.write(`${lines.join('\r\n')}\r\n\r\n`);
      socket.write(this.#framed(this.#form.opening(this.#name)));
      let handshake = '';
      const upgraded = (data: Buffer): void => {
        handshake += data.toString('latin1');
        const end = handshake.indexOf('\r\n\r\n');
        if (end < 0) return;
        if (!handshake.startsWith('HTTP/1.1 101')) reject(new Error(handshake));
        socket.off('data', upgraded);
        socket.on('data', (bytes: Buffer) => this.#read(bytes));
        this.#read(Buffer.from(handshake.slice(end + 4), 'latin1'));
      };
      socket.on('data', upgraded);
    });
  }

  close(): void {
    this.#socket?.destroy();
  }

  /** As much as the window allows. */
  send(): void {
    if (this.stopped) return;
    const window = this.#templates.length;
    const first = this.#sent;
    const end = this.#acknowledged + window;
    const mask = this.#mask;
    const ring = this.#ring;
    let start = 0;
    const put = (at: number, byte: number): void => {
      ring[start + at] = byte ^ mask[at & 3]!;
    };
    for (let count = first; count < end; count++) {
      const slot = count % window;
      start = slot * this.#frameBytes + this.#headBytes;
      this.#templates[slot]!.patch(count + 1, put);
    }
    this.#sent = end;
    this.totals.bytesOut += (end - first) * this.#frameBytes;
    // At most two pieces: the ring ends in between.
    for (let count = first; count < end;) {
      const slot = count % window;
      const pieces = Math.min(end - count, window - slot);
      this.#socket!.write(ring.subarray(slot * this.#frameBytes, (slot + pieces) * this.#frameBytes));
      count += pieces;
    }
  }

  #read(data: Buffer): void {
    let bytes = this.#unread.length === 0 ? data : Buffer.concat([this.#unread, data]);
    const before = this.#acknowledged;
    for (;;) {
      const head = bytes.length >= 2 && bytes[1]! < 126 ? 2 : 4;
      if (bytes.length < head) break;
      const length = head === 2 ? bytes[1]! : bytes.readUInt16BE(2);
      if (bytes[1] === 127) throw new Error('a frame of the hub is longer than expected');
      if (bytes.length < head + length) break;
      this.#answer(bytes[0]! & 0x0f, bytes.subarray(head, head + length), head + length);
      bytes = bytes.subarray(head + length);
    }
    this.#unread = Buffer.from(bytes);
    if (this.#acknowledged > before) this.send();
  }

  #answer(opcode: number, payload: Buffer, frameBytes: number): void {
    if (opcode === 8) throw new Error(`the hub closed: ${payload.toString('latin1', 2)}`);
    // A ping goes unanswered: a run is shorter than the hub's patience with those who send.
    if (opcode !== 2) return;
    const acknowledged = this.#form.acknowledged(payload, this.#acknowledged);
    if (acknowledged === null) {
      this.#begin();
      return;
    }
    this.totals.bytesIn += frameBytes;
    this.totals.messages += acknowledged - this.#acknowledged;
    this.#acknowledged = acknowledged;
  }

  #framed(payload: Buffer): Buffer {
    const { length } = payload;
    const head =
      length < 126 ? Buffer.from([0x82, 0x80 | length]) : Buffer.from([0x82, 0xfe, length >> 8, length & 0xff]);
    if (length > 0xffff) throw new Error('a message is longer than this generator frames');
    return Buffer.concat([head, this.#mask, payload.map((byte, i) => byte ^ this.#mask[i & 3]!)]);
  }
}
