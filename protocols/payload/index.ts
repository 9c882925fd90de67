import type { Buffer } from 'node:buffer';
import { PayloadError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import type { Reading } from '../reading.ts';
import { decodeJson, type PayloadOptions } from './json.ts';
import { excerpt } from './rules.ts';

export { STRICT_PAYLOADS, type PayloadOptions } from './json.ts';

/** Bytes to readings. `nowMs` is the hub's clock in milliseconds since 1970. Throws PayloadError. */
export type PayloadDecoder = (
  payload: Buffer,
  limits: ProtocolLimits,
  nowMs: number,
  options?: PayloadOptions,
) => Reading[];

/**
 * The decoder for a message.
 *
 * @param contentType MIME type as the message's protocol gave it, null when it gave none: JSON.
 * @param format last level of `devices/{id}/telemetry/{format}`, null when there is none. When both are given, both must be served.
 * @throws PayloadError `unsupported_format`
 */
export function decoderFor(contentType: string | null, format: string | null): PayloadDecoder {
  if (format !== null && format !== 'json') {
    throw new PayloadError('unsupported_format', `no decoder serves the format ${excerpt(format)}; served: json`);
  }
  if (contentType !== null && contentType !== 'application/json') checkContentType(contentType);
  return decodeJson;
}

/** `application/json`, in any case and with parameters; a charset must be UTF-8 (RFC 8259, 8.1). */
function checkContentType(contentType: string): void {
  const [type, ...parameters] = contentType.split(';').map((part) => part.trim().toLowerCase());
  if (type !== 'application/json') {
    const words = `no decoder serves the content type ${excerpt(contentType)}; served: application/json`;
    throw new PayloadError('unsupported_format', words);
  }
  for (const parameter of parameters) {
    const charset = /^charset\s*=\s*"?([^"]*)"?$/.exec(parameter);
    if (charset !== null && charset[1] !== 'utf-8' && charset[1] !== 'utf8') {
      throw new PayloadError('unsupported_format', `JSON is UTF-8; the content type says ${excerpt(contentType)}`);
    }
  }
}
