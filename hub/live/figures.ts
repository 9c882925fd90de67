import type { Clock } from '#hub/clock.js';
import type { Counters, Tally } from '#hub/observe/counters.js';
import type { Figures, FleetCounts, Percentiles } from './port.ts';

/** What the hub measures of itself, looked at once a second while somebody watches. */
export interface FigureSource {
  /** Forgets what was before. */
  begin(): void;
  /** Over the last few looks; not before `begin`. */
  measure(): Figures;
}

/** What the meter reads of the counters: the same that the metrics are made of. */
type Counted = Pick<
  Counters,
  'messagesReceived' | 'readingsStored' | 'commits' | 'commitSeconds' | 'ackLatencySeconds'
>;

/** What is at this moment. */
export interface Levels extends FleetCounts {
  readonly backlogRows: number;
}

/** Looks that a rate spans: one second alone would jump with each message of a slow fleet. */
const SPAN = 5;

interface Look {
  readonly atMs: number;
  readonly messages: number;
  readonly readings: number;
  readonly commits: number;
  readonly commitBuckets: Float64Array;
  readonly ackBuckets: Float64Array;
}

/** Makes rates and percentiles of the last seconds out of counters that only rise. */
export class FigureMeter implements FigureSource {
  readonly #counters: Counted;
  readonly #levels: () => Levels;
  readonly #clock: Clock;
  #looks: Look[] = [];

  constructor(counters: Counted, levels: () => Levels, clock: Clock) {
    this.#counters = counters;
    this.#levels = levels;
    this.#clock = clock;
  }

  begin(): void {
    this.#looks = [this.#look()];
  }

  measure(): Figures {
    const now = this.#look();
    const then = this.#looks[0] ?? now;
    this.#looks.push(now);
    if (this.#looks.length > SPAN) this.#looks.shift();
    const seconds = (now.atMs - then.atMs) / 1000;
    const perS = (after: number, before: number): number => (seconds > 0 ? (after - before) / seconds : 0);
    const { commitSeconds, ackLatencySeconds } = this.#counters;
    return {
      nowMs: this.#clock.now(),
      ...this.#levels(),
      messagesPerS: perS(now.messages, then.messages),
      readingsPerS: perS(now.readings, then.readings),
      commitsPerS: perS(now.commits, then.commits),
      commitMs: percentiles(commitSeconds.bounds, then.commitBuckets, now.commitBuckets),
      ackMs: percentiles(ackLatencySeconds.bounds, then.ackBuckets, now.ackBuckets),
    };
  }

  #look(): Look {
    const { messagesReceived, readingsStored, commits, commitSeconds, ackLatencySeconds } = this.#counters;
    return {
      atMs: this.#clock.monotonic(),
      messages: sum(messagesReceived),
      readings: readingsStored,
      commits,
      commitBuckets: commitSeconds.counts.slice(),
      ackBuckets: ackLatencySeconds.counts.slice(),
    };
  }
}

function sum(tally: Readonly<Tally>): number {
  let total = 0;
  for (const n of Object.values(tally)) total += n;
  return total;
}

/** Null: nothing was observed in between. */
function percentiles(bounds: readonly number[], before: Float64Array, after: Float64Array): Percentiles | null {
  const counts = after.map((n, i) => n - before[i]!);
  const total = counts.reduce((a, b) => a + b, 0);
  if (total === 0) return null;
  const at = (share: number): number => quantile(bounds, counts, share * total) * 1000;
  return { p50: at(0.5), p99: at(0.99) };
}

/** Within its bucket as if the observations lay evenly in it, as Prometheus does; what lies above all bounds counts as the last one. */
function quantile(bounds: readonly number[], counts: Float64Array, rank: number): number {
  let below = 0;
  for (const [i, bound] of bounds.entries()) {
    const inside = counts[i]!;
    if (inside > 0 && below + inside >= rank) {
      const low = i === 0 ? 0 : bounds[i - 1]!;
      return low + (bound - low) * ((rank - below) / inside);
    }
    below += inside;
  }
  return bounds.at(-1)!;
}
