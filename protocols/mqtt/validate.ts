import { isUtf8 } from 'node:buffer';
import { ProtocolError } from '../errors.ts';

/**
 * What mqtt-packet lets through and MQTT does not allow: read on the raw bytes, before it parses them. Each function takes
 * one whole packet (`body` is the offset after the fixed header, `end` the offset after its last byte) and throws
 * ProtocolError `malformed` or `protocol_error`. What passes, mqtt-packet reads without an error (a property test says so).
 */

export const CONNECT = 1;
export const PUBLISH = 3;
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;
export const SUBSCRIBE = 8;
export const UNSUBSCRIBE = 10;
export const PINGREQ = 12;
export const DISCONNECT = 14;

/** The DUP bit of the fixed header. */
export const DUP = 0x08;

const NAMES = [
  'reserved 0',
  'CONNECT',
  'CONNACK',
  'PUBLISH',
  'PUBACK',
  'PUBREC',
  'PUBREL',
  'PUBCOMP',
  'SUBSCRIBE',
  'SUBACK',
  'UNSUBSCRIBE',
  'UNSUBACK',
  'PINGREQ',
  'PINGRESP',
  'DISCONNECT',
  'reserved 15',
] as const;

export function packetName(first: number): string {
  return NAMES[first >> 4]!;
}

/**
 * Type and flags, MQTT 3.1.1 tables 2.1 and 2.2 [MQTT-2.2.2-1, MQTT-2.2.2-2]; PUBLISH's flags mean something and are read with it.
 * MQTT 3.1 lets a client repeat SUBSCRIBE and UNSUBSCRIBE with DUP (3.1, section 2.1).
 */
export function checkFixedHeader(first: number, level: 3 | 4): void {
  const type = first >> 4;
  if (type === PUBLISH) return;
  const needed = type === PUBREL || type === SUBSCRIBE || type === UNSUBSCRIBE ? 0x02 : 0x00;
  const repeatable = level === 3 && (type === SUBSCRIBE || type === UNSUBSCRIBE);
  const flags = first & (repeatable ? 0x07 : 0x0f);
  if (type === 0 || type === 15) throw new ProtocolError('malformed', `packet type ${type} is reserved`);
  if (flags !== needed) {
    throw new ProtocolError('malformed', `the flags of ${packetName(first)} are ${flags}, they must be ${needed}`);
  }
  if (type === 2 || type === 9 || type === 11 || type === 13) {
    throw new ProtocolError('protocol_error', `${packetName(first)} is for servers to send`);
  }
}

/** UTF-8 without surrogates and without U+0000 [MQTT-1.5.3-1, MQTT-1.5.3-2]. `what` names the field for the client. */
export function checkText(data: Buffer, from: number, to: number, what: string): void {
  const bytes = data.subarray(from, to);
  if (!isUtf8(bytes)) throw new ProtocolError('malformed', `the ${what} is not UTF-8`);
  if (bytes.includes(0)) throw new ProtocolError('malformed', `the ${what} holds U+0000`);
}

/** Walks the fields of one packet. Every read is checked against the packet's end. */
class Fields {
  readonly #data: Buffer;
  readonly #end: number;
  readonly #name: string;
  at: number;

  constructor(data: Buffer, body: number, end: number, name: string) {
    this.#data = data;
    this.at = body;
    this.#end = end;
    this.#name = name;
  }

  get left(): number {
    return this.#end - this.at;
  }

  byte(): number {
    this.#need(1);
    return this.#data[this.at++]!;
  }

  uint16(): number {
    this.#need(2);
    this.at += 2;
    return this.#data.readUInt16BE(this.at - 2);
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
    checkText(this.#data, from, this.at, what);
    return this.#data.toString('utf8', from, this.at);
  }

  /** [MQTT-2.3.1-1] */
  packetId(): number {
    const packetId = this.uint16();
    if (packetId === 0) throw new ProtocolError('malformed', `${this.#name} with packet id 0`);
    return packetId;
  }

  done(): void {
    if (this.left > 0) {
      throw new ProtocolError('malformed', `${this.#name} has ${this.left} bytes after its last field`);
    }
  }

  #need(bytes: number): void {
    if (this.left < bytes) throw new ProtocolError('malformed', `${this.#name} ends inside a field`);
  }
}

/** What has to be known of a CONNECT before it can be parsed. */
export interface ConnectShape {
  readonly name: string;
  readonly level: number;
  /** Offset of the connect flags. */
  readonly flagsAt: number;
  /** The flags without those whose field is missing; differs from the byte sent only in MQTT 3.1. */
  readonly flags: number;
}

/** The protocol name and level alone: the rest has the form of that level. */
export function readVersion(
  data: Buffer,
  body: number,
  end: number,
): { readonly name: string; readonly level: number } {
  const fields = new Fields(data, body, end, 'CONNECT');
  return { name: fields.text('protocol name'), level: fields.byte() };
}

/** A CONNECT of MQTT 3.1 or 3.1.1, section 3.1 of both. */
export function checkConnect(data: Buffer, body: number, end: number): ConnectShape {
  const fields = new Fields(data, body, end, 'CONNECT');
  const name = fields.text('protocol name');
  const level = fields.byte();
  const flagsAt = fields.at;
  let flags = fields.byte();
  checkConnectFlags(flags);
  fields.uint16();
  fields.text('client id');
  if ((flags & 0x04) !== 0) {
    fields.text('will topic');
    fields.skip();
  }
  // MQTT 3.1, section 3.1: "the Remaining Length field takes precedence over the User Name flag" and the Password flag.
  if (level === 3 && fields.left === 0) flags &= ~0xc0;
  if ((flags & 0x80) !== 0) fields.text('user name');
  if (level === 3 && fields.left === 0) flags &= ~0x40;
  if ((flags & 0x40) !== 0) fields.skip();
  fields.done();
  return { name, level, flagsAt, flags };
}

function checkConnectFlags(flags: number): void {
  const willQos = (flags >> 3) & 0x03;
  if ((flags & 0x01) !== 0) throw malformedConnect('the reserved connect flag is set [MQTT-3.1.2-3]');
  if ((flags & 0x04) === 0 && willQos !== 0) throw malformedConnect('will QoS without a will [MQTT-3.1.2-13]');
  if ((flags & 0x04) === 0 && (flags & 0x20) !== 0)
    throw malformedConnect('will retain without a will [MQTT-3.1.2-15]');
  if (willQos === 3) throw malformedConnect('will QoS 3 [MQTT-3.1.2-14]');
  // MQTT 3.1 says the same in words: "It is not valid to supply a password without supplying a user name."
  if ((flags & 0xc0) === 0x40) throw malformedConnect('a password without a user name [MQTT-3.1.2-22]');
}

function malformedConnect(what: string): ProtocolError {
  return new ProtocolError('malformed', `CONNECT with ${what}`);
}

/** Section 3.8. The grammar of the filters is checked on the parsed packet. */
export function checkSubscribe(data: Buffer, body: number, end: number): void {
  const fields = new Fields(data, body, end, 'SUBSCRIBE');
  fields.packetId();
  if (fields.left === 0) throw new ProtocolError('malformed', 'SUBSCRIBE without a topic filter [MQTT-3.8.3-3]');
  while (fields.left > 0) {
    const from = fields.skip();
    checkText(data, from, fields.at, 'topic filter');
    // The upper six bits are reserved, 3 is no QoS [MQTT-3-8.3-4].
    if (fields.byte() > 2) throw new ProtocolError('malformed', 'SUBSCRIBE asks for a QoS that does not exist');
  }
}

/** Section 3.10. */
export function checkUnsubscribe(data: Buffer, body: number, end: number): void {
  const fields = new Fields(data, body, end, 'UNSUBSCRIBE');
  fields.packetId();
  if (fields.left === 0) throw new ProtocolError('malformed', 'UNSUBSCRIBE without a topic filter [MQTT-3.10.3-2]');
  while (fields.left > 0) {
    const from = fields.skip();
    checkText(data, from, fields.at, 'topic filter');
  }
}

/** PUBACK and its kin: a packet id and nothing else; returns it. */
export function readAcknowledgement(data: Buffer, start: number, body: number, end: number): number {
  const fields = new Fields(data, body, end, packetName(data[start]!));
  const packetId = fields.packetId();
  fields.done();
  return packetId;
}

/** PINGREQ and DISCONNECT have no body. */
export function checkEmpty(first: number, body: number, end: number): void {
  if (end !== body) throw new ProtocolError('malformed', `${packetName(first)} has a body`);
}
