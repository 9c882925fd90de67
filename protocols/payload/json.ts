import { isAscii, isUtf8 } from 'node:buffer';
import type { Buffer } from 'node:buffer';
import { PayloadError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import type { Reading, Value } from '../reading.ts';
import { checkMetric, checkText, checkTime, excerpt } from './rules.ts';
import { parseRfc3339 } from './rfc3339.ts';

export interface PayloadOptions {
  /**
   * What becomes of an integer that a double cannot hold exactly (past ±(2^53 - 1)). `refuse`: the message is refused,
   * so that nothing is stored that was not sent. `round`: the nearest double is stored; for fleets that send 64-bit counters
   * or nanosecond stamps and cannot change.
   */
  readonly largeIntegers: 'refuse' | 'round';
}

/** What a caller gets who names no options: the rule of the design, nothing is stored that was not sent. */
export const STRICT_PAYLOADS: PayloadOptions = { largeIntegers: 'refuse' };

type JsonObject = Record<string, unknown>;

/** One pass over one message. */
interface Walk {
  readonly limits: ProtocolLimits;
  readonly readings: Reading[];
  /** A number past ±(2^53 - 1) was met: only the source text tells an integer from a floating value. */
  large: boolean;
}

/**
 * JSON to readings: one object of metric to value, or an array of such objects, each with its own `ts`. All or nothing.
 *
 * Nested objects flatten with `.`; null is skipped; arrays as values are refused. `ts` (top level only): a number is milliseconds
 * since 1970 and may have a fraction, a string is RFC 3339; without it the readings carry no time. Of a name that stands twice in one
 * object the last value counts, as JSON.parse has it: to notice would cost a parser of our own.
 *
 * HOT PATH: called for every message of MQTT and STOMP devices. The common message (flat, ASCII, small numbers) is one JSON.parse and one
 * loop; everything rare is behind a flag.
 *
 * @param payload may be a slice of the socket's buffer; the readings do not refer to it.
 * @param nowMs the hub's clock, milliseconds since 1970.
 * @throws PayloadError
 */
export function decodeJson(
  payload: Buffer,
  limits: ProtocolLimits,
  nowMs: number,
  options: PayloadOptions = STRICT_PAYLOADS,
): Reading[] {
  const text = textOf(payload);
  const walk = walkDocument(parseJson(text), limits, nowMs);
  if (walk.large && options.largeIntegers === 'refuse') refuseLargeIntegers(text);
  return walk.readings;
}

/**
 * The same for a document of objects, arrays and plain values that another format was decoded to, with the integers past 2^53 already
 * decided on.
 *
 * @throws PayloadError
 */
export function readingsFromDocument(document: unknown, limits: ProtocolLimits, nowMs: number): Reading[] {
  return walkDocument(document, limits, nowMs).readings;
}

function walkDocument(document: unknown, limits: ProtocolLimits, nowMs: number): Walk {
  const walk: Walk = { limits, readings: [], large: false };
  if (Array.isArray(document)) {
    for (const element of document as unknown[]) readObject(element, nowMs, walk);
  } else {
    readObject(document, nowMs, walk);
  }
  if (walk.readings.length === 0) throw new PayloadError('empty');
  return walk;
}

/** The text of a JSON payload. Throws PayloadError when it is not UTF-8. */
export function textOf(payload: Buffer): string {
  if (isAscii(payload)) return payload.toString('latin1');
  if (!isUtf8(payload)) throw new PayloadError('malformed_payload', 'the payload is not UTF-8 (RFC 8259, 8.1)');
  return payload.toString('utf8');
}

/** Throws PayloadError, with no more than a short excerpt of what was sent. */
export function parseJson(text: string): unknown {
  if (text.length === 0) throw new PayloadError('empty', 'the payload is empty');
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const words = error instanceof Error ? error.message.slice(0, 120).replace(/[^\x20-\x7e]/g, '?') : '';
    throw new PayloadError('malformed_payload', `the payload is not JSON: ${words}`);
  }
}

/** One object with its time; what it holds is appended to `walk.readings`. */
function readObject(value: unknown, nowMs: number, walk: Walk): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new PayloadError(
      'malformed_payload',
      'the payload must be an object of metric to value, or an array of them',
    );
  }
  const object = value as JsonObject;
  const timeUs = readTime(object.ts, nowMs, walk.limits);
  const first = walk.readings.length;
  const nested = flatten(object, '', 1, timeUs, walk);
  if (nested) refuseCollisions(walk.readings, first);
}

/**
 * Recurses at most `maxDepth` deep. Keys are own ones only: `__proto__` is a name like any other after JSON.parse.
 *
 * @returns whether an object held an object: only then can two flattened names collide.
 */
function flatten(object: JsonObject, prefix: string, depth: number, timeUs: number | null, walk: Walk): boolean {
  let nested = false;
  for (const key of Object.keys(object)) {
    if (depth === 1 && key === 'ts') continue;
    const value = object[key];
    if (value === null) continue;
    const metric = depth === 1 ? key : prefix + key;
    if (typeof value === 'object') {
      if (Array.isArray(value)) {
        throw new PayloadError('value_not_allowed', `${excerpt(metric)} is an array; arrays as values are not stored`);
      }
      if (depth >= walk.limits.maxDepth) {
        throw new PayloadError('too_deep', `the payload is nested deeper than ${walk.limits.maxDepth} objects`);
      }
      nested = true;
      flatten(value as JsonObject, `${metric}.`, depth + 1, timeUs, walk);
    } else {
      push(metric, value as Value, timeUs, walk);
    }
  }
  return nested;
}

function push(metric: string, value: Value, timeUs: number | null, walk: Walk): void {
  checkMetric(metric, walk.limits);
  if (walk.readings.length >= walk.limits.maxReadings) {
    throw new PayloadError('too_many_readings', `one message may hold ${walk.limits.maxReadings} readings`);
  }
  if (typeof value === 'number') {
    if (value > Number.MAX_SAFE_INTEGER || value < -Number.MAX_SAFE_INTEGER) {
      if (!Number.isFinite(value)) {
        throw new PayloadError('value_not_allowed', `the number of ${excerpt(metric)} is past the range of a double`);
      }
      walk.large = true;
    }
    walk.readings.push({ metric, timeUs, value: value + 0 }); // -0 becomes 0
    return;
  }
  if (typeof value === 'string') checkText(metric, value, walk.limits);
  walk.readings.push({ metric, timeUs, value });
}

function readTime(ts: unknown, nowMs: number, limits: ProtocolLimits): number | null {
  if (ts === undefined || ts === null) return null;
  if (typeof ts === 'number') return checkTime(Math.round(ts * 1000) + 0, nowMs, limits);
  if (typeof ts === 'string') {
    const timeUs = parseRfc3339(ts);
    if (timeUs !== null) return checkTime(timeUs, nowMs, limits);
    throw new PayloadError('time_not_allowed', `ts ${excerpt(ts)} is not an RFC 3339 time with an offset`);
  }
  throw new PayloadError('time_not_allowed', 'ts must be milliseconds since 1970 as a number, or RFC 3339 as a string');
}

/** `{"a.b":1,"a":{"b":2}}`: two values of one metric at one time; which one was meant nobody can say. */
function refuseCollisions(readings: readonly Reading[], first: number): void {
  const seen = new Set<string>();
  for (let i = first; i < readings.length; i++) {
    const { metric } = readings[i]!;
    if (seen.has(metric)) {
      throw new PayloadError('malformed_payload', `two values have the flattened name ${excerpt(metric)}`);
    }
    seen.add(metric);
  }
}

type ReviverWithSource = (key: string, value: unknown, context: { readonly source?: string }) => unknown;
const parseWithSource = JSON.parse as (text: string, reviver: ReviverWithSource) => unknown;

/**
 * The rare second pass: JSON.parse has rounded 9007199254740993 silently, and 1e300 is as large and exact enough. The literal
 * decides: without fraction and exponent it is an integer, and refused. Runs after the depth was checked: the reviver recurses.
 */
export function refuseLargeIntegers(text: string): void {
  parseWithSource(text, (key, value, context) => {
    if (typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context.source ?? '')) {
      const words = `the integer of ${excerpt(key)} is past 2^53; send it as a string, or with a fraction or exponent`;
      throw new PayloadError('value_not_allowed', words);
    }
    return value;
  });
}
