import type { Clock, Timer } from '#hub/clock.js';
import type { QueueRow, StoreReader } from '#hub/store/port.js';
import type { SessionJournal } from './journal.ts';
import type { QueueObserver } from './queue.ts';

/** How long a read that failed waits for its next try. */
const RETRY_MS = 1000;

export interface PageParts {
  readonly clock: Pick<Clock, 'now' | 'after'>;
  readonly journal: SessionJournal;
  readonly reader: Pick<StoreReader, 'sessionQueue'>;
  readonly observer: QueueObserver;
}

/** Reads one session's queue from the disk. What was asked for before `forget` is not answered after it. */
export class Pages {
  readonly #parts: PageParts;
  readonly #session: number;
  #turn = 0;
  #retry: Timer | null = null;

  constructor(parts: PageParts, session: number) {
    this.#parts = parts;
    this.#session = session;
  }

  /** Rises with each `forget`. */
  get turn(): number {
    return this.#turn;
  }

  forget(): void {
    this.#turn++;
    this.#retry?.cancel();
    this.#retry = null;
  }

  /** Messages behind `afterPlace`, in order. A read that fails is told and tried again. */
  read(afterPlace: number, limit: number, maxBytes: number, then: (rows: readonly QueueRow[]) => void): void {
    const { reader, observer, clock } = this.#parts;
    const turn = this.#turn;
    reader.sessionQueue({ session: this.#session, afterPlace, limit, maxBytes }).then(
      (rows) => {
        if (turn === this.#turn) then(rows);
      },
      (error: unknown) => {
        if (turn !== this.#turn) return;
        observer.failed(error);
        this.#retry = clock.after(RETRY_MS, () => this.read(afterPlace, limit, maxBytes, then));
      },
    );
  }

  /** Runs `then` when everything that was written so far can be read. */
  afterCommit(then: () => void): void {
    const turn = this.#turn;
    this.#parts.journal.afterCommit(() => {
      if (turn === this.#turn) then();
    });
  }
}
