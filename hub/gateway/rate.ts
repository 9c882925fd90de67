/**
 * A token bucket for one connection. Nothing is refused: whoever is over the rate is not read for as long as it takes to be
 * within it again. A paused WebSocket still hands over what it has read, so the bucket may go below zero.
 */
export class MessageRate {
  readonly #perSecond: number;
  #tokens: number;
  #lastMs: number;

  /** A full bucket holds one second's worth. `perSecond` is above 0; `nowMs` is monotonic, as in `take`. */
  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#tokens = perSecond;
    this.#lastMs = nowMs;
  }

  /** Counts one message if it is within the rate, and then says 0; else milliseconds until one would be. For messages that can be refused. */
  ask(nowMs: number): number {
    const grown = Math.min(this.#tokens + ((nowMs - this.#lastMs) / 1000) * this.#perSecond, this.#perSecond);
    if (grown < 1) return ((1 - grown) / this.#perSecond) * 1000;
    this.#tokens = grown - 1;
    this.#lastMs = nowMs;
    return 0;
  }

  /** Counts one message. Milliseconds until the next one is within the rate; 0: go on. */
  take(nowMs: number): number {
    const grown = this.#tokens + ((nowMs - this.#lastMs) / 1000) * this.#perSecond;
    this.#tokens = Math.min(grown, this.#perSecond) - 1;
    this.#lastMs = nowMs;
    return this.#tokens >= 0 ? 0 : (-this.#tokens / this.#perSecond) * 1000;
  }
}
