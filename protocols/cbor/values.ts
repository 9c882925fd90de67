import { PayloadError } from '../errors.ts';

/**
 * Between what cbor-x works on and JSON values. cbor-x hands maps over as Map, because as objects the label 0 and the text "0" would be one key,
 * and `__proto__` would be renamed; JSON values (results, events, parameters) are plain objects everywhere else in the hub.
 */

/** A decoded value with its BigInts (integers that stood in eight bytes) as numbers; the guard has seen that they fit. */
export function narrow(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(narrow);
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [narrow(key), narrow(item)]));
  return value;
}

/**
 * A decoded value as JSON value. Depth is bounded by the guard.
 *
 * @throws PayloadError for what JSON does not have: byte strings, and maps with keys other than texts.
 */
export function toJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toJson);
  if (value instanceof Map) {
    const entries: [string, unknown][] = [];
    for (const [key, item] of value as Map<unknown, unknown>) {
      if (typeof key !== 'string') {
        throw new PayloadError('value_not_allowed', 'a map that is stored as JSON must have texts as keys');
      }
      entries.push([key, toJson(item)]);
    }
    return Object.fromEntries(entries); // makes `__proto__` an own property
  }
  if (value instanceof Uint8Array) {
    throw new PayloadError('value_not_allowed', 'a byte string cannot be stored as JSON');
  }
  return typeof value === 'number' ? value + 0 : value; // -0 becomes 0
}

/**
 * A JSON value as cbor-x must be given it to write preferred, definite CBOR: objects as Map, integers past 32 bits as BigInt (it would
 * write them as floats), texts well formed.
 *
 * @param depth levels of nesting that are left.
 * @throws PayloadError `too_deep`, or `value_not_allowed` for a text that begins with a byte order mark, which SPEC.md leaves out.
 */
export function fromJson(value: unknown, depth: number): unknown {
  if (typeof value === 'number') return integer(value);
  if (typeof value === 'string') return text(value);
  if (typeof value !== 'object' || value === null) return value ?? null;
  if (depth <= 0) throw new PayloadError('too_deep', 'the value is nested deeper than a message may be');
  if (Array.isArray(value)) return value.map((item) => fromJson(item, depth - 1));
  const map = new Map<string, unknown>();
  for (const [key, item] of Object.entries(value)) {
    if (item !== undefined) map.set(text(key), fromJson(item, depth - 1));
  }
  return map;
}

function text(value: string): string {
  if (value.startsWith('\ufeff')) {
    throw new PayloadError('value_not_allowed', 'a text begins with a byte order mark, which this protocol leaves out');
  }
  return value.toWellFormed();
}

/** A number as cbor-x writes it exactly: an integer past 32 bits as BigInt, else it would become a float. */
export function integer(value: number): number | bigint {
  if (value >= -0x1_0000_0000 && value <= 0xffff_ffff) return value;
  return Number.isSafeInteger(value) ? BigInt(value) : value;
}
