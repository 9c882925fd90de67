import type { QueueStats } from '#hub/queues/port.js';
import type { SessionStats } from '#hub/sessions/port.js';
import { Distribution } from './distribution.ts';

/** From a commit on a fast disk to one that waits for a full queue, in seconds. */
const LATENCY_BOUNDS = [
  0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** A count for each value of one label. */
export type Tally = Record<string, number>;

/**
 * What the hub counts, as plain fields: the hot path adds, a scrape reads. Nothing here ever goes down.
 * A tally's key is the value of its label (a protocol family, a close reason, a refusal code): always from a fixed
 * set of the hub's own words, never text from outside.
 */
export class Counters {
  /** By protocol family. */
  readonly connectionsOpened: Tally = { mqtt: 0, stomp: 0, cbor: 0, http: 0, echo: 0 };
  /** By CloseReason. */
  readonly connectionsClosed: Tally = {};
  /** By RefusalCode. */
  readonly handshakesRefused: Tally = {};
  /** WebSocket messages, by protocol family. */
  readonly messagesReceived: Tally = { mqtt: 0, stomp: 0, cbor: 0, http: 0, echo: 0 };
  readonly messagesSent: Tally = { mqtt: 0, stomp: 0, cbor: 0, http: 0, echo: 0 };
  /** Payload bytes of WebSocket messages. */
  bytesReceived = 0;
  bytesSent = 0;
  /** Protocol messages of any kind (MQTT packets, CBOR messages; of STOMP received, WebSocket messages), of which a WebSocket message may hold several. For `$SYS`. */
  unitsReceived = 0;
  unitsSent = 0;
  /** Those of them that carry what clients publish. */
  publishesReceived = 0;
  publishesSent = 0;
  /** Rows committed to the log. */
  readingsStored = 0;
  /** By RejectCode. */
  readonly messagesRejected: Tally = {};
  /** Messages that a client was owed and did not get: `slow`, `queue`, `expired`, `too_large`; `retained`: routed, but not kept for those who come later. */
  readonly messagesDropped: Tally = { slow: 0, queue: 0, expired: 0, too_large: 0, retained: 0 };
  commits = 0;
  commitFailures = 0;
  /** From the start of a commit to its end on disk. */
  readonly commitSeconds = new Distribution(LATENCY_BOUNDS);
  /** From the acceptance of a message to its acknowledgement being due. */
  readonly ackLatencySeconds = new Distribution(LATENCY_BOUNDS);
}

export function increment(tally: Tally, key: string, by = 1): void {
  tally[key] = (tally[key] ?? 0) + by;
}

/** What is read at the moment of a scrape. */
export interface Gauges {
  /** Open connections by protocol family. */
  connections(): Readonly<Tally>;
  socketsPaused(): number;
  devices(): number;
  /** By protocol family. */
  devicesOnline(): Readonly<Tally>;
  /** Commands known to this run of the hub, by state. */
  commands(): Readonly<Tally>;
  backlogRows(): number;
  backlogBytes(): number;
  storeWritable(): boolean;
  retainedMessages(): number;
  sessions(): SessionStats;
  queues(): QueueStats;
  /** By name of the job: 1 when its last run failed, else 0. */
  jobsFailing(): Readonly<Tally>;
  /** By certificate file: when the certificate in use ends, in seconds since 1970. Empty without TLS. */
  certificateExpirySeconds(): Readonly<Tally>;
}
