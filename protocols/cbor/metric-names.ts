import type { Buffer } from 'node:buffer';

/** Places for names; a power of two. A fleet has few different ones, all its devices the same. */
const PLACES = 2048;
/** Longer names are not kept: the memory of the cache is bounded by both, and is a quarter of a megabyte. */
const LONGEST = 64;

/**
 * Metric names by their bytes, so that one that was read before costs neither a check nor a string. Each name has one place; a
 * name that comes later takes it over. Only names of printable ASCII are in it, which are valid as they are.
 *
 * HOT PATH: called for each reading.
 */
export class MetricNames {
  readonly #bytes = new Uint8Array(PLACES * LONGEST);
  readonly #names = new Array<string>(PLACES).fill('');

  /** The name at [start, end) of `bytes`; null: it is empty, long or not of printable ASCII, and is to be read otherwise. */
  at(bytes: Buffer, start: number, end: number): string | null {
    const length = end - start;
    if (length === 0 || length > LONGEST) return null;
    let hash = length;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
    const place = (hash ^ (hash >>> 15)) & (PLACES - 1);
    const name = this.#names[place]!;
    return name.length === length && this.#holds(place, bytes, start, length)
      ? name
      : this.#keep(place, bytes, start, end);
  }

  #holds(place: number, bytes: Buffer, start: number, length: number): boolean {
    const kept = this.#bytes;
    const first = place * LONGEST;
    for (let i = 0; i < length; i++) {
      if (kept[first + i] !== bytes[start + i]) return false;
    }
    return true;
  }

  #keep(place: number, bytes: Buffer, start: number, end: number): string | null {
    for (let i = start; i < end; i++) {
      if (bytes[i]! < 0x20 || bytes[i]! > 0x7e) return null;
    }
    const name = bytes.toString('latin1', start, end);
    this.#bytes.set(bytes.subarray(start, end), place * LONGEST);
    this.#names[place] = name;
    return name;
  }
}
