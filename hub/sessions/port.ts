import type { Principal } from '#protocols/principal.js';

/** What people and programs may see of sessions. Times are milliseconds since 1970. */
export interface SessionView {
  readonly principal: Principal;
  readonly clientId: string;
  /** Protocol family. */
  readonly protocol: string;
  readonly connected: boolean;
  /** It is on disk and outlives its connection. */
  readonly lasts: boolean;
  /** How long it is kept without a connection, in seconds. */
  readonly expiryS: number;
  readonly createdMs: number;
  /** Since when it has no connection; null: it has one. */
  readonly detachedMs: number | null;
  readonly subscriptions: number;
  /** Messages that wait, those that were sent and are not acknowledged aside. */
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  /** Sent, and not acknowledged. */
  readonly inFlight: number;
  /** Messages that its full queue had to drop since it began. */
  readonly dropped: number;
}

export interface SessionStats {
  readonly connected: number;
  /** Kept without a connection. */
  readonly away: number;
  /** Messages and bytes in all queues, those that were sent and are not acknowledged included. */
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  /** Since the start: ended by time, and by `maxSessions`. */
  readonly expired: number;
  readonly evicted: number;
  /** Wills that wait for their time, or for the end of their connection. */
  readonly wills: number;
}

export interface Sessions {
  /** In the order in which they began in this run. Throws RangeError for an `after` that was never given out. */
  list(query: { readonly after: string | null; readonly limit: number }): {
    readonly items: readonly SessionView[];
    readonly next: string | null;
  };
  readonly stats: SessionStats;
}
