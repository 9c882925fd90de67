import { PayloadError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import { ABSOLUTE_FROM_S, readingsFromSenml, SENML } from '../payload/senml.ts';
import type { Reading, Value } from '../reading.ts';
import { integer } from './values.ts';

/** A SenML record ready for the encoder: CBOR label to value. */
export type SenmlRecord = ReadonlyMap<number, number | bigint | string | boolean>;

/**
 * The records of a DATA message, as decoded, to readings.
 *
 * @throws PayloadError
 */
export function readingsFromRecords(records: unknown, limits: ProtocolLimits, nowMs: number): Reading[] {
  if (!Array.isArray(records) || !records.every((record) => record instanceof Map)) {
    throw new PayloadError('malformed_payload', 'records must be an array of maps (RFC 8428, section 6)');
  }
  return readingsFromSenml(records, limits, nowMs);
}

/**
 * Readings to SenML records, small and exact to the microsecond: the first time becomes the base time, readings of the same time say nothing
 * further, others their distance. `timeUs` null is written as time 0, "now".
 *
 * @throws RangeError for times before July 1978 (2^28 s), which SenML takes as relative to now (RFC 8428, 4.5.3).
 */
export function senmlRecords(readings: readonly Reading[]): SenmlRecord[] {
  let baseUs: number | null = null; // null: base time 0, as at the start of a pack
  return readings.map(({ metric, timeUs, value, unit }) => {
    const record = new Map<number, number | bigint | string | boolean>();
    if (timeUs !== null && timeUs < ABSOLUTE_FROM_S * 1e6)
      throw new RangeError(`SenML cannot say the time ${timeUs} µs`);
    if (timeUs === null) {
      if (baseUs !== null) record.set(SENML.bt, 0);
      baseUs = null;
    } else if (baseUs === null) {
      record.set(SENML.bt, seconds(timeUs));
      baseUs = timeUs;
    } else if (timeUs !== baseUs) {
      record.set(SENML.t, seconds(timeUs - baseUs));
    }
    record.set(SENML.n, metric);
    if (unit !== undefined) record.set(SENML.u, unit);
    record.set(labelOf(value), typeof value === 'number' ? integer(value) : value);
    return record;
  });
}

function labelOf(value: Value): number {
  if (typeof value === 'number') return SENML.v;
  return typeof value === 'string' ? SENML.vs : SENML.vb;
}

/** An integer when it is a whole number of seconds (5 bytes instead of 9). */
function seconds(us: number): number | bigint {
  return integer(us / 1e6);
}
