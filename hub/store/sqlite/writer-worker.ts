import type { Database } from 'better-sqlite3';
import { workerData, type Transferable } from 'node:worker_threads';
import { buffersOf } from '../columns.ts';
import type { SqliteStoreOptions } from '../options.ts';
import { StoreError, type StoreFacts } from '../port.ts';
import { Checkpointer } from './checkpointer.ts';
import { storeError } from './errors.ts';
import { lockFolder } from './lock.ts';
import { makeFolder } from './open.ts';
import { Answer, ReturningError, serve } from './thread.ts';
import type { CommitReply, CommitRequest } from './wire.ts';
import { WriteConnection } from './write-connection.ts';

/** The thread that writes. It holds the folder's lock, commits one batch at a time and checkpoints between them. */

export interface WorkerSetup {
  readonly folder: string;
  readonly options: SqliteStoreOptions;
}

export interface WriterRequests {
  open: null;
  commit: CommitRequest;
  checkpoint: null;
  close: null;
}

class Writer {
  readonly #setup: WorkerSetup;
  #lock: Database | null = null;
  #connection: WriteConnection | null = null;
  #checkpointer: Checkpointer | null = null;
  #idle: NodeJS.Timeout | null = null;

  constructor(setup: WorkerSetup) {
    this.#setup = setup;
  }

  open(): StoreFacts {
    const { folder, options } = this.#setup;
    makeFolder(folder);
    this.#lock = lockFolder(folder, options.lockWaitMs);
    return this.#connect().facts;
  }

  commit(request: CommitRequest): CommitReply {
    if (this.#lock === null) throw new StoreError('closed', 'The store is not open.');
    try {
      const reply = (this.#connection ?? this.#connect()).commit(request);
      this.#tidyLater();
      return reply;
    } catch (error) {
      const failure = storeError(error, this.#setup.folder);
      // The files may have come back as others (a remounted disk): the next try opens and checks them anew.
      if (failure.code === 'io') this.#disconnect();
      throw failure;
    }
  }

  checkpoint(): { walBytes: number } {
    if (this.#lock === null) throw new StoreError('closed', 'The store is not open.');
    try {
      if (this.#connection === null) this.#connect();
      return { walBytes: this.#checkpointer!.now() };
    } catch (error) {
      throw storeError(error, this.#setup.folder);
    }
  }

  close(): void {
    this.#disconnect();
    this.#lock?.close();
    this.#lock = null;
  }

  #connect(): WriteConnection {
    const { folder, options } = this.#setup;
    const connection = new WriteConnection(folder, options);
    this.#connection = connection;
    this.#checkpointer = new Checkpointer(connection.db, options);
    return connection;
  }

  #disconnect(): void {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
    this.#checkpointer = null;
    this.#connection?.close();
    this.#connection = null;
  }

  /** An immediate runs after the reply has gone and after a batch that waited already was committed. */
  #tidyLater(): void {
    setImmediate(() => this.#checkpointer?.afterCommit());
    if (this.#idle !== null) {
      this.#idle.refresh();
      return;
    }
    this.#idle = setTimeout(() => this.#checkpointer?.idle(), this.#setup.options.idleCheckpointMs);
  }
}

const writer = new Writer(workerData as WorkerSetup);

serve<WriterRequests>({
  open: () => new Answer(writer.open()),
  commit(request) {
    try {
      const reply = writer.commit(request);
      return new Answer(reply, reply.outcomes === null ? [] : [transferable(reply.outcomes)]);
    } catch (error) {
      throw new ReturningError(error as StoreError, request.rows, buffersOf(request.rows));
    }
  },
  checkpoint: () => new Answer(writer.checkpoint()),
  close() {
    writer.close();
    return new Answer(null);
  },
});

function transferable(array: Float64Array): Transferable {
  return array.buffer as ArrayBuffer;
}
