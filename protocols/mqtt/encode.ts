import type { Level, Properties } from './packet.ts';
import { propertiesBytes, varintBytes, writeProperties, writeVarint } from './write-properties.ts';

/** Packets that the hub sends, section 3 of MQTT 3.1, 3.1.1 and 5.0. Each is one whole packet. Properties and reason codes are written at level 5 alone. */

export const PINGRESP = Buffer.from([0xd0, 0x00]);

/** `code`: a return code in MQTT 3, a reason code in MQTT 5.0. */
export function encodeConnack(level: Level, sessionPresent: boolean, code: number, properties?: Properties): Buffer {
  if (level !== 5) return Buffer.from([0x20, 0x02, sessionPresent ? 1 : 0, code]);
  const bytes = properties === undefined ? 0 : propertiesBytes(properties);
  const packet = allocate(2 + varintBytes(bytes) + bytes);
  const at = writeFixedHeader(packet, 0x20, 2 + varintBytes(bytes) + bytes);
  packet[at] = sessionPresent ? 1 : 0;
  packet[at + 1] = code;
  writePropertyPart(packet, at + 2, properties, bytes);
  return packet;
}

/** Hot path. PUBACK (4), PUBREC (5), PUBREL (6) or PUBCOMP (7), sections 3.4 to 3.7. */
export function encodeAck(
  level: Level,
  type: 4 | 5 | 6 | 7,
  packetId: number,
  reasonCode: number,
  properties?: Properties,
): Buffer {
  const first = type === 6 ? 0x62 : type << 4;
  if (level !== 5 || (reasonCode === 0 && properties === undefined)) {
    const packet = Buffer.allocUnsafe(4);
    packet[0] = first;
    packet[1] = 0x02;
    packet[2] = packetId >> 8;
    packet[3] = packetId & 0xff;
    return packet;
  }
  if (properties === undefined) return Buffer.from([first, 0x03, packetId >> 8, packetId & 0xff, reasonCode]);
  const bytes = propertiesBytes(properties);
  const packet = allocate(3 + varintBytes(bytes) + bytes);
  const at = packet.writeUInt16BE(packetId, writeFixedHeader(packet, first, 3 + varintBytes(bytes) + bytes));
  packet[at] = reasonCode;
  writePropertyPart(packet, at + 1, properties, bytes);
  return packet;
}

/** `codes`: the granted QoS, or why not, of each filter in their order [MQTT-3.8.4-6]. */
export function encodeSuback(
  level: Level,
  packetId: number,
  codes: readonly number[],
  properties?: Properties,
): Buffer {
  return encodeCodes(level, 0x90, packetId, codes, properties);
}

/** `codes`: what became of each filter in their order [MQTT-3.11.3-1]; MQTT 3 does not say. */
export function encodeUnsuback(
  level: Level,
  packetId: number,
  codes: readonly number[],
  properties?: Properties,
): Buffer {
  return encodeCodes(level, 0xb0, packetId, level === 5 ? codes : [], properties);
}

/** MQTT 5.0, 3.14; MQTT 3 has no DISCONNECT from the server. */
export function encodeDisconnect(reasonCode: number, properties?: Properties): Buffer {
  if (properties === undefined) return Buffer.from([0xe0, 0x01, reasonCode]);
  const bytes = propertiesBytes(properties);
  const packet = allocate(1 + varintBytes(bytes) + bytes);
  const at = writeFixedHeader(packet, 0xe0, 1 + varintBytes(bytes) + bytes);
  packet[at] = reasonCode;
  writePropertyPart(packet, at + 1, properties, bytes);
  return packet;
}

export interface OutgoingPublish {
  readonly level: Level;
  /** Empty: the topic alias stands for it. */
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly dup: boolean;
  /** 1 to 65,535; not written at QoS 0. */
  readonly packetId: number;
  /** Undefined: none. */
  readonly properties: Properties | undefined;
}

/** Hot path. Section 3.3. */
export function encodePublish(fields: OutgoingPublish): Buffer {
  const { topic, payload, qos, properties } = fields;
  const topicBytes = Buffer.byteLength(topic);
  const bytes = properties === undefined || fields.level !== 5 ? 0 : propertiesBytes(properties);
  const remaining = remainingBytes(fields, topicBytes, bytes);
  const packet = allocate(remaining);
  const flags = (fields.dup ? 0x08 : 0) | (qos << 1) | (fields.retain ? 0x01 : 0);
  let at = writeFixedHeader(packet, 0x30 | flags, remaining);
  at = packet.writeUInt16BE(topicBytes, at);
  at += packet.write(topic, at, topicBytes, 'utf8');
  if (qos !== 0) at = packet.writeUInt16BE(fields.packetId, at);
  if (fields.level === 5) at = writePropertyPart(packet, at, properties, bytes);
  payload.copy(packet, at);
  return packet;
}

/** Bytes of the whole packet that `encodePublish` would make. */
export function publishBytes(fields: OutgoingPublish): number {
  const { properties } = fields;
  const bytes = properties === undefined || fields.level !== 5 ? 0 : propertiesBytes(properties);
  return sizeWithHeader(remainingBytes(fields, Buffer.byteLength(fields.topic), bytes));
}

function remainingBytes({ level, payload, qos }: OutgoingPublish, topicBytes: number, bytes: number): number {
  const propertyPart = level === 5 ? varintBytes(bytes) + bytes : 0;
  return 2 + topicBytes + (qos === 0 ? 0 : 2) + propertyPart + payload.length;
}

function encodeCodes(
  level: Level,
  first: number,
  packetId: number,
  codes: readonly number[],
  properties: Properties | undefined,
): Buffer {
  const bytes = properties === undefined || level !== 5 ? 0 : propertiesBytes(properties);
  const remaining = 2 + (level === 5 ? varintBytes(bytes) + bytes : 0) + codes.length;
  const packet = allocate(remaining);
  let at = packet.writeUInt16BE(packetId, writeFixedHeader(packet, first, remaining));
  if (level === 5) at = writePropertyPart(packet, at, properties, bytes);
  for (const code of codes) packet[at++] = code;
  return packet;
}

/** Property length and properties, 2.2.2; `bytes` is what `propertiesBytes` says of them. Returns the offset after them. */
function writePropertyPart(packet: Buffer, at: number, properties: Properties | undefined, bytes: number): number {
  const from = writeVarint(packet, at, bytes);
  return bytes === 0 ? from : writeProperties(packet, from, properties!);
}

/** Room for a packet with this remaining length. */
function allocate(remaining: number): Buffer {
  return Buffer.allocUnsafe(sizeWithHeader(remaining));
}

function sizeWithHeader(remaining: number): number {
  return 1 + varintBytes(remaining) + remaining;
}

function writeFixedHeader(packet: Buffer, first: number, remaining: number): number {
  packet[0] = first;
  return writeVarint(packet, 1, remaining);
}
