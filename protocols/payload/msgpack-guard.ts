import { isUtf8, type Buffer } from 'node:buffer';
import { PayloadError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import type { PayloadOptions } from './json.ts';
import { excerpt } from './rules.ts';

/** Beyond the readings: the containers around them. */
const ITEMS_FOR_THE_REST = 1024;
/** A reading in a batch of one each: a map, `ts` and the metric, each with its value, and levels around it. */
const ITEMS_A_READING = 16;

/**
 * Walks a MessagePack payload before the library decodes it, and lets through only what JSON has: maps with texts as keys, arrays, texts,
 * finite numbers, booleans, nil. It allocates nothing by declared lengths, does not recurse, and looks at each byte once.
 *
 * @throws PayloadError
 */
export function checkMsgpack(payload: Buffer, limits: ProtocolLimits, options: PayloadOptions): void {
  new Walk(payload, limits, options).run();
}

interface Container {
  /** Items, not pairs: a map of n pairs has 2n. */
  left: number;
  /** Null: an array. */
  readonly keys: Set<string> | null;
}

class Walk {
  readonly #bytes: Buffer;
  readonly #maxDepth: number;
  readonly #maxItems: number;
  readonly #rounds: boolean;
  readonly #open: Container[] = [];
  #at = 0;
  #items = 0;

  constructor(bytes: Buffer, limits: ProtocolLimits, options: PayloadOptions) {
    this.#bytes = bytes;
    // The array of a batch stands around the objects that the limit counts.
    this.#maxDepth = limits.maxDepth + 1;
    this.#maxItems = ITEMS_FOR_THE_REST + limits.maxReadings * ITEMS_A_READING;
    this.#rounds = options.largeIntegers === 'round';
  }

  run(): void {
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
    const over = this.#bytes.length - this.#at;
    if (over > 0) throw malformed(`${over} bytes follow it`);
  }

  /** One item's head, and its content where it has no items of its own. `keys`: the item is a key of that map. */
  #item(keys: Set<string> | null): void {
    if (++this.#items > this.#maxItems) {
      throw new PayloadError('too_many_readings', `a payload may hold ${this.#maxItems} MessagePack items`);
    }
    const head = this.#uint(1);
    const length = this.#textLength(head);
    if (length !== null) this.#text(length, keys);
    else if (keys !== null) throw new PayloadError('malformed_payload', 'a map key must be a text');
    else if (head < 0x80 || head >= 0xe0 || head === 0xc0 || head === 0xc2 || head === 0xc3) return;
    else if (head < 0x90) this.#container(head & 0x0f, true);
    else if (head < 0xa0) this.#container(head & 0x0f, false);
    else this.#wide(head);
  }

  /** Null: not a text. */
  #textLength(head: number): number | null {
    if (head >= 0xa0 && head < 0xc0) return head & 0x1f;
    return head >= 0xd9 && head <= 0xdb ? this.#uint(1 << (head - 0xd9)) : null;
  }

  /** Heads 0xc1 to 0xdf but for texts, nil and booleans. */
  #wide(head: number): void {
    switch (head) {
      case 0xca:
        this.#finite(this.#skip(4).readFloatBE(this.#at - 4));
        break;
      case 0xcb:
        this.#finite(this.#skip(8).readDoubleBE(this.#at - 8));
        break;
      case 0xcc: // uint 8, 16, 32, 64
      case 0xcd:
      case 0xce:
        this.#skip(1 << (head - 0xcc));
        break;
      case 0xcf:
        this.#integer(this.#skip(8).readBigUInt64BE(this.#at - 8));
        break;
      case 0xd0: // int 8, 16, 32, 64
      case 0xd1:
      case 0xd2:
        this.#skip(1 << (head - 0xd0));
        break;
      case 0xd3:
        this.#integer(this.#skip(8).readBigInt64BE(this.#at - 8));
        break;
      case 0xdc:
      case 0xdd:
        this.#container(this.#uint(head === 0xdc ? 2 : 4), false);
        break;
      case 0xde:
      case 0xdf:
        this.#container(this.#uint(head === 0xde ? 2 : 4), true);
        break;
      case 0xc1:
        throw malformed('the head byte c1 is never used');
      case 0xc4:
      case 0xc5:
      case 0xc6:
        throw new PayloadError('value_not_allowed', 'byte strings (bin) are not stored; send a text');
      default:
        throw new PayloadError('value_not_allowed', 'extension types (ext, time stamps among them) are not stored');
    }
  }

  #integer(value: bigint): void {
    const safe = value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER);
    if (safe || this.#rounds) return;
    throw new PayloadError('value_not_allowed', 'an integer is past 2^53; send it as a float or as a text');
  }

  #finite(value: number): void {
    if (!Number.isFinite(value)) throw new PayloadError('value_not_allowed', 'a float is NaN or infinite');
  }

  #text(length: number, keys: Set<string> | null): void {
    this.#skip(length);
    const bytes = this.#bytes.subarray(this.#at - length, this.#at);
    if (!isUtf8(bytes)) throw new PayloadError('malformed_payload', 'a text is not UTF-8');
    // The library drops it from long texts and keeps it in short ones.
    if (length >= 3 && bytes.readUIntBE(0, 3) === 0xefbbbf) {
      throw new PayloadError('malformed_payload', 'a text begins with a byte order mark');
    }
    if (keys === null) return;
    const key = bytes.toString('latin1');
    // The library refuses it, without words for the device.
    if (key === '__proto__') throw new PayloadError('metric_name', 'in MessagePack no metric may be called __proto__');
    if (keys.has(key)) {
      throw new PayloadError('malformed_payload', `the map key ${excerpt(bytes.toString('utf8'))} stands twice`);
    }
    keys.add(key);
  }

  #container(count: number, isMap: boolean): void {
    const items = isMap ? count * 2 : count;
    // Each item is a byte at least. Checked before the depth, so that a lie about lengths is called that.
    if (items > this.#bytes.length - this.#at) throw malformed('it ends early');
    if (this.#open.length >= this.#maxDepth) {
      throw new PayloadError('too_deep', `the payload is nested deeper than ${this.#maxDepth} levels`);
    }
    this.#open.push({ left: items, keys: isMap ? new Set() : null });
  }

  #uint(bytes: number): number {
    return this.#skip(bytes).readUIntBE(this.#at - bytes, bytes);
  }

  /** Passes over so many bytes; returns all of the payload, for reading them. */
  #skip(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw malformed('it ends early');
    this.#at += length;
    return this.#bytes;
  }
}

function malformed(what: string): PayloadError {
  return new PayloadError('malformed_payload', `the payload is not one MessagePack item: ${what}`);
}
