import type { Value } from '#protocols/reading.js';
import { Column } from './columns.ts';
import type { DeviceBook, Ledger } from './ledger.ts';

/** A raw row of the hub's log, as the export gives it. */
export interface LoggedRow {
  readonly device: string;
  readonly metric: string;
  readonly timeUs: number;
  readonly value: Value;
}

/** What the comparison of ledger and log found. Counts are of readings (rows), where nothing else is said. */
export interface LedgerVerdict {
  /** No failure, and at least one reading was acknowledged: a run that shows nothing is no success. */
  readonly ok: boolean;
  /** Rows of the export. */
  readonly rowsRead: number;
  /** Rows of this run's devices with times in the run; the others are somebody else's. */
  readonly rowsCompared: number;
  readonly sent: number;
  readonly acknowledged: number;

  // Failures.
  /** Acknowledged, and not in the log. */
  readonly lost: number;
  /** In the log with another value than was sent. */
  readonly wrongValue: number;
  /** In the log and never sent. */
  readonly foreign: number;
  /** Rows too many: of a message that was sent once, of any message of a protocol with sequence numbers, or more rows than sends. */
  readonly doubled: number;
  /** Messages of which only a part is in the log. */
  readonly torn: number;
  /** Messages that the hub refused although they were sound, stored or not. */
  readonly refused: number;

  // Allowed, but worth knowing.
  /** Further rows of resent MQTT and STOMP messages: at least once, merged by queries. */
  readonly repeats: number;
  /** In the log although the device never saw an acknowledgement. */
  readonly storedUnacknowledged: number;

  /** The first failures in words, at most `MAX_EXAMPLES`. */
  readonly examples: readonly string[];
}

const MAX_EXAMPLES = 20;
const MAX_UINT16 = 0xffff;

/** Holds the hub's log against the ledger: give it every row, then ask `finish`. */
export class LedgerCheck {
  readonly #ledger: Ledger;
  readonly #fromUs: number;
  /** How often each reading was found, by device and row. */
  readonly #seen = new Map<DeviceBook, Column>();
  readonly #examples: string[] = [];
  #rowsRead = 0;
  #rowsCompared = 0;
  #wrongValue = 0;
  #foreign = 0;

  /** `fromUs`: rows before it are of earlier runs with the same devices. */
  constructor(ledger: Ledger, fromUs: number) {
    this.#ledger = ledger;
    this.#fromUs = fromUs;
  }

  row(row: LoggedRow): void {
    this.#rowsRead++;
    const book = this.#ledger.book(row.device);
    if (book === undefined || row.timeUs < this.#fromUs) return;
    this.#rowsCompared++;
    const at = findReading(book, row);
    if (at === -1) {
      this.#foreign++;
      this.#example(`never sent, but in the log: ${describe(row)}`);
      return;
    }
    const sent = book.value(at);
    if (!Object.is(sent, row.value)) {
      this.#wrongValue++;
      this.#example(`sent as ${JSON.stringify(sent)}, in the log: ${describe(row)}`);
      return;
    }
    const seen = this.#seenOf(book);
    seen.set(at, Math.min(MAX_UINT16, seen.get(at) + 1));
  }

  finish(): LedgerVerdict {
    const totals = {
      sent: 0,
      acknowledged: 0,
      lost: 0,
      doubled: 0,
      torn: 0,
      refused: 0,
      repeats: 0,
      unacknowledged: 0,
    };
    for (const book of this.#ledger.books()) {
      const seen = this.#seenOf(book);
      for (let message = 0; message < book.messages; message++) this.#judge(book, message, seen, totals);
    }
    const failures = totals.lost + this.#wrongValue + this.#foreign + totals.doubled + totals.torn + totals.refused;
    return {
      ok: failures === 0 && totals.acknowledged > 0,
      rowsRead: this.#rowsRead,
      rowsCompared: this.#rowsCompared,
      sent: totals.sent,
      acknowledged: totals.acknowledged,
      lost: totals.lost,
      wrongValue: this.#wrongValue,
      foreign: this.#foreign,
      doubled: totals.doubled,
      torn: totals.torn,
      refused: totals.refused,
      repeats: totals.repeats,
      storedUnacknowledged: totals.unacknowledged,
      examples: this.#examples,
    };
  }

  #judge(book: DeviceBook, message: number, seen: Column, totals: Totals): void {
    const { from, to } = book.rows(message);
    const acknowledged = book.wasAcknowledged(message);
    const allowed = book.exactlyOnce ? 1 : book.sends(message);
    let present = 0;
    for (let row = from; row < to; row++) {
      const count = seen.get(row);
      totals.sent++;
      if (acknowledged) totals.acknowledged++;
      if (count > 0) present++;
      if (count === 0 && acknowledged) {
        totals.lost++;
        this.#example(`acknowledged, but not in the log: ${where(book, message, row)}`);
      }
      if (count > 0 && !acknowledged) totals.unacknowledged++;
      if (count > allowed) {
        totals.doubled += count - allowed;
        this.#example(`${count} times in the log, sent ${book.sends(message)} times: ${where(book, message, row)}`);
      }
      totals.repeats += Math.max(0, Math.min(count, allowed) - 1);
    }
    if (present > 0 && present < to - from) {
      totals.torn++;
      this.#example(`${present} of ${to - from} readings in the log: message ${where(book, message, from)}`);
    }
    if (book.wasRefused(message)) {
      totals.refused++;
      this.#example(`refused by the hub: message ${where(book, message, from)}`);
    }
  }

  #seenOf(book: DeviceBook): Column {
    let seen = this.#seen.get(book);
    if (seen === undefined) {
      seen = new Column((n) => new Uint16Array(n));
      this.#seen.set(book, seen);
    }
    while (seen.length < book.readings) seen.push(0);
    return seen;
  }

  #example(text: string): void {
    if (this.#examples.length < MAX_EXAMPLES) this.#examples.push(text);
  }
}

interface Totals {
  sent: number;
  acknowledged: number;
  lost: number;
  doubled: number;
  torn: number;
  refused: number;
  repeats: number;
  unacknowledged: number;
}

/** The row of the book that has this device, metric and time; -1: none. */
function findReading(book: DeviceBook, logged: LoggedRow): number {
  const message = book.find(logged.timeUs);
  if (message === -1) return -1;
  const { from, to } = book.rows(message);
  for (let row = from; row < to; row++) if (book.metric(row) === logged.metric) return row;
  return -1;
}

function describe(row: LoggedRow): string {
  return `${row.device} ${row.metric} at ${row.timeUs} µs = ${JSON.stringify(row.value)}`;
}

function where(book: DeviceBook, message: number, row: number): string {
  return describe({
    device: book.device,
    metric: book.metric(row),
    timeUs: book.timeUs(message),
    value: book.value(row),
  });
}
