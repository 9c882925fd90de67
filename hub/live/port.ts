import type { CommandState } from '#hub/store/port.js';
import type { PresenceView } from '#hub/fleet/port.js';
import type { Value } from '#protocols/reading.js';

/**
 * What happens in the fleet, for those who watch. A viewer gets the newest state of whatever changed, at most four times
 * a second: between two looks only the last change of the same thing counts. The feed carries changes; the state at the
 * beginning, and after `resync`, comes from the API.
 */
export interface LiveFeed {
  /**
   * Begins at once: `hello` comes before `open` returns. Null: there are as many viewers as the hub takes.
   * `lastEventId` is the id of the last event that this viewer had of an earlier stream: it goes on there if the hub
   * still knows what changed since, else it is told by `resync`.
   */
  open(sink: ViewerSink, selection: LiveSelection, lastEventId: string | null): Viewer | null;
  readonly viewers: number;
}

export interface LiveSelection {
  /** Null: all. Alarms of the hub itself come to everybody. */
  readonly devices: readonly string[] | null;
}

/** Where a viewer's events go. Must not throw. */
export interface ViewerSink {
  /** False: this one was taken, and no more until `drained`. Events are shared by all viewers: do not change them. */
  send(event: LiveEvent): boolean;
  /** The feed has ended this viewer; it is not called again. */
  close(reason: 'stopping'): void;
}

export interface Viewer {
  /** There is room again after `send` was false. */
  drained(): void;
  /** Nothing is sent any more. May be called twice. */
  close(): void;
  /** Up to where the viewer has been told everything that concerns it: good for `lastEventId`. */
  readonly position: string;
}

/**
 * Times end in their unit: `Ms` and `Us` since 1970. `id` is null where a viewer that breaks off here must get this event
 * again: several events that belong together have it on the last one.
 */
export type LiveEvent =
  | { readonly kind: 'hello'; readonly id: string; readonly data: Hello }
  | { readonly kind: 'resync'; readonly id: string; readonly data: { readonly reason: ResyncReason } }
  | { readonly kind: 'presence'; readonly id: string | null; readonly data: readonly PresenceChange[] }
  | { readonly kind: 'latest'; readonly id: string | null; readonly data: readonly LatestChange[] }
  | { readonly kind: 'command'; readonly id: string | null; readonly data: readonly CommandChange[] }
  | { readonly kind: 'alarm'; readonly id: string | null; readonly data: readonly AlarmChange[] }
  | { readonly kind: 'figures'; readonly id: string | null; readonly data: Figures };

export type LiveKind = LiveEvent['kind'];

export interface Hello {
  /** The hub's clock. */
  readonly nowMs: number;
  /** True: the stream goes on where `lastEventId` was. False: take the state from the API now. */
  readonly resumed: boolean;
  /** Those that are raised. */
  readonly alarms: readonly AlarmChange[];
}

/** `too_old`: changes since then are no longer known. `other_run`: that id is not of this run of the hub. `too_slow`: this viewer could not keep up. */
export type ResyncReason = 'too_old' | 'other_run' | 'too_slow';

export interface PresenceChange {
  readonly device: string;
  /** Null: the device was deleted. */
  readonly presence: PresenceView | null;
}

export interface LatestChange {
  readonly device: string;
  /** The metrics that have a new value, not all that the device has. */
  readonly values: readonly {
    readonly metric: string;
    readonly value: Value;
    readonly timeUs: number;
    /** What the metric was last given in. */
    readonly unit?: string;
    readonly cut?: true;
  }[];
}

export interface CommandChange {
  readonly id: string;
  readonly device: string;
  readonly name: string;
  readonly state: CommandState;
  readonly createdUs: number;
  readonly sentUs: number | null;
  readonly receivedUs: number | null;
  readonly finishedUs: number | null;
  readonly attempts: number;
  /** What the device answered; null as well when it is too large to be sent to everybody (`resultCut`). */
  readonly result: unknown;
  readonly resultCut?: true;
  readonly lateStatus: 'succeeded' | 'failed' | 'rejected' | null;
}

/** How many devices there are, by what is known of their connection. */
export interface FleetCounts {
  readonly online: number;
  readonly offline: number;
  /** Of those online, by protocol family. */
  readonly byProtocol: Readonly<Record<string, number>>;
}

/** What the hub measures of itself, once a second; rates and percentiles are those of the last five seconds. */
export interface Figures extends FleetCounts {
  /** The hub's clock. */
  readonly nowMs: number;
  readonly messagesPerS: number;
  readonly readingsPerS: number;
  readonly commitsPerS: number;
  /** Of the commits; null: there were none. */
  readonly commitMs: Percentiles | null;
  /** From the acceptance of the oldest message of each commit to its ack; null: there were none. */
  readonly ackMs: Percentiles | null;
  /** Readings that wait for their commit. */
  readonly backlogRows: number;
}

/** Milliseconds. */
export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

export interface AlarmChange {
  readonly code: AlarmCode;
  readonly raised: boolean;
  /** Of the raising, or of the clearing. */
  readonly sinceMs: number;
  /** For people. */
  readonly detail: string;
}

export type AlarmCode = 'store_not_writable' | 'backlog_high' | 'many_refused';
