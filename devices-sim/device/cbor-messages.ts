import { TYPE } from '#protocols/cbor/messages.js';
import { encodeCbor, type CborValue } from './cbor-bytes.ts';
import { isEvent, type DataMessage, type Message } from './message.ts';
import { WireError, type StreamStart, type WireIdentity, type WireResult } from './wire.ts';

/** The messages of `v1.cbor.muster` from the device's side; normative is protocols/cbor/SPEC.md. */

export function encodeHello({ stream, next }: StreamStart, { deviceId, token, firmware }: WireIdentity): Uint8Array {
  const map = new Map<string, CborValue>([
    ['stream', stream],
    ['next', next],
  ]);
  if (token === null) map.set('id', deviceId);
  else map.set('token', token);
  if (firmware !== undefined) map.set('firmware', firmware);
  return encodeCbor([TYPE.hello, map]);
}

/** DATA or EVENT. */
export function encodeMessage(seq: number, message: Message): Uint8Array {
  return encodeCbor(
    isEvent(message)
      ? [TYPE.event, seq, message.event, fromJson(message.value)]
      : [TYPE.data, seq, senmlRecords(message)],
  );
}

export function encodeReceived(commandId: string): Uint8Array {
  return encodeCbor([TYPE.received, commandId]);
}

export function encodeResult({ commandId, status, value }: WireResult): Uint8Array {
  return encodeCbor([TYPE.result, commandId, status, fromJson(value)]);
}

// Labels of SenML in CBOR, RFC 8428, section 6.
const BASE_TIME = -3;
const NAME = 0;
const VALUE = 2;
const STRING_VALUE = 3;
const BOOLEAN_VALUE = 4;
const TIME = 6;

/** SPEC.md, records: the first time becomes the base time, readings of the same time say nothing further, others their distance. */
function senmlRecords({ timeUs: messageUs, readings }: DataMessage): CborValue[] {
  let baseUs: number | null = null;
  return readings.map(({ metric, value, timeUs = messageUs }) => {
    const record = new Map<number, CborValue>();
    if (timeUs === null) {
      if (baseUs !== null) record.set(BASE_TIME, 0);
      baseUs = null;
    } else if (baseUs === null) {
      record.set(BASE_TIME, timeUs / 1e6);
      baseUs = timeUs;
    } else if (timeUs !== baseUs) {
      record.set(TIME, (timeUs - baseUs) / 1e6);
    }
    record.set(NAME, metric);
    record.set(typeof value === 'number' ? VALUE : typeof value === 'string' ? STRING_VALUE : BOOLEAN_VALUE, value);
    return record;
  });
}

/** A JSON value, as JSON.stringify would see it, for the encoder. */
function fromJson(value: unknown): CborValue {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (Array.isArray(value)) return value.map(fromJson);
  if (typeof value !== 'object' || value === null) return null;
  const map = new Map<string, CborValue>();
  for (const [key, item] of Object.entries(value)) if (item !== undefined) map.set(key, fromJson(item));
  return map;
}

/** A decoded value as JSON value. Throws WireError for what JSON does not have. */
export function toJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toJson);
  if (value instanceof Map) {
    const entries: [string, unknown][] = [];
    for (const [key, item] of value as Map<unknown, unknown>) {
      if (typeof key !== 'string') throw new WireError('a key that is no text in the parameters of a command');
      entries.push([key, toJson(item)]);
    }
    return Object.fromEntries(entries);
  }
  if (value instanceof Uint8Array) throw new WireError('a byte string in the parameters of a command');
  return value;
}
