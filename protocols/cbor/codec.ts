import { Buffer } from 'node:buffer';
import { PayloadError, ProtocolError } from '../errors.ts';
import { DEFAULT_LIMITS, type ProtocolLimits } from '../limits.ts';
import { decodeArray, encodeArray, readHead, type MessageHead } from './cbor.ts';
import { RESULT_STATUSES, TYPE, type Hello, type HubMessage, type ResultStatus, type Welcome } from './messages.ts';
import { COMMAND_ID, EVENT_NAME, STREAM_NAME } from '../names.ts';
import type { SenmlRecord } from './records.ts';
import { fromJson, integer, toJson } from './values.ts';

export { senmlRecords, type SenmlRecord } from './records.ts';
export type { Hello, HubMessage, ResultStatus, Welcome } from './messages.ts';

/** A device's message, as the hub reads it. */
export type DeviceMessage =
  | { readonly type: 'hello'; readonly hello: Hello }
  /** `records` is decoded CBOR (maps as Map), not yet looked at. */
  | { readonly type: 'data'; readonly seq: number; readonly records: unknown }
  | { readonly type: 'received'; readonly commandId: string }
  | { readonly type: 'result'; readonly commandId: string; readonly status: ResultStatus; readonly value: unknown }
  | { readonly type: 'event'; readonly seq: number; readonly name: string; readonly value: unknown }
  /** A DATA or EVENT whose seq is sound and whose content is not: it is refused by NACK, and its seq is used up. */
  | { readonly type: 'unreadable'; readonly seq: number; readonly error: PayloadError }
  /** The same of a RESULT. */
  | { readonly type: 'unreadableResult'; readonly commandId: string; readonly error: PayloadError };

/**
 * Reads a message of a device.
 *
 * @throws ProtocolError, and nothing else.
 */
export function decodeDeviceMessage(bytes: Buffer, limits: ProtocolLimits): DeviceMessage {
  try {
    return deviceMessage(decodeArray(bytes, limits), limits);
  } catch (error) {
    if (!(error instanceof PayloadError)) throw error;
    const head = readHead(bytes);
    const unreadable = head === null ? null : named(head, error);
    if (unreadable !== null) return unreadable;
    throw new ProtocolError('malformed', error.message);
  }
}

/** What can be refused by NACK, because it is known what it is about; else null. */
function named({ type, items, about }: MessageHead, error: PayloadError): DeviceMessage | null {
  if (typeof about === 'string') {
    const isResult = type === TYPE.result && items === 4 && COMMAND_ID.test(about);
    return isResult ? { type: 'unreadableResult', commandId: about, error } : null;
  }
  const isNumbered = (type === TYPE.data && items === 3) || (type === TYPE.event && items === 4);
  return isNumbered && about >= 1 ? { type: 'unreadable', seq: about, error } : null;
}

function deviceMessage(items: unknown[], limits: ProtocolLimits): DeviceMessage {
  switch (items[0]) {
    case TYPE.hello:
      expectItems(items, 2, 'HELLO');
      return { type: 'hello', hello: readHello(items[1], limits) };
    case TYPE.data:
      expectItems(items, 3, 'DATA');
      return { type: 'data', seq: sequence(items[1], 'the seq of DATA'), records: items[2] };
    case TYPE.received:
      expectItems(items, 2, 'RECEIVED');
      return { type: 'received', commandId: commandId(items[1]) };
    case TYPE.result:
      expectItems(items, 4, 'RESULT');
      return { type: 'result', commandId: commandId(items[1]), status: status(items[2]), value: toJson(items[3]) };
    case TYPE.event: {
      expectItems(items, 4, 'EVENT');
      const seq = sequence(items[1], 'the seq of EVENT');
      const name = items[2];
      if (typeof name !== 'string' || !EVENT_NAME.test(name)) {
        throw new PayloadError('malformed_payload', 'an event name must be 1 to 64 of A-Z a-z 0-9 . _ -');
      }
      return { type: 'event', seq, name, value: toJson(items[3]) };
    }
    case TYPE.reported:
      throw new ProtocolError('protocol_error', 'REPORTED (type 5) is not served yet');
    default:
      throw new ProtocolError('protocol_error', 'the first item must be a message type of a device, 0 to 4');
  }
}

function readHello(value: unknown, limits: ProtocolLimits): Hello {
  if (!(value instanceof Map)) throw new ProtocolError('protocol_error', 'HELLO must hold a map');
  const map = value as ReadonlyMap<unknown, unknown>;
  const stream = map.get('stream');
  if (typeof stream !== 'string' || !STREAM_NAME.test(stream)) {
    throw new ProtocolError('protocol_error', 'stream in HELLO must be 1 to 64 of A-Z a-z 0-9 . _ -');
  }
  const token = helloText(map, 'token', limits.maxUnidentifiedBytes);
  const id = helloText(map, 'id', limits.maxClientIdBytes);
  const firmware = helloText(map, 'firmware', limits.maxClientIdBytes);
  return {
    stream,
    next: sequence(map.get('next'), 'next in HELLO'),
    ...(token === undefined ? {} : { token }),
    ...(id === undefined ? {} : { id }),
    ...(firmware === undefined ? {} : { firmware }),
  };
}

function helloText(map: ReadonlyMap<unknown, unknown>, key: string, maxBytes: number): string | undefined {
  const value = map.get(key);
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= maxBytes) return value;
  throw new ProtocolError('protocol_error', `${key} in HELLO must be a text of 1 to ${maxBytes} bytes`);
}

/**
 * Reads a message of the hub: for devices.
 *
 * @param limits of the reader; only nesting and number of items are looked at.
 * @throws ProtocolError, and nothing else. A type that this version does not know is no error.
 */
export function decodeHubMessage(bytes: Uint8Array, limits: ProtocolLimits = DEFAULT_LIMITS): HubMessage {
  try {
    return hubMessage(decodeArray(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), limits));
  } catch (error) {
    if (error instanceof PayloadError) throw new ProtocolError('malformed', error.message);
    throw error;
  }
}

function hubMessage(items: unknown[]): HubMessage {
  switch (items[0]) {
    case TYPE.welcome:
      expectItems(items, 2, 'WELCOME');
      return { type: 'welcome', ...readWelcome(items[1]) };
    case TYPE.ack:
      expectItems(items, 2, 'ACK');
      return { type: 'ack', seq: whole(items[1], 'the seq of ACK') };
    case TYPE.nack: {
      expectItems(items, items.length === 5 ? 5 : 4, 'NACK');
      const seq = whole(items[1], 'the seq of NACK');
      const code = text(items[2], 'NACK');
      const about = items[4];
      const expected = code === 'gap' ? sequence(about, 'expected in NACK') : null;
      const ofCommand = seq === 0 && about !== undefined ? commandId(about) : null;
      return { type: 'nack', seq, code, text: text(items[3], 'NACK'), expected, commandId: ofCommand };
    }
    case TYPE.command: {
      expectItems(items, 5, 'COMMAND');
      const deadlineMs = whole(items[4], 'the deadline of COMMAND');
      return {
        type: 'command',
        id: commandId(items[1]),
        name: text(items[2], 'COMMAND'),
        params: toJson(items[3]),
        deadlineMs,
      };
    }
    case TYPE.done:
      expectItems(items, 2, 'DONE');
      return { type: 'done', commandId: commandId(items[1]) };
    case TYPE.error:
      expectItems(items, 3, 'ERROR');
      return { type: 'error', code: text(items[1], 'ERROR'), text: text(items[2], 'ERROR') };
    default:
      return { type: 'unknown', number: whole(items[0], 'the message type') };
  }
}

function readWelcome(value: unknown): Welcome {
  if (!(value instanceof Map)) throw new ProtocolError('protocol_error', 'WELCOME must hold a map');
  const map = value as ReadonlyMap<unknown, unknown>;
  return {
    timeMs: whole(map.get('time'), 'time in WELCOME'),
    resumeSeq: sequence(map.get('resume'), 'resume in WELCOME'),
    window: sequence(map.get('window'), 'window in WELCOME'),
    maxMessageBytes: sequence(map.get('max'), 'max in WELCOME'),
    device: text(map.get('device'), 'WELCOME'),
    epoch: whole(map.get('epoch'), 'epoch in WELCOME'),
  };
}

// Device to hub.

export function encodeHello(hello: Hello): Buffer {
  const map = new Map<string, unknown>(Object.entries(hello).filter(([, value]) => value !== undefined));
  map.set('next', integer(hello.next));
  return encodeArray([TYPE.hello, map]);
}

/** `records` from `senmlRecords`. */
export function encodeData(seq: number, records: readonly SenmlRecord[]): Buffer {
  return encodeArray([TYPE.data, integer(seq), records]);
}

export function encodeReceived(commandId: string): Buffer {
  return encodeArray([TYPE.received, commandId]);
}

/** `value` is a JSON value, null for none. Throws PayloadError as `fromJson` does. */
export function encodeResult(commandId: string, status: ResultStatus, value: unknown): Buffer {
  return encodeArray([TYPE.result, commandId, status, fromJson(value, LEVELS_IN_A_MESSAGE)]);
}

/** `value` is a JSON value, null for none. Throws PayloadError as `fromJson` does. */
export function encodeEvent(seq: number, name: string, value: unknown): Buffer {
  return encodeArray([TYPE.event, integer(seq), name, fromJson(value, LEVELS_IN_A_MESSAGE)]);
}

// Hub to device.

export function encodeWelcome(welcome: Welcome): Buffer {
  const map = new Map<string, unknown>([
    ['time', integer(welcome.timeMs)],
    ['resume', integer(welcome.resumeSeq)],
    ['window', welcome.window],
    ['max', welcome.maxMessageBytes],
    ['device', welcome.device],
    ['epoch', integer(welcome.epoch)],
  ]);
  return encodeArray([TYPE.welcome, map]);
}

export function encodeAck(seq: number): Buffer {
  return encodeArray([TYPE.ack, integer(seq)]);
}

/** `about`: with the code `gap` the seq that fits, with seq 0 the id of the command that the refused message named, else null. */
export function encodeNack(seq: number, code: string, words: string, about: number | string | null): Buffer {
  const items = [TYPE.nack, integer(seq), code, words.toWellFormed()];
  if (about === null) return encodeArray(items);
  return encodeArray([...items, typeof about === 'string' ? about : integer(about)]);
}

/** The RESULT of this command is decided on disk: the device may forget it. */
export function encodeDone(commandId: string): Buffer {
  return encodeArray([TYPE.done, commandId]);
}

/** `params` is a JSON value. Throws PayloadError as `fromJson` does, when no message can hold it. */
export function encodeCommand(id: string, name: string, params: unknown, deadlineMs: number): Buffer {
  return encodeArray([TYPE.command, id, name, fromJson(params, LEVELS_IN_A_MESSAGE), integer(Math.round(deadlineMs))]);
}

export function encodeError(code: string, words: string): Buffer {
  return encodeArray([TYPE.error, code, words.toWellFormed()]);
}

/** SPEC.md: a message nests at most 8 levels, its own array being the first. */
const LEVELS_IN_A_MESSAGE = 7;

function expectItems(items: unknown[], count: number, name: string): void {
  if (items.length !== count) {
    throw new ProtocolError('protocol_error', `${name} has ${count} items; ${items.length} came`);
  }
}

function sequence(value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1) return value;
  throw new ProtocolError('protocol_error', `${what} must be an integer from 1 on`);
}

function whole(value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new ProtocolError('protocol_error', `${what} must be an integer from 0 on`);
}

function text(value: unknown, name: string): string {
  if (typeof value === 'string') return value;
  throw new ProtocolError('protocol_error', `${name} holds something else where a text must be`);
}

function commandId(value: unknown): string {
  if (typeof value === 'string' && COMMAND_ID.test(value)) return value;
  throw new ProtocolError('protocol_error', 'a command id must be 1 to 64 of A-Z a-z 0-9 -');
}

function status(value: unknown): ResultStatus {
  const found = RESULT_STATUSES.find((known) => known === value);
  if (found !== undefined) return found;
  throw new ProtocolError('protocol_error', `the status of a RESULT must be one of ${RESULT_STATUSES.join(', ')}`);
}
