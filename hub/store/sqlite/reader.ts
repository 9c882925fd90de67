import { pageLimit } from '../cursor.ts';
import {
  StoreError,
  type CommandEvent,
  type CommandRow,
  type CommandState,
  type ConnectionRow,
  type EventRow,
  type LogRow,
  type Page,
  type PageRequest,
  type QueueRow,
  type RejectedRow,
  type StartState,
  type StoreFacts,
  type StoreReader,
} from '../port.ts';
import type { RangePage, RangeQuery } from './range-reader.ts';
import type { ReaderRequests } from './reader-worker.ts';
import { QueueIndexHolder, type IndexColumns } from './sessions/queue-index.ts';
import { CallError, type Thread } from './thread.ts';
import { unpackReadings, type ReadingPage } from './wire.ts';

/** The reads, asked of the reader thread. */
export class SqliteReader implements StoreReader {
  readonly #thread: () => Thread<ReaderRequests> | null;
  readonly #facts: () => StoreFacts | null;

  /** Which rows wait for which session. */
  readonly queues = new QueueIndexHolder(() => this.#ask<IndexColumns>('queueIndex', null));

  constructor(thread: () => Thread<ReaderRequests> | null, facts: () => StoreFacts | null) {
    this.#thread = thread;
    this.#facts = facts;
  }

  /** As the writing connection gave them when it was opened; a connection with others is not opened. */
  facts(): Promise<StoreFacts> {
    const facts = this.#facts();
    return facts === null ? Promise.reject(new StoreError('closed', 'The store is not open.')) : Promise.resolve(facts);
  }

  async startState(): Promise<StartState> {
    const wanted = this.queues.wanted;
    const asked = this.#ask<{ state: StartState; index: IndexColumns }>('startState', { index: wanted });
    if (wanted) await this.queues.load(asked.then(({ index }) => index));
    return (await asked).state;
  }

  async sessionQueue(query: Parameters<StoreReader['sessionQueue']>[0]): Promise<readonly QueueRow[]> {
    const { session, limit, maxBytes } = query;
    const index = this.queues.loaded ?? (await this.queues.get());
    let { afterPlace } = query;
    for (;;) {
      const waiting = index.sessions.get(session)?.waiting(afterPlace, pageLimit(limit));
      if (waiting === undefined || waiting.rows.length === 0) return [];
      const page = await this.#ask<readonly QueueRow[]>('sessionQueue', { rows: waiting.rows, maxBytes });
      if (page.length > 0) return page;
      // A commit that has removed them all is on disk, and its answer still on the way: there may be more behind them.
      afterPlace = waiting.lastPlace;
    }
  }

  async range(query: RangeQuery): Promise<{ items: readonly LogRow[]; next: string | null; complete: boolean }> {
    const { page, next, complete } = await this.#ask<RangePage>('range', query);
    return { items: unpackReadings(page), next, complete };
  }

  async log(afterId: number, limit: number): Promise<readonly LogRow[]> {
    return unpackReadings(await this.#ask<ReadingPage>('log', { afterId, limit }));
  }

  lastLogId(): Promise<number> {
    return this.#ask('lastLogId', null);
  }

  rejected(device: string, page: PageRequest): Promise<Page<RejectedRow> & { readonly evicted: number }> {
    return this.#ask('rejected', { device, page });
  }

  events(device: string, page: PageRequest): Promise<Page<EventRow>> {
    return this.#ask('events', { device, page });
  }

  connections(device: string, page: PageRequest): Promise<Page<ConnectionRow>> {
    return this.#ask('connections', { device, page });
  }

  commands(device: string, page: PageRequest & { readonly state: CommandState | null }): Promise<Page<CommandRow>> {
    return this.#ask('commands', { device, page });
  }

  command(id: string): Promise<{ readonly command: CommandRow; readonly history: readonly CommandEvent[] } | null> {
    return this.#ask('command', id);
  }

  gaps(device: string): ReturnType<StoreReader['gaps']> {
    return this.#ask('gaps', device);
  }

  async #ask<T>(op: keyof ReaderRequests, request: ReaderRequests[typeof op]): Promise<T> {
    const thread = this.#thread();
    if (thread === null) throw new StoreError('closed', 'The store is not open.');
    try {
      return (await thread.call(op, request)) as T;
    } catch (error) {
      throw error instanceof CallError ? error.cause : error;
    }
  }
}
