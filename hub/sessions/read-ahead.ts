import type { QueueRow } from '#hub/store/port.js';
import { Pages, type PageParts } from './pages.ts';
import type { QueueLimits, QueueSums } from './queue.ts';
import { Window } from './window.ts';

export interface ReadAheadParts extends PageParts {
  readonly limits: QueueLimits;
  readonly sums: QueueSums;
}

/** A queue on disk, as far as reading it goes. */
export interface ReadSource<Queued> {
  /** Live messages that are on disk alone, all of higher places than what was read. */
  readonly unread: number;
  /** The place of the message that comes next into the queue. */
  readonly nextPlace: number;
  entryOf(row: QueueRow): Queued;
  /** There are more in the window. */
  filled(): void;
  /** More was counted than there is: the disk is right. */
  correct(): void;
}

/** The window of a queue on disk, and how it is filled: page by page, from the disk, as it empties. */
export class ReadAhead<Queued extends { readonly place: number; readonly bytes: number }> {
  readonly window: Window<Queued>;
  readonly #pages: Pages;
  readonly #source: ReadSource<Queued>;
  #cursor = 0;
  /** A page is being read for the window, or is about to be. */
  #reading = false;

  constructor(parts: ReadAheadParts, queue: number, source: ReadSource<Queued>) {
    this.window = new Window(parts.limits, parts.sums);
    this.#pages = new Pages(parts, queue);
    this.#source = source;
  }

  get pages(): Pages {
    return this.#pages;
  }

  /** Everything up to this place has been read. */
  get cursor(): number {
    return this.#cursor;
  }

  /** Begins again, before the first place; nothing of what was read is there. */
  forget(): void {
    this.#pages.forget();
    this.#reading = false;
    this.#cursor = 0;
    this.window.clear();
  }

  /** A message that is not behind others on disk. */
  push(queued: Queued): void {
    this.window.push(queued);
    this.#cursor = queued.place;
  }

  /** Reads on, when half of the window is free. */
  read(): void {
    if (this.#reading || this.#source.unread === 0) return;
    const { free } = this.window;
    if (free === null) return;
    this.#reading = true;
    const { messages: limit, bytes: maxBytes } = free;
    this.#pages.read(this.#cursor, limit, maxBytes, (rows) => this.#filled(rows));
  }

  #filled(rows: readonly QueueRow[]): void {
    for (const row of rows) this.push(this.#source.entryOf(row));
    if (rows.length > 0) {
      this.#reading = false;
      this.#source.filled();
      return;
    }
    // What is on its way to the disk cannot be read yet.
    const last = this.#source.nextPlace;
    this.#pages.afterCommit(() => {
      this.#pages.read(this.#cursor, 1, 1, (found) => {
        this.#reading = false;
        // Counted and not there, with nothing on its way: the disk is right.
        if (found.length === 0 && this.#source.nextPlace === last) this.#source.correct();
        this.read();
      });
    });
  }
}
