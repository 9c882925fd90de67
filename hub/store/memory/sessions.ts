import type {
  KeptEntries,
  KeptQueue,
  KeptSession,
  NamedQueueRow,
  QueueRow,
  SessionRow,
  SessionWrite,
  StartState,
  StoredMessage,
  StoreReader,
  SubscriptionRow,
  WillRow,
} from '../port.ts';

type Write<Op extends SessionWrite['op']> = Extract<SessionWrite, { op: Op }>;

/** A message and how many queue entries name it. */
interface Shared {
  message: StoredMessage;
  entries: number;
}

/** `shared` null: the place stays for a release that is owed. */
interface Entry extends Omit<QueueRow, 'message'> {
  readonly shared: Shared | null;
}

/** By place. */
type Entries = Map<number, Entry>;

interface Named {
  row: NamedQueueRow;
  readonly queue: Entries;
}

interface Kept {
  row: SessionRow;
  readonly subscriptions: Map<string, SubscriptionRow>;
  readonly queue: Entries;
  readonly receipts: Set<number>;
}

/** Sessions that last, their queues, named queues, retained messages and wills, on maps. */
export class MemorySessions {
  readonly #sessions = new Map<number, Kept>();
  readonly #named = new Map<number, Named>();
  readonly #messages = new Map<number, Shared>();
  readonly #retained = new Map<string, StoredMessage>();
  readonly #wills = new Map<string, WillRow>();
  #lastSessionId = 0;
  #lastMessageId = 0;

  /** Messages that no entry names when all writes of the batch are made go with it. */
  applyAll(writes: readonly SessionWrite[]): void {
    if (writes.length === 0) return;
    for (const write of writes) this.#apply(write);
    for (const [id, { entries }] of this.#messages) if (entries === 0) this.#messages.delete(id);
  }

  startState(): Pick<StartState, 'sessions' | 'queues' | 'lastSessionId' | 'lastMessageId' | 'retained' | 'wills'> {
    return {
      sessions: [...this.#sessions.values()].sort((a, b) => a.row.id - b.row.id).map(keptSession),
      queues: [...this.#named.values()].sort((a, b) => a.row.id - b.row.id).map(keptQueue),
      lastSessionId: this.#lastSessionId,
      lastMessageId: this.#lastMessageId,
      retained: [...this.#retained.values()],
      wills: [...this.#wills.values()].sort((a, b) => (a.key < b.key ? -1 : 1)),
    };
  }

  queue({ session, afterPlace, limit, maxBytes }: Parameters<StoreReader['sessionQueue']>[0]): QueueRow[] {
    const rows: QueueRow[] = [];
    let bytes = 0;
    for (const { shared, ...entry } of inOrder(this.#entriesOf(session))) {
      if (entry.place <= afterPlace || shared === null) continue;
      if (rows.length >= limit || (rows.length > 0 && bytes >= maxBytes)) break;
      rows.push({ ...entry, message: shared.message });
      bytes += entry.bytes;
    }
    return rows;
  }

  #apply(write: SessionWrite): void {
    switch (write.op) {
      case 'session.put':
        this.#putSession(write);
        return;
      case 'session.delete':
        this.#deleteSession(write.id);
        return;
      case 'namedQueue.put':
        this.#putQueue(write);
        return;
      case 'namedQueue.delete':
        this.#removeAll(write.id);
        this.#named.delete(write.id);
        return;
      case 'subscription.put':
        this.#sessions.get(write.session)?.subscriptions.set(write.subscription.id, { ...write.subscription });
        return;
      case 'subscription.delete':
        this.#sessions.get(write.session)?.subscriptions.delete(write.id);
        return;
      case 'message.add':
        this.#addMessage(write);
        return;
      case 'queue.add':
        this.#addEntry(write);
        return;
      case 'queue.remove':
        this.#removeEntry(write.session, write.place);
        return;
      case 'queue.release':
        this.#releaseEntry(write);
        return;
      case 'queue.refuse':
        this.#refuseEntry(write);
        return;
      case 'receipt.add':
        this.#sessions.get(write.session)?.receipts.add(write.packetId);
        return;
      case 'receipt.remove':
        this.#sessions.get(write.session)?.receipts.delete(write.packetId);
        return;
      case 'retained.put':
        // Written last, listed last.
        this.#retained.delete(write.message.topic);
        this.#retained.set(write.message.topic, owned(write.message));
        return;
      case 'retained.delete':
        this.#retained.delete(write.topic);
        return;
      case 'will.put':
        this.#wills.set(write.will.key, { ...write.will, message: owned(write.will.message) });
        return;
      case 'will.delete':
        this.#wills.delete(write.key);
        return;
    }
  }

  #putSession({ session }: Write<'session.put'>): void {
    this.#lastSessionId = Math.max(this.#lastSessionId, session.id);
    const kept = this.#sessions.get(session.id);
    if (kept !== undefined) kept.row = { ...session };
    else
      this.#sessions.set(session.id, {
        row: { ...session },
        subscriptions: new Map(),
        queue: new Map(),
        receipts: new Set(),
      });
  }

  #deleteSession(id: number): void {
    this.#removeAll(id);
    this.#sessions.delete(id);
  }

  #putQueue({ queue: row }: Write<'namedQueue.put'>): void {
    this.#lastSessionId = Math.max(this.#lastSessionId, row.id);
    const named = this.#named.get(row.id);
    if (named !== undefined) named.row = row;
    else this.#named.set(row.id, { row, queue: new Map() });
  }

  #entriesOf(id: number): Entries | undefined {
    return (this.#sessions.get(id) ?? this.#named.get(id))?.queue;
  }

  #removeAll(id: number): void {
    for (const place of this.#entriesOf(id)?.keys() ?? []) this.#removeEntry(id, place);
  }

  #addMessage({ id, message }: Write<'message.add'>): void {
    this.#lastMessageId = Math.max(this.#lastMessageId, id);
    const shared = this.#messages.get(id);
    if (shared !== undefined) shared.message = owned(message);
    else this.#messages.set(id, { message: owned(message), entries: 0 });
  }

  #addEntry({ session, place, message, qos, retain, matches, bytes }: Write<'queue.add'>): void {
    const queue = this.#entriesOf(session);
    const shared = this.#messages.get(message);
    if (queue === undefined) return;
    this.#removeEntry(session, place);
    if (shared === undefined) return;
    shared.entries++;
    queue.set(place, { place, qos, retain, matches: [...matches], bytes, refused: 0, shared });
  }

  #removeEntry(session: number, place: number): void {
    const queue = this.#entriesOf(session);
    const entry = queue?.get(place);
    if (entry?.shared) entry.shared.entries--;
    queue?.delete(place);
  }

  #releaseEntry({ session, place }: Write<'queue.release'>): void {
    const queue = this.#entriesOf(session);
    const entry = queue?.get(place);
    if (entry === undefined) return;
    if (entry.shared !== null) entry.shared.entries--;
    queue!.set(place, { ...entry, matches: [], bytes: 0, shared: null });
  }

  #refuseEntry({ session, place, refused }: Write<'queue.refuse'>): void {
    const queue = this.#entriesOf(session);
    const entry = queue?.get(place);
    if (entry !== undefined) queue!.set(place, { ...entry, refused });
  }
}

function inOrder(queue: Entries | undefined): Entry[] {
  return [...(queue?.values() ?? [])].sort((a, b) => a.place - b.place);
}

function keptSession(kept: Kept): KeptSession {
  return {
    session: kept.row,
    subscriptions: [...kept.subscriptions.values()],
    queue: keptEntries(kept.queue),
    receipts: [...kept.receipts].sort((a, b) => a - b),
  };
}

function keptQueue({ row, queue }: Named): KeptQueue {
  return { queue: row, entries: keptEntries(queue) };
}

function keptEntries(queue: Entries): KeptEntries {
  const entries = inOrder(queue);
  const waiting = entries.filter(({ shared }) => shared !== null);
  return {
    count: waiting.length,
    bytes: waiting.reduce((sum, { bytes }) => sum + bytes, 0),
    first: entries[0]?.place ?? 0,
    last: entries.at(-1)?.place ?? 0,
    released: entries.filter(({ shared }) => shared === null).map(({ place }) => place),
  };
}

/** The bytes may be a slice of something large, and are the caller's. */
function owned(message: StoredMessage): StoredMessage {
  const { payload, correlationData, headers } = message;
  return {
    ...message,
    payload: new Uint8Array(payload),
    correlationData: correlationData === null ? null : new Uint8Array(correlationData),
    headers: headers.map(([name, value]) => [name, value] as const),
  };
}
