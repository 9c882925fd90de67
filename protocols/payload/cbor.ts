import type { Buffer } from 'node:buffer';
import { decodeItem } from '../cbor/cbor.ts';
import { toJson } from '../cbor/values.ts';
import { PayloadError, ProtocolError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import type { Reading } from '../reading.ts';
import { readingsFromDocument, STRICT_PAYLOADS, type PayloadOptions } from './json.ts';
import { readingsFromSenml, type RecordView } from './senml.ts';

/**
 * `application/cbor`: what JSON has, in CBOR: a map of metric to value, or an array of such maps. What the CBOR protocol leaves out (tags,
 * indefinite lengths, byte strings, NaN) is refused here too.
 *
 * @throws PayloadError
 */
export function decodeCbor(
  payload: Buffer,
  limits: ProtocolLimits,
  nowMs: number,
  options: PayloadOptions = STRICT_PAYLOADS,
): Reading[] {
  return readingsFromDocument(toJson(decode(payload, limits, options, false)), limits, nowMs);
}

/**
 * `application/senml+cbor` (RFC 8428, 6): an array of maps with integers as labels. Numbers may be decimal fractions (tag 4).
 *
 * @throws PayloadError
 */
export function decodeSenmlCbor(
  payload: Buffer,
  limits: ProtocolLimits,
  nowMs: number,
  options: PayloadOptions = STRICT_PAYLOADS,
): Reading[] {
  const pack = decode(payload, limits, options, true);
  if (!isPack(pack)) {
    throw new PayloadError('malformed_payload', 'a SenML pack is an array of maps (RFC 8428, 6)');
  }
  return readingsFromSenml(pack, limits, nowMs);
}

function isPack(pack: unknown): pack is RecordView[] {
  return Array.isArray(pack) && pack.every((record) => record instanceof Map);
}

/** Maps as Map, byte strings as Buffer. */
function decode(payload: Buffer, limits: ProtocolLimits, options: PayloadOptions, decimalFractions: boolean): unknown {
  if (payload.length === 0) throw new PayloadError('empty', 'the payload is empty');
  // The array of a batch stands around the objects that the limit counts.
  const depth = { maxDepth: limits.maxDepth + 1, maxReadings: limits.maxReadings };
  try {
    return decodeItem(payload, depth, { mapAtTop: true, decimalFractions, largeIntegers: options.largeIntegers });
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new PayloadError('malformed_payload', `the payload is not CBOR of the form served: ${error.message}`);
  }
}
