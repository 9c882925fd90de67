import { ABANDONED, STORED } from '#protocols/outcome.js';
import type { Clock, Timer } from '#hub/clock.js';
import { StoreError, type BatchResult, type Store, type WriteBatch } from '#hub/store/port.js';
import { OpenBatch } from './batch.ts';
import type { CommittedSeries, StoreHealth, TelemetryBacklog } from './port.ts';
import type { TelemetryObserver, TelemetryOptions } from './telemetry.ts';

/** How long a batch that the disk refused waits for its next try: doubling between these. */
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2000;

/**
 * Natural group commit: while one batch commits, the next one fills. An idle store takes a batch at the end of the
 * tick, so a lone reading waits for one fsync and for no timer. A batch that fails is tried again, whole, for ever:
 * nobody is acknowledged meanwhile, and the backlog pauses those who send.
 */
export class Committer implements TelemetryBacklog {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #options: TelemetryOptions;
  readonly #observer: TelemetryObserver;
  #open = new OpenBatch();
  #sealed: OpenBatch | null = null;
  #scheduled = false;
  #abandoned = false;
  #retry: Timer | null = null;
  #failedSinceMs: number | null = null;
  #failure: string | null = null;
  #whenIdle: (() => void)[] = [];
  /** Told after each commit which series have a new latest value; null: nobody watches, and nothing is gathered. */
  onCommitted: ((changed: readonly CommittedSeries[]) => void) | null = null;

  constructor(store: Store, clock: Clock, options: TelemetryOptions, observer: TelemetryObserver) {
    this.#store = store;
    this.#clock = clock;
    this.#options = options;
    this.#observer = observer;
  }

  /** The batch that takes entries now; its commit is on its way. */
  batch(): OpenBatch {
    const batch = this.#open;
    if (batch.firstMs < 0) batch.firstMs = this.#clock.monotonic();
    if (!this.#scheduled && this.#sealed === null) {
      this.#scheduled = true;
      // After the poll phase: everything that the sockets have just brought goes into one commit.
      setImmediate(() => this.#start());
    }
    return batch;
  }

  /** The batch that brings the last of what was handed over so far to disk: the one that commits, where nothing came after it. */
  lastBatch(): OpenBatch {
    return this.#sealed !== null && this.#open.empty ? this.#sealed : this.batch();
  }

  get abandoned(): boolean {
    return this.#abandoned;
  }

  get rows(): number {
    return this.#open.count + (this.#sealed?.count ?? 0);
  }

  get bytes(): number {
    return this.#open.bytes + (this.#sealed?.bytes ?? 0);
  }

  get high(): boolean {
    return this.rows >= this.#options.backlogHighRows || this.bytes >= this.#options.backlogHighBytes;
  }

  get low(): boolean {
    return this.rows <= this.#options.backlogLowRows && this.bytes <= this.#options.backlogLowBytes;
  }

  get health(): StoreHealth {
    return { writable: this.#failedSinceMs === null, sinceMs: this.#failedSinceMs, error: this.#failure };
  }

  drain(limitMs: number): Promise<boolean> {
    if (this.#idle()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = this.#clock.after(limitMs, () => resolve(false));
      this.#whenIdle.push(() => {
        timer.cancel();
        resolve(true);
      });
    });
  }

  abandon(): void {
    this.#abandoned = true;
    this.#retry?.cancel();
    for (const batch of [this.#sealed, this.#open]) {
      for (const entry of batch?.waiting ?? []) {
        if ('settle' in entry) entry.settle(ABANDONED);
        else entry.abandoned();
      }
    }
    this.#sealed = null;
    this.#open = new OpenBatch();
  }

  #idle(): boolean {
    return this.#sealed === null && this.#open.empty;
  }

  #start(): void {
    this.#scheduled = false;
    if (this.#abandoned || this.#sealed !== null || this.#open.empty) return;
    const batch = this.#open;
    this.#sealed = batch;
    this.#open = new OpenBatch();
    this.#try(batch, batch.seal(), RETRY_MIN_MS);
  }

  #try(batch: OpenBatch, write: WriteBatch, retryMs: number): void {
    batch.commitMs = this.#clock.monotonic();
    this.#store.commit(write).then(
      (result) => this.#done(batch, result),
      (error: unknown) => this.#failed(batch, write, error, retryMs),
    );
  }

  #done(batch: OpenBatch, result: BatchResult): void {
    if (this.#abandoned) return;
    const now = this.#clock.monotonic();
    this.#sealed = null;
    // Before the next batch is sealed: both use the same place in each series.
    batch.publishLatest(result);
    // The next commit runs in the worker while this one's acknowledgements are written here.
    this.#start();
    this.#observer.committed(storedRows(batch, result), now - batch.commitMs, now - batch.firstMs);
    const changed = this.onCommitted === null ? null : batch.touched;
    for (const entry of batch.waiting) {
      try {
        if ('settle' in entry) entry.settle(STORED);
        else entry.committed(result, changed);
      } catch (error) {
        this.#observer.fault(error);
      }
    }
    if (changed !== null) this.#tell(changed);
    if (this.#failedSinceMs !== null) {
      this.#failedSinceMs = null;
      this.#failure = null;
      this.#observer.recovered();
    }
    this.#announce();
  }

  #failed(batch: OpenBatch, write: WriteBatch, cause: unknown, retryMs: number): void {
    if (this.#abandoned) return;
    const error = cause instanceof StoreError ? cause : new StoreError('internal', String(cause), { cause });
    if (this.#failedSinceMs === null) {
      this.#failedSinceMs = this.#clock.now();
      this.#observer.failed(error);
    }
    this.#failure = error.message;
    this.#retry = this.#clock.after(retryMs, () => {
      this.#try(batch, write, Math.min(retryMs * 2, RETRY_MAX_MS));
    });
  }

  #tell(changed: readonly CommittedSeries[]): void {
    if (changed.length === 0) return;
    try {
      this.onCommitted?.(changed);
    } catch (error) {
      this.#observer.fault(error);
    }
  }

  #announce(): void {
    if (this.#whenIdle.length === 0 || !this.#idle()) return;
    for (const run of this.#whenIdle.splice(0)) run();
  }
}

/** Rows that count: those of duplicates and beyond gaps were not stored. */
function storedRows(batch: OpenBatch, result: BatchResult): number {
  let rows = batch.count;
  for (let i = 0; i < batch.sequenced.length; i++) {
    const message = batch.sequenced[i]!;
    if (result.sequenced[i]!.kind !== 'stored') rows -= message.endRow - message.firstRow;
  }
  return rows;
}
