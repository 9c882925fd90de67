import type { Clock } from '#hub/clock.js';
import { ACCESS_LIMITS } from '../limits.ts';
import { hashOfSecret, newSecret } from '../secrets.ts';

interface Link {
  /** SHA-256 of the secret, in hex. */
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly expiresMs: number;
}

/** One-time links that sign an operator in: at most one for each, in memory alone, so they end with the process. */
export class Links {
  readonly #clock: Clock;
  readonly #byOperator = new Map<string, Link>();
  readonly #operators = new Map<string, string>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The secret. An earlier link of the operator ends. */
  issue(operator: string): string {
    this.end(operator);
    const secret = newSecret();
    const key = hashOfSecret(secret)!.toString('hex');
    this.#byOperator.set(operator, { key, expiresMs: this.#clock.now() + ACCESS_LIMITS.linkMs });
    this.#operators.set(key, operator);
    return secret;
  }

  /** Whom it signs in; null: unknown, used or expired. Whoever uses it ends it. */
  find(secret: string): string | null {
    const operator = this.#operators.get(hashOfSecret(secret)?.toString('hex') ?? '');
    if (operator === undefined) return null;
    return this.#clock.now() < this.#byOperator.get(operator)!.expiresMs ? operator : null;
  }

  end(operator: string): void {
    const link = this.#byOperator.get(operator);
    if (link === undefined) return;
    this.#operators.delete(link.key);
    this.#byOperator.delete(operator);
  }

  /** Returns how many went. */
  removeExpired(): number {
    const now = this.#clock.now();
    const expired = [...this.#byOperator].filter(([, { expiresMs }]) => expiresMs <= now);
    for (const [operator] of expired) this.end(operator);
    return expired.length;
  }
}
