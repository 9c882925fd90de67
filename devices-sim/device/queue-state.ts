import type { KnownCommand } from './command-book.ts';
import type { Message } from './message.ts';
import type { WireResult } from './wire.ts';

/** Types of records in the log of a file queue. */
export const RECORD = {
  /** All that is known, but the messages: the first record of a file. */
  state: 'S',
  message: 'M',
  /** `before`: every position below is settled; `later`: these too. */
  settled: 'A',
  stream: 'N',
  started: 'C',
  answered: 'R',
  taken: 'D',
  opened: 'O',
  closed: 'E',
} as const;

export interface StateRecord {
  readonly version: 1;
  readonly stream: string;
  readonly base: number;
  /** Position of the oldest message that is not settled. */
  readonly first: number;
  /** Position of the next message. Those in between that are not in the log are settled. */
  readonly next: number;
  readonly fsync: boolean;
  readonly commands: readonly KnownCommand[];
}

interface Kept {
  readonly message: Message | null;
  readonly bytes: number;
}

/** Follows the records of a log, to the state at its end. */
export class QueueState {
  /** Null: no state was read. */
  stream: string | null = null;
  base = 0;
  first = 1;
  next = 1;
  /** The last program that had the file closed it. */
  wasClosed = false;
  /** That program did not wait for the disk. */
  wasUnsure = false;
  readonly commands = new Map<string, KnownCommand>();
  readonly #messages = new Map<number, Kept>();

  /** A record that cannot be read, though its checksum fits, throws SyntaxError. */
  apply(type: string, payload: Buffer): void {
    const record = JSON.parse(payload.toString('utf8')) as never;
    this.wasClosed = type === RECORD.closed;
    if (type === RECORD.state) this.#state(record);
    else if (type === RECORD.message) this.#message(record, payload.length);
    else if (type === RECORD.settled) this.#settled(record);
    else if (type === RECORD.stream) this.#stream(record);
    else if (type === RECORD.opened) this.wasUnsure = !(record as { fsync: boolean }).fsync;
    else this.#command(type, record);
  }

  /** Messages from `first` on, without holes; null: settled. */
  unsettled(): Kept[] {
    const kept: Kept[] = [];
    for (let position = this.first; position < this.next; position++) {
      kept.push(this.#messages.get(position) ?? { message: null, bytes: 0 });
    }
    return kept;
  }

  #state(record: StateRecord): void {
    if ((record.version as number) !== 1) throw new Error('the queue was written by a later version');
    this.stream = record.stream;
    this.base = record.base;
    this.first = record.first;
    this.next = record.next;
    this.wasUnsure = !record.fsync;
    this.#messages.clear();
    this.commands.clear();
    for (const command of record.commands) this.commands.set(command.id, command);
  }

  #message({ p, ...message }: Message & { readonly p: number }, bytes: number): void {
    // Where the state before it was lost, nothing older is known.
    if (this.stream === null && this.#messages.size === 0) this.first = p;
    this.#messages.set(p, { message: message, bytes });
    this.next = Math.max(this.next, p + 1);
  }

  #settled({ before, later = [] }: { readonly before: number; readonly later?: readonly number[] }): void {
    if (before - this.first > this.#messages.size) {
      for (const position of [...this.#messages.keys()]) if (position < before) this.#messages.delete(position);
      this.first = before;
    }
    for (; this.first < before; this.first++) this.#messages.delete(this.first);
    this.next = Math.max(this.next, this.first);
    for (const position of later) this.#messages.delete(position);
  }

  #stream({ stream, base }: { readonly stream: string; readonly base: number }): void {
    this.stream = stream;
    this.base = base;
  }

  #command(type: string, record: { readonly id: string } & WireResult): void {
    if (type === RECORD.started) {
      this.commands.set(record.id, { id: record.id, result: null, owed: true, bytes: 0 });
    } else if (type === RECORD.answered) {
      const id = record.commandId;
      this.commands.delete(id);
      this.commands.set(id, { id, result: record, owed: true, bytes: JSON.stringify(record).length });
    } else if (type === RECORD.taken) {
      const known = this.commands.get(record.id);
      if (known !== undefined) known.owed = false;
    }
  }
}
