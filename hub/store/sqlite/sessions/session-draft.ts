import type { SessionWrite, StoredMessage } from '../../port.ts';
import { FLAG_RETAIN, packMessages } from './message-columns.ts';
import { QueueDraft } from './queue-draft.ts';
import type { QueueIndex } from './queue-index.ts';
import {
  matchesText,
  type EntryColumns,
  type NewMessages,
  type OlderMessage,
  type OtherWrite,
  type SessionRequest,
} from './request.ts';

type Write<Op extends SessionWrite['op']> = Extract<SessionWrite, { op: Op }>;
type Added = Write<'queue.add'>;

interface Named {
  /** Null: it was named without having been added in this batch. */
  message: StoredMessage | null;
  entries: number;
}

/**
 * The session writes of one batch, worked out against the index to rows of tables, so that the writer looks nothing up. What is added and
 * removed in the same batch is not written at all. The index stays as it is until `apply`: a batch that fails is simply worked out again.
 */
export class SessionDraft {
  readonly #index: QueueIndex;
  readonly #queues = new Map<number, QueueDraft>();
  readonly #messages = new Map<number, Named>();
  readonly #retained = new Map<string, StoredMessage | null>();
  readonly #others: OtherWrite[] = [];
  readonly #receipts: Write<'receipt.add' | 'receipt.remove'>[] = [];
  /** Null: taken back. */
  readonly #added: (Added | null)[] = [];
  readonly #removed: number[] = [];
  readonly #released: number[] = [];
  /** How often committed rows were refused. */
  readonly #refused = new Map<number, number>();
  /** The same of entries that the batch adds, by their numbers. */
  readonly #addedAndRefused = new Map<number, number>();
  /** Numbers of entries that the batch adds and releases. */
  readonly #addedAndReleased = new Set<number>();
  #entries: readonly Added[] = [];
  #firstRow = 0;
  #lastSessionId = 0;
  #lastMessageId = 0;

  constructor(index: QueueIndex, writes: readonly SessionWrite[]) {
    this.#index = index;
    for (const write of writes) this.#take(write);
  }

  request(): SessionRequest {
    this.#entries = this.#added.filter((entry) => entry !== null);
    this.#firstRow = this.#index.takeRows(this.#entries.length);
    const released = [...this.#released, ...this.#rowsAddedAndReleased()];
    const retained = [...this.#retained];
    const kept = retained.flatMap(([, message]) => message ?? []);
    return {
      others: this.#others,
      messages: this.#newMessages(),
      older: this.#olderMessages(),
      entries: packEntries(this.#entries, this.#firstRow),
      released: Float64Array.from(released),
      refused: this.#refusals(),
      removed: distinct(this.#removed),
      receipts: packReceipts(this.#receipts),
      retained: kept.length === 0 ? null : packMessages(kept),
      retainedGone: retained.flatMap(([topic, message]) => (message === null ? topic : [])),
      lastSessionId: this.#lastSessionId,
      lastMessageId: this.#lastMessageId,
    };
  }

  /** The request was committed. `missing`: messages whose entries were left out. */
  apply(missing: ReadonlySet<number> | null): void {
    const { sessions } = this.#index;
    for (const queue of this.#queues.values()) queue.apply(this.#index);
    this.#entries.forEach(({ session, place, message }, i) => {
      if (missing?.has(message) === true) return;
      const row = this.#firstRow + i;
      sessions.get(session)?.set(place, row);
    });
    for (const number of this.#addedAndReleased) {
      const entry = this.#added[number];
      if (entry) sessions.get(entry.session)?.release(entry.place);
    }
    this.#index.lastMessageId = Math.max(this.#index.lastMessageId, this.#lastMessageId);
  }

  #take(write: SessionWrite): void {
    switch (write.op) {
      case 'queue.add':
        this.#addEntry(write);
        return;
      case 'queue.remove':
        this.#removeEntry(this.#queueOf(write.session), write.place);
        return;
      case 'message.add':
        this.#addMessage(write);
        return;
      case 'queue.release':
        this.#releaseEntry(write);
        return;
      case 'queue.refuse':
        this.#refuseEntry(write);
        return;
      case 'receipt.add':
      case 'receipt.remove':
        this.#receipts.push(write);
        return;
      case 'retained.put':
        // The last one written is the newest.
        this.#retained.delete(write.message.topic);
        this.#retained.set(write.message.topic, write.message);
        return;
      case 'retained.delete':
        this.#retained.delete(write.topic);
        this.#retained.set(write.topic, null);
        return;
      case 'session.put':
        this.#putOwner(write, write.session.id);
        return;
      case 'namedQueue.put':
        this.#putOwner(write, write.queue.id);
        return;
      case 'session.delete':
      case 'namedQueue.delete':
        this.#deleteOwner(write);
        return;
      case 'will.put':
        this.#others.push({ ...write, will: { ...write.will, message: owned(write.will.message) } });
        return;
      default:
        this.#others.push(write);
    }
  }

  #addEntry(write: Added): void {
    const queue = this.#queueOf(write.session);
    if (!queue.exists) return;
    if (queue.mayHave(write.place)) this.#removeEntry(queue, write.place);
    queue.add(write.place, this.#added.push(write) - 1);
    this.#named(write.message).entries++;
  }

  #removeEntry(queue: QueueDraft, place: number): void {
    const number = queue.addedAt(place, true);
    if (number >= 0) {
      this.#takeBack(number);
      return;
    }
    const row = queue.remove(place);
    if (row !== 0) this.#removed.push(row);
  }

  #releaseEntry({ session, place }: Write<'queue.release'>): void {
    const queue = this.#queueOf(session);
    const number = queue.addedAt(place, false);
    if (number >= 0) {
      this.#addedAndReleased.add(number);
      return;
    }
    const row = queue.release(place);
    if (row !== 0) this.#released.push(row);
  }

  #refuseEntry({ session, place, refused }: Write<'queue.refuse'>): void {
    const queue = this.#queueOf(session);
    const number = queue.addedAt(place, false);
    if (number >= 0) {
      this.#addedAndRefused.set(number, refused);
      return;
    }
    const row = queue.find(place);
    if (row !== 0) this.#refused.set(row, refused);
  }

  #rowsAddedAndReleased(): number[] {
    return this.#rowsAdded(this.#addedAndReleased).map(({ row }) => row);
  }

  #refusals(): SessionRequest['refused'] {
    const added = this.#rowsAdded(this.#addedAndRefused).map(({ number, row }) => ({
      row,
      times: this.#addedAndRefused.get(number)!,
    }));
    return [...Array.from(this.#refused, ([row, times]) => ({ row, times })), ...added];
  }

  /** The rows of some of the entries that the batch adds. */
  #rowsAdded(wanted: { readonly size: number; has(number: number): boolean }): { number: number; row: number }[] {
    if (wanted.size === 0) return [];
    const rows: { number: number; row: number }[] = [];
    let row = this.#firstRow;
    this.#added.forEach((entry, number) => {
      if (entry === null) return;
      if (wanted.has(number)) rows.push({ number, row });
      row++;
    });
    return rows;
  }

  #takeBack(number: number): void {
    const { message } = this.#added[number]!;
    this.#added[number] = null;
    this.#named(message).entries--;
  }

  #addMessage({ id, message }: Write<'message.add'>): void {
    if (id > this.#lastMessageId) this.#lastMessageId = id;
    const named = this.#messages.get(id);
    if (named === undefined) this.#messages.set(id, { message, entries: 0 });
    else named.message = message;
  }

  /** Of a queue: a session, or a named queue. */
  #putOwner(write: Write<'session.put' | 'namedQueue.put'>, id: number): void {
    if (id > this.#lastSessionId) this.#lastSessionId = id;
    this.#queueOf(id).exists = true;
    this.#others.push(write);
  }

  #deleteOwner(write: Write<'session.delete' | 'namedQueue.delete'>): void {
    const { rows, numbers } = this.#queueOf(write.id).clear();
    for (const number of numbers) this.#takeBack(number);
    for (const row of rows) this.#removed.push(row);
    this.#others.push(write);
  }

  #queueOf(session: number): QueueDraft {
    let queue = this.#queues.get(session);
    if (queue === undefined) {
      queue = new QueueDraft(session, this.#index.sessions.get(session) ?? null);
      this.#queues.set(session, queue);
    }
    return queue;
  }

  #named(id: number): Named {
    let named = this.#messages.get(id);
    if (named === undefined) this.#messages.set(id, (named = { message: null, entries: 0 }));
    return named;
  }

  /** Those that no entry names any more are not written. */
  #newMessages(): NewMessages | null {
    const ids: number[] = [];
    const entries: number[] = [];
    const messages: StoredMessage[] = [];
    for (const [id, named] of this.#messages) {
      if (named.message === null || named.entries === 0 || id <= this.#index.lastMessageId) continue;
      ids.push(id);
      entries.push(named.entries);
      messages.push(named.message);
    }
    if (ids.length === 0) return null;
    return { columns: packMessages(messages), id: Float64Array.from(ids), entries: Uint32Array.from(entries) };
  }

  #olderMessages(): OlderMessage[] {
    const older: OlderMessage[] = [];
    for (const [id, { message, entries }] of this.#messages) {
      if (message !== null && id > this.#index.lastMessageId) continue;
      older.push({ id, message: message === null ? null : packMessages([message]), entries });
    }
    return older;
  }
}

function packEntries(entries: readonly Added[], firstRow: number): EntryColumns | null {
  const count = entries.length;
  if (count === 0) return null;
  const session = new Float64Array(count);
  const place = new Float64Array(count);
  const message = new Float64Array(count);
  const bytes = new Float64Array(count);
  const flags = new Uint8Array(count);
  const matches = new Uint32Array(count);
  const texts: string[] = [];
  const known = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const entry = entries[i]!;
    session[i] = entry.session;
    place[i] = entry.place;
    message[i] = entry.message;
    bytes[i] = entry.bytes;
    flags[i] = entry.qos | (entry.retain ? FLAG_RETAIN : 0);
    const text = matchesText(entry.matches);
    let at = known.get(text);
    if (at === undefined) known.set(text, (at = texts.push(text) - 1));
    matches[i] = at;
  }
  return { count, firstRow, session, place, message, bytes, flags, matches, texts };
}

function packReceipts(receipts: readonly Write<'receipt.add' | 'receipt.remove'>[]): SessionRequest['receipts'] {
  if (receipts.length === 0) return null;
  return {
    session: Float64Array.from(receipts, ({ session }) => session),
    packetId: Uint16Array.from(receipts, ({ packetId }) => packetId),
    added: Uint8Array.from(receipts, ({ op }) => (op === 'receipt.add' ? 1 : 0)),
  };
}

/** Ascending, each once. */
function distinct(rows: readonly number[]): Float64Array {
  const sorted = Float64Array.from(rows).sort();
  return sorted.filter((row, i) => row !== sorted[i - 1]);
}

/** Cloning a view clones all of the buffer below it. */
function owned(message: StoredMessage): StoredMessage {
  const { payload, correlationData } = message;
  return {
    ...message,
    payload: new Uint8Array(payload),
    correlationData: correlationData === null ? null : new Uint8Array(correlationData),
  };
}
