import type { CloseReason, Initiator } from '#protocols/close-reasons.js';
import type { RejectCode } from '#protocols/errors.js';
import type { Value } from '#protocols/reading.js';
import type { Role, Scope, TopicRules } from '#hub/fleet/scopes.js';

/**
 * What the hub asks of its storage. Two implementations, one contract suite (`test/contract/store.ts`):
 * `memory.ts` for tests, `sqlite/` for real.
 *
 * All writes go through `commit`, one batch at a time in the caller's order; when it resolves, the batch is on disk
 * (SQLite: `synchronous=FULL`). When it rejects, nothing of the batch was stored and the same batch may be tried again.
 */
export interface Store {
  /** Opens, migrates and checks. Throws StoreError with a message that says what to do. */
  open(): Promise<void>;
  /** Waits for the commit under way, then closes. */
  close(): Promise<void>;
  /** One at a time: a call while another is under way is a programming error and throws. */
  commit(batch: WriteBatch): Promise<BatchResult>;
  /** Moves the write-ahead log into the database and cuts its file; resolves with the size that is left, 0 where there is no such file. Waits its turn behind the commit under way. Rejects with StoreError. */
  checkpoint(): Promise<{ readonly walBytes: number }>;
  readonly read: StoreReader;
}

/**
 * `full` and `io` are the disk's doing and pass by themselves; `corrupt` and `version` need a person; `closed` is a late
 * call; `invalid` is a cursor that this store never gave out, the asker's fault.
 */
export type StoreErrorCode =
  'full' | 'io' | 'busy' | 'corrupt' | 'version' | 'locked' | 'closed' | 'internal' | 'invalid';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;
  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Readings as columns, so that they cross to the worker by transfer. Row i is (series[i], timeUs[i], value by kind[i]).
 * `commit` takes the arrays away: they are empty (detached) for the caller from then on, also when it rejects. The store
 * keeps what it needs to try the same `ReadingColumns` object again. With `count` 0 the arrays are left alone.
 */
export interface ReadingColumns {
  readonly count: number;
  readonly series: Uint32Array;
  /** Integer microseconds since 1970; below 2^53. */
  readonly timeUs: Float64Array;
  /** VALUE_NUMBER, VALUE_BOOLEAN or VALUE_STRING. */
  readonly kind: Uint8Array;
  /** The number; 0 or 1 for a boolean; the index into `texts` for a string. */
  readonly number: Float64Array;
  readonly texts: readonly string[];
}

export const VALUE_NUMBER = 0;
export const VALUE_BOOLEAN = 1;
export const VALUE_STRING = 2;

export interface SeriesRow {
  /** Given by the telemetry module, never reused. */
  readonly id: number;
  readonly device: string;
  readonly metric: string;
  /** At a start: what its readings were last given in (`series.unit`); absent: no unit ever. A new series has none yet. */
  readonly unit?: string;
}

export interface SeriesUnit {
  readonly series: number;
  readonly unit: string;
}

/**
 * A message that carries (stream, seq). Its rows [firstRow, endRow) and its `control` count only when
 * seq = mark + 1; seq ≤ mark is a duplicate; above is a gap. The writer decides inside the transaction.
 * Listed in the order of their rows.
 */
export interface SequencedMessage {
  readonly device: string;
  readonly stream: string;
  readonly seq: number;
  readonly firstRow: number;
  readonly endRow: number;
  /** What is recorded with it: a rejection or an event instead of readings, or the units that its readings brought. */
  readonly control: ControlWrite | null;
}

export type SequenceOutcome =
  { readonly kind: 'stored' } | { readonly kind: 'duplicate' } | { readonly kind: 'gap'; readonly expected: number };

/** Executed in this order: newSeries, then rows and sequenced messages, then session writes, then control. */
export interface WriteBatch {
  readonly newSeries: readonly SeriesRow[];
  readonly rows: ReadingColumns;
  readonly sequenced: readonly SequencedMessage[];
  readonly sessions: readonly SessionWrite[];
  readonly control: readonly ControlWrite[];
}

/** A message as it is kept on disk. */
export interface StoredMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly contentType: string | null;
  readonly headers: readonly (readonly [string, string])[];
  readonly responseTopic: string | null;
  readonly correlationData: Uint8Array | null;
  readonly payloadIsText: boolean;
  readonly expiresMs: number | null;
  readonly origin: string | null;
}

export interface SessionRow {
  /** Given by the session registry, never reused. */
  readonly id: number;
  readonly principalKind: 'device' | 'application';
  readonly principalId: string;
  readonly anonymous: boolean;
  readonly clientId: string;
  /** Protocol family. */
  readonly protocol: string;
  /** Kept for so long after its connection ended, in seconds. */
  readonly expiryS: number;
  readonly createdUs: number;
  /** Since when it has no connection; null: it has one (or had one when the hub died). */
  readonly detachedUs: number | null;
  /** Every message up to this place may have been sent before. */
  readonly sentPlace: number;
  /** Messages that its full queue had to drop since it began. */
  readonly dropped: number;
}

/** A subscription of a kept session; the optional parts as in `Subscription`. */
export interface SubscriptionRow {
  readonly id: string;
  readonly filter: string;
  readonly qos: 0 | 1 | 2;
  readonly share?: string;
  readonly noLocal?: boolean;
  readonly retainAsPublished?: boolean;
  readonly retainHandling?: 0 | 1 | 2;
  readonly identifier?: number;
}

/**
 * A queue that its consumers share, or the queue of a durable subscription. Its entries name its id as those of sessions name theirs: the
 * numbers are of one row.
 */
export interface NamedQueueRow {
  readonly id: number;
  /** Of a queue its name, of a durable subscription the id that its client gave it. */
  readonly name: string;
  /** Null: a queue. */
  readonly subscription: DurableRow | null;
  readonly createdUs: number;
  /** It has consumers (or had when the hub died). */
  readonly consumed: boolean;
  /** Every message up to this place may have been given to a consumer. */
  readonly sentPlace: number;
  /** Messages that it had to drop because it was full. */
  readonly dropped: number;
}

/** Whose durable subscription it is, and to what. */
export interface DurableRow {
  readonly principalKind: 'device' | 'application';
  readonly principalId: string;
  readonly anonymous: boolean;
  readonly clientId: string;
  /** Protocol family. */
  readonly protocol: string;
  /** As the client wrote it, in MQTT form. */
  readonly filter: string;
  /** It goes with its consumer. */
  readonly autoDelete: boolean;
  /** Since when it has no consumer; null: it has one (or had when the hub died). */
  readonly detachedUs: number | null;
}

/** A will that is published when its connection is gone. One for each session key. */
export interface WillRow {
  readonly key: string;
  readonly principalKind: 'device' | 'application';
  readonly principalId: string;
  readonly anonymous: boolean;
  readonly protocol: string;
  /** As the client gave it: topic as written, `expiresMs` null. */
  readonly message: StoredMessage;
  readonly delayS: number;
  readonly expiryS: number | null;
  /** When it is due; null: its connection is open (or was when the hub died). */
  readonly dueUs: number | null;
}

/**
 * What sessions, retained messages and wills write, in the order given. None can fail by its data, so they have no savepoint: one that
 * fails fails the batch. What is not there is removed without a complaint, what is there is replaced. What names a session or a message that is
 * not there is left out.
 */
export type SessionWrite =
  | { readonly op: 'session.put'; readonly session: SessionRow }
  /** With its subscriptions, queue and receipts. */
  | { readonly op: 'session.delete'; readonly id: number }
  | { readonly op: 'namedQueue.put'; readonly queue: NamedQueueRow }
  /** With its entries. */
  | { readonly op: 'namedQueue.delete'; readonly id: number }
  | { readonly op: 'subscription.put'; readonly session: number; readonly subscription: SubscriptionRow }
  | { readonly op: 'subscription.delete'; readonly session: number; readonly id: string }
  /**
   * Comes before the queue entries that name it, of which there is one in the same batch at least: a message that no entry names at the end
   * of a batch goes. Ids are given by the registry, rising, never reused.
   */
  | { readonly op: 'message.add'; readonly id: number; readonly message: StoredMessage }
  | {
      readonly op: 'queue.add';
      /** Or the named queue. */
      readonly session: number;
      readonly place: number;
      readonly message: number;
      readonly qos: 1 | 2;
      readonly retain: boolean;
      /** Ids of the matching subscriptions. */
      readonly matches: readonly string[];
      /** What the entry is charged with. */
      readonly bytes: number;
    }
  | { readonly op: 'queue.remove'; readonly session: number; readonly place: number }
  /** The message is finished; the place stays as a release that is owed. It is charged with nothing. */
  | { readonly op: 'queue.release'; readonly session: number; readonly place: number }
  /** A consumer has refused the message so many times. */
  | { readonly op: 'queue.refuse'; readonly session: number; readonly place: number; readonly refused: number }
  | { readonly op: 'receipt.add'; readonly session: number; readonly packetId: number }
  | { readonly op: 'receipt.remove'; readonly session: number; readonly packetId: number }
  | { readonly op: 'retained.put'; readonly message: StoredMessage }
  | { readonly op: 'retained.delete'; readonly topic: string }
  | { readonly op: 'will.put'; readonly will: WillRow }
  | { readonly op: 'will.delete'; readonly key: string };

/** A message that waits in the queue of a session, or in a named one. */
export interface QueueRow {
  readonly place: number;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly matches: readonly string[];
  readonly bytes: number;
  /** How often a consumer has refused it. */
  readonly refused: number;
  readonly message: StoredMessage;
}

/** A kept session as the hub finds it at its start. The messages of its queue stay on disk. */
export interface KeptSession {
  readonly session: SessionRow;
  readonly subscriptions: readonly SubscriptionRow[];
  readonly queue: KeptEntries;
  /** Packet ids of QoS 2 messages that were taken and not yet released, ascending. */
  readonly receipts: readonly number[];
}

/** A named queue as the hub finds it at its start. Its messages stay on disk. */
export interface KeptQueue {
  readonly queue: NamedQueueRow;
  readonly entries: KeptEntries;
}

export interface KeptEntries {
  /** Messages that wait, without releases. */
  readonly count: number;
  readonly bytes: number;
  /** Lowest and highest place, releases included; 0: there is none. */
  readonly first: number;
  readonly last: number;
  /** Places whose release is owed, ascending. */
  readonly released: readonly number[];
}

export interface BatchResult {
  /** One for each sequenced message, in order. */
  readonly sequenced: readonly SequenceOutcome[];
  /** One for each control write, in order. A write that failed by itself (`ok: false`) did not hurt the rest of the batch. */
  readonly control: readonly ControlResult[];
}

/** All times are integer microseconds since 1970, given by the caller. Each runs in a savepoint of its own. */
export type ControlWrite =
  | { readonly op: 'device.create'; readonly device: DeviceRow }
  /** Changes only what is given. Result: `not_found` when there is none. */
  | {
      readonly op: 'device.update';
      readonly id: string;
      readonly name?: string | null;
      readonly protocols?: readonly string[] | null;
      readonly disabled?: boolean;
    }
  /** Removes the device and its tokens, streams, rejected payloads and commands. Its epoch, connection events and readings stay. */
  | { readonly op: 'device.delete'; readonly id: string }
  | { readonly op: 'token.create'; readonly token: TokenRow }
  | { readonly op: 'token.delete'; readonly keyId: string }
  /** Opens the device's next connection: epoch = the highest ever given to this device id + 1; an open connection before it is closed as `taken_over`. Result: `{ epoch }`. */
  | {
      readonly op: 'connection.open';
      readonly device: string;
      readonly protocol: string;
      readonly address: string;
      readonly clientId: string;
      readonly timeUs: number;
    }
  /** Does nothing when that epoch is already closed. */
  | {
      readonly op: 'connection.close';
      readonly device: string;
      readonly epoch: number;
      readonly reason: CloseReason;
      readonly initiator: Initiator;
      readonly detail: string;
      readonly timeUs: number;
    }
  /** At start: every open connection ends with this reason. Result: `{ closed }`, the devices. */
  | { readonly op: 'connection.recover'; readonly reason: CloseReason; readonly timeUs: number }
  /** Result: `{ resumeSeq }`. Unknown stream: mark = nextSeq − 1. Known and nextSeq > mark + 1: the gap is recorded, mark = nextSeq − 1. Else the mark stays. At most `maxStreams` of a device are kept, the longest unused goes first. */
  | {
      readonly op: 'stream.open';
      readonly device: string;
      readonly stream: string;
      readonly nextSeq: number;
      readonly maxStreams: number;
      readonly timeUs: number;
    }
  | { readonly op: 'command.create'; readonly command: CommandRow }
  /** Replaces the changing columns of the command and appends `event` to its history. The fleet module decides which transitions are allowed. */
  | { readonly op: 'command.update'; readonly command: CommandRow; readonly event: CommandEvent }
  /** Keeps at most `keepPerDevice` of the device and `keepInAll` of all, oldest go first and are counted. Result: `{ evicted }`. */
  | {
      readonly op: 'rejected.add';
      readonly rejected: Omit<RejectedRow, 'id'>;
      readonly keepPerDevice: number;
      readonly keepInAll: number;
    }
  /** What the readings of a series are given in from now on. */
  | ({ readonly op: 'series.unit' } & SeriesUnit)
  /** The same of the series of one numbered message. */
  | { readonly op: 'series.units'; readonly units: readonly SeriesUnit[] }
  | { readonly op: 'event.add'; readonly event: Omit<EventRow, 'id'>; readonly keepPerDevice: number }
  | { readonly op: 'operator.create'; readonly operator: OperatorRow }
  /** Replaces all but `createdUs`. */
  | { readonly op: 'operator.update'; readonly operator: OperatorRow }
  /** With the operator's sign-ins. */
  | { readonly op: 'operator.delete'; readonly name: string }
  /** Result: `not_found` when there is no such operator. */
  | { readonly op: 'signIn.create'; readonly signIn: SignInRow }
  | { readonly op: 'signIn.delete'; readonly hash: Uint8Array }
  /** Result: `{ removed }`. */
  | { readonly op: 'signIn.deleteOf'; readonly operator: string }
  /**
   * The oldest of those from before `beforeUs` go, at most `limit` in one write. Result: `{ removed }`; less than `limit`: none is left.
   * Connections count from their end, commands from theirs; open connections, the last connection of each device and unfinished
   * commands stay. What goes by age is not counted as evicted.
   */
  | {
      readonly op: 'retain.connections' | 'retain.rejected' | 'retain.commands' | 'retain.events';
      readonly beforeUs: number;
      readonly limit: number;
    };

export type ControlResult =
  | {
      readonly ok: true;
      readonly epoch?: number;
      readonly closed?: readonly string[];
      readonly resumeSeq?: number;
      readonly evicted?: number;
      readonly removed?: number;
    }
  | { readonly ok: false; readonly code: 'exists' | 'not_found' | 'failed'; readonly message: string };

export interface DeviceRow {
  readonly id: string;
  readonly name: string | null;
  /** Protocol families it may use; null: all. */
  readonly protocols: readonly string[] | null;
  readonly disabled: boolean;
  readonly createdUs: number;
}

export interface TokenRow {
  /** Lower-case hex. */
  readonly keyId: string;
  /** SHA-256 of the secret part. */
  readonly hash: Uint8Array;
  readonly kind: 'device' | 'application' | 'api';
  /** Device id, application name, or a label. */
  readonly subject: string;
  readonly createdUs: number;
  /** What people call it; null: made before labels were kept, or a device's. */
  readonly label: string | null;
  /** Of an API token; null: all. */
  readonly scopes: readonly Scope[] | null;
  /** Of an application's token; null: everything an application may. */
  readonly topics: TopicRules | null;
  /** Worth nothing from then on; null: never ends. */
  readonly expiresUs: number | null;
  /** The operator or API token that made it; null: the hub itself, or not known. */
  readonly createdBy: string | null;
}

export interface OperatorRow {
  /** `[A-Za-z0-9._@-]{1,64}`. */
  readonly name: string;
  readonly role: Role;
  /** scrypt, with its parameters; null: signs in by one-time link alone. */
  readonly passwordHash: string | null;
  readonly disabled: boolean;
  readonly createdUs: number;
  readonly updatedUs: number;
}

/** An operator who is signed in somewhere. */
export interface SignInRow {
  /** SHA-256 of the cookie's secret. */
  readonly hash: Uint8Array;
  readonly operator: string;
  readonly createdUs: number;
  readonly expiresUs: number;
}

export interface ConnectionRow {
  readonly device: string;
  readonly epoch: number;
  readonly protocol: string;
  readonly address: string;
  readonly clientId: string;
  readonly connectedUs: number;
  /** Null while it is open. */
  readonly disconnectedUs: number | null;
  readonly reason: CloseReason | null;
  readonly initiator: Initiator | null;
  readonly detail: string | null;
}

export type CommandState =
  'queued' | 'sent' | 'received' | 'succeeded' | 'failed' | 'rejected' | 'expired' | 'cancelled' | 'timed_out';

export interface CommandEvent {
  readonly state: CommandState;
  readonly timeUs: number;
  /** Why, where there is something to say (`late result`, `epoch 7`, …). */
  readonly detail: string | null;
}

export interface CommandRow {
  readonly id: string;
  readonly device: string;
  readonly name: string;
  /** JSON text. */
  readonly params: string;
  readonly state: CommandState;
  readonly createdUs: number;
  /** Undelivered until then: expired. */
  readonly expiresUs: number;
  /** Received and no result for so long: timed out. */
  readonly responseTimeoutMs: number;
  readonly sentUs: number | null;
  readonly receivedUs: number | null;
  readonly finishedUs: number | null;
  /** How often it was handed to a connection. */
  readonly attempts: number;
  /** JSON text of what the device answered, or null. */
  readonly result: string | null;
  /** The status of a result that came after the command had ended, or null. */
  readonly lateStatus: 'succeeded' | 'failed' | 'rejected' | null;
  /** JSON text of that late result. */
  readonly lateResult: string | null;
}

export interface RejectedRow {
  /** Rising. */
  readonly id: number;
  readonly device: string;
  readonly timeUs: number;
  readonly protocol: string;
  readonly topic: string;
  readonly contentType: string | null;
  readonly payload: Uint8Array;
  readonly code: RejectCode;
  readonly message: string;
}

export interface EventRow {
  readonly id: number;
  readonly device: string;
  readonly timeUs: number;
  readonly name: string;
  readonly contentType: string | null;
  readonly payload: Uint8Array;
}

export interface LogRow {
  /** Commit order. */
  readonly id: number;
  readonly device: string;
  readonly metric: string;
  readonly timeUs: number;
  readonly value: Value;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Give it back as `after` to go on; null: there is no more. */
  readonly next: string | null;
}

export interface PageRequest {
  /** At most; the reader caps it at 1,000. */
  readonly limit: number;
  readonly after: string | null;
}

/** Everything that the hub must know again after a start. */
export interface StartState {
  readonly devices: readonly DeviceRow[];
  readonly tokens: readonly TokenRow[];
  readonly series: readonly SeriesRow[];
  /** Highest series id ever given. */
  readonly lastSeriesId: number;
  /** Latest reading of each series: greatest time, the last committed among equals. */
  readonly latest: readonly { readonly series: number; readonly timeUs: number; readonly value: Value }[];
  /** Commands in `queued`, `sent` and `received`, in the order of creation. */
  readonly unfinished: readonly CommandRow[];
  /** Last connection of each device. */
  readonly lastConnections: readonly ConnectionRow[];
  readonly operators: readonly OperatorRow[];
  /** In the order of creation; expired ones too. */
  readonly signIns: readonly SignInRow[];
  /** In the order of their ids. */
  readonly sessions: readonly KeptSession[];
  /** In the order of their ids. */
  readonly queues: readonly KeptQueue[];
  /** Highest ids ever given; that of sessions is of named queues, too. */
  readonly lastSessionId: number;
  readonly lastMessageId: number;
  /** Oldest first. */
  readonly retained: readonly StoredMessage[];
  readonly wills: readonly WillRow[];
}

export interface StoreFacts {
  readonly engine: string;
  readonly version: string;
  /** SQLite: `PRAGMA synchronous` of the writing connection, 2 is FULL. */
  readonly synchronous: number;
  readonly journalMode: string;
}

/** Short reads beside the writer. They see what is committed, and answer while a commit waits for a slow disk. */
export interface StoreReader {
  facts(): Promise<StoreFacts>;
  startState(): Promise<StartState>;
  /**
   * Readings of one device with fromUs ≤ time < toUs in ascending (time, commit order); equal (series, time, value) once.
   * At most `limit` (capped at 10,000) come at once. `next` null: there is no more.
   * There is no index by time, so nothing can be said about order before the whole log was looked at. When `budgetMs` ends
   * before that: `items` is empty, `complete` is false, and `next` goes on searching where this call stopped.
   */
  range(query: {
    readonly device: string;
    readonly metric: string | null;
    readonly fromUs: number;
    readonly toUs: number;
    readonly limit: number;
    readonly after: string | null;
    readonly budgetMs: number;
  }): Promise<{ readonly items: readonly LogRow[]; readonly next: string | null; readonly complete: boolean }>;
  /** Raw log rows in commit order with id > afterId, nothing merged. `limit` is capped at 10,000. */
  log(afterId: number, limit: number): Promise<readonly LogRow[]>;
  /** Id of the last log row; 0: the log is empty. */
  lastLogId(): Promise<number>;
  /**
   * Messages that wait for a session or in a named queue, with place > afterPlace, ascending, without releases: at most `limit` (capped at 1,000), and no more once
   * their `bytes` come to `maxBytes`. One comes always, where there is one; fewer than `limit` does not say that there are no more.
   */
  sessionQueue(query: {
    readonly session: number;
    readonly afterPlace: number;
    readonly limit: number;
    readonly maxBytes: number;
  }): Promise<readonly QueueRow[]>;
  /** Newest first. `evicted`: how many of this device's were let go since it was created. */
  rejected(device: string, page: PageRequest): Promise<Page<RejectedRow> & { readonly evicted: number }>;
  /** Newest first. */
  events(device: string, page: PageRequest): Promise<Page<EventRow>>;
  /** Newest first. */
  connections(device: string, page: PageRequest): Promise<Page<ConnectionRow>>;
  /** In the order of creation, newest first. */
  commands(device: string, page: PageRequest & { readonly state: CommandState | null }): Promise<Page<CommandRow>>;
  /** The history begins with the state at creation, oldest first. */
  command(id: string): Promise<{ readonly command: CommandRow; readonly history: readonly CommandEvent[] } | null>;
  /** Gaps that HELLO opened, oldest first: [fromSeq, toSeq], both included. */
  gaps(
    device: string,
  ): Promise<
    readonly { readonly stream: string; readonly fromSeq: number; readonly toSeq: number; readonly timeUs: number }[]
  >;
}
