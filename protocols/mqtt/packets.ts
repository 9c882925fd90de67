import { ProtocolError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import { isTopicName } from '../topics.ts';
import { Fields } from './fields.ts';
import {
  NO_PROPERTIES,
  type AckPacket,
  type AuthPacket,
  type ConnectPacket,
  type DisconnectPacket,
  type Level,
  type Properties,
  type SubscribePacket,
  type UnsubscribePacket,
} from './packet.ts';
import { WILL } from './properties.ts';
import { readProperties } from './read-properties.ts';
import { CLIENT_CODES } from './reason-codes.ts';
import { AUTH, checkEmpty, CONNECT, DISCONNECT, packetName, SUBSCRIBE, UNSUBSCRIBE } from './validate.ts';

/**
 * Packets from a client, but PUBLISH, which has a file of its own. Each function reads one whole packet (`body` is the offset
 * after the fixed header, `end` the offset after its last byte), whose fixed header was checked, and throws ProtocolError.
 * Strings are copies; binary data are slices of `data`.
 */

/** The protocol name and level alone: the rest has the form of that level. */
export function readVersion(
  data: Buffer,
  body: number,
  end: number,
): { readonly name: string; readonly level: number } {
  const fields = new Fields(data, body, end, 'CONNECT');
  return { name: fields.text('protocol name'), level: fields.byte() };
}

/** A CONNECT whose name and level are served, section 3.1. Of `limits` the number of user properties. */
export function readConnect(data: Buffer, body: number, end: number, limits: ProtocolLimits): ConnectPacket {
  const fields = new Fields(data, body, end, 'CONNECT');
  const level = readLevel(fields);
  // Only a length in more bytes than it needs ends with 0: no CONNECT is empty.
  if (level === 5 && data[body - 1] === 0) throw fields.malformed('a remaining length that is too long [MQTT-1.5.5-1]');
  let flags = fields.byte();
  checkConnectFlags(fields, flags, level);
  const keepAliveS = fields.uint16();
  const properties = level === 5 ? readProperties(fields, CONNECT, limits.maxHeaders) : NO_PROPERTIES;
  const clientId = fields.text('client id');
  const will = (flags & 0x04) === 0 ? null : readWill(fields, flags, level, limits);
  // MQTT 3.1, section 3.1: "the Remaining Length field takes precedence over the User Name flag" and the Password flag.
  if (level === 3 && fields.left === 0) flags &= ~0xc0;
  const username = (flags & 0x80) === 0 ? null : fields.text('user name');
  if (level === 3 && fields.left === 0) flags &= ~0x40;
  const password = (flags & 0x40) === 0 ? null : fields.binary();
  fields.done();
  return { level, cleanStart: (flags & 0x02) !== 0, keepAliveS, clientId, username, password, will, properties };
}

/** [MQTT-3.1.2-1, MQTT-3.1.2-2] */
function readLevel(fields: Fields): Level {
  const name = fields.text('protocol name');
  const level = fields.byte();
  if (name === 'MQTT' && (level === 4 || level === 5)) return level;
  if (name === 'MQIsdp' && level === 3) return level;
  throw new ProtocolError('unsupported_version', `protocol level ${level} is not served under its name`);
}

/** Section 3.1.2.3 and following; the numbers are those of MQTT 3.1.1 where 5.0 has the same rule. */
function checkConnectFlags(fields: Fields, flags: number, level: Level): void {
  const willQos = (flags >> 3) & 0x03;
  if ((flags & 0x01) !== 0) throw fields.malformed('the reserved connect flag set [MQTT-3.1.2-3]');
  if ((flags & 0x04) === 0 && willQos !== 0) throw fields.malformed('will QoS without a will [MQTT-3.1.2-13]');
  if ((flags & 0x04) === 0 && (flags & 0x20) !== 0) {
    throw fields.malformed('will retain without a will [MQTT-3.1.2-15]');
  }
  if (willQos === 3) throw fields.malformed('will QoS 3 [MQTT-3.1.2-14]');
  // MQTT 3.1 says the same in words; MQTT 5.0 allows a password alone.
  if (level !== 5 && (flags & 0xc0) === 0x40) {
    throw fields.malformed('a password without a user name [MQTT-3.1.2-22]');
  }
}

function readWill(fields: Fields, flags: number, level: Level, limits: ProtocolLimits): ConnectPacket['will'] {
  const properties = level === 5 ? readProperties(fields, WILL, limits.maxHeaders) : NO_PROPERTIES;
  const topic = fields.text('will topic');
  if (!isTopicName(topic)) {
    throw fields.malformed('a will topic that is empty or holds a wildcard [MQTT-3.3.2-2, MQTT-4.7.3-1]');
  }
  const payload = fields.binary();
  return { topic, payload, qos: ((flags >> 3) & 0x03) as 0 | 1 | 2, retain: (flags & 0x20) !== 0, properties };
}

/** Section 3.8. The grammar and bounds of the filters are looked at in `filters.ts`, which takes them apart. */
export function readSubscribe(level: Level, data: Buffer, body: number, end: number): SubscribePacket {
  const fields = new Fields(data, body, end, 'SUBSCRIBE');
  const packetId = fields.packetId();
  const properties = level === 5 ? readProperties(fields, SUBSCRIBE) : NO_PROPERTIES;
  checkFilters(fields, level, '[MQTT-3.8.3-2]');
  const subscriptions: SubscribePacket['subscriptions'][number][] = [];
  while (fields.left > 0) {
    const filter = fields.text('topic filter');
    const options = fields.byte();
    checkOptions(fields, options, level);
    subscriptions.push({
      filter,
      qos: (options & 0x03) as 0 | 1 | 2,
      noLocal: (options & 0x04) !== 0,
      retainAsPublished: (options & 0x08) !== 0,
      retainHandling: (options >> 4) as 0 | 1 | 2,
    });
  }
  return { packetId, subscriptions, properties };
}

/** Section 3.8.3.1; in MQTT 3 the byte is the QoS and its other bits are reserved [MQTT-3-8.3-4]. */
function checkOptions(fields: Fields, options: number, level: Level): void {
  if ((options & (level === 5 ? 0xc0 : 0xfc)) !== 0) {
    throw fields.malformed('reserved bits of the subscription options set [MQTT-3.8.3-5]');
  }
  if ((options & 0x03) === 3) {
    throw level === 5 ? fields.wrong('QoS 3 (MQTT 5.0, 3.8.3.1)') : fields.malformed('QoS 3 [MQTT-3-8.3-4]');
  }
  if (options >> 4 === 3) throw fields.wrong('retain handling 3 (MQTT 5.0, 3.8.3.1)');
}

/** Section 3.10; the filters as in `readSubscribe`. */
export function readUnsubscribe(level: Level, data: Buffer, body: number, end: number): UnsubscribePacket {
  const fields = new Fields(data, body, end, 'UNSUBSCRIBE');
  const packetId = fields.packetId();
  const properties = level === 5 ? readProperties(fields, UNSUBSCRIBE) : NO_PROPERTIES;
  checkFilters(fields, level, '[MQTT-3.10.3-2]');
  const filters: string[] = [];
  while (fields.left > 0) filters.push(fields.text('topic filter'));
  return { packetId, filters, properties };
}

/** There must be one at least. */
function checkFilters(fields: Fields, level: Level, clause: string): void {
  if (fields.left > 0) return;
  throw level === 5 ? fields.wrong(`no topic filter ${clause}`) : fields.malformed(`no topic filter ${clause}`);
}

const acknowledgement: { -readonly [K in keyof AckPacket]: AckPacket[K] } = {
  type: 4,
  packetId: 0,
  reasonCode: 0,
  properties: NO_PROPERTIES,
};

/**
 * Hot path. PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7); `data[start]` is the first byte. One object serves all:
 * take out what is needed before the next is read.
 */
export function readAck(level: Level, data: Buffer, start: number, body: number, end: number): AckPacket {
  const first = data[start]!;
  const type = (first >> 4) as AckPacket['type'];
  acknowledgement.type = type;
  if (end - body === 2) {
    acknowledgement.packetId = (data[body]! << 8) | data[body + 1]!;
    acknowledgement.reasonCode = 0;
    acknowledgement.properties = NO_PROPERTIES;
    if (acknowledgement.packetId !== 0) return acknowledgement;
  }
  const fields = new Fields(data, body, end, packetName(first));
  acknowledgement.packetId = fields.packetId();
  if (level !== 5) fields.done();
  const { reasonCode, properties } = readReason(fields, type);
  acknowledgement.reasonCode = reasonCode;
  acknowledgement.properties = properties;
  return acknowledgement;
}

/** Section 3.14; in MQTT 3 it is empty. */
export function readDisconnect(level: Level, data: Buffer, body: number, end: number): DisconnectPacket {
  if (level !== 5) checkEmpty(DISCONNECT << 4, body, end);
  return readReason(new Fields(data, body, end, 'DISCONNECT'), DISCONNECT);
}

/** Section 3.15. */
export function readAuth(data: Buffer, body: number, end: number): AuthPacket {
  const fields = new Fields(data, body, end, 'AUTH');
  const packet = readReason(fields, AUTH);
  if (end > body && packet.properties.authenticationMethod === undefined) {
    throw fields.wrong('no authentication method (MQTT 5.0, 3.15.2.2.2)');
  }
  return packet;
}

/** Reason code and properties: both, or both but the properties, may be left out at the end of a packet (sections 3.4.2.1, 3.14.2.1). */
function readReason(fields: Fields, type: number): { readonly reasonCode: number; readonly properties: Properties } {
  const reasonCode = fields.left === 0 ? 0 : fields.byte();
  if (CLIENT_CODES[type]?.has(reasonCode) !== true) {
    throw fields.wrong(`reason code 0x${reasonCode.toString(16).padStart(2, '0')}, which is not the client's to send`);
  }
  const properties = fields.left === 0 ? NO_PROPERTIES : readProperties(fields, type);
  fields.done();
  return { reasonCode, properties };
}
