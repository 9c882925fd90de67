import type { Clock } from '#hub/clock.js';

export interface SlowDownRule {
  /** Failed tries that cost nothing: people mistype. */
  readonly freeTries: number;
  /** The wait after the first that costs; each further one doubles it. */
  readonly firstWaitMs: number;
  readonly maxWaitMs: number;
  /** So long after the last failed try, all are forgotten. */
  readonly forgetMs: number;
  /** Most keys that are remembered; past it the one whose last try is the longest ago goes. */
  readonly maxKeys: number;
}

interface Failures {
  count: number;
  lastMs: number;
}

/** Who keeps failing has to wait, longer each time. Kept by key (a name, an address), in bounded memory. */
export class SlowDown {
  readonly #clock: Clock;
  readonly #rule: SlowDownRule;
  /** In the order of their last tries. */
  readonly #failures = new Map<string, Failures>();

  constructor(clock: Clock, rule: SlowDownRule) {
    this.#clock = clock;
    this.#rule = rule;
  }

  /** How long this key has still to wait; 0: it may try. */
  waitMs(key: string): number {
    const { freeTries, firstWaitMs, maxWaitMs } = this.#rule;
    const failures = this.#of(key);
    if (failures === undefined || failures.count <= freeTries) return 0;
    const wait = Math.min(maxWaitMs, firstWaitMs * 2 ** (failures.count - freeTries - 1));
    return Math.max(0, Math.ceil(failures.lastMs + wait - this.#clock.monotonic()));
  }

  /** A try begins. It counts as failed at once, so that many at the same time are worth no more than one after the other. */
  tried(key: string): void {
    const count = (this.#of(key)?.count ?? 0) + 1;
    this.#failures.delete(key);
    this.#failures.set(key, { count, lastMs: this.#clock.monotonic() });
    if (this.#failures.size > this.#rule.maxKeys) this.#failures.delete(this.#failures.keys().next().value!);
  }

  /** The try was not a failure after all. */
  takeBack(key: string): void {
    const failures = this.#failures.get(key);
    if (failures !== undefined && --failures.count === 0) this.#failures.delete(key);
  }

  forget(key: string): void {
    this.#failures.delete(key);
  }

  get size(): number {
    return this.#failures.size;
  }

  #of(key: string): Failures | undefined {
    const failures = this.#failures.get(key);
    if (failures === undefined || this.#clock.monotonic() - failures.lastMs < this.#rule.forgetMs) return failures;
    this.#failures.delete(key);
    return undefined;
  }
}
