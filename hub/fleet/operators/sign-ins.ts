import type { Clock } from '#hub/clock.js';
import type { ControlWrite, SignInRow } from '#hub/store/port.js';
import { ACCESS_LIMITS } from '../limits.ts';
import { hashOfSecret, newSecret } from '../secrets.ts';

/** Who is signed in, by the hash of the cookie's secret. In memory; the caller puts the writes on disk. */
export class SignIns {
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #rows = new Map<string, SignInRow>();

  constructor(clock: Clock, ttlMs: number) {
    this.#clock = clock;
    this.#ttlMs = ttlMs;
  }

  restore(rows: readonly SignInRow[]): void {
    for (const row of rows) this.add(row);
  }

  /** A new one, not yet added. */
  make(operator: string): { readonly secret: string; readonly row: SignInRow } {
    const secret = newSecret();
    const createdUs = this.#clock.now() * 1000;
    return {
      secret,
      row: { hash: hashOfSecret(secret)!, operator, createdUs, expiresUs: createdUs + this.#ttlMs * 1000 },
    };
  }

  add(row: SignInRow): void {
    this.#rows.set(keyOf(row), row);
  }

  remove(row: SignInRow): void {
    this.#rows.delete(keyOf(row));
  }

  /** Null: nobody, or it has expired. */
  find(secret: string): SignInRow | null {
    const row = this.#rows.get(hashOfSecret(secret)?.toString('hex') ?? '');
    return row === undefined || this.#isOver(row) ? null : row;
  }

  /** Those of an operator that have not expired, oldest first. */
  of(operator: string): SignInRow[] {
    return [...this.#rows.values()].filter((row) => row.operator === operator && !this.#isOver(row));
  }

  /** What must go before one more of this operator is added. */
  tooMany(operator: string): SignInRow[] {
    const mine = [...this.#rows.values()].filter((row) => row.operator === operator);
    return mine.slice(0, Math.max(0, mine.length + 1 - ACCESS_LIMITS.maxSignInsPerOperator));
  }

  expired(): SignInRow[] {
    return [...this.#rows.values()].filter((row) => this.#isOver(row));
  }

  #isOver(row: SignInRow): boolean {
    return row.expiresUs <= this.#clock.now() * 1000;
  }
}

export function deletionOf({ hash }: SignInRow): ControlWrite {
  return { op: 'signIn.delete', hash };
}

function keyOf(row: SignInRow): string {
  return Buffer.from(row.hash).toString('hex');
}
