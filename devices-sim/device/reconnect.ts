/** Bounds of the waiting time before a device connects again. */
export interface ReconnectRule {
  /** Upper bound of the first wait. */
  readonly baseMs: number;
  /** Upper bound of every wait. */
  readonly capMs: number;
}

export const RECONNECT_RULE: ReconnectRule = {
  // A fleet that lost its hub comes back within about a second, spread out.
  baseMs: 1000,
  // Below the drain time of a run, so that a device that waits can still deliver what it holds.
  capMs: 8000,
};

/**
 * Exponential backoff with full jitter: each wait is uniform in [0, min(cap, base × 2^attempt)), so that a fleet that
 * was cut off at one moment does not come back at one moment.
 */
export class Reconnect {
  readonly #rule: ReconnectRule;
  readonly #random: { next(): number };
  #attempt = 0;

  constructor(rule: ReconnectRule, random: { next(): number }) {
    this.#rule = rule;
    this.#random = random;
  }

  /** How long to wait before the next attempt. `atLeastMs`: what the hub asked for (HTTP Retry-After). */
  nextDelayMs(atLeastMs = 0): number {
    const bound = Math.min(this.#rule.capMs, this.#rule.baseMs * 2 ** Math.min(this.#attempt, 30));
    this.#attempt++;
    return atLeastMs + this.#random.next() * bound;
  }

  /** The hub has acknowledged something: it works. A mere connection is not enough, or a hub that accepts and closes would be stormed. */
  succeeded(): void {
    this.#attempt = 0;
  }
}
