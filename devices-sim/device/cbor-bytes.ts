import { WireError } from './wire.ts';

/**
 * The CBOR (RFC 8949) that `v1.cbor.muster` allows, and nothing beyond: definite lengths, no tags. Without Node's Buffer and
 * without a library, so that a device in a browser carries none. The hub reads and writes by code of its own.
 */

/** What can be written: integer keys are labels of SenML. */
export type CborValue =
  null | boolean | number | string | readonly CborValue[] | ReadonlyMap<string | number, CborValue>;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Hot path: one writer for all; a message is copied out of it. */
let bytes = new Uint8Array(4096);
let view = new DataView(bytes.buffer);
let at = 0;

/** One message. Numbers in their shortest exact form. */
export function encodeCbor(value: CborValue): Uint8Array<ArrayBuffer> {
  at = 0;
  write(value);
  return bytes.slice(0, at);
}

function write(value: CborValue): void {
  if (typeof value === 'number') writeNumber(value);
  else if (typeof value === 'string') writeText(value);
  else if (typeof value === 'boolean') writeByte(value ? 0xf5 : 0xf4);
  else if (value === null) writeByte(0xf6);
  else if (isMap(value)) {
    writeHead(5, value.size);
    for (const [key, item] of value) {
      write(key);
      write(item);
    }
  } else {
    writeHead(4, value.length);
    for (const item of value) write(item);
  }
}

function isMap(
  value: readonly CborValue[] | ReadonlyMap<string | number, CborValue>,
): value is ReadonlyMap<string | number, CborValue> {
  return value instanceof Map;
}

function writeNumber(value: number): void {
  if (Number.isSafeInteger(value)) {
    if (value >= 0) writeHead(0, value);
    else writeHead(1, -1 - value);
    return;
  }
  room(9);
  if (Math.fround(value) === value) {
    bytes[at] = 0xfa;
    view.setFloat32(at + 1, value);
    at += 5;
  } else {
    bytes[at] = 0xfb;
    view.setFloat64(at + 1, value);
    at += 9;
  }
}

function writeText(text: string): void {
  const wellFormed = text.toWellFormed();
  // At most three bytes for each UTF-16 unit; the head is written when the length is known.
  const most = wellFormed.length * 3;
  room(9 + most);
  const headBytes = headBytesOf(wellFormed.length);
  const { written } = encoder.encodeInto(wellFormed, bytes.subarray(at + headBytes));
  if (headBytesOf(written) !== headBytes) {
    bytes.copyWithin(at + headBytesOf(written), at + headBytes, at + headBytes + written);
  }
  writeHead(3, written);
  at += written;
}

function headBytesOf(argument: number): number {
  if (argument < 24) return 1;
  if (argument < 0x100) return 2;
  if (argument < 0x1_0000) return 3;
  return argument < 0x1_0000_0000 ? 5 : 9;
}

function writeHead(major: number, argument: number): void {
  room(9);
  const type = major << 5;
  if (argument < 24) {
    bytes[at++] = type | argument;
  } else if (argument < 0x100) {
    bytes[at++] = type | 24;
    bytes[at++] = argument;
  } else if (argument < 0x1_0000) {
    bytes[at] = type | 25;
    view.setUint16(at + 1, argument);
    at += 3;
  } else if (argument < 0x1_0000_0000) {
    bytes[at] = type | 26;
    view.setUint32(at + 1, argument);
    at += 5;
  } else {
    bytes[at] = type | 27;
    view.setUint32(at + 1, Math.floor(argument / 0x1_0000_0000));
    view.setUint32(at + 5, argument >>> 0);
    at += 9;
  }
}

function writeByte(byte: number): void {
  room(1);
  bytes[at++] = byte;
}

function room(more: number): void {
  if (at + more <= bytes.length) return;
  const larger = new Uint8Array(Math.max(bytes.length * 2, at + more));
  larger.set(bytes.subarray(0, at));
  bytes = larger;
  view = new DataView(larger.buffer);
}

/** SPEC.md: a message nests at most 8 levels. A hub of a later version may say more in keys that this one does not know. */
const MAX_DEPTH = 16;

/** Reads one message of the hub: maps as Map, byte strings as Uint8Array. Throws WireError. */
export function decodeCbor(data: Uint8Array): unknown {
  const reader = new Reader(data);
  const value = reader.item(0);
  if (reader.left > 0) throw new WireError(`${reader.left} bytes follow a CBOR message`);
  return value;
}

class Reader {
  readonly #data: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  get left(): number {
    return this.#data.length - this.#at;
  }

  item(depth: number): unknown {
    if (depth > MAX_DEPTH) throw new WireError('a CBOR message is nested too deep');
    const head = this.#data[this.#take(1)]!;
    const major = head >> 5;
    const info = head & 0x1f;
    if (major === 7) return this.#simple(info);
    const argument = this.#argument(info);
    switch (major) {
      case 0:
        return argument;
      case 1:
        return -1 - argument;
      case 2: {
        const from = this.#take(argument);
        return this.#data.slice(from, from + argument);
      }
      case 3:
        return this.#text(argument);
      case 4:
        return this.#array(argument, depth);
      case 5:
        return this.#map(argument, depth);
      default:
        throw new WireError('a CBOR tag, which this protocol does not have');
    }
  }

  #array(count: number, depth: number): unknown[] {
    if (count > this.left) throw cutShort();
    const items: unknown[] = [];
    for (let i = 0; i < count; i++) items.push(this.item(depth + 1));
    return items;
  }

  #map(count: number, depth: number): Map<unknown, unknown> {
    if (count * 2 > this.left) throw cutShort();
    const map = new Map<unknown, unknown>();
    for (let i = 0; i < count; i++) {
      const key = this.item(depth + 1);
      map.set(key, this.item(depth + 1));
    }
    return map;
  }

  #text(length: number): string {
    const from = this.#take(length);
    try {
      return decoder.decode(this.#data.subarray(from, from + length));
    } catch {
      throw new WireError('a CBOR text is not UTF-8');
    }
  }

  #simple(info: number): unknown {
    if (info === 20 || info === 21) return info === 21;
    if (info === 22) return null;
    if (info === 25) return halfFloat(this.#view.getUint16(this.#take(2)));
    if (info === 26) return this.#view.getFloat32(this.#take(4));
    if (info === 27) return this.#view.getFloat64(this.#take(8));
    throw new WireError('a CBOR item that this protocol does not have');
  }

  #argument(info: number): number {
    if (info < 24) return info;
    if (info === 24) return this.#data[this.#take(1)]!;
    if (info === 25) return this.#view.getUint16(this.#take(2));
    if (info === 26) return this.#view.getUint32(this.#take(4));
    if (info !== 27) throw new WireError('a CBOR item of indefinite length, which this protocol does not have');
    const from = this.#take(8);
    const value = this.#view.getUint32(from) * 0x1_0000_0000 + this.#view.getUint32(from + 4);
    if (!Number.isSafeInteger(value)) throw new WireError('a CBOR integer past 2^53');
    return value;
  }

  #take(length: number): number {
    if (length > this.left) throw cutShort();
    const from = this.#at;
    this.#at += length;
    return from;
  }
}

function cutShort(): WireError {
  return new WireError('a CBOR message ends too early');
}

/** RFC 8949, appendix D. */
function halfFloat(bits: number): number {
  const exponent = (bits >> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  return sign * (mantissa + 1024) * 2 ** (exponent - 25);
}
