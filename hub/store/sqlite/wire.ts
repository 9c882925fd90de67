import { valueAt } from '../columns.ts';
import { unknownSeries } from '../wording.ts';
import { VALUE_BOOLEAN, VALUE_NUMBER, VALUE_STRING } from '../port.ts';
import type { SessionRequest } from './sessions/request.ts';
import type {
  ControlResult,
  ControlWrite,
  LogRow,
  ReadingColumns,
  SequencedMessage,
  SequenceOutcome,
  SeriesRow,
} from '../port.ts';

/** The forms in which batches and readings cross between the threads: columns, which are transferred, and few objects, which are cloned. */

export interface CommitRequest {
  readonly newSeries: readonly SeriesRow[];
  readonly rows: ReadingColumns;
  readonly sequenced: SequencedColumns | null;
  /** Null: there are none. */
  readonly sessions: SessionRequest | null;
  readonly control: readonly ControlWrite[];
}

export interface SequencedColumns {
  readonly count: number;
  readonly streams: readonly { readonly device: string; readonly stream: string }[];
  /** Index into `streams`. */
  readonly stream: Uint32Array;
  readonly seq: Float64Array;
  readonly firstRow: Uint32Array;
  readonly endRow: Uint32Array;
  /** Those that carry one, by the index of the message. */
  readonly control: ReadonlyMap<number, ControlWrite>;
}

export interface CommitReply {
  /** null: all are stored. Else for each: STORED, DUPLICATE, or the expected seq. */
  readonly outcomes: Float64Array | null;
  /** Messages that queue entries named and that were not there; null: none. */
  readonly missing: ReadonlySet<number> | null;
  readonly control: readonly ControlResult[];
}

export const STORED = 0;
export const DUPLICATE = -1;

const STORED_OUTCOME: SequenceOutcome = { kind: 'stored' };
const DUPLICATE_OUTCOME: SequenceOutcome = { kind: 'duplicate' };

export function packSequenced(messages: readonly SequencedMessage[]): SequencedColumns | null {
  const count = messages.length;
  if (count === 0) return null;
  const streams: { device: string; stream: string }[] = [];
  const indexes = new Map<string, Map<string, number>>();
  const columns = {
    count,
    streams,
    stream: new Uint32Array(count),
    seq: new Float64Array(count),
    firstRow: new Uint32Array(count),
    endRow: new Uint32Array(count),
    control: new Map<number, ControlWrite>(),
  };
  messages.forEach(({ device, stream, seq, firstRow, endRow, control }, index) => {
    let ofDevice = indexes.get(device);
    if (ofDevice === undefined) indexes.set(device, (ofDevice = new Map<string, number>()));
    let at = ofDevice.get(stream);
    if (at === undefined) {
      at = streams.push({ device, stream }) - 1;
      ofDevice.set(stream, at);
    }
    columns.stream[index] = at;
    columns.seq[index] = seq;
    columns.firstRow[index] = firstRow;
    columns.endRow[index] = endRow;
    if (control !== null) columns.control.set(index, packControl(control));
  });
  return columns;
}

/** Cloning a view clones all of the buffer below it, and a payload often is a slice of a socket's: it gets a buffer of its own. */
export function packControl(write: ControlWrite): ControlWrite {
  switch (write.op) {
    case 'rejected.add':
      return { ...write, rejected: { ...write.rejected, payload: new Uint8Array(write.rejected.payload) } };
    case 'event.add':
      return { ...write, event: { ...write.event, payload: new Uint8Array(write.event.payload) } };
    case 'token.create':
      return { ...write, token: { ...write.token, hash: new Uint8Array(write.token.hash) } };
    case 'signIn.create':
      return { ...write, signIn: { ...write.signIn, hash: new Uint8Array(write.signIn.hash) } };
    case 'signIn.delete':
      return { ...write, hash: new Uint8Array(write.hash) };
    default:
      return write;
  }
}

export function unpackOutcomes(outcomes: Float64Array | null, count: number): SequenceOutcome[] {
  if (outcomes === null) return new Array<SequenceOutcome>(count).fill(STORED_OUTCOME);
  return Array.from(outcomes, (outcome) => {
    if (outcome === STORED) return STORED_OUTCOME;
    return outcome === DUPLICATE ? DUPLICATE_OUTCOME : { kind: 'gap', expected: outcome };
  });
}

/** A reading as SQLite gives it: id, series, time, value, and whether the value is a boolean. */
export type RawReading = readonly [
  id: number,
  series: number,
  timeUs: number,
  value: number | string,
  isBoolean: number,
];

/** Log rows on their way to the main thread, and the names of their series. */
export interface ReadingPage extends ReadingColumns {
  readonly id: Float64Array;
  readonly names: ReadonlyMap<number, { readonly device: string; readonly metric: string }>;
}

export function packReadings(
  rows: readonly RawReading[],
  nameOf: (series: number) => { readonly device: string; readonly metric: string } | undefined,
): ReadingPage {
  const count = rows.length;
  const texts: string[] = [];
  const names = new Map<number, { readonly device: string; readonly metric: string }>();
  const page = {
    count,
    id: new Float64Array(count),
    series: new Uint32Array(count),
    timeUs: new Float64Array(count),
    kind: new Uint8Array(count),
    number: new Float64Array(count),
    texts,
    names,
  };
  rows.forEach(([id, series, timeUs, value, isBoolean], row) => {
    page.id[row] = id;
    page.series[row] = series;
    page.timeUs[row] = timeUs;
    if (typeof value === 'string') {
      page.kind[row] = VALUE_STRING;
      page.number[row] = texts.push(value) - 1;
    } else {
      page.kind[row] = isBoolean === 1 ? VALUE_BOOLEAN : VALUE_NUMBER;
      page.number[row] = value;
    }
    if (names.has(series)) return;
    const name = nameOf(series);
    if (name === undefined) throw unknownSeries(series);
    names.set(series, name);
  });
  return page;
}

export function unpackReadings(page: ReadingPage): LogRow[] {
  const rows: LogRow[] = [];
  for (let row = 0; row < page.count; row++) {
    const { device, metric } = page.names.get(page.series[row]!)!;
    rows.push({ id: page.id[row]!, device, metric, timeUs: page.timeUs[row]!, value: valueAt(page, row) });
  }
  return rows;
}
