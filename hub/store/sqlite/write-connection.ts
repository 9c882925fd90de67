import type { Database, Statement } from 'better-sqlite3';
import type { SqliteStoreOptions } from '../options.ts';
import { decide } from '../sequence.ts';
import { StoreError, type ControlWrite, type ReadingColumns, type SeriesRow, type StoreFacts } from '../port.ts';
import { ControlWriter } from './control/index.ts';
import { storeError } from './errors.ts';
import { LogWriter } from './log-writer.ts';
import { Marks } from './marks.ts';
import { openForWriting } from './open.ts';
import { SessionWriter } from './sessions/session-writer.ts';
import { DUPLICATE, STORED, type CommitReply, type CommitRequest, type SequencedColumns } from './wire.ts';

/** The writing connection with its prepared statements. A commit is one transaction. */
export class WriteConnection {
  readonly db: Database;
  readonly facts: StoreFacts;
  readonly #folder: string;
  readonly #log: LogWriter;
  readonly #marks: Marks;
  readonly #sessions: SessionWriter;
  readonly #control: ControlWriter;
  readonly #insertSeries: Statement;
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #rollback: Statement;

  /** Throws StoreError. */
  constructor(folder: string, options: SqliteStoreOptions) {
    const { db, facts } = openForWriting(folder, options);
    this.db = db;
    this.facts = facts;
    this.#folder = folder;
    this.#log = new LogWriter(db);
    this.#marks = new Marks(db, options.streamsPerDevice);
    this.#sessions = new SessionWriter(db);
    this.#control = new ControlWriter(db, options, this.#marks);
    this.#insertSeries = db.prepare('INSERT INTO series (id, device, metric) VALUES (?, ?, ?)');
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commit = db.prepare('COMMIT');
    this.#rollback = db.prepare('ROLLBACK');
  }

  /** On disk when it returns. Throws StoreError, and nothing of it is stored then. */
  commit(request: CommitRequest): CommitReply {
    try {
      this.#begin.run();
      this.#addSeries(request.newSeries);
      const outcomes = this.#addReadings(request.rows, request.sequenced);
      const missing = request.sessions === null ? null : this.#sessions.write(request.sessions);
      const control = this.#addControl(request.control);
      this.#commit.run();
      return { outcomes, missing: missing === null || missing.size === 0 ? null : missing, control };
    } catch (error) {
      this.#undo();
      throw storeError(error, this.#folder);
    }
  }

  close(): void {
    this.db.close();
  }

  /** SQLite has rolled back by itself after some errors (a full disk among them). */
  #undo(): void {
    if (this.db.inTransaction) this.#rollback.run();
  }

  #addSeries(rows: readonly SeriesRow[]): void {
    for (const { id, device, metric } of rows) this.#insertSeries.run(id, device, metric);
  }

  #addReadings(rows: ReadingColumns, sequenced: SequencedColumns | null): Float64Array | null {
    this.#log.begin();
    if (sequenced === null) {
      this.#log.append(rows, 0, rows.count);
      this.#log.flush();
      return null;
    }
    const outcomes = this.#addSequenced(rows, sequenced);
    this.#log.flush();
    return outcomes.every((outcome) => outcome === STORED) ? null : outcomes;
  }

  /** Rows between messages always count; those of a message only when its number is the next of its stream. */
  #addSequenced(rows: ReadingColumns, messages: SequencedColumns): Float64Array {
    const marks = this.#marks.load(messages.streams);
    const outcomes = new Float64Array(messages.count);
    // Rows from `first` on that are wanted and not yet appended: neighbours go together.
    let first = 0;
    for (let index = 0; index < messages.count; index++) {
      const mark = marks[messages.stream[index]!]!;
      const outcome = decide(mark.mark, messages.seq[index]!);
      if (outcome.kind === 'stored') {
        this.#marks.advance(mark, messages.seq[index]!);
        this.#addControlOf(messages.control.get(index));
        outcomes[index] = STORED;
        continue;
      }
      this.#log.append(rows, first, messages.firstRow[index]!);
      first = messages.endRow[index]!;
      outcomes[index] = outcome.kind === 'gap' ? outcome.expected : DUPLICATE;
    }
    this.#log.append(rows, first, rows.count);
    this.#marks.save(marks);
    return outcomes;
  }

  /** The message is acknowledged because this is recorded, so the batch fails with it. */
  #addControlOf(write: ControlWrite | undefined): void {
    if (write === undefined) return;
    const result = this.#control.apply(write);
    if (!result.ok) throw new StoreError('internal', `A numbered message could not be recorded: ${result.message}`);
  }

  #addControl(writes: readonly ControlWrite[]): CommitReply['control'] {
    return writes.map((write) => this.#control.apply(write));
  }
}
