import type { Buffer } from 'node:buffer';
import { Decoder } from '@msgpack/msgpack';
import { PayloadError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import type { Reading } from '../reading.ts';
import { readingsFromDocument, STRICT_PAYLOADS, type PayloadOptions } from './json.ts';
import { checkMsgpack } from './msgpack-guard.ts';

/** Without the cache of keys, which all devices would share. It keeps nothing between calls. */
const decoder = new Decoder({ keyDecoder: null });

/**
 * `application/msgpack`: what JSON has, in MessagePack: a map of metric to value, or an array of such maps.
 *
 * @param payload may be a slice of the socket's buffer; the readings do not refer to it.
 * @throws PayloadError
 */
export function decodeMsgpack(
  payload: Buffer,
  limits: ProtocolLimits,
  nowMs: number,
  options: PayloadOptions = STRICT_PAYLOADS,
): Reading[] {
  if (payload.length === 0) throw new PayloadError('empty', 'the payload is empty');
  checkMsgpack(payload, limits, options);
  return readingsFromDocument(decode(payload), limits, nowMs);
}

function decode(payload: Buffer): unknown {
  try {
    return decoder.decode(payload);
  } catch {
    // The guard lets nothing through that the library refuses (a property test holds them together); if it ever did, the device hears of it.
    throw new PayloadError('malformed_payload', 'the payload is not one MessagePack item');
  }
}
