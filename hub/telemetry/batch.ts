import type { Pending } from '#protocols/outcome.js';
import type { Value } from '#protocols/reading.js';
import type {
  BatchResult,
  ControlResult,
  ControlWrite,
  SequencedMessage,
  SeriesRow,
  SessionWrite,
  WriteBatch,
} from '#hub/store/port.js';
import { VALUE_BOOLEAN, VALUE_NUMBER, VALUE_STRING } from '#hub/store/port.js';
import type { Series } from './series.ts';

/** What is told or done once the batch is on disk, in the order in which the messages came. */
export interface AfterCommit {
  /** `changed`: where to note series whose latest value this entry moved; null: nobody watches. */
  committed(result: BatchResult, changed: Series[] | null): void;
  abandoned(): void;
}

const FIRST_CAPACITY = 1024;
/** What a unit that is written is charged with. */
const UNIT_BYTES = 256;

/** The batch that fills while another one commits: columns that grow, and everybody who waits for it. */
export class OpenBatch {
  #capacity = 0;
  #series = new Uint32Array(0);
  #timeUs = new Float64Array(0);
  #kind = new Uint8Array(0);
  #number = new Float64Array(0);
  readonly #texts: string[] = [];
  /** Series with a value that counts as soon as the batch is on disk, each once. */
  readonly touched: Series[] = [];
  readonly newSeries: SeriesRow[] = [];
  /** Of messages that count whatever happens. */
  readonly #units = new Map<Series, string>();
  /** Of sequenced ones, by their place in `sequenced`. */
  readonly #sequencedUnits: { readonly index: number; readonly units: ReadonlyMap<Series, string> }[] = [];
  readonly sequenced: SequencedMessage[] = [];
  readonly sessions: SessionWrite[] = [];
  readonly control: ControlWrite[] = [];
  /** A bare Pending is the common case: a message without a sequence, settled as stored. */
  readonly waiting: (Pending | AfterCommit)[] = [];
  count = 0;
  /** Rough bytes held: rows, strings, control payloads and what session writes are charged with. */
  bytes = 0;
  /** When its first entry came, by the monotonic clock; -1: it is empty. */
  firstMs = -1;
  /** When its commit began. */
  commitMs = 0;

  get empty(): boolean {
    return this.firstMs < 0;
  }

  /** Hot path. `series` is touched only by messages that count whatever happens; a sequenced one tells its values after the commit. */
  add(series: Series, timeUs: number, value: Value, counts: boolean): void {
    const row = this.count;
    if (row === this.#capacity) this.#grow();
    this.count = row + 1;
    this.bytes += 21;
    this.#series[row] = series.id;
    this.#timeUs[row] = timeUs;
    if (typeof value === 'number') {
      this.#kind[row] = VALUE_NUMBER;
      this.#number[row] = value;
    } else if (typeof value === 'string') {
      this.#kind[row] = VALUE_STRING;
      this.#number[row] = this.#texts.length;
      this.#texts.push(value);
      this.bytes += value.length;
    } else {
      this.#kind[row] = VALUE_BOOLEAN;
      this.#number[row] = value ? 1 : 0;
    }
    if (!counts) return;
    if (series.openUs < 0) this.touched.push(series);
    if (timeUs >= series.openUs) {
      series.openUs = timeUs;
      series.openValue = value;
    }
  }

  /** The series are measured in these units from now on. Rare: said once, and again only when one changes. Written once for each series. */
  addUnits(units: ReadonlyMap<Series, string>): void {
    for (const [series, unit] of units) {
      this.#unitUnderWay(series, unit, !this.#units.has(series));
      this.#units.set(series, unit);
    }
  }

  /** The same of the message that is put into `sequenced` next: only when it turns out to be stored. */
  addSequencedUnits(units: ReadonlyMap<Series, string>): ControlWrite {
    for (const [series, unit] of units) this.#unitUnderWay(series, unit, true);
    this.#sequencedUnits.push({ index: this.sequenced.length, units });
    return { op: 'series.units', units: Array.from(units, ([{ id }, unit]) => ({ series: id, unit })) };
  }

  #unitUnderWay(series: Series, unit: string, isFurther: boolean): void {
    series.unitUnderWay(unit, isFurther);
    if (isFurther) this.bytes += UNIT_BYTES;
  }

  /** The batch stops filling: the values it brought wait for its commit. */
  seal(): WriteBatch {
    for (const series of this.touched) {
      series.sealedUs = series.openUs;
      series.sealedValue = series.openValue;
      series.openUs = -1;
    }
    for (const [series, unit] of this.#units) this.control.push({ op: 'series.unit', series: series.id, unit });
    return {
      newSeries: this.newSeries,
      rows: {
        count: this.count,
        series: this.#series,
        timeUs: this.#timeUs,
        kind: this.#kind,
        number: this.#number,
        texts: this.#texts,
      },
      sequenced: this.sequenced,
      sessions: this.sessions,
      control: this.control,
    };
  }

  /** It is on disk: what it brought is the latest now. */
  publishLatest(result: BatchResult): void {
    for (const series of this.touched) {
      series.committed(series.sealedUs, series.sealedValue);
      series.sealedUs = -1;
    }
    // In the order in which the store wrote them.
    for (const { index, units } of this.#sequencedUnits) {
      decided(units, result.sequenced[index]!.kind === 'stored');
    }
    decided(this.#units, true);
  }

  #grow(): void {
    this.#capacity = this.#capacity === 0 ? FIRST_CAPACITY : this.#capacity * 2;
    this.#series = grown(new Uint32Array(this.#capacity), this.#series);
    this.#timeUs = grown(new Float64Array(this.#capacity), this.#timeUs);
    this.#kind = grown(new Uint8Array(this.#capacity), this.#kind);
    this.#number = grown(new Float64Array(this.#capacity), this.#number);
  }
}

function decided(units: ReadonlyMap<Series, string>, counts: boolean): void {
  for (const [series, unit] of units) series.unitDecided(unit, counts);
}

function grown<T extends Uint32Array | Float64Array | Uint8Array>(larger: T, old: T): T {
  larger.set(old);
  return larger;
}

/** A control write whose result somebody awaits. */
export class AwaitedControl implements AfterCommit {
  readonly #index: number;
  readonly #resolve: (result: ControlResult) => void;
  readonly #reject: () => void;

  constructor(index: number, resolve: (result: ControlResult) => void, reject: () => void) {
    this.#index = index;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  committed(result: BatchResult): void {
    this.#resolve(result.control[this.#index]!);
  }

  abandoned(): void {
    this.#reject();
  }
}
