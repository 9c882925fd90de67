/** SenML has none at all; further labels would be a handful. */
const MOST_FAR = 64;

/** The keys of one map, to notice a repeated one. SenML's labels lie in one byte and cost two bit masks, everything else a Set. */
export class KeySet {
  /** Bit n: the key n, 0 to 31. */
  #low = 0;
  /** Bit n: the key -1 - n. */
  #negative = 0;
  #others: Set<number | string> | null = null;
  /** Integers among them. */
  #far = 0;

  /** Too many integers beyond -32 to 31: their hash is known, and with keys of one hash a Set, and the Map of cbor-x, take quadratic time. */
  get crowded(): boolean {
    return this.#far > MOST_FAR;
  }

  /** False: it was there already. A text is told from an integer by its JavaScript type. */
  add(key: number | string): boolean {
    if (typeof key === 'number' && key >= -32 && key < 32) return key >= 0 ? this.#addLow(key) : this.#addNegative(key);
    this.#others ??= new Set();
    if (this.#others.has(key)) return false;
    this.#others.add(key);
    if (typeof key === 'number') this.#far++;
    return true;
  }

  #addLow(key: number): boolean {
    const bit = 1 << key;
    if ((this.#low & bit) !== 0) return false;
    this.#low |= bit;
    return true;
  }

  #addNegative(key: number): boolean {
    const bit = 1 << (-1 - key);
    if ((this.#negative & bit) !== 0) return false;
    this.#negative |= bit;
    return true;
  }
}
