import type { RoutedMessage } from '#protocols/message.js';
import { STORED, type Outcome, type Pending } from '#protocols/outcome.js';
import type { Audience } from '#hub/router/port.js';
import type { QueueLimits } from '#hub/sessions/queue.js';
import { ReadAhead, type ReadAheadParts } from '#hub/sessions/read-ahead.js';
import { fromStored, messageBytes } from '#hub/sessions/stored-message.js';
import type { KeptEntries, QueueRow } from '#hub/store/port.js';
import type { QueueItem, Stock } from './item.ts';

/** What an entry is charged with besides its message. */
const ENTRY_BYTES = 64;
/** Entries that are looked at together for those that have expired. */
const SWEEP_PAGE = 256;
const NO_MATCHES: readonly string[] = [];

/** A bound of a queue. */
export type Bound = 'maxMessages' | 'maxBytes' | 'maxBytesInAll';

/** Which bound so many messages of so many bytes would pass; null: none. */
export function boundPassed(limits: QueueLimits, count: number, bytes: number, bytesInAll: number): Bound | null {
  if (count > limits.maxMessages) return 'maxMessages';
  if (bytes > limits.maxBytes) return 'maxBytes';
  return bytesInAll > limits.maxBytesInAll ? 'maxBytesInAll' : null;
}

/** What a message is charged with. */
export function entryBytes(message: RoutedMessage): number {
  return ENTRY_BYTES + messageBytes(message);
}

export interface StockHooks {
  /** There may be something to give out. */
  readonly more: () => void;
  /** Something has expired while nobody consumed. */
  readonly expired: () => void;
}

/** A message of the window. Settled when it is on disk. */
class DiskItem implements QueueItem, Pending {
  readonly message: RoutedMessage;
  readonly retain: boolean;
  readonly place: number;
  readonly bytes: number;
  dup = false;
  refused = 0;
  isCommitted = false;
  readonly #committed: () => void;

  constructor(entry: Pick<QueueItem, 'message' | 'retain' | 'place' | 'bytes'>, committed: () => void) {
    this.message = entry.message;
    this.retain = entry.retain;
    this.place = entry.place;
    this.bytes = entry.bytes;
    this.#committed = committed;
  }

  settle(outcome: Outcome): void {
    if (outcome.kind === 'abandoned') return;
    this.isCommitted = true;
    this.#committed();
  }
}

/**
 * The messages of a queue on disk. All of them are there until they are finished; in memory are counts and, while the queue is open, a window of
 * those that come next, each offered after the commit that holds it. The window is read again from the head when the queue
 * is opened, after the commit of everything that was written before.
 */
export class DiskStock implements Stock {
  readonly #parts: ReadAheadParts;
  readonly #id: number;
  readonly #hooks: StockHooks;
  readonly #ahead: ReadAhead<DiskItem>;
  #count = 0;
  #bytes = 0;
  #nextPlace = 1;
  /** Up to here a consumer may have had it. */
  #sentPlace = 0;
  /** Taken out of the window, and not finished. */
  #out = 0;
  #open = false;
  /** What was written before it was opened is on disk. */
  #readable = false;
  #sweeping = false;
  /** Nothing that waits expires before this, in milliseconds since 1970; 0: not known. */
  #soonestMs = Infinity;

  constructor(parts: ReadAheadParts, id: number, hooks: StockHooks) {
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- for the getters below
    const stock = this;
    this.#parts = parts;
    this.#id = id;
    this.#hooks = hooks;
    this.#ahead = new ReadAhead(parts, id, {
      get unread(): number {
        return stock.#unread;
      },
      get nextPlace(): number {
        return stock.#nextPlace;
      },
      entryOf: (row) => this.#itemOf(row),
      filled: () => hooks.more(),
      correct: () => this.#correct(),
    });
  }

  /** As an earlier run left it. */
  restore({ count, bytes, last }: KeptEntries, sentPlace: number, mayHaveSent: boolean): void {
    this.#add(count, bytes);
    this.#sentPlace = mayHaveSent ? Math.max(sentPlace, last) : sentPlace;
    this.#nextPlace = Math.max(sentPlace, last) + 1;
    this.#soonestMs = 0;
  }

  /** Messages, in other hands or not, and their bytes. */
  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get sentPlace(): number {
    return this.#sentPlace;
  }

  /** Which bound a message would pass; null: it has room. */
  fault(message: RoutedMessage): Bound | null {
    const { limits, sums } = this.#parts;
    const bytes = entryBytes(message);
    const passed = boundPassed(limits, this.#count + 1, this.#bytes + bytes, sums.bytes + bytes);
    if (passed !== null) this.makeRoom();
    return passed;
  }

  /** Puts a message into the batch that fills. It has room. `audience`: it comes from the router, to others too; null: to this queue alone. */
  push(message: RoutedMessage, retain: boolean, audience: Audience | null): void {
    const { journal } = this.#parts;
    const bytes = entryBytes(message);
    const behind = this.#unread > 0;
    const place = this.#nextPlace++;
    const entry = { session: this.#id, place, qos: 1, retain, matches: NO_MATCHES, bytes } as const;
    if (audience === null) journal.put(message, entry);
    else journal.enqueue(message, audience, entry);
    this.#add(1, bytes);
    this.#expires(message.properties?.expiresMs);
    if (!this.#open || behind || !this.#ahead.window.fits(bytes)) return;
    const item = new DiskItem({ message, retain, place, bytes }, this.#hooks.more);
    this.#ahead.push(item);
    journal.settleAfterCommit(item);
  }

  /** It has consumers from now on. */
  open(): void {
    this.forget();
    this.#open = true;
    // What was finished just now must not be found again.
    this.#ahead.pages.afterCommit(() => {
      this.#readable = true;
      this.readOn();
    });
  }

  /** Nobody consumes: everything is on disk alone. */
  forget(): void {
    this.#open = false;
    this.#readable = false;
    if (this.#sweeping) this.#soonestMs = 0;
    this.#sweeping = false;
    this.#out = 0;
    this.#ahead.forget();
  }

  /** The queue has ended. */
  close(): void {
    this.forget();
    this.#add(-this.#count, -this.#bytes);
  }

  // ---- Stock

  peek(): QueueItem | undefined {
    const next = this.#ahead.window.peek();
    return next?.isCommitted === true ? next : undefined;
  }

  shift(): void {
    this.#ahead.window.shift();
    this.#out++;
  }

  given({ place }: QueueItem): void {
    if (place > this.#sentPlace) this.#sentPlace = place;
  }

  finished({ place, bytes }: QueueItem, pending?: Pending): void {
    this.#out--;
    this.#remove(place, bytes);
    this.#settle(pending);
  }

  refused({ place, refused }: QueueItem, pending?: Pending): void {
    this.#parts.journal.write({ op: 'queue.refuse', session: this.#id, place, refused });
    this.#settle(pending);
  }

  readOn(): void {
    if (this.#readable) this.#ahead.read();
  }

  #settle(pending: Pending | undefined): void {
    if (pending !== undefined) this.#parts.journal.afterCommitSettle(pending, STORED);
  }

  /** On disk alone. */
  get #unread(): number {
    return this.#count - this.#out - this.#ahead.window.length;
  }

  #itemOf({ place, bytes, retain, refused, message }: QueueRow): DiskItem {
    const item = new DiskItem({ message: fromStored(message), retain, place, bytes }, this.#hooks.more);
    item.isCommitted = true;
    item.dup = place <= this.#sentPlace || refused > 0;
    item.refused = refused;
    return item;
  }

  #remove(place: number, bytes: number): void {
    this.#add(-1, -bytes);
    this.#parts.journal.write({ op: 'queue.remove', session: this.#id, place });
  }

  /** What has expired makes room, also where nobody comes to find it. A full queue is read for that only when something may be found. */
  makeRoom(): void {
    if (this.#open || this.#sweeping || this.#soonestMs > this.#parts.clock.now()) return;
    this.#sweeping = true;
    this.#soonestMs = Infinity;
    const look = (afterPlace: number): void =>
      this.#ahead.pages.read(afterPlace, SWEEP_PAGE, this.#parts.limits.windowBytes, (rows) => {
        for (const { place, bytes, message } of rows) {
          const { expiresMs } = message;
          if (expiresMs === null) continue;
          if (expiresMs > this.#parts.clock.now()) {
            this.#expires(expiresMs);
            continue;
          }
          this.#remove(place, bytes);
          this.#hooks.expired();
        }
        const last = rows.at(-1)?.place;
        if (last !== undefined) look(last);
        else this.#sweeping = false;
      });
    // What was finished just now must not be found again.
    this.#ahead.pages.afterCommit(() => look(0));
  }

  #expires(atMs: number | undefined): void {
    if (atMs !== undefined && atMs < this.#soonestMs) this.#soonestMs = atMs;
  }

  #correct(): void {
    this.#parts.observer.failed(new Error(`queue ${this.#id} counted ${this.#unread} messages too many`));
    const left = this.#count - this.#unread;
    this.#add(left - this.#count, left === 0 ? -this.#bytes : 0);
  }

  #add(messages: number, bytes: number): void {
    this.#count += messages;
    this.#bytes += bytes;
    this.#parts.sums.messages += messages;
    this.#parts.sums.bytes += bytes;
  }
}
