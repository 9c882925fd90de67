import type { Pending } from '#protocols/outcome.js';
import type { Reading, StreamPosition, Value } from '#protocols/reading.js';
import type { ControlResult, ControlWrite, SessionWrite } from '#hub/store/port.js';

/** The way of a reading: accept, batch, commit, acknowledge. All writes of the hub pass here, so that one commit serves them all. */
export interface Telemetry {
  /**
   * Takes a message whole or refuses it whole; `pending` is settled after the commit, in order of `accept`.
   * `published` is run after the commit, for messages that somebody subscribes to.
   */
  accept(
    device: string,
    readings: readonly Reading[],
    pending: Pending,
    position?: StreamPosition,
    published?: () => void,
  ): void;
  /**
   * Makes room for the metrics of these readings, which are to be accepted later: whoever tells of a message before its turn asks first.
   * @throws PayloadError `series_limit`, as `accept` does.
   */
  reserve(device: string, readings: readonly Reading[]): void;
  /** A control write in the next batch. Rejects with StoreError only when the hub gave up on the batch at shutdown. */
  write(control: ControlWrite): Promise<ControlResult>;
  /** A control write that stands in the place of readings, in order with them and under the same `position`. */
  record(
    device: string,
    control: ControlWrite,
    pending: Pending,
    settledAs: 'rejected' | 'stored',
    position?: StreamPosition,
  ): void;
  /** A session write in the batch that fills now, in order with the others. `bytes`: what the backlog is charged with. */
  keep(write: SessionWrite, bytes: number): void;
  /** Settles `pending` as stored when everything handed over so far is on disk, as abandoned when the hub gave up on it. In order with `accept`. */
  settleAfterCommit(pending: Pending): void;
  latest(device: string): readonly LatestValue[];
  /** Rows accepted and not yet committed; above the high-water mark the gateway pauses the sockets that fill it. */
  readonly backlog: TelemetryBacklog;
  readonly health: StoreHealth;
}

export interface TelemetryBacklog {
  readonly rows: number;
  readonly bytes: number;
  /** Above the high-water mark: who sends now has to wait. */
  readonly high: boolean;
  /** Below the low-water mark: they may go on. */
  readonly low: boolean;
}

export interface StoreHealth {
  readonly writable: boolean;
  /** Since when it cannot write, milliseconds since 1970. */
  readonly sinceMs: number | null;
  readonly error: string | null;
}

/** A series and its latest value on disk: one object for the whole run of the hub, whose latest value moves on. */
export interface CommittedSeries {
  readonly device: string;
  readonly metric: string;
  /** Integer microseconds since 1970. */
  readonly latestUs: number;
  readonly latestValue: Value;
  /** What its readings were last given in; undefined: no unit ever. */
  readonly unit?: string | undefined;
}

export interface LatestValue {
  readonly metric: string;
  readonly value: Value;
  /** Integer microseconds since 1970. */
  readonly timeUs: number;
  /** What readings of the metric were last given in; absent: no unit ever. */
  readonly unit?: string;
}
