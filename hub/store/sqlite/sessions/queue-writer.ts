import type { Database, Statement } from 'better-sqlite3';
import { MultiInsert } from '../multi-insert.ts';
import { bindMessage, MESSAGE_COLUMNS, type MessageColumns } from './message-columns.ts';
import type { EntryColumns, NewMessages, OlderMessage, SessionRequest } from './request.ts';

/** Rows of one INSERT, largest first. Larger ones gained nothing. */
const MESSAGES_PER_INSERT = [16, 4, 1];
const ENTRIES_PER_INSERT = [64, 8, 1];

/**
 * Queues and the messages in them. A message goes with the last entry that names it: entries that go are counted by message within the
 * batch, and only messages that several entries name have a count on disk.
 */
export class QueueWriter {
  readonly #messages: MultiInsert;
  readonly #entries: MultiInsert;
  readonly #hasMessage: Statement<[number], number>;
  readonly #replaceMessage: Statement;
  readonly #deleteMessages: Statement<[number, number]>;
  readonly #namedBy: Statement<[number, number], number>;
  readonly #deleteEntries: Statement<[number, number]>;
  readonly #releaseEntry: Statement<[number]>;
  readonly #refuseEntry: Statement<[number, number]>;
  readonly #sharedBy: Statement<[number], number>;
  readonly #setShared: Statement<[number, number]>;
  readonly #deleteShared: Statement<[number]>;
  /** How many entries of each message the batch has taken away. */
  readonly #taken = new Map<number, number>();

  constructor(db: Database) {
    this.#messages = new MultiInsert(db, 'messages', `id, ${MESSAGE_COLUMNS}`, MESSAGES_PER_INSERT);
    this.#entries = new MultiInsert(
      db,
      'queue',
      'id, session, place, bytes, message, flags, matches',
      ENTRIES_PER_INSERT,
    );
    this.#hasMessage = db.prepare<[number], number>('SELECT 1 FROM messages WHERE id = ?').pluck();
    this.#replaceMessage = db.prepare(
      `UPDATE messages SET (${MESSAGE_COLUMNS}) = (?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?`,
    );
    this.#deleteMessages = db.prepare('DELETE FROM messages WHERE id BETWEEN ? AND ?');
    this.#namedBy = db
      .prepare<[number, number], number>('SELECT message FROM queue WHERE id BETWEEN ? AND ? AND message > 0')
      .pluck();
    this.#deleteEntries = db.prepare('DELETE FROM queue WHERE id BETWEEN ? AND ?');
    this.#releaseEntry = db.prepare("UPDATE queue SET message = 0, bytes = 0, matches = '[]' WHERE id = ?");
    this.#refuseEntry = db.prepare('UPDATE queue SET refused = ? WHERE id = ?');
    this.#sharedBy = db.prepare<[number], number>('SELECT entries FROM shared WHERE message = ?').pluck();
    this.#setShared = db.prepare(
      'INSERT INTO shared (message, entries) VALUES (?, ?) ON CONFLICT DO UPDATE SET entries = excluded.entries',
    );
    this.#deleteShared = db.prepare('DELETE FROM shared WHERE message = ?');
  }

  /** Returns the messages that entries named and that are not there: those entries were left out. */
  write({ messages, older, entries, released, refused, removed }: SessionRequest): ReadonlySet<number> {
    this.#taken.clear();
    this.#messages.begin();
    this.#entries.begin();
    if (messages !== null) this.#addMessages(messages);
    const missing = older.length === 0 ? NONE : this.#nameAgain(older);
    if (entries !== null) this.#addEntries(entries, missing);
    for (const row of released) {
      this.#take(row, row);
      this.#releaseEntry.run(row);
    }
    for (const { row, times } of refused) this.#refuseEntry.run(times, row);
    eachRun(removed, (from, to) => {
      this.#take(from, to);
      this.#deleteEntries.run(from, to);
    });
    this.#deleteUnnamed();
    return missing;
  }

  #addMessages({ columns, id, entries }: NewMessages): void {
    for (let i = 0; i < columns.count; i++) {
      const { bound, at } = this.#messages;
      bound[at] = id[i];
      bindMessage(columns, i, bound, at + 1);
      this.#messages.add();
      if (entries[i]! > 1) this.#setShared.run(id[i]!, entries[i]!);
    }
    this.#messages.flush();
  }

  /** Messages of earlier batches. Returns those that are not there any more. */
  #nameAgain(older: readonly OlderMessage[]): ReadonlySet<number> {
    const missing = new Set<number>();
    for (const { id, message, entries } of older) {
      if (this.#hasMessage.get(id) === undefined) {
        if (message === null) missing.add(id);
        else if (entries > 0)
          this.#addMessages({ columns: message, id: Float64Array.of(id), entries: Uint32Array.of(entries) });
        continue;
      }
      if (message !== null) this.#replaceMessage.run(...messageValues(message), id);
      if (entries > 0) this.#setShared.run(id, (this.#sharedBy.get(id) ?? 1) + entries);
    }
    return missing;
  }

  #addEntries(columns: EntryColumns, missing: ReadonlySet<number>): void {
    const { count, firstRow, session, place, message, bytes, flags, matches, texts } = columns;
    for (let i = 0; i < count; i++) {
      if (missing.size > 0 && missing.has(message[i]!)) continue;
      const { bound, at } = this.#entries;
      bound[at] = firstRow + i;
      bound[at + 1] = session[i];
      bound[at + 2] = place[i];
      bound[at + 3] = bytes[i];
      bound[at + 4] = message[i];
      bound[at + 5] = flags[i];
      bound[at + 6] = texts[matches[i]!];
      this.#entries.add();
    }
    this.#entries.flush();
  }

  #take(fromRow: number, toRow: number): void {
    for (const message of this.#namedBy.all(fromRow, toRow))
      this.#taken.set(message, (this.#taken.get(message) ?? 0) + 1);
  }

  #deleteUnnamed(): void {
    if (this.#taken.size === 0) return;
    const unnamed: number[] = [];
    for (const [message, taken] of this.#taken) {
      const entries = this.#sharedBy.get(message);
      if (entries === undefined) unnamed.push(message);
      else if (entries > taken) this.#setShared.run(message, entries - taken);
      else {
        this.#deleteShared.run(message);
        unnamed.push(message);
      }
    }
    eachRun(Float64Array.from(unnamed).sort(), (from, to) => this.#deleteMessages.run(from, to));
  }
}

const NONE: ReadonlySet<number> = new Set();

function messageValues(message: MessageColumns): unknown[] {
  const values: unknown[] = [];
  bindMessage(message, 0, values, 0);
  return values;
}

/** Calls `run` for each run of numbers that follow one another. `sorted` ascends. */
function eachRun(sorted: Float64Array, run: (from: number, to: number) => void): void {
  for (let i = 0; i < sorted.length;) {
    const from = i;
    while (sorted[i + 1] === sorted[i]! + 1) i++;
    run(sorted[from]!, sorted[i]!);
    i++;
  }
}
