import { Buffer } from 'node:buffer';
import { PayloadError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import type { Reading, Value } from '../reading.ts';
import { checkMetric, checkText, checkTime, checkUnit, excerpt } from './rules.ts';

/** Labels of RFC 8428 by their integers of the CBOR form (section 6); they name the fields for every form. */
export const SENML = {
  bver: -1,
  bn: -2,
  bt: -3,
  bu: -4,
  bv: -5,
  bs: -6,
  n: 0,
  u: 1,
  v: 2,
  vs: 3,
  vb: 4,
  s: 5,
  t: 6,
  ut: 7,
  vd: 8,
} as const;

/** One record as a decoder hands it over. A Map decoded from CBOR is one as it is; the JSON form needs a view that translates names. */
export interface RecordView {
  /** The value of a label of `SENML`, undefined when the record does not have it. */
  get(label: number): unknown;
  /** All labels of the record; those that are not of RFC 8428 in their own form (text). */
  keys(): Iterable<unknown>;
}

/**
 * The version that RFC 8428 defines, and the default. Higher ones must not be read (4.4; RFC 9100 makes them sets of features). Lower ones are
 * taken: they were drafts with the same fields, and the RFC's own examples say 5.
 */
const VERSION = 10;
/** RFC 8428, 4.5.3: times below it are relative to now. */
export const ABSOLUTE_FROM_S = 2 ** 28;

/** What the metric of a sum is called: the record's own name and this. */
export const SUM_SUFFIX = '.sum';

/** Base fields: each holds for its record and those after it, up to the next one of its kind (RFC 8428, 4.1). */
interface Base {
  name: string;
  timeS: number;
  unit: string | undefined;
  value: number;
  /** Undefined: no record has given one, and records without a sum have none. */
  sum: number | undefined;
}

/**
 * SenML records (RFC 8428) to readings, resolved (4.6): base name + name is the metric, base time + time the time, base value + value the value,
 * base sum + sum the value of a metric of its own, `{name}.sum`. All or nothing. A time of 0, or none, means "now": `timeUs` is null and the hub
 * gives its own. Other times below 2^28 are relative to `nowMs`. Data values become their text in base64url. Update times are checked and not
 * stored. Unknown labels are ignored, except those that end with `_`, which must be understood (4.4).
 *
 * @throws PayloadError
 */
export function readingsFromSenml(records: Iterable<RecordView>, limits: ProtocolLimits, nowMs: number): Reading[] {
  const readings: Reading[] = [];
  const base: Base = { name: '', timeS: 0, unit: undefined, value: 0, sum: undefined };
  for (const record of records) {
    refuseUnknownDemands(record);
    checkVersion(numberOf(record, SENML.bver, 'bver'));
    takeBase(base, record);
    const metric = base.name + (textOf(record, SENML.n, 'n') ?? '');
    checkMetric(metric, limits);
    const us = timeOf(base.timeS, numberOf(record, SENML.t, 't') ?? 0, nowMs);
    const timeUs = us === null ? null : checkTime(us, nowMs, limits);
    // An empty unit is none, also where the base has one.
    const unit = textOf(record, SENML.u, 'u') ?? base.unit ?? '';
    if (unit !== '') checkUnit(unit, limits);
    numberOf(record, SENML.ut, 'ut');

    const value = valueOf(record, metric, base.value, limits);
    const sum = sumOf(record, metric, base.sum, typeof value === 'number');
    if (value === undefined && sum === undefined) {
      throw new PayloadError('malformed_payload', `${excerpt(metric)} has no value (v, vs, vb or vd) and no sum (s)`);
    }
    if (value !== undefined) take(readings, metric, timeUs, value, unit, limits);
    if (sum === undefined) continue;
    checkMetric(metric + SUM_SUFFIX, limits);
    // The sum is an integral over time: its unit is the unit times a second (4.2), here as UCUM writes a product.
    take(readings, metric + SUM_SUFFIX, timeUs, sum, unit === '' ? '' : `${unit}.s`, limits);
  }
  if (readings.length === 0) throw new PayloadError('empty');
  return readings;
}

function take(
  readings: Reading[],
  metric: string,
  timeUs: number | null,
  value: Value,
  unit: string,
  limits: ProtocolLimits,
): void {
  if (readings.length >= limits.maxReadings) {
    throw new PayloadError('too_many_readings', `one message may hold ${limits.maxReadings} readings`);
  }
  readings.push(unit === '' ? { metric, timeUs, value } : { metric, timeUs, value, unit });
}

function checkVersion(version: number | undefined): void {
  if (version === undefined || version === VERSION) return;
  if (!Number.isInteger(version) || version < 1) {
    throw new PayloadError('malformed_payload', 'the SenML version (bver) must be a positive integer');
  }
  if (version > VERSION) {
    throw new PayloadError('unsupported_format', `SenML version ${version} is not served, only up to ${VERSION}`);
  }
}

function takeBase(base: Base, record: RecordView): void {
  base.name = textOf(record, SENML.bn, 'bn') ?? base.name;
  base.timeS = numberOf(record, SENML.bt, 'bt') ?? base.timeS;
  base.unit = textOf(record, SENML.bu, 'bu') ?? base.unit;
  base.value = numberOf(record, SENML.bv, 'bv') ?? base.value;
  base.sum = numberOf(record, SENML.bs, 'bs') ?? base.sum;
}

/** RFC 8428, 4.4: a label that ends with `_` must be understood or the pack refused. */
function refuseUnknownDemands(record: RecordView): void {
  for (const label of record.keys()) {
    if (typeof label === 'string' && label.endsWith('_')) {
      throw new PayloadError('unsupported_format', `the SenML field ${excerpt(label)} must be understood, and is not`);
    }
  }
}

/** At most one of v, vs, vb, vd (RFC 8428, 4.2); undefined: none of them. */
function valueOf(record: RecordView, metric: string, baseValue: number, limits: ProtocolLimits): Value | undefined {
  const number = numberOf(record, SENML.v, 'v');
  const text = textOf(record, SENML.vs, 'vs');
  const flag = record.get(SENML.vb);
  const data = record.get(SENML.vd);
  const count =
    (number === undefined ? 0 : 1) +
    (text === undefined ? 0 : 1) +
    (flag === undefined ? 0 : 1) +
    (data === undefined ? 0 : 1);
  if (count > 1) throw new PayloadError('malformed_payload', `${excerpt(metric)} has more than one value`);
  if (number !== undefined) return added(metric, 'value', baseValue, number);
  if (text !== undefined) {
    checkText(metric, text, limits);
    return text;
  }
  if (data !== undefined) return dataText(metric, data, limits);
  if (flag === undefined || typeof flag === 'boolean') return flag;
  throw new PayloadError('malformed_payload', 'the SenML field vb must be true or false');
}

/** A data value is kept as its text in base64url without padding, which is what its JSON form has on the wire (RFC 8428, 5). */
function dataText(metric: string, data: unknown, limits: ProtocolLimits): string {
  if (!(data instanceof Uint8Array)) {
    throw new PayloadError(
      'malformed_payload',
      'the SenML field vd must be a byte string in CBOR, and base64url without padding in JSON',
    );
  }
  if (Math.ceil((data.length * 4) / 3) > limits.maxStringValueBytes) {
    const words = `the data of ${excerpt(metric)} is longer than ${limits.maxStringValueBytes} bytes as base64url`;
    throw new PayloadError('value_not_allowed', words);
  }
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString('base64url');
}

/**
 * Base sum + sum. A base sum alone gives a sum to records with a number (RFC 8428, 4.5.4: the missing one counts as zero); to texts, booleans and
 * data it would say nothing, since they have no integral.
 */
function sumOf(record: RecordView, metric: string, baseSum: number | undefined, ofNumber: boolean): number | undefined {
  const sum = numberOf(record, SENML.s, 's');
  if (sum !== undefined) return added(metric, 'sum', baseSum ?? 0, sum);
  return ofNumber && baseSum !== undefined ? baseSum + 0 : undefined;
}

/** Base and own part added. Two exact integers must not give one that a double cannot hold. */
function added(metric: string, what: 'value' | 'sum', base: number, own: number): number {
  const result = base + own;
  const inexact = Number.isSafeInteger(base) && Number.isSafeInteger(own) && !Number.isSafeInteger(result);
  if (inexact || !Number.isFinite(result)) {
    const words = `base ${what} and ${what} of ${excerpt(metric)} add up past what is stored`;
    throw new PayloadError('value_not_allowed', words);
  }
  return result + 0; // -0 becomes 0
}

/**
 * Base time + time in microseconds, null for "now". Whole seconds and fractions are added apart: a double that counts seconds since 1970
 * has steps of up to 0.5 µs, and one more rounding in the sum would be one too many to come back to the microsecond that was meant.
 */
export function timeOf(baseS: number, timeS: number, nowMs: number): number | null {
  const wholeS = Math.floor(baseS) + Math.floor(timeS);
  const fractionS = baseS - Math.floor(baseS) + (timeS - Math.floor(timeS));
  const us = wholeS * 1e6 + Math.round(fractionS * 1e6);
  if (us === 0) return null;
  // By the microseconds: the sum of the doubles may fall just below the mark.
  return us >= ABSOLUTE_FROM_S * 1e6 ? us : Math.round(nowMs * 1000) + us;
}

function numberOf(record: RecordView, label: number, name: string): number | undefined {
  const value = record.get(label);
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new PayloadError('malformed_payload', `the SenML field ${name} must be a finite number`);
}

function textOf(record: RecordView, label: number, name: string): string | undefined {
  const value = record.get(label);
  if (value === undefined || typeof value === 'string') return value;
  throw new PayloadError('malformed_payload', `the SenML field ${name} must be a text`);
}
