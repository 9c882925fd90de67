import { isUtf8 } from 'node:buffer';
import { ProtocolError } from '../errors.ts';

/** Up to this length a look at each byte is cheaper than to make a slice for `isUtf8`. */
const SHORT_TEXT_BYTES = 64;

/** UTF-8 without surrogates and without U+0000 [MQTT-1.5.4-1, MQTT-1.5.4-2]. `what` names the field for the client. */
export function checkText(data: Buffer, from: number, to: number, what: string): void {
  if (to - from <= SHORT_TEXT_BYTES && isPlainAscii(data, from, to)) return;
  const bytes = data.subarray(from, to);
  if (!isUtf8(bytes)) throw new ProtocolError('malformed', `the ${what} is not UTF-8`);
  if (bytes.includes(0)) throw new ProtocolError('malformed', `the ${what} holds U+0000`);
}

function isPlainAscii(data: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (data[i]! >= 0x80 || data[i] === 0) return false;
  return true;
}

/**
 * Walks the fields of one packet, or of a part of it that has a length of its own. Every read is checked against the end;
 * what does not fit throws ProtocolError `malformed`.
 */
export class Fields {
  readonly data: Buffer;
  readonly end: number;
  /** Whose fields these are, for the client: `CONNECT`. */
  readonly owner: string;
  at: number;

  constructor(data: Buffer, from: number, end: number, owner: string) {
    this.data = data;
    this.at = from;
    this.end = end;
    this.owner = owner;
  }

  get left(): number {
    return this.end - this.at;
  }

  byte(): number {
    this.#need(1);
    return this.data[this.at++]!;
  }

  uint16(): number {
    this.#need(2);
    this.at += 2;
    return this.data.readUInt16BE(this.at - 2);
  }

  uint32(): number {
    this.#need(4);
    this.at += 4;
    return this.data.readUInt32BE(this.at - 4);
  }

  /** Variable byte integer, MQTT 5.0, 1.5.5: seven bits a byte, lowest first, at most four bytes and no more than it needs. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      if (byte === 0 && shift > 0)
        throw this.malformed('a length or number in more bytes than it needs [MQTT-1.5.5-1]');
      return value;
    }
    throw this.malformed('a length or number of more than four bytes');
  }

  /** Steps over a string or binary field with its two length bytes; returns where its content begins. */
  skip(): number {
    const length = this.uint16();
    this.#need(length);
    this.at += length;
    return this.at - length;
  }

  text(what: string): string {
    const from = this.skip();
    checkText(this.data, from, this.at, what);
    return this.data.toString('utf8', from, this.at);
  }

  /** A slice, not a copy. */
  binary(): Buffer {
    return this.data.subarray(this.skip(), this.at);
  }

  /** A part with a length of its own (properties); steps over it. */
  part(bytes: number): Fields {
    this.#need(bytes);
    this.at += bytes;
    return new Fields(this.data, this.at - bytes, this.at, this.owner);
  }

  /** [MQTT-2.2.1-3]; MQTT 3.1.1: [MQTT-2.3.1-1] */
  packetId(): number {
    const packetId = this.uint16();
    if (packetId === 0) throw this.malformed('packet id 0 [MQTT-2.2.1-3]');
    return packetId;
  }

  done(): void {
    if (this.left > 0) {
      throw new ProtocolError('malformed', `${this.owner} has ${this.left} bytes after its last field`);
    }
  }

  malformed(what: string): ProtocolError {
    return new ProtocolError('malformed', `${this.owner} with ${what}`);
  }

  /** Well formed, and not allowed. */
  wrong(what: string): ProtocolError {
    return new ProtocolError('protocol_error', `${this.owner} with ${what}`);
  }

  #need(bytes: number): void {
    if (this.left < bytes) throw new ProtocolError('malformed', `${this.owner} ends inside a field`);
  }
}
