/** Packets that the hub sends, MQTT 3.1 and 3.1.1, section 3. Each is one whole packet. */

/** CONNACK return codes, table 3.1. */
export const ACCEPTED = 0;
export const UNACCEPTABLE_VERSION = 1;
export const IDENTIFIER_REJECTED = 2;
export const SERVER_UNAVAILABLE = 3;
export const BAD_CREDENTIALS = 4;
export const NOT_AUTHORIZED = 5;

/** SUBACK return code `Failure`, section 3.9.3. */
export const SUBSCRIPTION_FAILED = 0x80;

/** MQTT 5.0 CONNACK, 3.2.2.2: no session, reason 0x84 (Unsupported Protocol Version), no properties. */
export const CONNACK_5_UNSUPPORTED_VERSION = Buffer.from([0x20, 0x03, 0x00, 0x84, 0x00]);

export const PINGRESP = Buffer.from([0xd0, 0x00]);

export function encodeConnack(sessionPresent: boolean, code: number): Buffer {
  return Buffer.from([0x20, 0x02, sessionPresent ? 1 : 0, code]);
}

export function encodePuback(packetId: number): Buffer {
  const packet = Buffer.allocUnsafe(4);
  packet[0] = 0x40;
  packet[1] = 0x02;
  packet[2] = packetId >> 8;
  packet[3] = packetId & 0xff;
  return packet;
}

export function encodeUnsuback(packetId: number): Buffer {
  return Buffer.from([0xb0, 0x02, packetId >> 8, packetId & 0xff]);
}

/** `codes`: the granted QoS or `SUBSCRIPTION_FAILED` of each filter, in their order [MQTT-3.8.4-5]. */
export function encodeSuback(packetId: number, codes: readonly number[]): Buffer {
  const packet = Buffer.allocUnsafe(fixedHeaderBytes(2 + codes.length) + 2 + codes.length);
  let at = writeFixedHeader(packet, 0x90, 2 + codes.length);
  at = packet.writeUInt16BE(packetId, at);
  for (const code of codes) packet[at++] = code;
  return packet;
}

export interface OutgoingPublish {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1;
  readonly retain: boolean;
  readonly dup: boolean;
  /** 1 to 65,535; not written at QoS 0. */
  readonly packetId: number;
}

export function encodePublish({ topic, payload, qos, retain, dup, packetId }: OutgoingPublish): Buffer {
  const topicBytes = Buffer.byteLength(topic);
  const remaining = 2 + topicBytes + (qos === 0 ? 0 : 2) + payload.length;
  const packet = Buffer.allocUnsafe(fixedHeaderBytes(remaining) + remaining);
  let at = writeFixedHeader(packet, 0x30 | (dup ? 0x08 : 0) | (qos << 1) | (retain ? 0x01 : 0), remaining);
  at = packet.writeUInt16BE(topicBytes, at);
  at += packet.write(topic, at, topicBytes, 'utf8');
  if (qos !== 0) at = packet.writeUInt16BE(packetId, at);
  payload.copy(packet, at);
  return packet;
}

function fixedHeaderBytes(remaining: number): number {
  return remaining < 0x80 ? 2 : remaining < 0x4000 ? 3 : remaining < 0x20_0000 ? 4 : 5;
}

/** Section 2.2.3: seven bits a byte, lowest first. Returns the offset after it. */
function writeFixedHeader(packet: Buffer, first: number, remaining: number): number {
  let at = 0;
  packet[at++] = first;
  let rest = remaining;
  while (rest > 0x7f) {
    packet[at++] = (rest & 0x7f) | 0x80;
    rest >>= 7;
  }
  packet[at++] = rest;
  return at;
}
