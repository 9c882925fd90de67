import type { Delivery, Qos, RoutedMessage, Subscription } from '#protocols/message.js';
import { DURABLE_PACKET_IDS } from '#protocols/session-state.js';
import type { Audience } from '#hub/router/port.js';
import type { KeptSession, QueueRow } from '#hub/store/port.js';
import type { SessionQueue, Taker } from './queue.ts';
import { isDroppable, QueuedMessage, type Entry } from './queued-message.ts';
import { ReadAhead, type ReadAheadParts } from './read-ahead.ts';
import { fromStored, hasExpired, messageBytes } from './stored-message.ts';
import type { Window } from './window.ts';

/** What an entry is charged with besides its message. */
const ENTRY_BYTES = 64;
/** A full queue that drops its oldest may for a moment hold so many times its bound, until those are found on disk. */
const OVERSHOOT = 2;
/** Entries that are looked at together for the oldest to drop. */
const TRIM_PAGE = 256;

/** What of a session the queue looks at. */
export interface QueueOwner {
  /** Of the session on disk. */
  readonly id: number;
  /** The subscription of this id as it is now. */
  subscription(id: string): Subscription | undefined;
}

/**
 * The queue of a session that lasts. All of it is on disk. In memory are counts, and for a connected session a window: the
 * messages that come next, in order. A message is offered once it is committed, and leaves the disk when it is finished.
 *
 * Of the live entries some were sent on this connection (`#sent`), some wait in the window, and the rest, all of higher places than
 * the window, are on disk alone (`#unread`), from where they are read page by page. See docs/sessions.md.
 */
export class DiskQueue implements SessionQueue {
  readonly lasts = true;
  readonly #parts: ReadAheadParts;
  readonly #owner: QueueOwner;
  dropped = 0;
  /** Live messages, whether sent or not, and their bytes. */
  #count = 0;
  #bytes = 0;
  #nextPlace = 1;
  /** No live place, releases included, is lower. Nearly always exact. */
  #first = 1;
  /** Up to here an earlier connection may have sent. */
  #sentPlace = 0;
  readonly #released = new Set<number>();

  // Of the connection.
  #taker: Taker | null = null;
  readonly #sent = new Map<number, QueuedMessage>();
  #sentBytes = 0;
  readonly #ahead: ReadAhead<QueuedMessage>;
  #pumping = false;
  /** The head of the window was offered, and not taken. */
  #refused = false;
  /** The oldest are being looked for, to be dropped. */
  #trimming = false;
  /** From the beginning of a connection to its end. */
  #claimed = false;

  constructor(parts: ReadAheadParts, owner: QueueOwner) {
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- for the getters below
    const queue = this;
    this.#parts = parts;
    this.#owner = owner;
    this.#ahead = new ReadAhead(parts, owner.id, {
      get unread(): number {
        return queue.#unread;
      },
      get nextPlace(): number {
        return queue.#nextPlace;
      },
      entryOf: (row) => new QueuedMessage(this, this.#entryOf(row), row.place <= this.#sentPlace, true),
      filled: () => {
        this.#trim();
        this.pump();
      },
      correct: () => this.#correct(),
    });
  }

  /** As an earlier run left it. `mayHaveSent`: its connection was open when the hub died. */
  restore({ session, queue }: KeptSession, mayHaveSent: boolean): void {
    this.#add(queue.count, queue.bytes);
    this.#sentPlace = mayHaveSent ? Math.max(session.sentPlace, queue.last) : session.sentPlace;
    this.#nextPlace = Math.max(session.sentPlace, queue.last) + 1;
    this.#first = queue.first === 0 ? this.#nextPlace : queue.first;
    this.dropped = session.dropped;
    for (const place of queue.released) this.#released.add(place);
  }

  get attached(): boolean {
    return this.#taker !== null;
  }

  get flows(): boolean {
    return this.#taker !== null && !this.#refused && this.#unread === 0;
  }

  get hasRoom(): boolean {
    const { windowMessages, maxMessages } = this.#parts.limits;
    return this.flows && this.#window.length < Math.min(windowMessages, Math.max(1, maxMessages));
  }

  get waiting(): number {
    return this.#count - this.#sent.size;
  }

  get waitingBytes(): number {
    return this.#bytes - this.#sentBytes;
  }

  /** Every message up to this place may have been sent: for the session's row, at the end of a connection. */
  get sentPlace(): number {
    return this.#sentPlace;
  }

  push(
    message: RoutedMessage,
    matches: readonly Subscription[],
    qos: Exclude<Qos, 0>,
    retain: boolean,
    audience: Audience | null,
  ): void {
    const bytes = ENTRY_BYTES + messageBytes(message);
    if (!this.#fits(bytes)) {
      this.#drop();
      return;
    }
    const behind = this.#unread > 0;
    const place = this.#nextPlace++;
    const ids = matches.map(({ id }) => id);
    const session = this.#owner.id;
    this.#parts.journal.enqueue(message, audience, { session, place, qos, retain, matches: ids, bytes });
    this.#add(1, bytes);
    if (this.#taker !== null && !behind && this.#window.fits(bytes)) {
      const queued = new QueuedMessage(this, { message, matches, qos, retain, place, bytes }, false, false);
      this.#ahead.push(queued);
      this.#parts.journal.settleAfterCommit(queued);
    }
    this.#trim();
  }

  /**
   * A connection begins, and waits for the disk until it attaches. Nothing is dropped there meanwhile: what went after that commit would be
   * read as if it were alive.
   */
  claim(): void {
    this.#endTurn();
    this.#claimed = true;
  }

  /** What the session wrote so far, its `session.put` included, is on disk: what is read from now on is true. */
  attach(taker: Taker): void {
    this.claim();
    this.#taker = taker;
    this.#read();
  }

  detach(): void {
    this.#claimed = false;
    if (this.#taker === null) return;
    this.#first = this.#lowest();
    for (const place of this.#sent.keys()) this.#sentPlace = Math.max(this.#sentPlace, place);
    this.#taker = null;
    this.#endTurn();
  }

  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#taker !== null && this.#offerNext(this.#taker));
    } finally {
      this.#pumping = false;
    }
    this.#read();
  }

  acknowledged({ place }: Delivery): void {
    const sent = this.#sent.get(place);
    if (sent !== undefined) {
      this.#unsend(sent);
      // Known to have been sent, whatever becomes of the write.
      this.#sentPlace = Math.max(this.#sentPlace, place);
      this.#remove(sent);
    } else if (this.#released.delete(place)) this.#writeRemoval(place);
  }

  released({ place }: Delivery, done: () => void): void {
    const sent = this.#sent.get(place);
    if (sent !== undefined) {
      this.#unsend(sent);
      this.#sentPlace = Math.max(this.#sentPlace, place);
      this.#released.add(place);
      this.#add(-1, -sent.bytes);
      this.#parts.journal.write({ op: 'queue.release', session: this.#owner.id, place });
    }
    this.#parts.journal.afterCommit(done);
  }

  /** Places whose release is owed, ascending. */
  get releasedPlaces(): readonly number[] {
    return [...this.#released].sort((a, b) => a - b);
  }

  close(): void {
    this.#taker = null;
    this.#endTurn();
    this.#add(-this.#count, -this.#bytes);
    this.#released.clear();
  }

  /** From a message in the window: it is on disk. */
  committed(queued: QueuedMessage): void {
    if (this.#window.peek() === queued) this.pump();
  }

  /** Live messages that are on disk alone. */
  get #unread(): number {
    return this.#count - this.#sent.size - this.#window.length;
  }

  // ---- to the client

  /** False: nothing is there, or it was not taken. */
  #offerNext(taker: Taker): boolean {
    const next = this.#window.peek();
    if (next?.isCommitted !== true) return false;
    this.#window.shift();
    // What the client may know of already is finished with it, however old: its packet id must not mean another message.
    const known = next.qos === 2 && next.dup;
    if (!known && hasExpired(next.message, this.#parts.clock.now())) {
      this.#remove(next);
      this.#parts.observer.dropped('expired');
      return true;
    }
    // Before it is offered: the session may finish it, and the connection may end, from within.
    this.#sent.set(next.place, next);
    this.#sentBytes += next.bytes;
    const { turn } = this.#ahead.pages;
    this.#refused = !taker.forward(next);
    if (!this.#refused) return true;
    if (turn === this.#ahead.pages.turn && this.#sent.has(next.place)) {
      this.#unsend(next);
      this.#window.unshift(next);
    }
    return false;
  }

  #unsend(queued: QueuedMessage): void {
    this.#sent.delete(queued.place);
    this.#sentBytes -= queued.bytes;
  }

  #remove(queued: { readonly place: number; readonly bytes: number }): void {
    this.#add(-1, -queued.bytes);
    this.#writeRemoval(queued.place);
  }

  #writeRemoval(place: number): void {
    this.#parts.journal.write({ op: 'queue.remove', session: this.#owner.id, place });
  }

  #endTurn(): void {
    this.#ahead.forget();
    this.#trimming = false;
    this.#refused = false;
    this.#sent.clear();
    this.#sentBytes = 0;
  }

  // ---- the window

  get #window(): Window<QueuedMessage> {
    return this.#ahead.window;
  }

  /** Reads on, when half of the window is free. */
  #read(): void {
    if (this.#taker !== null) this.#ahead.read();
  }

  #correct(): void {
    this.#parts.observer.failed(new Error(`session ${this.#owner.id} counted ${this.#unread} messages too many`));
    let bytes = this.#sentBytes + this.#window.bytes;
    bytes -= this.#bytes;
    this.#add(-this.#unread, bytes);
  }

  #entryOf({ place, qos, retain, matches, bytes, message }: QueueRow): Entry {
    return {
      message: fromStored(message),
      // One that has ended since it matched.
      matches: matches.map((id) => this.#owner.subscription(id) ?? { id, filter: id, qos }),
      qos,
      retain,
      place,
      bytes,
    };
  }

  // ---- the bounds

  #fits(bytes: number): boolean {
    const { maxMessages, maxBytes, maxBytesInAll, full } = this.#parts.limits;
    const times = full === 'drop_oldest' ? OVERSHOOT : 1;
    // What waits for its commit alone does not wait for its client.
    const passes = this.flows && this.#window.fits(bytes);
    if ((this.waiting + 1 > maxMessages * times && !passes) || this.waitingBytes + bytes > maxBytes * times)
      return false;
    if (bytes > maxBytes || this.#parts.sums.bytes + bytes > maxBytesInAll) return false;
    if (this.#nextPlace - this.#first < DURABLE_PACKET_IDS) return true;
    this.#first = this.#lowest();
    // Two live messages never share a packet id.
    return this.#nextPlace - this.#first < DURABLE_PACKET_IDS;
  }

  #isOver(): boolean {
    const { maxMessages, maxBytes } = this.#parts.limits;
    return (this.waiting > maxMessages && !this.flows) || this.waitingBytes > maxBytes;
  }

  /** No live place is lower. */
  #lowest(): number {
    let lowest = this.#window.peek()?.place ?? this.#nextPlace;
    if (this.#unread > 0) lowest = Math.min(lowest, Math.max(this.#first, this.#ahead.cursor + 1));
    for (const place of this.#sent.keys()) lowest = Math.min(lowest, place);
    for (const place of this.#released) lowest = Math.min(lowest, place);
    return lowest;
  }

  /** Drops the oldest that wait, until the queue is within its bounds. Those that are on disk alone are looked for. */
  #trim(): void {
    if (!this.#isOver() || this.#parts.limits.full !== 'drop_oldest') return;
    while (this.#isOver()) {
      const oldest = this.#window.takeFirst(isDroppable);
      if (oldest === undefined) break;
      this.#remove(oldest);
      this.#drop();
    }
    if (this.#taker !== null) this.#read();
    else if (this.#isOver() && !this.#claimed && !this.#trimming) {
      this.#trimming = true;
      // What was removed just now must not be found again.
      this.#ahead.pages.afterCommit(() => this.#trimOnDisk(0, true));
    }
  }

  /** `isHead`: nothing that is alive comes before this page. */
  #trimOnDisk(afterPlace: number, isHead: boolean): void {
    this.#ahead.pages.read(afterPlace, TRIM_PAGE, this.#parts.limits.windowBytes, (rows) => {
      let gone = isHead;
      const released = Math.min(...this.#released);
      for (const row of rows) {
        if (!this.#isOver()) break;
        const droppable = isDroppable({ qos: row.qos, dup: row.place <= this.#sentPlace });
        gone = gone && droppable;
        if (!droppable) continue;
        if (gone) this.#first = Math.min(row.place + 1, released);
        this.#remove(row);
        this.#drop();
      }
      const last = rows.at(-1)?.place;
      if (this.#isOver() && last !== undefined) this.#trimOnDisk(last, gone);
      // Where it is over still, what is too much is too new to be read: the next that comes looks again.
      else this.#trimming = false;
    });
  }

  #drop(): void {
    this.dropped++;
    this.#parts.observer.dropped('queue');
  }

  #add(messages: number, bytes: number): void {
    this.#count += messages;
    this.#bytes += bytes;
    this.#parts.sums.messages += messages;
    this.#parts.sums.bytes += bytes;
  }
}
