import type { Database, Statement } from 'better-sqlite3';
import { pageLimit } from '../cursor.ts';
import { MAX_READING_ROWS } from '../options.ts';
import { packReadings, type RawReading, type ReadingPage } from './wire.ts';

export interface SeriesName {
  readonly device: string;
  readonly metric: string;
}

/** The log as it was written, and the names of its series. */
export class LogReader {
  readonly #rows: Statement<[number, number], RawReading>;
  readonly #series: Statement<[number], SeriesName>;
  readonly #last: Statement<[], { readonly id: number }>;
  /** A series never changes its name, so these stay right for ever. */
  readonly #names = new Map<number, SeriesName>();

  constructor(db: Database) {
    this.#rows = db
      .prepare<[number, number], RawReading>(
        "SELECT id, series, time_us, value, typeof(value) = 'integer' FROM log WHERE id > ? ORDER BY id LIMIT ?",
      )
      .raw();
    this.#last = db.prepare('SELECT id FROM log ORDER BY id DESC LIMIT 1');
    this.#series = db.prepare('SELECT device, metric FROM series WHERE id = ?');
  }

  lastId(): number {
    return this.#last.get()?.id ?? 0;
  }

  read(afterId: number, limit: number): ReadingPage {
    return this.pack(this.#rows.all(afterId, pageLimit(limit, MAX_READING_ROWS)));
  }

  /** Throws StoreError `corrupt` when a series has no name. */
  pack(rows: readonly RawReading[]): ReadingPage {
    return packReadings(rows, (series) => this.#nameOf(series));
  }

  #nameOf(series: number): SeriesName | undefined {
    let name = this.#names.get(series);
    if (name === undefined) {
      name = this.#series.get(series);
      if (name !== undefined) this.#names.set(series, name);
    }
    return name;
  }
}
