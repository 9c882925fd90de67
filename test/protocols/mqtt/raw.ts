import type { CloseReason } from '#protocols/close-reasons.js';
import { ProtocolError } from '#protocols/errors.js';
import { DEFAULT_LIMITS, type ProtocolLimits } from '#protocols/limits.js';
import type { Level } from '#protocols/mqtt/packet.js';
import {
  readAck,
  readAuth,
  readConnect,
  readDisconnect,
  readSubscribe,
  readUnsubscribe,
} from '#protocols/mqtt/packets.js';
import { PublishReader } from '#protocols/mqtt/publish.js';
import { PacketReader } from '#protocols/mqtt/reader.js';
import { checkEmpty, checkFixedHeader, packetName } from '#protocols/mqtt/validate.js';

// Packets written by hand: neither our writer nor mqtt-packet stands between a test and its bytes.

export const u8 = (value: number): Buffer => Buffer.from([value]);
export const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
export const u32 = (value: number): Buffer => Buffer.from([value >>> 24, value >> 16, value >> 8, value]);
export const bin = (bytes: Uint8Array): Buffer => Buffer.concat([u16(bytes.length), bytes]);
export const str = (text: string): Buffer => bin(Buffer.from(text));
export const pair = (name: string, value: string): Buffer => Buffer.concat([u8(0x26), str(name), str(value)]);

/** Variable byte integer. */
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest % 128) + (rest > 127 ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return Buffer.from(bytes);
}

export function properties(...parts: readonly Buffer[]): Buffer {
  const all = Buffer.concat(parts);
  return Buffer.concat([varint(all.length), all]);
}

export function whole(first: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([u8(first), varint(body.length), body]);
}

/** The least packet of MQTT 5.0 with these properties, by the place that they stand in. */
export const WITH_PROPERTIES: Readonly<Record<string, (part: Buffer) => Buffer>> = {
  CONNECT: (part) => whole(0x10, str('MQTT'), Buffer.from([5, 2]), u16(60), part, str('c')),
  WILL: (part) =>
    whole(0x10, str('MQTT'), Buffer.from([5, 6]), u16(60), properties(), str('c'), part, str('w'), bin(u8(1))),
  PUBLISH: (part) => whole(0x32, str('t'), u16(1), part, Buffer.from('p')),
  PUBACK: (part) => whole(0x40, u16(1), u8(0), part),
  PUBREC: (part) => whole(0x50, u16(1), u8(0), part),
  PUBREL: (part) => whole(0x62, u16(1), u8(0), part),
  PUBCOMP: (part) => whole(0x70, u16(1), u8(0), part),
  SUBSCRIBE: (part) => whole(0x82, u16(1), part, str('f'), u8(0)),
  UNSUBSCRIBE: (part) => whole(0xa2, u16(1), part, str('f')),
  DISCONNECT: (part) => whole(0xe0, u8(0), part),
  AUTH: (part) => whole(0xf0, u8(0x18), part),
};

/** What our code reads from one whole packet of a client: its name and its fields, copied. Throws ProtocolError. */
export function read(level: Level, bytes: Buffer, limits: Partial<ProtocolLimits> = {}): Record<string, unknown> {
  const all = { ...DEFAULT_LIMITS, ...limits };
  const reader = new PacketReader(1 << 20);
  reader.strictLength = level === 5;
  let found: Record<string, unknown> | undefined;
  // What lies behind the packet in the same piece is not its own.
  const used = reader.feed(Buffer.concat([bytes, Buffer.alloc(8)]), {
    expect: () => {
      throw new ProtocolError('malformed', 'the packet is not whole');
    },
    packet: (data, start, body, end) => {
      found = { name: packetName(data[start]!), ...readPacket(level, data, start, body, end, all) };
      return false;
    },
  });
  if (found === undefined || used !== bytes.length) throw new ProtocolError('malformed', 'not one whole packet');
  return found;
}

function readPacket(
  level: Level,
  data: Buffer,
  start: number,
  body: number,
  end: number,
  limits: ProtocolLimits,
): object {
  const first = data[start]!;
  checkFixedHeader(first, level);
  switch (first >> 4) {
    case 1:
      return readConnect(data, body, end, limits);
    case 3: {
      const publishes = new PublishReader(limits);
      publishes.level = level;
      const packet = publishes.read(data, first, body, end);
      return { ...packet, payload: Buffer.from(packet.payload) };
    }
    case 8:
      return readSubscribe(level, data, body, end);
    case 10:
      return readUnsubscribe(level, data, body, end);
    case 12:
      checkEmpty(first, body, end);
      return {};
    case 14:
      return readDisconnect(level, data, body, end);
    case 15:
      return readAuth(data, body, end);
    default:
      return { ...readAck(level, data, start, body, end) };
  }
}

/** Why the packet is refused; null: it is not. Anything thrown but ProtocolError fails the test. */
export function refused(level: Level, bytes: Buffer, limits: Partial<ProtocolLimits> = {}): CloseReason | null {
  try {
    read(level, bytes, limits);
    return null;
  } catch (error) {
    if (error instanceof ProtocolError) return error.reason;
    throw error;
  }
}
