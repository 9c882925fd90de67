import type { Database } from 'better-sqlite3';
import type { KeptQueue, KeptSession, SessionRow, StartState, SubscriptionRow, WillRow } from '../../port.ts';
import { MESSAGE_COLUMNS, storedMessage, type RawMessage } from './message-columns.ts';
import { readNamedQueues } from './named-queues.ts';
import type { IndexColumns } from './queue-index.ts';

/** Queue rows read at once: some MB of memory. */
const CHUNK_ROWS = 50_000;

type KeptState = Pick<StartState, 'sessions' | 'queues' | 'lastSessionId' | 'lastMessageId' | 'retained' | 'wills'>;

/** What the hub must know again of sessions, and the index of their queues. Reads each row of the queue once and no message. */
export function readKeptState(db: Database): { readonly state: KeptState; readonly index: IndexColumns } {
  const rows = readSessions(db);
  const named = readNamedQueues(db);
  const subscriptions = readSubscriptions(db);
  const receipts = readReceipts(db);
  const { session, place, row, queues } = readQueue(db);
  const lastMessageId = readCounter(db, 'message');
  const sessions = rows.map((kept): KeptSession => ({
    session: kept,
    subscriptions: subscriptions.get(kept.id) ?? [],
    queue: queues.get(kept.id) ?? NO_ENTRIES,
    receipts: receipts.get(kept.id) ?? [],
  }));
  return {
    state: {
      sessions,
      queues: named.map((kept): KeptQueue => ({ queue: kept, entries: queues.get(kept.id) ?? NO_ENTRIES })),
      lastSessionId: readCounter(db, 'session'),
      lastMessageId,
      retained: db
        .prepare<[], RawMessage>(`SELECT ${MESSAGE_COLUMNS} FROM retained ORDER BY n`)
        .raw()
        .all()
        .map(storedMessage),
      wills: readWills(db),
    },
    index: { sessions: Float64Array.from([...rows, ...named], ({ id }) => id), session, place, row, lastMessageId },
  };
}

/** The index alone. */
export function readIndex(db: Database): IndexColumns {
  return db.transaction(() => {
    const { session, place, row } = readQueue(db);
    const sessions = Float64Array.from(
      db.prepare<[], number>('SELECT id FROM sessions UNION ALL SELECT id FROM named_queues').pluck().all(),
    );
    return { sessions, session, place, row, lastMessageId: readCounter(db, 'message') };
  })();
}

export function indexBuffers({ sessions, session, place, row }: IndexColumns): ArrayBuffer[] {
  return [sessions.buffer, session.buffer, place.buffer, row.buffer] as ArrayBuffer[];
}

const NO_ENTRIES: KeptSession['queue'] = { count: 0, bytes: 0, first: 0, last: 0, released: [] };

interface Counted {
  count: number;
  bytes: number;
  first: number;
  last: number;
  readonly released: number[];
}

/** Counts by session, and what the index is made of. */
function readQueue(db: Database): Pick<IndexColumns, 'session' | 'place' | 'row'> & {
  readonly queues: ReadonlyMap<number, Counted>;
} {
  const total = db.prepare<[], number>('SELECT count(*) FROM queue').pluck().get()!;
  const session = new Float64Array(total);
  const place = new Float64Array(total);
  const row = new Float64Array(total);
  const queues = new Map<number, Counted>();
  const chunk = db
    .prepare<[number, number], [id: number, session: number, place: number, bytes: number, message: number]>(
      'SELECT id, session, place, bytes, message FROM queue WHERE id > ? ORDER BY id LIMIT ?',
    )
    .raw();
  let at = 0;
  for (let rows = chunk.all(0, CHUNK_ROWS); rows.length > 0; rows = chunk.all(rows.at(-1)![0], CHUNK_ROWS)) {
    for (const [id, ofSession, atPlace, bytes, message] of rows) {
      session[at] = ofSession;
      place[at] = atPlace;
      row[at] = message === 0 ? -id : id;
      at++;
      count(queues, ofSession, atPlace, bytes, message === 0);
    }
  }
  for (const { released } of queues.values()) released.sort((a, b) => a - b);
  return { session, place, row, queues };
}

function count(queues: Map<number, Counted>, session: number, place: number, bytes: number, released: boolean): void {
  let queue = queues.get(session);
  if (queue === undefined) {
    queue = { count: 0, bytes: 0, first: place, last: place, released: [] };
    queues.set(session, queue);
  }
  if (place < queue.first) queue.first = place;
  if (place > queue.last) queue.last = place;
  queue.bytes += bytes;
  if (released) queue.released.push(place);
  else queue.count++;
}

function readCounter(db: Database, name: 'session' | 'message'): number {
  return db.prepare<[string], number>('SELECT value FROM counters WHERE name = ?').pluck().get(name)!;
}

function readSessions(db: Database): SessionRow[] {
  type Stored = Omit<SessionRow, 'anonymous'> & { readonly anonymous: number };
  const rows = db
    .prepare<[], Stored>(
      'SELECT id, principal_kind AS principalKind, principal_id AS principalId, anonymous, client_id AS clientId, protocol, ' +
        'expiry_s AS expiryS, created_us AS createdUs, detached_us AS detachedUs, sent_place AS sentPlace, dropped ' +
        'FROM sessions ORDER BY id',
    )
    .all();
  return rows.map((row) => ({ ...row, anonymous: row.anonymous !== 0 }));
}

function readSubscriptions(db: Database): ReadonlyMap<number, SubscriptionRow[]> {
  interface Stored {
    readonly session: number;
    readonly id: string;
    readonly filter: string;
    readonly qos: SubscriptionRow['qos'];
    readonly share: string | null;
    readonly noLocal: number | null;
    readonly retainAsPublished: number | null;
    readonly retainHandling: 0 | 1 | 2 | null;
    readonly identifier: number | null;
  }
  const rows = db
    .prepare<[], Stored>(
      'SELECT session, id, filter, qos, share, no_local AS noLocal, retain_as_published AS retainAsPublished, ' +
        'retain_handling AS retainHandling, identifier FROM subscriptions ORDER BY n',
    )
    .all();
  const bySession = new Map<number, SubscriptionRow[]>();
  for (const { session, id, filter, qos, share, noLocal, retainAsPublished, retainHandling, identifier } of rows) {
    append(bySession, session, {
      ...{ id, filter, qos },
      ...(share === null ? {} : { share }),
      ...(noLocal === null ? {} : { noLocal: noLocal !== 0 }),
      ...(retainAsPublished === null ? {} : { retainAsPublished: retainAsPublished !== 0 }),
      ...(retainHandling === null ? {} : { retainHandling }),
      ...(identifier === null ? {} : { identifier }),
    });
  }
  return bySession;
}

function readReceipts(db: Database): ReadonlyMap<number, number[]> {
  const rows = db
    .prepare<[], [session: number, packetId: number]>(
      'SELECT session, packet_id FROM receipts ORDER BY session, packet_id',
    )
    .raw()
    .all();
  const bySession = new Map<number, number[]>();
  for (const [session, packetId] of rows) append(bySession, session, packetId);
  return bySession;
}

function append<T>(lists: Map<number, T[]>, key: number, item: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}

function readWills(db: Database): WillRow[] {
  type Raw = readonly [
    key: string,
    principalKind: WillRow['principalKind'],
    principalId: string,
    anonymous: number,
    protocol: string,
    delayS: number,
    expiryS: number | null,
    dueUs: number | null,
    ...message: RawMessage,
  ];
  const rows = db
    .prepare<[], Raw>(
      `SELECT key, principal_kind, principal_id, anonymous, protocol, delay_s, expiry_s, due_us, ${MESSAGE_COLUMNS} ` +
        'FROM wills ORDER BY key',
    )
    .raw()
    .all();
  return rows.map(
    ([key, principalKind, principalId, anonymous, protocol, delayS, expiryS, dueUs, ...message]): WillRow => ({
      ...{ key, principalKind, principalId, anonymous: anonymous !== 0, protocol, delayS, expiryS, dueUs },
      message: storedMessage(message),
    }),
  );
}
