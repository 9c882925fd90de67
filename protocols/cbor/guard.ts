import { isUtf8, type Buffer } from 'node:buffer';
import { PayloadError, ProtocolError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import { KeySet } from './key-set.ts';

/** Beyond the readings: envelope, HELLO, an event's value. */
const ITEMS_FOR_THE_REST = 1024;
/** Items that one record may come to: the map itself, and 15 labels with their values; RFC 8428 has 15 labels. */
const ITEMS_A_RECORD = 31;

/** What a caller lets through besides the shape of a message. */
export interface ShapeRules {
  /** A map may stand at the top as well as an array. */
  readonly mapAtTop: boolean;
  /** Decimal fractions (tag 4), which RFC 8428 allows for numbers in SenML. */
  readonly decimalFractions: boolean;
  /** Integers past 2^53 become the nearest double instead of being refused; not as map keys. */
  readonly largeIntegers: 'refuse' | 'round';
}

/** Those of this protocol's messages. */
const MESSAGE: ShapeRules = { mapAtTop: false, decimalFractions: false, largeIntegers: 'refuse' };

export interface Shape {
  /** An integer stands in eight bytes: cbor-x hands those over as BigInt. */
  readonly wideIntegers: boolean;
}

/**
 * Walks a message before cbor-x decodes it, and lets through only what SPEC.md allows. It allocates nothing by declared lengths, does
 * not recurse, and looks at each byte once. cbor-x alone would follow deep nesting into a stack overflow, build RegExps, Sets and cycles from
 * tags, replace bad UTF-8 in silence and take the last of doubled keys.
 *
 * @throws ProtocolError `malformed` when the bytes are no CBOR item, or not exactly one, or not an array.
 * @throws PayloadError when they are CBOR as far as read, but hold what the protocol leaves out (tags, NaN, 64-bit integers, …).
 */
export function checkShape(
  bytes: Buffer,
  limits: Pick<ProtocolLimits, 'maxDepth' | 'maxReadings'>,
  rules: ShapeRules = MESSAGE,
): Shape {
  const walk = new Walk(bytes, limits.maxDepth, ITEMS_FOR_THE_REST + limits.maxReadings * ITEMS_A_RECORD, rules);
  walk.run();
  return walk;
}

/** An array or map whose items are still to come. */
interface Container {
  /** Items, not pairs: a map of n pairs has 2n. */
  left: number;
  /** Null: an array. */
  readonly keys: KeySet | null;
}

class Walk implements Shape {
  wideIntegers = false;
  readonly #bytes: Buffer;
  readonly #maxDepth: number;
  readonly #maxItems: number;
  readonly #rules: ShapeRules;
  readonly #open: Container[] = [];
  #at = 0;
  #items = 0;

  constructor(bytes: Buffer, maxDepth: number, maxItems: number, rules: ShapeRules) {
    this.#bytes = bytes;
    this.#maxDepth = maxDepth;
    this.#maxItems = maxItems;
    this.#rules = rules;
  }

  run(): void {
    if (this.#bytes.length === 0) throw malformed('an empty message');
    const top = this.#bytes[0]! >> 5;
    if (top !== 4 && !(top === 5 && this.#rules.mapAtTop)) throw malformed('a message must be one array');
    this.#item(null);
    for (let top = this.#open.at(-1); top !== undefined; top = this.#open.at(-1)) {
      if (top.left === 0) {
        this.#open.pop();
        continue;
      }
      // Pairs count down from an even number, so a key is due whenever `left` is even.
      const keys = top.left % 2 === 0 ? top.keys : null;
      top.left--;
      this.#item(keys);
    }
    if (this.#at !== this.#bytes.length) {
      throw malformed(`${this.#bytes.length - this.#at} bytes follow the message's array`);
    }
  }

  /** One item's head, and its content where it has no items of its own. `keys`: the item is a key of that map. */
  #item(keys: KeySet | null): void {
    if (++this.#items > this.#maxItems) {
      throw new PayloadError('too_many_readings', `a message may hold ${this.#maxItems} CBOR items`);
    }
    const head = this.#byte();
    const major = head >> 5;
    const info = head & 0x1f;
    if (keys !== null && major !== 0 && major !== 1 && major !== 3) {
      throw new PayloadError('malformed_payload', 'a map key must be an integer or a text');
    }
    if (major === 7) {
      this.#simple(info);
      return;
    }
    if (major === 6) {
      this.#tag(info);
      return;
    }
    if (info === 31) throw new PayloadError('malformed_payload', 'indefinite lengths are not part of this protocol');
    const argument = this.#argument(info);
    if (major <= 1) this.#integer(major === 0 ? argument : -1 - argument, keys);
    else if (major === 2) this.#skip(argument);
    else if (major === 3) this.#text(argument, keys);
    else this.#container(argument, major === 5);
  }

  /** Tag 4 with an array of two integers, exponent and mantissa (RFC 8949, 3.4.4): the only one that may be let through. */
  #tag(info: number): void {
    if (!this.#rules.decimalFractions || this.#argument(info) !== 4) {
      throw new PayloadError('malformed_payload', 'tags are not part of this protocol');
    }
    if (this.#byte() !== 0x82) throw new PayloadError('malformed_payload', 'a decimal fraction is an array of two');
    for (let i = 0; i < 2; i++) {
      if (this.#at < this.#bytes.length && this.#bytes[this.#at]! >> 5 > 1) {
        throw new PayloadError('malformed_payload', 'a decimal fraction has two integers');
      }
      this.#item(null);
    }
  }

  #integer(value: number, keys: KeySet | null): void {
    if (!Number.isSafeInteger(value) && (keys !== null || this.#rules.largeIntegers === 'refuse')) {
      throw new PayloadError('value_not_allowed', 'an integer is past 2^53; send it as a float or as a text');
    }
    if (keys !== null && !keys.add(value)) {
      throw new PayloadError('malformed_payload', `the map key ${value} stands twice`);
    }
    if (keys?.crowded === true) {
      throw new PayloadError('malformed_payload', 'a map has more than 64 integers beyond -32 to 31 as keys');
    }
  }

  #text(length: number, keys: KeySet | null): void {
    const start = this.#at;
    this.#skip(length);
    const bytes = this.#bytes;
    for (let i = start; i < this.#at; i++) {
      if (bytes[i]! < 0x80) continue;
      if (!isUtf8(bytes.subarray(start, this.#at))) {
        throw new PayloadError('malformed_payload', 'a text is not UTF-8');
      }
      // Some builds of cbor-x drop it, and two different keys would become one.
      if (i === start && length >= 3 && bytes.readUIntBE(start, 3) === 0xefbbbf) {
        throw new PayloadError('malformed_payload', 'a text begins with a byte order mark');
      }
      break;
    }
    if (keys !== null && !keys.add(bytes.toString('latin1', start, this.#at))) {
      throw new PayloadError('malformed_payload', 'a map key stands twice');
    }
  }

  #container(count: number, isMap: boolean): void {
    const items = isMap ? count * 2 : count;
    // Each item is a byte at least. Checked before the depth, so that a lie about lengths is called that.
    if (items > this.#bytes.length - this.#at) throw truncated();
    if (this.#open.length >= this.#maxDepth) {
      throw new PayloadError('too_deep', `a message is nested deeper than ${this.#maxDepth} levels`);
    }
    this.#open.push({ left: items, keys: isMap ? new KeySet() : null });
  }

  /** Major type 7: false, true, null and the finite floats of 2, 4 and 8 bytes. */
  #simple(info: number): void {
    if (info >= 20 && info <= 22) return;
    const start = this.#at;
    if (info === 25) {
      this.#skip(2);
      if ((this.#bytes.readUInt16BE(start) & 0x7c00) === 0x7c00) throw notFinite();
    } else if (info === 26) {
      this.#skip(4);
      if ((this.#bytes.readUInt16BE(start) & 0x7f80) === 0x7f80) throw notFinite();
    } else if (info === 27) {
      this.#skip(8);
      if ((this.#bytes.readUInt16BE(start) & 0x7ff0) === 0x7ff0) throw notFinite();
    } else if (info === 31) {
      throw malformed('a break stands where nothing indefinite is open');
    } else if (info >= 28) {
      throw malformed('a reserved head byte');
    } else {
      throw new PayloadError(
        'value_not_allowed',
        'of the simple values only false, true and null are part of this protocol',
      );
    }
  }

  /** The number in an item's head. Inexact past 2^53, which no caller lets through. */
  #argument(info: number): number {
    if (info < 24) return info;
    if (info > 27) throw malformed('a reserved head byte');
    const start = this.#at;
    if (info === 24) return this.#byte();
    if (info === 25) {
      this.#skip(2);
      return this.#bytes.readUInt16BE(start);
    }
    if (info === 26) {
      this.#skip(4);
      return this.#bytes.readUInt32BE(start);
    }
    this.#skip(8);
    this.wideIntegers = true;
    return this.#bytes.readUInt32BE(start) * 0x1_0000_0000 + this.#bytes.readUInt32BE(start + 4);
  }

  #byte(): number {
    if (this.#at >= this.#bytes.length) throw truncated();
    return this.#bytes[this.#at++]!;
  }

  #skip(length: number): void {
    if (length > this.#bytes.length - this.#at) throw truncated();
    this.#at += length;
  }
}

function malformed(what: string): ProtocolError {
  return new ProtocolError('malformed', `not a message of this protocol: ${what}`);
}

function truncated(): ProtocolError {
  return malformed('the message ends before its array does');
}

function notFinite(): PayloadError {
  return new PayloadError('value_not_allowed', 'a float is NaN or infinite');
}
