/**
 * Seeded pseudo-random numbers: the same seed and label give the same sequence on every machine, so a run can be
 * repeated. Not for secrets.
 *
 * A 32-bit Weyl sequence through a mixing function; 5,000 devices each own one at the price of one number.
 */
export class Random {
  #state: number;

  /** `label` separates the sequences that are drawn from one seed (`world 17`, `reconnect 17`, …). */
  constructor(seed: number, label: string) {
    this.#state = mix((seed >>> 0) ^ hash(label));
  }

  /** In [0, 1), 32 bits of it. */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    return mix(this.#state) / 0x1_0000_0000;
  }

  /** A whole number in [0, below). */
  integer(below: number): number {
    return Math.floor(this.next() * below);
  }

  /** In [low, high). */
  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }
}

/** Every input bit changes about half of the output bits. */
function mix(value: number): number {
  let z = value >>> 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}

/** FNV-1a over UTF-16 units. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}
