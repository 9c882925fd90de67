import type { Clock } from '#hub/clock.js';
import type { RefusalCode, RefusedHandshake } from './port.ts';

const EXCERPT = 256;

/** Refused handshakes: all are counted, the newest are kept, so that an operator sees who offers what and why it fails. */
export class RefusedLog {
  readonly #clock: Clock;
  readonly #keep: number;
  readonly #items: RefusedHandshake[] = [];
  readonly #counts: Partial<Record<RefusalCode, number>> = {};

  constructor(clock: Clock, keep: number) {
    this.#clock = clock;
    this.#keep = keep;
  }

  /** Texts of the client are cut; the path comes without its query, which may hold a token. */
  add(entry: Omit<RefusedHandshake, 'timeMs'>): void {
    this.#counts[entry.code] = (this.#counts[entry.code] ?? 0) + 1;
    this.#items.push({
      ...entry,
      path: entry.path.slice(0, EXCERPT),
      offered: entry.offered?.slice(0, EXCERPT) ?? null,
      userAgent: entry.userAgent?.slice(0, EXCERPT) ?? null,
      timeMs: this.#clock.now(),
    });
    if (this.#items.length > this.#keep) this.#items.shift();
  }

  newest(limit: number): RefusedHandshake[] {
    return this.#items.slice(-limit).reverse();
  }

  get counts(): Readonly<Partial<Record<RefusalCode, number>>> {
    return this.#counts;
  }
}
