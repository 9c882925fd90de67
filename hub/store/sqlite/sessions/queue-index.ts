import { QueuePlaces } from './queue-places.ts';

/** What the reader finds of sessions and queues: as columns, transferred. */
export interface IndexColumns {
  readonly sessions: Float64Array;
  /** Entry i is (session[i], place[i]) in row[i], negative for a release that is owed; in the order of the rows. */
  readonly session: Float64Array;
  readonly place: Float64Array;
  readonly row: Float64Array;
  readonly lastMessageId: number;
}

/**
 * Who waits for which rows of the queue table, as it stands on disk: held by the main thread, so that neither thread of the
 * store needs an index by session. 16 bytes for each entry. It changes when a commit has succeeded, never before.
 */
export class QueueIndex {
  readonly sessions = new Map<number, QueuePlaces>();
  /** Highest message id that was ever committed. */
  lastMessageId: number;
  /** Rows are numbered here; a number of a failed commit is not given again. */
  #lastRow = 0;

  constructor(columns: IndexColumns) {
    const { session, place, row } = columns;
    this.lastMessageId = columns.lastMessageId;
    for (const id of columns.sessions) this.sessions.set(id, new QueuePlaces());
    for (let i = 0; i < row.length; i++) this.sessions.get(session[i]!)?.set(place[i]!, row[i]!);
    this.#lastRow = Math.abs(row.at(-1) ?? 0);
  }

  /** Takes `count` row ids in a row and returns the first. */
  takeRows(count: number): number {
    const first = this.#lastRow + 1;
    this.#lastRow += count;
    return first;
  }
}

/** The index, read when it is first needed: with the start state, or for the first batch that writes to sessions. */
export class QueueIndexHolder {
  readonly #read: () => Promise<IndexColumns>;
  #index: QueueIndex | null = null;
  #loading: Promise<QueueIndex> | null = null;

  constructor(read: () => Promise<IndexColumns>) {
    this.#read = read;
  }

  /** Null: nobody has needed it yet. */
  get loaded(): QueueIndex | null {
    return this.#index;
  }

  get wanted(): boolean {
    return this.#index === null && this.#loading === null;
  }

  get(): Promise<QueueIndex> {
    if (this.#index !== null) return Promise.resolve(this.#index);
    return this.#loading ?? this.load(this.#read());
  }

  /** What is being read will be the index. Nothing may write to sessions until it is there. */
  load(reading: Promise<IndexColumns>): Promise<QueueIndex> {
    this.#loading = reading.then(
      (columns) => (this.#index = new QueueIndex(columns)),
      (error: unknown) => {
        this.#loading = null;
        throw error;
      },
    );
    return this.#loading;
  }

  /** The store was closed. */
  forget(): void {
    this.#index = null;
    this.#loading = null;
  }
}
