import type { Value } from '#protocols/reading.js';
import { Column } from './columns.ts';
import type { WorldMessage, WorldReading } from './world.ts';

const UNANSWERED = 0;
const ACKNOWLEDGED = 1;
const REFUSED = 2;

const NUMBER = 0;
const BOOLEAN = 1;
const STRING = 2;

const MAX_UINT16 = 0xffff;

/** Numbers for texts that occur again and again (metric names, string values). */
class Texts {
  readonly #numbers = new Map<string, number>();
  readonly #texts: string[] = [];

  number(text: string): number {
    let number = this.#numbers.get(text);
    if (number === undefined) {
      number = this.#texts.push(text) - 1;
      this.#numbers.set(text, number);
    }
    return number;
  }

  text(number: number): string {
    return this.#texts[number]!;
  }
}

/**
 * The witness of a run: what each device sent, with time and value, and what the hub acknowledged. It knows nothing
 * but the devices' side, so that `verdict.ts` can hold the hub's log against it.
 */
export class Ledger {
  readonly #books = new Map<string, DeviceBook>();
  readonly #metrics = new Texts();
  readonly #strings = new Texts();
  readonly #maxReadings: number;
  #readings = 0;

  /** `maxReadings`: past it nothing more is written down, and `overflowed` says that no verdict is possible. About 15 bytes each. */
  constructor(maxReadings: number) {
    this.#maxReadings = maxReadings;
  }

  /** Some message was not written down. */
  overflowed = false;

  /** Opens the book of a device. `exactlyOnce`: its protocol numbers its messages, so that not even a resent one may be stored twice. */
  open(device: string, exactlyOnce: boolean): DeviceBook {
    const book = new DeviceBook(device, exactlyOnce, this.#metrics, this.#strings, (count) => this.#take(count));
    this.#books.set(device, book);
    return book;
  }

  book(device: string): DeviceBook | undefined {
    return this.#books.get(device);
  }

  books(): Iterable<DeviceBook> {
    return this.#books.values();
  }

  #take(count: number): boolean {
    if (this.#readings + count > this.#maxReadings) {
      this.overflowed = true;
      return false;
    }
    this.#readings += count;
    return true;
  }
}

/** What one device sent. Columns: one row a message, and one row a reading of it. */
export class DeviceBook {
  readonly device: string;
  readonly exactlyOnce: boolean;
  readonly #metrics: Texts;
  readonly #strings: Texts;
  readonly #take: (readings: number) => boolean;

  readonly #timeUs = new Column((n) => new Float64Array(n));
  readonly #sends = new Column((n) => new Uint16Array(n));
  readonly #answer = new Column((n) => new Uint8Array(n));
  /** First row of the message among the readings. */
  readonly #first = new Column((n) => new Uint32Array(n));

  readonly #metric = new Column((n) => new Uint16Array(n));
  readonly #kind = new Column((n) => new Uint8Array(n));
  readonly #value = new Column((n) => new Float64Array(n));

  /** Use `Ledger.open`. */
  constructor(
    device: string,
    exactlyOnce: boolean,
    metrics: Texts,
    strings: Texts,
    take: (readings: number) => boolean,
  ) {
    this.device = device;
    this.exactlyOnce = exactlyOnce;
    this.#metrics = metrics;
    this.#strings = strings;
    this.#take = take;
  }

  get messages(): number {
    return this.#timeUs.length;
  }

  get readings(): number {
    return this.#metric.length;
  }

  /** To be told before the bytes leave, each time the message is sent; first sends in the order of their times. */
  sent(message: WorldMessage): void {
    const known = this.#timeUs.indexOfSorted(message.timeUs);
    if (known !== -1) {
      this.#sends.set(known, Math.min(MAX_UINT16, this.#sends.get(known) + 1));
      return;
    }
    const last = this.#timeUs.length - 1;
    if (last >= 0 && message.timeUs < this.#timeUs.get(last)) throw new Error('messages of a device must rise in time');
    if (!this.#take(message.readings.length)) return;
    this.#timeUs.push(message.timeUs);
    this.#sends.push(1);
    this.#answer.push(UNANSWERED);
    this.#first.push(this.#metric.length);
    for (const reading of message.readings) this.#write(reading);
  }

  acknowledged(timeUs: number): void {
    this.#answered(timeUs, ACKNOWLEDGED);
  }

  /** The hub said that it does not store this message. */
  refused(timeUs: number): void {
    this.#answered(timeUs, REFUSED);
  }

  /** Number of the message with this time; -1: none was sent. */
  find(timeUs: number): number {
    return this.#timeUs.indexOfSorted(timeUs);
  }

  timeUs(message: number): number {
    return this.#timeUs.get(message);
  }

  sends(message: number): number {
    return this.#sends.get(message);
  }

  wasAcknowledged(message: number): boolean {
    return this.#answer.get(message) === ACKNOWLEDGED;
  }

  wasRefused(message: number): boolean {
    return this.#answer.get(message) === REFUSED;
  }

  /** Rows [from, to) of the message's readings. */
  rows(message: number): { readonly from: number; readonly to: number } {
    const to = message + 1 < this.#first.length ? this.#first.get(message + 1) : this.#metric.length;
    return { from: this.#first.get(message), to };
  }

  metric(row: number): string {
    return this.#metrics.text(this.#metric.get(row));
  }

  value(row: number): Value {
    const value = this.#value.get(row);
    const kind = this.#kind.get(row);
    return kind === NUMBER ? value : kind === BOOLEAN ? value === 1 : this.#strings.text(value);
  }

  #answered(timeUs: number, answer: number): void {
    const message = this.#timeUs.indexOfSorted(timeUs);
    // An acknowledgement is a promise that no later word takes back.
    if (message !== -1 && this.#answer.get(message) !== ACKNOWLEDGED) this.#answer.set(message, answer);
  }

  #write(reading: WorldReading): void {
    const { metric, value } = reading;
    this.#metric.push(this.#metrics.number(metric));
    this.#kind.push(typeof value === 'number' ? NUMBER : typeof value === 'boolean' ? BOOLEAN : STRING);
    this.#value.push(typeof value === 'string' ? this.#strings.number(value) : Number(value));
  }
}
