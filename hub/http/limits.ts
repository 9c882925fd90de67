import type { IdempotencyLimits } from './idempotency.ts';

/** Bounds of the HTTP interface, which protect the hub from its operators' programs. */
export interface ApiLimits extends IdempotencyLimits {
  readonly maxBodyBytes: number;
  /** Items of one page when the request names no number, and the most it may name. */
  readonly defaultPageItems: number;
  readonly maxPageItems: number;
  /** The same for readings, which are small and many. */
  readonly defaultPageReadings: number;
  readonly maxPageReadings: number;
  /** Devices in one answer of the whole fleet; latest values of each, and characters of a text among them. */
  readonly maxPageFleet: number;
  readonly fleetRowMetrics: number;
  readonly fleetTextCharacters: number;
  /** Answers from this length on are compressed. */
  readonly compressCharacters: number;
  /** Rows that one step of the export reads and holds. */
  readonly exportPageRows: number;
  /** Longest `?wait=`. */
  readonly maxWaitSeconds: number;
  /** Deepest nesting of a command's parameters. */
  readonly maxParamsDepth: number;
  /** `Retry-After` of a 503. */
  readonly retryAfterSeconds: number;
  /** Callers and addresses whose requests are counted; the one that came first goes first. */
  readonly maxCountedCallers: number;
}

export const API_LIMITS: ApiLimits = {
  // As large as the largest message to a device (limits.maxMessageBytes).
  maxBodyBytes: 256 * 1024,
  defaultPageItems: 100,
  maxPageItems: 1000,
  defaultPageReadings: 1000,
  maxPageReadings: 10_000,
  // Some two megabytes of text, some ten milliseconds of work.
  maxPageFleet: 5000,
  // What a row of a table has room for.
  fleetRowMetrics: 8,
  fleetTextCharacters: 64,
  // Below it compressing takes longer than sending what it saves.
  compressCharacters: 64 * 1024,
  // About half a megabyte of text, a few milliseconds of work.
  exportPageRows: 5000,
  // Proxies cut silent requests at 60 s.
  maxWaitSeconds: 60,
  // The CBOR protocol allows 8 levels, and the message around the parameters is one.
  maxParamsDepth: 7,
  retryAfterSeconds: 5,
  // Some 100 bytes each.
  maxCountedCallers: 10_000,
  // A script that is started again the next day must not send its commands twice.
  idempotencyMs: 24 * 60 * 60 * 1000,
  idempotencyKeysPerCaller: 10_000,
  // Tens of thousands of usual answers.
  idempotencyBytes: 32 * 1024 * 1024,
};
