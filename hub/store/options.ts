/** Bounds that every store keeps. The hub's configuration may give others. */
export interface StoreLimits {
  /** Connection events remembered of a device; the oldest go first. */
  readonly connectionsPerDevice: number;
  /** Recorded gaps remembered of a device; the oldest go first. */
  readonly gapsPerDevice: number;
  /** Streams of a device when one appears by its first message, without `stream.open` (which brings its own limit). */
  readonly streamsPerDevice: number;
  /** Steps remembered of a command; the oldest go first. */
  readonly historyPerCommand: number;
}

export const DEFAULT_STORE_LIMITS: StoreLimits = {
  // Enough to see a device flap, and 10,000 devices stay below 200 MB.
  connectionsPerDevice: 100,
  gapsPerDevice: 100,
  // A device has one queue, and some have one for each priority.
  streamsPerDevice: 16,
  // A command that is handed to a hundred connections has a story that nobody reads.
  historyPerCommand: 100,
};

/** What the SQLite store needs beyond that. */
export interface SqliteStoreOptions extends StoreLimits {
  /** How long `open` waits for another process to let go of the folder: a restart may overlap by a moment. */
  readonly lockWaitMs: number;
  /** How long a statement waits for a foreign connection (a backup tool) before the commit fails with `busy`. */
  readonly busyTimeoutMs: number;
  /** A checkpoint is made once so much of the write-ahead log waits for it. Small, since the next batch waits meanwhile. */
  readonly checkpointBytes: number;
  /** Without commits, what waits is checkpointed after so long. */
  readonly idleCheckpointMs: number;
  /** SQLite's `journal_size_limit`: the write-ahead log file is cut to this when it starts anew. */
  readonly walKeepBytes: number;
  /** A write-ahead log file larger than this (a long reader held it) is cut to nothing. */
  readonly walTruncateBytes: number;
  /** How long that may wait for readers. */
  readonly truncateWaitMs: number;
  /** Log rows that a range query looks at between two looks at the clock. */
  readonly rangeChunkRows: number;
  /** Unfinished range scans that are remembered until their next call. */
  readonly rangeScans: number;
  /** Rows of one device at one microsecond, given out on earlier pages, that a page is compared with to merge equal ones. */
  readonly rangeSeenRows: number;
}

export const DEFAULT_SQLITE_OPTIONS: SqliteStoreOptions = {
  ...DEFAULT_STORE_LIMITS,
  lockWaitMs: 1000,
  busyTimeoutMs: 2000,
  // About 1 ms of writing on a disk that takes the load at all.
  checkpointBytes: 4 * 1024 * 1024,
  idleCheckpointMs: 1000,
  walKeepBytes: 16 * 1024 * 1024,
  walTruncateBytes: 64 * 1024 * 1024,
  truncateWaitMs: 50,
  // 2 ms when nothing matches, some 30 ms when every row does.
  rangeChunkRows: 50_000,
  rangeScans: 16,
  rangeSeenRows: 100_000,
};

/** Rows of one page of a list; more are not given, whatever is asked. */
export const MAX_PAGE_ROWS = 1000;
/** Rows of one answer of `range` and of `log`. */
export const MAX_READING_ROWS = 10_000;
