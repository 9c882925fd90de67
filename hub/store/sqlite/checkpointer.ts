import type { Database } from 'better-sqlite3';
import { statSync } from 'node:fs';
import type { SqliteStoreOptions } from '../options.ts';

interface WalState {
  /** Frames in the write-ahead log; -1 when there is none. */
  readonly log: number;
  readonly checkpointed: number;
}

/**
 * Moves the write-ahead log into the database between batches. PASSIVE waits for nobody and is made often, so each is short;
 * made by the writing thread, it also reaches the end of the log, and the next commit starts the log anew. When a long reader
 * has let the file grow all the same, TRUNCATE cuts it, with a bounded wait for readers (PASSIVE alone never shrinks it).
 * A checkpoint that fails (a full disk) has lost nothing and is tried again later.
 */
export class Checkpointer {
  readonly #db: Database;
  readonly #options: SqliteStoreOptions;
  readonly #pageBytes: number;

  constructor(db: Database, options: SqliteStoreOptions) {
    this.#db = db;
    this.#options = options;
    this.#pageBytes = Number(db.pragma('page_size', { simple: true }));
  }

  /** After a commit, when no other waits. */
  afterCommit(): void {
    this.#run(this.#options.checkpointBytes);
  }

  /** When there has been no commit for a while. */
  idle(): void {
    this.#run(1);
  }

  /** As far as readers allow, with a bounded wait for them. Returns the size that the file still has. Throws what SQLite throws. */
  now(): number {
    this.#truncate();
    return this.#fileBytes();
  }

  #run(fromBytes: number): void {
    try {
      // NOOP looks and does nothing (SQLite 3.51).
      const before = this.#checkpoint('NOOP');
      if ((before.log - before.checkpointed) * this.#pageBytes < fromBytes) return;
      const after = this.#checkpoint('PASSIVE');
      if (after.log === after.checkpointed && this.#fileBytes() > this.#options.walTruncateBytes) this.#truncate();
    } catch {
      // The commit path meets the same disk and reports it.
    }
  }

  #truncate(): void {
    try {
      this.#db.pragma(`busy_timeout = ${this.#options.truncateWaitMs}`);
      this.#checkpoint('TRUNCATE');
    } finally {
      this.#db.pragma(`busy_timeout = ${this.#options.busyTimeoutMs}`);
    }
  }

  #checkpoint(mode: 'NOOP' | 'PASSIVE' | 'TRUNCATE'): WalState {
    return (this.#db.pragma(`wal_checkpoint(${mode})`) as [WalState])[0];
  }

  #fileBytes(): number {
    return statSync(`${this.#db.name}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  }
}
