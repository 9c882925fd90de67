import { ProtocolError } from '../errors.ts';
import type { Level } from './packet.ts';

/** Control packet types, section 2.1.2. */
export const CONNECT = 1;
export const CONNACK = 2;
export const PUBLISH = 3;
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;
export const SUBSCRIBE = 8;
export const SUBACK = 9;
export const UNSUBSCRIBE = 10;
export const UNSUBACK = 11;
export const PINGREQ = 12;
export const PINGRESP = 13;
export const DISCONNECT = 14;
export const AUTH = 15;

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
  'AUTH',
] as const;

export function packetName(first: number): string {
  return NAMES[first >> 4]!;
}

/**
 * Type and flags of a packet from a client [MQTT-2.1.3-1; MQTT 3.1.1: MQTT-2.2.2-1, MQTT-2.2.2-2]; PUBLISH's flags mean
 * something and are read with it. MQTT 3.1 lets a client repeat SUBSCRIBE and UNSUBSCRIBE with DUP (3.1, section 2.1).
 * AUTH exists in MQTT 5.0 alone. Throws ProtocolError.
 */
export function checkFixedHeader(first: number, level: Level): void {
  const type = first >> 4;
  if (type === PUBLISH) return;
  const needed = type === PUBREL || type === SUBSCRIBE || type === UNSUBSCRIBE ? 0x02 : 0x00;
  const repeatable = level === 3 && (type === SUBSCRIBE || type === UNSUBSCRIBE);
  const flags = first & (repeatable ? 0x07 : 0x0f);
  if (type === 0 || (type === AUTH && level !== 5)) {
    throw new ProtocolError('malformed', `packet type ${type} is reserved`);
  }
  if (flags !== needed) {
    throw new ProtocolError('malformed', `the flags of ${packetName(first)} are ${flags}, they must be ${needed}`);
  }
  if (type === CONNACK || type === SUBACK || type === UNSUBACK || type === PINGRESP) {
    throw new ProtocolError('protocol_error', `${packetName(first)} is for servers to send`);
  }
}

/** PINGREQ has no body, nor has DISCONNECT in MQTT 3. */
export function checkEmpty(first: number, body: number, end: number): void {
  if (end !== body) throw new ProtocolError('malformed', `${packetName(first)} has a body`);
}
