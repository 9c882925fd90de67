import type { Database, Statement } from 'better-sqlite3';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { formatRangeCursor, pageLimit, parseRangeCursor, type RangeCursor } from '../cursor.ts';
import { MAX_READING_ROWS, type SqliteStoreOptions } from '../options.ts';
import type { StoreReader } from '../port.ts';
import type { LogReader } from './log-reader.ts';
import { RangeScan } from './range-scan.ts';
import type { ReadingPage } from './wire.ts';

export type RangeQuery = Parameters<StoreReader['range']>[0];

export interface RangePage {
  readonly page: ReadingPage;
  readonly next: string | null;
  readonly complete: boolean;
}

/**
 * Readings of a device in order of time, out of a log in order of commit: the log is scanned by chunks of row numbers, and the
 * smallest readings after the cursor are kept. Only a scan that has reached the end knows them, so one that runs out of
 * its budget gives nothing and is remembered under the number in its cursor, until the next call goes on with it. A
 * scan that was forgotten meanwhile (too many at once, a restart) starts over. Other questions are answered between chunks.
 */
export class RangeReader {
  readonly #db: Database;
  readonly #log: LogReader;
  readonly #options: SqliteStoreOptions;
  readonly #seriesOf: Statement<[string], { id: number; metric: string }>;
  /** By their number; the oldest goes first. */
  readonly #scans = new Map<string, RangeScan>();
  #lastScan = 0;

  constructor(db: Database, log: LogReader, options: SqliteStoreOptions) {
    this.#db = db;
    this.#log = log;
    this.#options = options;
    this.#seriesOf = db.prepare('SELECT id, metric FROM series WHERE device = ?');
  }

  /** Throws StoreError `invalid` for a cursor of another store. */
  async read(query: RangeQuery): Promise<RangePage> {
    const cursor = parseRangeCursor(query.after);
    const scan = this.#resume(query, cursor) ?? this.#begin(query, cursor);
    const complete = await this.#run(scan, query.budgetMs);
    if (!complete) return { page: this.#log.pack([]), next: this.#remember(scan, cursor), complete };
    const { items, more } = scan.result();
    const last = items.at(-1);
    const next = more && last !== undefined ? formatRangeCursor({ timeUs: last[2], id: last[0], scan: null }) : null;
    return { page: this.#log.pack(items), next, complete };
  }

  #begin(query: RangeQuery, cursor: RangeCursor): RangeScan {
    const series = this.#seriesOf
      .all(query.device)
      .filter(({ metric }) => query.metric === null || metric === query.metric)
      .map(({ id }) => id);
    const bounds = { fromUs: query.fromUs, toUs: query.toUs, limit: pageLimit(query.limit, MAX_READING_ROWS) };
    return new RangeScan(this.#db, keyOf(query, cursor), series, bounds, cursor, this.#options);
  }

  #resume(query: RangeQuery, cursor: RangeCursor): RangeScan | undefined {
    if (cursor.scan === null) return undefined;
    const scan = this.#scans.get(cursor.scan);
    // The same number with another question: a cursor of an earlier run.
    if (scan?.key !== keyOf(query, cursor)) return undefined;
    this.#scans.delete(cursor.scan);
    return scan;
  }

  #remember(scan: RangeScan, cursor: RangeCursor): string {
    const number = String(++this.#lastScan);
    this.#scans.set(number, scan);
    if (this.#scans.size > this.#options.rangeScans) this.#scans.delete(this.#scans.keys().next().value!);
    return formatRangeCursor({ ...cursor, scan: number });
  }

  /** Scans until the end, or until its own work has taken the budget: at least one chunk. Says whether it reached the end. */
  async #run(scan: RangeScan, budgetMs: number): Promise<boolean> {
    let spentMs = 0;
    let ended = scan.ended;
    while (!ended) {
      const startMs = performance.now();
      ended = scan.chunk();
      spentMs += performance.now() - startMs;
      if (spentMs > budgetMs && !ended) return false;
      await nextTurn();
    }
    return true;
  }
}

function keyOf(query: RangeQuery, { timeUs, id }: RangeCursor): string {
  return JSON.stringify([query.device, query.metric, query.fromUs, query.toUs, query.limit, timeUs, id]);
}
