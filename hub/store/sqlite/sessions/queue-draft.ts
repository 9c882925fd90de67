import type { QueueIndex } from './queue-index.ts';
import { QueuePlaces } from './queue-places.ts';

/** What a batch does to the queue of one session, beside what the index holds of it. */
export class QueueDraft {
  readonly #session: number;
  /** As committed; null: the batch makes the session, or makes it anew. */
  #queue: QueuePlaces | null;
  /** Whether there is such a session, as far as the batch has come. */
  exists: boolean;
  #cleared = false;
  /** Highest place so far. */
  #last: number;
  /** Lowest place that the batch has added. */
  #firstAdded = Infinity;
  /** Entries that the batch adds and has not taken back: their places and numbers in the batch. */
  #added: { readonly place: number; readonly number: number }[] = [];
  #removed: number[] = [];
  #released: number[] = [];

  constructor(session: number, queue: QueuePlaces | null) {
    this.#session = session;
    this.#queue = queue;
    this.exists = queue !== null;
    this.#last = queue?.last ?? 0;
  }

  /** Is there an entry with this place, perhaps? Hot path: places rise. */
  mayHave(place: number): boolean {
    return place <= this.#last;
  }

  add(place: number, number: number): void {
    this.#added.push({ place, number });
    if (place > this.#last) this.#last = place;
    if (place < this.#firstAdded) this.#firstAdded = place;
  }

  /** The number of the entry that this batch has added at `place`, or -1. It is taken out when `takeBack`. */
  addedAt(place: number, takeBack: boolean): number {
    if (place < this.#firstAdded) return -1;
    const at = this.#added.findIndex((entry) => entry.place === place);
    if (at < 0) return -1;
    const { number } = this.#added[at]!;
    if (takeBack) this.#added.splice(at, 1);
    return number;
  }

  /** The committed row that goes, or 0. */
  remove(place: number): number {
    const row = this.#queue?.find(place) ?? 0;
    if (row !== 0) this.#removed.push(place);
    return Math.abs(row);
  }

  /** The committed row that waits and becomes a release, or 0. */
  release(place: number): number {
    const row = this.#queue?.find(place) ?? 0;
    if (row <= 0) return 0;
    this.#released.push(place);
    return row;
  }

  /** The committed row that waits, or 0. */
  find(place: number): number {
    const row = this.#queue?.find(place) ?? 0;
    return row > 0 && !this.#removed.includes(place) ? row : 0;
  }

  /** The session goes. Returns the rows that go with it and the numbers of the entries that are taken back. */
  clear(): { readonly rows: readonly number[]; readonly numbers: readonly number[] } {
    const gone = { rows: this.#queue?.rows() ?? [], numbers: this.#added.map(({ number }) => number) };
    this.#queue = null;
    this.#cleared = true;
    this.#last = 0;
    this.#firstAdded = Infinity;
    this.#added = [];
    this.#removed = [];
    this.#released = [];
    this.exists = false;
    return gone;
  }

  /** The batch is on disk; entries that were added follow. */
  apply(index: QueueIndex): void {
    if (!this.exists) {
      index.sessions.delete(this.#session);
      return;
    }
    if (this.#cleared || this.#queue === null) index.sessions.set(this.#session, new QueuePlaces());
    for (const place of this.#released) this.#queue?.release(place);
    for (const place of this.#removed) this.#queue?.remove(place);
  }
}
