import type {
  KeptSession,
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

interface Kept {
  row: SessionRow;
  readonly subscriptions: Map<string, SubscriptionRow>;
  readonly queue: Map<number, Entry>;
  readonly receipts: Set<number>;
}

/** Sessions that last, their queues, retained messages and wills, on maps. */
export class MemorySessions {
  readonly #sessions = new Map<number, Kept>();
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

  startState(): Pick<StartState, 'sessions' | 'lastSessionId' | 'lastMessageId' | 'retained' | 'wills'> {
    return {
      sessions: [...this.#sessions.values()].sort((a, b) => a.row.id - b.row.id).map(keptSession),
      lastSessionId: this.#lastSessionId,
      lastMessageId: this.#lastMessageId,
      retained: [...this.#retained.values()],
      wills: [...this.#wills.values()].sort((a, b) => (a.key < b.key ? -1 : 1)),
    };
  }

  queue({ session, afterPlace, limit, maxBytes }: Parameters<StoreReader['sessionQueue']>[0]): QueueRow[] {
    const rows: QueueRow[] = [];
    let bytes = 0;
    for (const { shared, ...entry } of inOrder(this.#sessions.get(session))) {
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
    for (const place of this.#sessions.get(id)?.queue.keys() ?? []) this.#removeEntry(id, place);
    this.#sessions.delete(id);
  }

  #addMessage({ id, message }: Write<'message.add'>): void {
    this.#lastMessageId = Math.max(this.#lastMessageId, id);
    const shared = this.#messages.get(id);
    if (shared !== undefined) shared.message = owned(message);
    else this.#messages.set(id, { message: owned(message), entries: 0 });
  }

  #addEntry({ session, place, message, qos, retain, matches, bytes }: Write<'queue.add'>): void {
    const queue = this.#sessions.get(session)?.queue;
    const shared = this.#messages.get(message);
    if (queue === undefined) return;
    this.#removeEntry(session, place);
    if (shared === undefined) return;
    shared.entries++;
    queue.set(place, { place, qos, retain, matches: [...matches], bytes, shared });
  }

  #removeEntry(session: number, place: number): void {
    const queue = this.#sessions.get(session)?.queue;
    const entry = queue?.get(place);
    if (entry?.shared) entry.shared.entries--;
    queue?.delete(place);
  }

  #releaseEntry({ session, place }: Write<'queue.release'>): void {
    const queue = this.#sessions.get(session)?.queue;
    const entry = queue?.get(place);
    if (entry === undefined) return;
    if (entry.shared !== null) entry.shared.entries--;
    queue!.set(place, { ...entry, matches: [], bytes: 0, shared: null });
  }
}

function inOrder(kept: Kept | undefined): Entry[] {
  return [...(kept?.queue.values() ?? [])].sort((a, b) => a.place - b.place);
}

function keptSession(kept: Kept): KeptSession {
  const entries = inOrder(kept);
  const waiting = entries.filter(({ shared }) => shared !== null);
  return {
    session: kept.row,
    subscriptions: [...kept.subscriptions.values()],
    queue: {
      count: waiting.length,
      bytes: waiting.reduce((sum, { bytes }) => sum + bytes, 0),
      first: entries[0]?.place ?? 0,
      last: entries.at(-1)?.place ?? 0,
      released: entries.filter(({ shared }) => shared === null).map(({ place }) => place),
    },
    receipts: [...kept.receipts].sort((a, b) => a - b),
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
