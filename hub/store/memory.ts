import { buffersOf, Handover, valueAt } from './columns.ts';
import { MemoryControl } from './memory/control.ts';
import { MemoryReader } from './memory/reader.ts';
import { MemoryTables } from './memory/tables.ts';
import { DEFAULT_STORE_LIMITS, type StoreLimits } from './options.ts';
import { decide } from './sequence.ts';
import {
  StoreError,
  type BatchResult,
  type ReadingColumns,
  type SequenceOutcome,
  type Store,
  type StoreErrorCode,
  type WriteBatch,
} from './port.ts';

/**
 * A store for tests: the meaning of the SQLite one, and nothing outlives the object. Each commit is done at once and
 * resolves in a microtask, unless a test holds or fails it.
 */
export class MemoryStore implements Store {
  readonly read: MemoryReader;
  /** How many commits were stored. */
  commits = 0;
  readonly #tables = new MemoryTables();
  readonly #control: MemoryControl;
  readonly #handover = new Handover();
  readonly #limits: StoreLimits;
  #state: 'new' | 'open' | 'closed' = 'new';
  #underWay: Promise<unknown> | null = null;
  #failures: StoreErrorCode[] = [];
  #held: { readonly until: Promise<unknown>; readonly release: () => void } | null = null;

  constructor(limits: Partial<StoreLimits> = {}) {
    this.#limits = { ...DEFAULT_STORE_LIMITS, ...limits };
    this.#control = new MemoryControl(this.#tables, this.#limits);
    this.read = new MemoryReader(this.#tables, () => {
      this.#assertOpen();
    });
  }

  open(): Promise<void> {
    this.#state = 'open';
    return Promise.resolve();
  }

  async close(): Promise<void> {
    await this.#underWay?.catch(() => undefined);
    this.#state = 'closed';
  }

  commit(batch: WriteBatch): Promise<BatchResult> {
    if (this.#underWay !== null) throw new StoreError('internal', 'A commit is under way: one at a time.');
    const underWay = this.#commit(batch).finally(() => {
      this.#underWay = null;
    });
    this.#underWay = underWay;
    return underWay;
  }

  checkpoint(): Promise<{ walBytes: number }> {
    return Promise.resolve().then(() => {
      this.#assertOpen();
      return { walBytes: 0 };
    });
  }

  /** Test hook: the next commit stores nothing and rejects with `code`. Called several times: as many commits fail, in order. */
  failNext(code: StoreErrorCode): void {
    this.#failures.push(code);
  }

  /** Test hook: no more failures are due. */
  clearFailures(): void {
    this.#failures = [];
  }

  /** Test hook: commits wait, as on a slow disk, until `release`. */
  hold(): void {
    if (this.#held !== null) return;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#held = { until: promise, release: () => resolve(undefined) };
  }

  /** Test hook: ends `hold`. */
  release(): void {
    this.#held?.release();
    this.#held = null;
  }

  async #commit(batch: WriteBatch): Promise<BatchResult> {
    this.#assertOpen();
    const rows = this.#take(batch.rows);
    if (this.#held !== null) await this.#held.until;
    const failure = this.#failures.shift();
    if (failure !== undefined) {
      this.#handover.giveBack(batch.rows, rows);
      throw new StoreError(failure, `the test let this commit fail (${failure})`);
    }
    this.#addSeries(batch);
    this.commits++;
    const sequenced = this.#append(rows, batch);
    this.#tables.sessions.applyAll(batch.sessions);
    return { sequenced, control: batch.control.map((write) => this.#control.apply(write)) };
  }

  #addSeries({ newSeries }: WriteBatch): void {
    const { series } = this.#tables;
    const known = newSeries.find(({ id }) => series.has(id));
    if (known !== undefined) throw new StoreError('internal', `Series ${known.id} exists already.`);
    for (const row of newSeries) series.set(row.id, row);
  }

  /** Takes the arrays away from the caller, as the way to a worker does. */
  #take(columns: ReadingColumns): ReadingColumns {
    const held = this.#handover.take(columns);
    return held.count === 0 ? held : structuredClone(held, { transfer: buffersOf(held) });
  }

  #append(rows: ReadingColumns, batch: WriteBatch): SequenceOutcome[] {
    let next = 0;
    const outcomes = batch.sequenced.map((message) => {
      this.#appendRows(rows, next, message.firstRow);
      next = message.endRow;
      const mark = this.#tables.streams.get(message.device)?.get(message.stream)?.mark ?? 0;
      const outcome = decide(mark, message.seq);
      if (outcome.kind === 'stored') {
        this.#tables.stream(message.device, message.stream, this.#limits.streamsPerDevice).mark = message.seq;
        this.#appendRows(rows, message.firstRow, message.endRow);
        if (message.control !== null) this.#control.apply(message.control);
      }
      return outcome;
    });
    this.#appendRows(rows, next, rows.count);
    return outcomes;
  }

  #appendRows(rows: ReadingColumns, first: number, end: number): void {
    for (let row = first; row < end; row++) {
      this.#tables.log.push({ series: rows.series[row]!, timeUs: rows.timeUs[row]!, value: valueAt(rows, row) });
    }
  }

  #assertOpen(): void {
    if (this.#state !== 'open') throw new StoreError('closed', 'The store is not open.');
  }
}
