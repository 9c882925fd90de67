/** Below it, places that have gone are not worth the copy. */
const COMPACT_FROM = 64;

/**
 * Which rows of the queue table a session has: by place, in ascending order. The row of an entry that waits is its id; of a release that is owed, the id negated.
 * Memory follows what is there: what has gone takes no more room than what stays.
 */
export class QueuePlaces {
  #places: number[] = [];
  /** By the index of the place; 0: it has gone. */
  #rows: number[] = [];
  /** Index of the first that has not gone. */
  #first = 0;
  #gone = 0;

  /** Highest place since it was empty; 0: it is empty. */
  get last(): number {
    return this.#places.at(-1) ?? 0;
  }

  /** Places in memory, those that have gone and were not yet let go among them. */
  get held(): number {
    return this.#places.length;
  }

  /** The row at this place, or 0. */
  find(place: number): number {
    const at = this.#indexOf(place);
    return this.#places[at] === place ? this.#rows[at]! : 0;
  }

  /** Adds, or replaces the row at that place. */
  set(place: number, row: number): void {
    if (place > this.last) {
      this.#places.push(place);
      this.#rows.push(row);
      return;
    }
    const at = this.#indexOf(place);
    if (this.#places[at] !== place) {
      this.#places.splice(at, 0, place);
      this.#rows.splice(at, 0, row);
      return;
    }
    if (this.#rows[at] === 0) this.#gone--;
    this.#rows[at] = row;
  }

  remove(place: number): void {
    const at = this.#indexOf(place);
    if (this.#places[at] !== place || this.#rows[at] === 0) return;
    this.#rows[at] = 0;
    this.#gone++;
    while (this.#first < this.#rows.length && this.#rows[this.#first] === 0) this.#first++;
    if (this.#gone >= COMPACT_FROM && this.#gone * 2 >= this.#rows.length) this.#compact();
    else if (this.#gone === this.#rows.length) this.#compact();
  }

  /** The message is finished, its place is not. */
  release(place: number): void {
    const row = this.find(place);
    if (row > 0) this.set(place, -row);
  }

  /** Rows that wait, with place > afterPlace: at most `limit`, ascending by place; `lastPlace` is that of the last one. */
  waiting(afterPlace: number, limit: number): { readonly rows: readonly number[]; readonly lastPlace: number } {
    const rows: number[] = [];
    let lastPlace = afterPlace;
    for (let at = this.#indexOf(afterPlace + 1); at < this.#rows.length && rows.length < limit; at++) {
      const row = this.#rows[at]!;
      if (row <= 0) continue;
      rows.push(row);
      lastPlace = this.#places[at]!;
    }
    return { rows, lastPlace };
  }

  /** Ids of all rows, of releases too. */
  rows(): number[] {
    const rows: number[] = [];
    for (const row of this.#rows) if (row !== 0) rows.push(Math.abs(row));
    return rows;
  }

  /** Index of the first place that is not below `place`, at or after #first. */
  #indexOf(place: number): number {
    let low = this.#first;
    // Entries are removed in about the order in which they came.
    if (low < this.#places.length && this.#places[low]! >= place) return low;
    let high = this.#places.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#places[middle]! < place) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #compact(): void {
    this.#places = this.#places.filter((_, at) => this.#rows[at] !== 0);
    this.#rows = this.#rows.filter((row) => row !== 0);
    this.#first = 0;
    this.#gone = 0;
  }
}
