import { build, type Histogram } from 'hdr-histogram-js';

/** Latencies past an hour count as an hour. */
const MAX_LATENCY_US = 3_600_000_000;
/** Different texts of closes that are kept apart; further ones are counted as `other`. */
const MAX_CLOSE_TEXTS = 50;

/** Percentiles in milliseconds. */
export interface Latency {
  readonly count: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Durations in a histogram with three significant digits. */
export class LatencyHistogram {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: MAX_LATENCY_US,
    numberOfSignificantValueDigits: 3,
  });

  record(ms: number): void {
    this.#histogram.recordValue(Math.min(MAX_LATENCY_US, Math.max(1, Math.round(ms * 1000))));
  }

  summary(): Latency {
    const h = this.#histogram;
    const at = (percentile: number): number => (h.totalCount === 0 ? 0 : h.getValueAtPercentile(percentile) / 1000);
    return { count: h.totalCount, p50Ms: at(50), p95Ms: at(95), p99Ms: at(99), maxMs: h.maxValue / 1000 };
  }
}

/** What happened so far, counted by all devices together. Messages, where nothing else is said. */
export class Figures {
  /** Devices that the hub has taken in, now. */
  connected = 0;
  /** Devices that the hub took in at least once. */
  everConnected = 0;
  /** Times that a device was taken in again. */
  reconnects = 0;
  /** Devices that were told not to come back. */
  gaveUp = 0;
  /** First sends. */
  sent = 0;
  /** Further sends of the same message. */
  resent = 0;
  acknowledged = 0;
  refused = 0;
  firstRefusal: string | null = null;
  /** Measured, and neither acknowledged nor refused so far; sent or not. */
  pending = 0;
  /** Not kept, because the device's queue was full. */
  skipped = 0;
  commandsReceived = 0;
  /** Commands that a device had seen before. */
  commandRepeats = 0;
  /** Times that the hub broke its protocol. */
  faults = 0;
  firstFault: string | null = null;
  /** From the last send of a message to its acknowledgement. */
  readonly acknowledgement = new LatencyHistogram();
  /** From the time a message was due to its acknowledgement: waiting offline included. */
  readonly delivery = new LatencyHistogram();
  readonly #closes = new Map<string, number>();

  closed(why: string): void {
    const key = this.#closes.has(why) || this.#closes.size < MAX_CLOSE_TEXTS ? why : 'other';
    this.#closes.set(key, (this.#closes.get(key) ?? 0) + 1);
  }

  fault(text: string): void {
    this.faults++;
    this.firstFault ??= text;
  }

  /** How connections ended, most frequent first. */
  closes(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#closes].sort((a, b) => b[1] - a[1]));
  }
}
