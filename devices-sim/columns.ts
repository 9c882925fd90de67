type Numbers = Float64Array | Uint32Array | Uint16Array | Uint8Array;

/** A growing list of numbers of one machine type: a hundred times smaller than objects in a map. */
export class Column {
  readonly #make: (length: number) => Numbers;
  #data: Numbers;
  #length = 0;

  /** `make` gives a zeroed array of the wanted type, such as `(n) => new Float64Array(n)`. */
  constructor(make: (length: number) => Numbers) {
    this.#make = make;
    this.#data = make(8);
  }

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#data.length) {
      const larger = this.#make(this.#length * 2);
      larger.set(this.#data);
      this.#data = larger;
    }
    this.#data[this.#length++] = value;
  }

  /** `index` must be below `length`. */
  get(index: number): number {
    return this.#data[index]!;
  }

  set(index: number, value: number): void {
    this.#data[index] = value;
  }

  /** Index of `value` in a column that only rises; -1: it is not there. */
  indexOfSorted(value: number): number {
    let low = 0;
    let high = this.#length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = this.#data[middle]!;
      if (found === value) return middle;
      if (found < value) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }
}
