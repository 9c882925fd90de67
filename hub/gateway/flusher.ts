/** Runs the function once, later. In the hub `setImmediate`: it comes after the poll phase, so what many sockets and the store's worker caused in one turn is gathered. */
export type Scheduler = (run: () => void) => void;

interface Flushable {
  flush(): void;
}

/** Flushes the outboxes of all connections that were written to in this tick: one scheduled call, however many there are. */
export class Flusher {
  readonly #schedule: Scheduler;
  readonly #onError: (error: unknown) => void;
  #dirty: Flushable[] = [];

  /** `onError`: a flush threw; the others are done all the same. */
  constructor(schedule: Scheduler, onError: (error: unknown) => void) {
    this.#schedule = schedule;
    this.#onError = onError;
  }

  /** An outbox may stand in the list twice; its second flush has nothing to do. */
  add(outbox: Flushable): void {
    this.#dirty.push(outbox);
    if (this.#dirty.length === 1) this.#schedule(() => this.#run());
  }

  #run(): void {
    const dirty = this.#dirty;
    // What is sent during a flush waits for the next tick.
    this.#dirty = [];
    for (const outbox of dirty) {
      try {
        outbox.flush();
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}
