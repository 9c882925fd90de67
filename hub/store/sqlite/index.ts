import { resolve } from 'node:path';
import { buffersOf, Handover } from '../columns.ts';
import { DEFAULT_SQLITE_OPTIONS, type SqliteStoreOptions } from '../options.ts';
import {
  StoreError,
  type BatchResult,
  type ReadingColumns,
  type SessionWrite,
  type Store,
  type StoreFacts,
  type WriteBatch,
} from '../port.ts';
import type { ReaderRequests } from './reader-worker.ts';
import { SqliteReader } from './reader.ts';
import { requestBuffers } from './sessions/request.ts';
import { SessionDraft } from './sessions/session-draft.ts';
import { CallError, Thread } from './thread.ts';
import { packControl, packSequenced, unpackOutcomes, type CommitReply, type CommitRequest } from './wire.ts';
import type { WorkerSetup, WriterRequests } from './writer-worker.ts';

/**
 * SQLite in two worker threads, one that writes and one that reads: the event loop never waits for it.
 *
 * A batch's columns are transferred to the writer. When a commit fails they come back and wait in `Handover`, so that the same
 * batch object can be tried again. When the writer thread itself dies they are lost with it: every later call rejects
 * with StoreError `internal`, and the hub must be started anew.
 */
export class SqliteStore implements Store {
  readonly read: SqliteReader;
  readonly #setup: WorkerSetup;
  readonly #handover = new Handover();
  #writer: Thread<WriterRequests> | null = null;
  #reader: Thread<ReaderRequests> | null = null;
  #facts: StoreFacts | null = null;
  #underWay: Promise<unknown> | null = null;
  /** A thread of the store has died by itself: nothing can be written or read any more. */
  onDeath: (error: StoreError) => void = () => undefined;

  /** `folder` is made by `open` when it is missing, for its owner alone. */
  constructor(folder: string, options: Partial<SqliteStoreOptions> = {}) {
    // An absolute path is never taken for a URI or for SQLite's `:memory:`.
    this.#setup = { folder: resolve(folder), options: { ...DEFAULT_SQLITE_OPTIONS, ...options } };
    this.read = new SqliteReader(
      () => this.#reader,
      () => this.#facts,
    );
  }

  async open(): Promise<void> {
    if (this.#writer !== null) throw new StoreError('internal', 'The store is open already.');
    // Both start at once; the writer makes and migrates what the reader opens.
    const died = (error: StoreError): void => this.onDeath(error);
    this.#writer = new Thread('./writer-worker', 'writer', this.#setup, died);
    this.#reader = new Thread('./reader-worker', 'reader', this.#setup, died);
    try {
      this.#facts = (await called(this.#writer.call('open', null))) as StoreFacts;
      await called(this.#reader.call('open', null));
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const writer = this.#writer;
    const reader = this.#reader;
    this.#writer = null;
    this.#reader = null;
    await this.#underWay?.catch(() => undefined);
    this.read.queues.forget();
    // The reader first: the last connection to close moves the whole write-ahead log into the database.
    for (const thread of [reader, writer]) {
      await thread?.call('close', null).catch(() => undefined);
      await thread?.end();
    }
  }

  commit(batch: WriteBatch): Promise<BatchResult> {
    if (this.#underWay !== null) throw new StoreError('internal', 'A commit is under way: one at a time.');
    const underWay = this.#commit(batch).finally(() => {
      this.#underWay = null;
    });
    this.#underWay = underWay;
    return underWay;
  }

  async checkpoint(): Promise<{ readonly walBytes: number }> {
    if (this.#writer === null) throw new StoreError('closed', 'The store is not open.');
    return (await called(this.#writer.call('checkpoint', null))) as { walBytes: number };
  }

  async #commit(batch: WriteBatch): Promise<BatchResult> {
    const writer = this.#writer;
    if (writer === null) throw new StoreError('closed', 'The store is not open.');
    const draft = batch.sessions.length === 0 ? null : await this.#draft(batch.sessions);
    const sessions = draft?.request() ?? null;
    const rows = this.#handover.take(batch.rows);
    const request: CommitRequest = {
      newSeries: batch.newSeries,
      rows: rows.count === 0 ? NO_ROWS : rows,
      sequenced: packSequenced(batch.sequenced),
      sessions,
      control: batch.control.map(packControl),
    };
    const transfer = rows.count === 0 ? [] : buffersOf(rows);
    if (sessions !== null) transfer.push(...requestBuffers(sessions));
    let reply: CommitReply;
    try {
      reply = (await writer.call('commit', request, transfer)) as CommitReply;
    } catch (error) {
      if (!(error instanceof CallError)) {
        this.#handover.giveBack(batch.rows, rows);
        throw new StoreError('internal', `The batch could not be handed to the writer: ${String(error)}`, {
          cause: error,
        });
      }
      if (rows.count > 0 && error.returned !== null)
        this.#handover.giveBack(batch.rows, error.returned as ReadingColumns);
      throw error.cause;
    }
    draft?.apply(reply.missing);
    return { sequenced: unpackOutcomes(reply.outcomes, batch.sequenced.length), control: reply.control };
  }

  async #draft(writes: readonly SessionWrite[]): Promise<SessionDraft> {
    const { queues } = this.read;
    return new SessionDraft(queues.loaded ?? (await queues.get()), writes);
  }
}

const NO_ROWS: ReadingColumns = {
  count: 0,
  series: new Uint32Array(0),
  timeUs: new Float64Array(0),
  kind: new Uint8Array(0),
  number: new Float64Array(0),
  texts: [],
};

async function called(call: Promise<unknown>): Promise<unknown> {
  try {
    return await call;
  } catch (error) {
    throw error instanceof CallError ? error.cause : error;
  }
}
