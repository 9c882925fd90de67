import type { Database, Statement } from 'better-sqlite3';
import type { RangeCursor } from '../cursor.ts';
import type { SqliteStoreOptions } from '../options.ts';
import type { RawReading } from './wire.ts';

interface Bounds {
  readonly fromUs: number;
  readonly toUs: number;
  readonly limit: number;
}

interface ChunkParameters {
  readonly first: number;
  readonly last: number;
  readonly series: string;
  readonly lowSeries: number;
  readonly highSeries: number;
}

const OF_CHUNK =
  'FROM log WHERE id BETWEEN :first AND :last AND series BETWEEN :lowSeries AND :highSeries ' +
  'AND series IN (SELECT value FROM json_each(:series)) ';
/** Number 1 and boolean true are equal to SQLite, so the type is part of what makes readings equal. */
const READING = 'series, time_us, value, typeof(value)';

/** One scan of the log as it was when the scan began, for the smallest readings after a cursor. Memory: a page, and `rangeSeenRows` keys. */
export class RangeScan {
  readonly key: string;
  ended: boolean;
  readonly #limit: number;
  readonly #after: RangeCursor;
  readonly #fromUs: number;
  /** Falls once a page is full: what comes later than its last row is of no interest. */
  #toUs: number;
  readonly #options: SqliteStoreOptions;
  readonly #series: Pick<ChunkParameters, 'series' | 'lowSeries' | 'highSeries'>;
  readonly #select: Statement<[ChunkParameters & Record<string, number | string>], RawReading>;
  readonly #selectSeen: Statement<[ChunkParameters & Record<string, number | string>], RawReading>;
  readonly #endId: number;
  #nextId: number;
  /** In order, each once, at most limit + 1: one more than asked says that there is more. */
  #best: RawReading[] = [];
  /** Readings at the cursor's time that earlier pages gave: another one like it is not given again. */
  readonly #seen = new Set<string>();

  constructor(
    db: Database,
    key: string,
    series: readonly number[],
    bounds: Bounds,
    after: RangeCursor,
    options: SqliteStoreOptions,
  ) {
    this.key = key;
    this.#options = options;
    this.#after = after;
    this.#limit = bounds.limit;
    this.#fromUs = Math.max(bounds.fromUs, after.timeUs);
    this.#toUs = bounds.toUs;
    this.#series = {
      series: JSON.stringify(series),
      lowSeries: series.reduce((a, b) => Math.min(a, b), Infinity),
      highSeries: series.reduce((a, b) => Math.max(a, b), -Infinity),
    };
    this.#select = db
      .prepare<[ChunkParameters & Record<string, number | string>], RawReading>(
        `SELECT min(id), series, time_us, value, typeof(value) = 'integer' ${OF_CHUNK}` +
          'AND time_us >= :fromUs AND time_us < :toUs AND (time_us > :afterUs OR id > :afterId) ' +
          `GROUP BY ${READING} ORDER BY time_us, min(id) LIMIT :most`,
      )
      .raw();
    this.#selectSeen = db
      .prepare<[ChunkParameters & Record<string, number | string>], RawReading>(
        `SELECT min(id), series, time_us, value, typeof(value) = 'integer' ${OF_CHUNK}` +
          `AND time_us = :afterUs AND id <= :afterId GROUP BY ${READING} LIMIT :most`,
      )
      .raw();
    const range = db
      .prepare<[], [number | null, number | null]>('SELECT (SELECT min(id) FROM log), (SELECT max(id) FROM log)')
      .raw();
    const [first, last] = range.get()!;
    this.#nextId = first ?? 1;
    this.#endId = last ?? 0;
    this.ended = series.length === 0 || this.#nextId > this.#endId || this.#fromUs >= this.#toUs;
  }

  /** Looks at the next rows of the log, each query in a read transaction of its own. Says whether that was the end. */
  chunk(): boolean {
    const first = this.#nextId;
    const last = Math.min(this.#endId, first + this.#options.rangeChunkRows - 1);
    const chunk = { first, last, ...this.#series };
    if (first <= this.#after.id) this.#noteSeen(chunk);
    this.#take(chunk);
    this.#nextId = last + 1;
    this.ended = last >= this.#endId;
    return this.ended;
  }

  result(): { readonly items: readonly RawReading[]; readonly more: boolean } {
    return { items: this.#best.slice(0, this.#limit), more: this.#best.length > this.#limit };
  }

  #noteSeen(chunk: ChunkParameters): void {
    const most = this.#options.rangeSeenRows - this.#seen.size;
    if (most <= 0) return;
    const { timeUs: afterUs, id: afterId } = this.#after;
    for (const row of this.#selectSeen.all({ ...chunk, afterUs, afterId, most })) this.#seen.add(keyOf(row));
  }

  #take(chunk: ChunkParameters): void {
    const most = this.#limit + 1;
    const rows = this.#select.all({
      ...chunk,
      fromUs: this.#fromUs,
      toUs: this.#toUs,
      afterUs: this.#after.timeUs,
      afterId: this.#after.id,
      // Those that were seen fall out below and must not take the place of others.
      most: most + this.#seen.size,
    });
    if (rows.length === 0) return;
    this.#best = merge(this.#best, rows, (row) => row[2] === this.#after.timeUs && this.#seen.has(keyOf(row)));
    if (this.#best.length < most) return;
    this.#best.length = most;
    this.#toUs = Math.min(this.#toUs, this.#best[most - 1]![2] + 1);
  }
}

/** Both in order; `older` come from earlier in the log, so of equal readings theirs is kept. */
function merge(
  older: readonly RawReading[],
  newer: readonly RawReading[],
  skip: (row: RawReading) => boolean,
): RawReading[] {
  const known = new Set(older.map(keyOf));
  const fresh = newer.filter((row) => !skip(row) && !known.has(keyOf(row)));
  return [...older, ...fresh].sort((a, b) => a[2] - b[2] || a[0] - b[0]);
}

/** The same for equal readings. */
function keyOf([, series, timeUs, value, isBoolean]: RawReading): string {
  return `${timeUs} ${series} ${isBoolean} ${typeof value} ${value}`;
}
