import type { CommittedSeries } from '#hub/telemetry/port.js';
import type { AlarmChange, CommandChange, PresenceChange } from './port.ts';

/** A command as the journal keeps it: its result as JSON text, which is made into a value when it is sent. */
export type NotedCommand = Omit<CommandChange, 'result'> & { readonly result: string | null };

/** What changed, in its newest state. A series carries its own latest value. */
export type Change =
  | { readonly kind: 'presence'; readonly content: PresenceChange }
  | { readonly kind: 'latest'; readonly content: CommittedSeries }
  | { readonly kind: 'command'; readonly content: NotedCommand }
  | { readonly kind: 'alarm'; readonly content: AlarmChange };

/** A thing that changed, in the list of all such things by the time of their last change. */
export interface Entry {
  /** Number of its last change; -1: forgotten. */
  n: number;
  change: Change;
  bytes: number;
  readonly key: object | string;
  older: Entry | null;
  newer: Entry | null;
}

/**
 * The last change of each thing, in the order of changes. A viewer needs nothing but the number of the last change that
 * it was told: what lies above it is what it misses, each thing once. That is the whole memory of a viewer, however slow
 * it is, and it is what makes going on after a gap the same as going on after a flush.
 */
export class Journal {
  readonly #byKey = new Map<object | string, Entry>();
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  #oldest: Entry | null = null;
  #newest: Entry | null = null;
  #bytes = 0;
  #last = 0;
  #floor = 0;

  constructor(maxEntries: number, maxBytes: number) {
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
  }

  /** Number of the last change. */
  get last(): number {
    return this.#last;
  }

  /** Who was told less than this has missed changes that are forgotten. */
  get floor(): number {
    return this.#floor;
  }

  get entries(): number {
    return this.#byKey.size;
  }

  get newest(): Entry | null {
    return this.#newest;
  }

  /** Hot while somebody watches: called for each series of each commit. */
  note(key: object | string, change: Change, bytes: number): void {
    const known = this.#byKey.get(key);
    const n = ++this.#last;
    if (known === undefined) {
      const entry: Entry = { n, change, bytes, key, older: null, newer: null };
      this.#byKey.set(key, entry);
      this.#append(entry);
    } else {
      known.n = n;
      known.change = change;
      this.#bytes -= known.bytes;
      known.bytes = bytes;
      if (known !== this.#newest) {
        this.#unlink(known);
        this.#append(known);
      }
    }
    this.#bytes += bytes;
    while (this.#byKey.size > this.#maxEntries || this.#bytes > this.#maxBytes) this.#forgetOldest();
  }

  /** A series that moved on. Makes nothing new for one that is known. */
  noteSeries(series: CommittedSeries): void {
    const known = this.#byKey.get(series);
    this.note(series, known?.change ?? { kind: 'latest', content: series }, 0);
  }

  /** The first change above `n`; null: there is none. `hint`: the entry that had the number `n` when it was read. */
  after(n: number, hint: Entry | null): Entry | null {
    if (hint !== null && hint.n === n) return hint.newer;
    let entry = this.#newest;
    if (entry === null || entry.n <= n) return null;
    while (entry.older !== null && entry.older.n > n) entry = entry.older;
    return entry;
  }

  /** Forgets everything: whoever had a number is too old from now on. */
  clear(): void {
    while (this.#oldest !== null) this.#forgetOldest();
    this.#floor = ++this.#last;
  }

  #append(entry: Entry): void {
    entry.older = this.#newest;
    entry.newer = null;
    if (this.#newest === null) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
  }

  #unlink(entry: Entry): void {
    if (entry.older === null) this.#oldest = entry.newer;
    else entry.older.newer = entry.newer;
    if (entry.newer === null) this.#newest = entry.older;
    else entry.newer.older = entry.older;
  }

  #forgetOldest(): void {
    const entry = this.#oldest!;
    this.#floor = entry.n;
    this.#unlink(entry);
    this.#byKey.delete(entry.key);
    this.#bytes -= entry.bytes;
    entry.n = -1;
    // A viewer that stands still may hold it: it must not hold those after it.
    entry.newer = null;
  }
}
