import { PayloadError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import type { Reading, Value } from '../reading.ts';
import { checkMetric, checkText, checkTime, excerpt } from './rules.ts';

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

/** The only version that RFC 8428 defines; it is also the default. RFC 9100 makes higher ones sets of features, none served here. */
const VERSION = 10;
/** RFC 8428, 4.5.3: times below it are relative to now. */
export const ABSOLUTE_FROM_S = 2 ** 28;

/**
 * SenML records (RFC 8428) to readings, resolved: base name + name is the metric, base time + time the time, base value + value the value.
 * All or nothing. A time of 0, or none, means "now": `timeUs` is null and the hub gives its own. Other times below 2^28 are relative to `nowMs`.
 * Units, update times, and sums beside a value are accepted and not stored. A record without a value (a sum alone, only base fields) and
 * data values are refused. Unknown labels are ignored, except those that end with `_`, which must be understood (4.4).
 *
 * @throws PayloadError
 */
export function readingsFromSenml(records: Iterable<RecordView>, limits: ProtocolLimits, nowMs: number): Reading[] {
  const readings: Reading[] = [];
  let baseName = '';
  let baseTimeS = 0;
  let baseValue = 0;
  for (const record of records) {
    refuseUnknownDemands(record);
    const version = numberOf(record, SENML.bver, 'bver');
    if (version !== undefined && version !== VERSION) {
      throw new PayloadError('unsupported_format', `SenML version ${version} is not served, only ${VERSION}`);
    }
    baseName = textOf(record, SENML.bn, 'bn') ?? baseName;
    baseTimeS = numberOf(record, SENML.bt, 'bt') ?? baseTimeS;
    baseValue = numberOf(record, SENML.bv, 'bv') ?? baseValue;
    if (readings.length >= limits.maxReadings) {
      throw new PayloadError('too_many_readings', `one message may hold ${limits.maxReadings} readings`);
    }
    const metric = baseName + (textOf(record, SENML.n, 'n') ?? '');
    checkMetric(metric, limits);
    const timeUs = timeOf(baseTimeS, numberOf(record, SENML.t, 't') ?? 0, nowMs);
    readings.push({
      metric,
      timeUs: timeUs === null ? null : checkTime(timeUs, nowMs, limits),
      value: valueOf(record, metric, baseValue, limits),
    });
  }
  if (readings.length === 0) throw new PayloadError('empty');
  return readings;
}

/** RFC 8428, 4.4: a label that ends with `_` must be understood or the pack refused. */
function refuseUnknownDemands(record: RecordView): void {
  for (const label of record.keys()) {
    if (typeof label === 'string' && label.endsWith('_')) {
      throw new PayloadError('unsupported_format', `the SenML field ${excerpt(label)} must be understood, and is not`);
    }
  }
}

/** Exactly one of v, vs, vb (RFC 8428, 4.2). */
function valueOf(record: RecordView, metric: string, baseValue: number, limits: ProtocolLimits): Value {
  if (record.get(SENML.vd) !== undefined) {
    throw new PayloadError('value_not_allowed', `${excerpt(metric)} has a data value (vd); data values are not stored`);
  }
  const number = numberOf(record, SENML.v, 'v');
  const text = textOf(record, SENML.vs, 'vs');
  const flag = record.get(SENML.vb);
  const count = (number === undefined ? 0 : 1) + (text === undefined ? 0 : 1) + (flag === undefined ? 0 : 1);
  if (count > 1) throw new PayloadError('malformed_payload', `${excerpt(metric)} has more than one value`);
  if (number !== undefined) return sum(metric, baseValue, number);
  if (text !== undefined) {
    checkText(metric, text, limits);
    return text;
  }
  if (typeof flag === 'boolean') return flag;
  if (flag !== undefined) throw new PayloadError('malformed_payload', 'the SenML field vb must be true or false');
  if (record.get(SENML.s) !== undefined) {
    throw new PayloadError('value_not_allowed', `${excerpt(metric)} has a sum (s) and no value; sums are not stored`);
  }
  throw new PayloadError('malformed_payload', `${excerpt(metric)} has no value (v, vs or vb)`);
}

/** Base value + value. Two exact integers must not give one that a double cannot hold. */
function sum(metric: string, baseValue: number, value: number): number {
  const result = baseValue + value;
  const inexact = Number.isSafeInteger(baseValue) && Number.isSafeInteger(value) && !Number.isSafeInteger(result);
  if (inexact || !Number.isFinite(result)) {
    throw new PayloadError(
      'value_not_allowed',
      `base value and value of ${excerpt(metric)} add up past what is stored`,
    );
  }
  return result + 0; // -0 becomes 0
}

/**
 * Base time + time in microseconds, null for "now". Whole seconds and fractions are added apart: a double that counts seconds since 1970
 * has steps of up to 0.5 µs, and one more rounding in the sum would be one too many to come back to the microsecond that was meant.
 */
function timeOf(baseS: number, timeS: number, nowMs: number): number | null {
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
