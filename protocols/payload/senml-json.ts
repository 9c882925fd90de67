import { Buffer } from 'node:buffer';
import { PayloadError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import type { Reading } from '../reading.ts';
import { parseJson, refuseLargeIntegers, STRICT_PAYLOADS, textOf, type PayloadOptions } from './json.ts';
import { readingsFromSenml, SENML, type RecordView } from './senml.ts';

/** Label of the CBOR form to that of the JSON form. */
const NAMES = new Map<number, string>(Object.entries(SENML).map(([name, label]) => [label, name]));

/**
 * `application/senml+json` (RFC 8428, 5): an array of records.
 *
 * @param payload may be a slice of the socket's buffer; the readings do not refer to it.
 * @param nowMs the hub's clock, milliseconds since 1970.
 * @throws PayloadError
 */
export function decodeSenmlJson(
  payload: Buffer,
  limits: ProtocolLimits,
  nowMs: number,
  options: PayloadOptions = STRICT_PAYLOADS,
): Reading[] {
  const text = textOf(payload);
  const document = parseJson(text);
  if (!Array.isArray(document) || !document.every(isObject)) {
    throw new PayloadError('malformed_payload', 'a SenML pack is an array of objects (RFC 8428, 5)');
  }
  // What nobody knows is not looked at otherwise, and `refuseLargeIntegers` recurses.
  for (const record of document) checkDepth(record, limits.maxDepth, limits);
  const seen = { large: false };
  const readings = readingsFromSenml(viewsOf(document, seen), limits, nowMs);
  if (seen.large && options.largeIntegers === 'refuse') refuseLargeIntegers(text);
  return readings;
}

type JsonRecord = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `levels`: how many may be nested from here on, `value` included. Recurses no deeper than that. */
function checkDepth(value: object, levels: number, limits: ProtocolLimits): void {
  if (levels <= 0) throw new PayloadError('too_deep', `a record is nested deeper than ${limits.maxDepth} levels`);
  for (const item of Object.values(value) as unknown[]) {
    if (typeof item === 'object' && item !== null) checkDepth(item, levels - 1, limits);
  }
}

/** One view that moves over the records: it is read before the next one is asked for. */
function* viewsOf(records: readonly JsonRecord[], seen: { large: boolean }): Generator<RecordView> {
  const view = new JsonView(seen);
  for (const record of records) {
    view.record = record;
    yield view;
  }
}

/** A record of the JSON form under the labels of the CBOR form. */
class JsonView implements RecordView {
  record: JsonRecord = {};
  readonly #seen: { large: boolean };

  constructor(seen: { large: boolean }) {
    this.#seen = seen;
  }

  get(label: number): unknown {
    const value = this.record[NAMES.get(label)!];
    if (label === SENML.vd && typeof value === 'string') return bytesOf(value);
    if (typeof value === 'number' && (value > Number.MAX_SAFE_INTEGER || value < -Number.MAX_SAFE_INTEGER)) {
      this.#seen.large = true;
    }
    return value;
  }

  keys(): Iterable<string> {
    return Object.keys(this.record);
  }
}

/** The bytes of base64url without padding, or the text as it is when it is something else. */
function bytesOf(text: string): Buffer | string {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : text;
}
