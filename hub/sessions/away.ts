import type { Clock, Timer } from '#hub/clock.js';
import { afterLong } from './long-timer.ts';

/** Its time without a client is over, or too many have waited for less long. */
export type Over = (why: 'expired' | 'evicted') => void;

interface Waiting {
  readonly sinceMs: number;
  readonly timer: Timer;
  readonly over: Over;
}

/** What is kept while its client is away, sessions and durable subscriptions alike: each for its time, and not too many. */
export class AwayList {
  readonly #clock: Clock;
  readonly #most: number;
  /** In the order in which their clients left, when `#inOrder`. */
  #waiting = new Map<object, Waiting>();
  #inOrder = true;
  #latestMs = -Infinity;

  /** Throws RangeError when `most` is below 1. */
  constructor(clock: Clock, most: number) {
    if (!(most >= 1)) throw new RangeError('at least one must be kept');
    this.#clock = clock;
    this.#most = most;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** `over` is called once, unless it comes back. Past the bound the one that has waited longest is over. `sinceMs`: of an earlier run. */
  add(what: object, leftMs: number, over: Over, sinceMs = Math.max(this.#latestMs, this.#clock.now())): void {
    this.delete(what);
    if (sinceMs < this.#latestMs) this.#inOrder = false;
    else this.#latestMs = sinceMs;
    const timer = afterLong(this.#clock, leftMs, () => this.#over(what, 'expired'));
    this.#waiting.set(what, { sinceMs, timer, over });
    if (this.#waiting.size > this.#most) this.#over(this.#longest(), 'evicted');
  }

  /** Its client is back, or it has ended otherwise. */
  delete(what: object): boolean {
    this.#waiting.get(what)?.timer.cancel();
    return this.#waiting.delete(what);
  }

  close(): void {
    for (const { timer } of this.#waiting.values()) timer.cancel();
    this.#waiting.clear();
  }

  #longest(): object {
    if (!this.#inOrder) {
      this.#waiting = new Map([...this.#waiting].sort(([, a], [, b]) => a.sinceMs - b.sinceMs));
      this.#inOrder = true;
    }
    return this.#waiting.keys().next().value!;
  }

  #over(what: object, why: 'expired' | 'evicted'): void {
    const waiting = this.#waiting.get(what);
    this.delete(what);
    waiting?.over(why);
  }
}
