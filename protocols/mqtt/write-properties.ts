import type { Properties, UserProperties } from './packet.ts';
import { PROPERTY_BY_NAME, type PropertyRow } from './properties.ts';

/** Bytes of the properties behind their length. Values that are undefined are left out here and by `writeProperties`. */
export function propertiesBytes(properties: Properties): number {
  let bytes = 0;
  for (const name in properties) {
    const value = properties[name as keyof Properties];
    if (value !== undefined) bytes += valueBytes(PROPERTY_BY_NAME.get(name)!, value);
  }
  return bytes;
}

/** Writes the properties, not their length, in the order in which the object has them. Returns the offset after them. */
export function writeProperties(packet: Buffer, from: number, properties: Properties): number {
  let at = from;
  for (const name in properties) {
    const value = properties[name as keyof Properties];
    if (value !== undefined) at = writeValue(packet, at, PROPERTY_BY_NAME.get(name)!, value);
  }
  return at;
}

type Value = NonNullable<Properties[keyof Properties]>;

function valueBytes({ kind }: PropertyRow, value: Value): number {
  switch (kind) {
    case 'bit':
    case 'flag':
      return 2;
    case 'uint16':
    case 'count16':
      return 3;
    case 'uint32':
    case 'count32':
      return 5;
    case 'text':
    case 'topic':
      return 3 + Buffer.byteLength(value as string);
    case 'binary':
      return 3 + (value as Buffer).length;
    case 'varints':
      return sum(value as readonly number[], (number) => 1 + varintBytes(number));
    case 'pairs':
      return sum(value as UserProperties, ([name, text]) => 5 + Buffer.byteLength(name) + Buffer.byteLength(text));
  }
}

function writeValue(packet: Buffer, from: number, { id, kind }: PropertyRow, value: Value): number {
  if (kind === 'varints') {
    let at = from;
    for (const number of value as readonly number[]) at = writeVarint(packet, packet.writeUInt8(id, at), number);
    return at;
  }
  if (kind === 'pairs') {
    let at = from;
    for (const [name, text] of value as UserProperties) {
      at = writeText(packet, writeText(packet, packet.writeUInt8(id, at), name), text);
    }
    return at;
  }
  const at = packet.writeUInt8(id, from);
  switch (kind) {
    case 'bit':
    case 'flag':
      return packet.writeUInt8(Number(value), at);
    case 'uint16':
    case 'count16':
      return packet.writeUInt16BE(value as number, at);
    case 'uint32':
    case 'count32':
      return packet.writeUInt32BE(value as number, at);
    case 'text':
    case 'topic':
      return writeText(packet, at, value as string);
    case 'binary': {
      const bytes = value as Buffer;
      return packet.writeUInt16BE(bytes.length, at) + bytes.copy(packet, at + 2);
    }
  }
}

/** A string with its two length bytes. Returns the offset after it. */
function writeText(packet: Buffer, at: number, text: string): number {
  const bytes = packet.write(text, at + 2, 'utf8');
  packet.writeUInt16BE(bytes, at);
  return at + 2 + bytes;
}

export function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4;
}

/** Section 2.2.3 of MQTT 3.1.1, 1.5.5 of 5.0: seven bits a byte, lowest first. Returns the offset after it. */
export function writeVarint(packet: Buffer, from: number, value: number): number {
  let at = from;
  let rest = value;
  while (rest > 0x7f) {
    packet[at++] = (rest & 0x7f) | 0x80;
    rest >>= 7;
  }
  packet[at++] = rest;
  return at;
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  let total = 0;
  for (const item of items) total += of(item);
  return total;
}
