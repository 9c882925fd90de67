import { PayloadError } from '../errors.ts';
import { PAYLOAD_FORMATS, type PayloadDecoder, type PayloadFormat } from './formats.ts';
import { decodeJson } from './json.ts';
import { excerpt } from './rules.ts';

export { PAYLOAD_FORMATS, type PayloadDecoder, type PayloadFormat } from './formats.ts';
export { STRICT_PAYLOADS, type PayloadOptions } from './json.ts';

const BY_TOPIC_FORMAT = new Map(PAYLOAD_FORMATS.flatMap((one) => one.topicFormats.map((name) => [name, one] as const)));
const BY_CONTENT_TYPE = new Map(PAYLOAD_FORMATS.flatMap((one) => one.contentTypes.map((name) => [name, one] as const)));

/** "Bytes": it names no format, so beside a topic that does it says nothing, as if it were absent. */
const ANY_BYTES = 'application/octet-stream';

/**
 * The decoder for a message. Nobody names a format: JSON. Content type and topic may both name it, and then have to name the same: which of
 * two was meant, the hub does not guess.
 *
 * @param contentType MIME type as the message's protocol gave it, in any case and with parameters; null when it gave none.
 * @param format last level of `devices/{id}/telemetry/{format}`, null when there is none.
 * @throws PayloadError `unsupported_format`
 */
export function decoderFor(contentType: string | null, format: string | null): PayloadDecoder {
  if (contentType === null && format === null) return decodeJson;
  const byTopic = format === null ? null : topicFormat(format);
  const byType = contentType === null ? null : typeFormat(contentType, byTopic !== null);
  if (byTopic !== null && byType !== null && byTopic !== byType) {
    const words = `the content type ${excerpt(contentType!)} says ${byType.name}, and the topic says ${byTopic.name}`;
    throw new PayloadError('unsupported_format', words);
  }
  return (byType ?? byTopic!).decode;
}

/** The payload of this decoder is JSON as subscribers read it. */
export function readsJson(decoder: PayloadDecoder): boolean {
  return decoder === decodeJson;
}

function topicFormat(format: string): PayloadFormat {
  const known = BY_TOPIC_FORMAT.get(format);
  if (known !== undefined) return known;
  const served = PAYLOAD_FORMATS.map((one) => one.topicFormats[0]).join(', ');
  throw new PayloadError('unsupported_format', `no decoder serves the format ${excerpt(format)}; served: ${served}`);
}

/** Null: it says nothing. */
function typeFormat(contentType: string, isNamedElsewhere: boolean): PayloadFormat | null {
  const plain = BY_CONTENT_TYPE.get(contentType);
  if (plain !== undefined) return plain;
  const [type, ...parameters] = contentType.split(';').map((part) => part.trim().toLowerCase());
  if (type === ANY_BYTES && isNamedElsewhere) return null;
  const known = BY_CONTENT_TYPE.get(type!);
  if (known === undefined) {
    const served = PAYLOAD_FORMATS.map((one) => one.contentTypes[0]).join(', ');
    const words = `no decoder serves the content type ${excerpt(contentType)}; served: ${served}`;
    throw new PayloadError('unsupported_format', words);
  }
  if (known.isText) checkCharset(parameters, contentType);
  return known;
}

/** JSON is UTF-8 (RFC 8259, 8.1). */
function checkCharset(parameters: readonly string[], contentType: string): void {
  for (const parameter of parameters) {
    const charset = /^charset\s*=\s*"?([^"]*)"?$/.exec(parameter);
    if (charset !== null && charset[1] !== 'utf-8' && charset[1] !== 'utf8') {
      throw new PayloadError('unsupported_format', `JSON is UTF-8; the content type says ${excerpt(contentType)}`);
    }
  }
}
