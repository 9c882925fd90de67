import type { Buffer } from 'node:buffer';
import { Encoder } from 'cbor-x';
import { ProtocolError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import { checkShape, type ShapeRules } from './guard.ts';
import { narrow } from './values.ts';

/**
 * `useRecords: false`: plain CBOR, none of cbor-x's own tags. `mapsAsObjects: false`: see values.ts. One coder serves both ways; it keeps
 * nothing between calls.
 */
const coder = new Encoder({ useRecords: false, mapsAsObjects: false, tagUint8Array: false });

/**
 * One message as an array of JavaScript values: maps as Map, byte strings as Buffer.
 *
 * @throws ProtocolError, PayloadError as `checkShape` does.
 */
export function decodeArray(bytes: Buffer, limits: Pick<ProtocolLimits, 'maxDepth' | 'maxReadings'>): unknown[] {
  return decodeItem(bytes, limits) as unknown[];
}

/**
 * One item in the same form, of the shape that `rules` let through.
 *
 * @throws ProtocolError, PayloadError as `checkShape` does.
 */
export function decodeItem(
  bytes: Buffer,
  limits: Pick<ProtocolLimits, 'maxDepth' | 'maxReadings'>,
  rules?: ShapeRules,
): unknown {
  const shape = checkShape(bytes, limits, rules);
  let items: unknown;
  try {
    items = coder.decode(bytes);
  } catch {
    // The guard lets nothing through that cbor-x refuses (a property test holds them together); if it ever did, the client hears of it.
    throw new ProtocolError('malformed', 'not a message of this protocol');
  }
  return shape.wideIntegers ? narrow(items) : items;
}

/** `items` must have passed `integer` and `fromJson` where they can hold large integers or objects. */
export function encodeArray(items: readonly unknown[]): Buffer {
  return coder.encode(items);
}

/** The first two items of a message: its type, and the seq (an integer) or the command id (a text) that it is about. */
export interface MessageHead {
  readonly items: number;
  readonly type: number;
  readonly about: number | string;
}

/**
 * The head of a message `[type, about, …]` whose rest may be unreadable, from its first bytes alone; null when they are not there.
 * So that a value which cannot be stored costs a NACK and not the connection.
 */
export function readHead(bytes: Buffer): MessageHead | null {
  const items = unsigned(bytes, 0, 4);
  const type = items === null ? null : unsigned(bytes, items.end, 0);
  if (items === null || type === null) return null;
  const seq = unsigned(bytes, type.end, 0);
  if (seq !== null) return { items: items.value, type: type.value, about: seq.value };
  const length = unsigned(bytes, type.end, 3);
  if (length === null || length.end + length.value > bytes.length) return null;
  const about = bytes.toString('latin1', length.end, length.end + length.value);
  return { items: items.value, type: type.value, about };
}

/** The argument of a head of the given major type at `at`. */
function unsigned(bytes: Buffer, at: number, major: number): { value: number; end: number } | null {
  const head = bytes[at];
  if (head === undefined || head >> 5 !== major) return null;
  const info = head & 0x1f;
  if (info < 24) return { value: info, end: at + 1 };
  const length = info <= 27 ? 1 << (info - 24) : 0;
  const end = at + 1 + length;
  if (length === 0 || end > bytes.length) return null;
  const value =
    length === 8
      ? bytes.readUInt32BE(at + 1) * 0x1_0000_0000 + bytes.readUInt32BE(at + 5)
      : bytes.readUIntBE(at + 1, length);
  return Number.isSafeInteger(value) ? { value, end } : null;
}
