import type { Database } from 'better-sqlite3';
import { workerData } from 'node:worker_threads';
import { buffersOf } from '../columns.ts';
import type { CommandState, PageRequest, StoreReader } from '../port.ts';
import { storeError } from './errors.ts';
import { Lists } from './lists.ts';
import { LogReader } from './log-reader.ts';
import { openForReading } from './open.ts';
import { RangeReader } from './range-reader.ts';
import { indexBuffers, readIndex } from './sessions/kept-state.ts';
import { QueueReader } from './sessions/queue-reader.ts';
import { readStartState } from './start-state.ts';
import { Answer, serve } from './thread.ts';
import type { ReadingPage } from './wire.ts';
import type { WorkerSetup } from './writer-worker.ts';

/** The thread that reads, on a connection that cannot write. One question at a time, each in short read transactions. */

export interface ReaderRequests {
  open: null;
  close: null;
  /** `index`: the index of the queues is wanted with it. */
  startState: { readonly index: boolean };
  queueIndex: null;
  sessionQueue: { readonly rows: readonly number[]; readonly maxBytes: number };
  range: Parameters<StoreReader['range']>[0];
  log: { readonly afterId: number; readonly limit: number };
  lastLogId: null;
  rejected: { readonly device: string; readonly page: PageRequest };
  events: { readonly device: string; readonly page: PageRequest };
  connections: { readonly device: string; readonly page: PageRequest };
  commands: { readonly device: string; readonly page: PageRequest & { readonly state: CommandState | null } };
  command: string;
  gaps: string;
}

interface Readers {
  readonly db: Database;
  readonly log: LogReader;
  readonly range: RangeReader;
  readonly lists: Lists;
  readonly queue: QueueReader;
}

const { folder, options } = workerData as WorkerSetup;
let opened: Readers | null = null;

function open(): Readers {
  const db = openForReading(folder, options);
  const log = new LogReader(db);
  return { db, log, range: new RangeReader(db, log, options), lists: new Lists(db), queue: new QueueReader(db) };
}

/** What SQLite throws becomes a StoreError. */
async function ask<T>(question: (readers: Readers) => T | Promise<T>): Promise<T> {
  try {
    opened ??= open();
    return await question(opened);
  } catch (error) {
    throw storeError(error, folder);
  }
}

async function answer(question: (readers: Readers) => unknown): Promise<Answer> {
  return new Answer(await ask(question));
}

function buffersOfPage(page: ReadingPage): ArrayBuffer[] {
  return [...buffersOf(page), page.id.buffer as ArrayBuffer];
}

serve<ReaderRequests>({
  open: () => answer(() => null),
  close() {
    opened?.db.close();
    return new Answer(null);
  },
  async startState({ index: wanted }) {
    const { state, index } = await ask(({ db }) => readStartState(db));
    return wanted ? new Answer({ state, index }, indexBuffers(index)) : new Answer({ state, index: null });
  },
  async queueIndex() {
    const index = await ask(({ db }) => readIndex(db));
    return new Answer(index, indexBuffers(index));
  },
  sessionQueue: ({ rows, maxBytes }) => answer(({ queue }) => queue.read(rows, maxBytes)),
  async range(query) {
    const found = await ask(({ range }) => range.read(query));
    return new Answer(found, buffersOfPage(found.page));
  },
  async log({ afterId, limit }) {
    const page = await ask(({ log }) => log.read(afterId, limit));
    return new Answer(page, buffersOfPage(page));
  },
  lastLogId: () => answer(({ log }) => log.lastId()),
  rejected: ({ device, page }) => answer(({ lists }) => lists.rejected(device, page)),
  events: ({ device, page }) => answer(({ lists }) => lists.events(device, page)),
  connections: ({ device, page }) => answer(({ lists }) => lists.connections(device, page)),
  commands: ({ device, page }) => answer(({ lists }) => lists.commands(device, page)),
  command: (id) => answer(({ lists }) => lists.command(id)),
  gaps: (device) => answer(({ lists }) => lists.gaps(device)),
});
