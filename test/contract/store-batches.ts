import type { Value } from '#protocols/reading.js';
import type {
  CommandRow,
  ControlWrite,
  DeviceRow,
  LogRow,
  NamedQueueRow,
  ReadingColumns,
  SequencedMessage,
  SeriesRow,
  SessionRow,
  SessionWrite,
  Store,
  StoredMessage,
  WriteBatch,
} from '#hub/store/port.js';
import { VALUE_BOOLEAN, VALUE_NUMBER, VALUE_STRING } from '#hub/store/port.js';

/** Batches as tests write them. */

export type TestReading = readonly [series: number, timeUs: number, value: Value];

export function columns(readings: readonly TestReading[]): ReadingColumns {
  const count = readings.length;
  // One row more than is used, as in columns that grow.
  const rows = {
    count,
    series: new Uint32Array(count + 1),
    timeUs: new Float64Array(count + 1),
    kind: new Uint8Array(count + 1),
    number: new Float64Array(count + 1),
    texts: [] as string[],
  };
  readings.forEach(([series, timeUs, value], row) => {
    rows.series[row] = series;
    rows.timeUs[row] = timeUs;
    rows.kind[row] =
      typeof value === 'number' ? VALUE_NUMBER : typeof value === 'string' ? VALUE_STRING : VALUE_BOOLEAN;
    rows.number[row] = typeof value === 'string' ? rows.texts.push(value) - 1 : Number(value);
  });
  return rows;
}

export function batch(
  parts: {
    newSeries?: readonly SeriesRow[];
    readings?: readonly TestReading[];
    sequenced?: readonly SequencedMessage[];
    sessions?: readonly SessionWrite[];
    control?: readonly ControlWrite[];
  } = {},
): WriteBatch {
  const { newSeries = [], readings = [], sequenced = [], sessions = [], control = [] } = parts;
  return { newSeries, rows: columns(readings), sequenced, sessions, control };
}

export function series(id: number, device = 'd1', metric = `m${id}`): SeriesRow {
  return { id, device, metric };
}

export function message(
  seq: number,
  firstRow: number,
  endRow: number,
  more: Partial<SequencedMessage> = {},
): SequencedMessage {
  return { device: 'd1', stream: 's', seq, firstRow, endRow, control: null, ...more };
}

export function device(id: string, more: Partial<DeviceRow> = {}): DeviceRow {
  return { id, name: null, protocols: null, disabled: false, createdUs: 1000, ...more };
}

export function command(id: string, more: Partial<CommandRow> = {}): CommandRow {
  return {
    id,
    device: 'd1',
    name: 'blink',
    params: '{}',
    state: 'queued',
    createdUs: 1000,
    expiresUs: 61_000_000,
    responseTimeoutMs: 30_000,
    sentUs: null,
    receivedUs: null,
    finishedUs: null,
    attempts: 0,
    result: null,
    lateStatus: null,
    lateResult: null,
    ...more,
  };
}

export function sessionRow(id: number, more: Partial<SessionRow> = {}): SessionRow {
  return {
    id,
    principalKind: 'device',
    principalId: `d${id}`,
    anonymous: false,
    clientId: `c${id}`,
    protocol: 'mqtt',
    expiryS: 3600,
    createdUs: 1000,
    detachedUs: null,
    sentPlace: 0,
    dropped: 0,
    ...more,
  };
}

export function storedMessage(text: string, more: Partial<StoredMessage> = {}): StoredMessage {
  return {
    topic: `t/${text}`,
    payload: new TextEncoder().encode(text),
    qos: 1,
    retain: false,
    contentType: null,
    headers: [],
    responseTopic: null,
    correlationData: null,
    payloadIsText: false,
    expiresMs: null,
    origin: null,
    ...more,
  };
}

export function putSession(id: number, more: Partial<SessionRow> = {}): SessionWrite {
  return { op: 'session.put', session: sessionRow(id, more) };
}

export function addMessage(id: number, text = `m${id}`, more: Partial<StoredMessage> = {}): SessionWrite {
  return { op: 'message.add', id, message: storedMessage(text, more) };
}

export function putQueue(id: number, more: Partial<NamedQueueRow> = {}): SessionWrite {
  const queue = { id, name: `q${id}`, subscription: null, createdUs: 1, consumed: false, sentPlace: 0, dropped: 0 };
  return { op: 'namedQueue.put', queue: { ...queue, ...more } };
}

export function addEntry(
  session: number,
  place: number,
  message: number,
  more: Partial<Extract<SessionWrite, { op: 'queue.add' }>> = {},
): SessionWrite {
  return { op: 'queue.add', session, place, message, qos: 1, retain: false, matches: ['t/#'], bytes: 100, ...more };
}

export function removeEntry(session: number, place: number): SessionWrite {
  return { op: 'queue.remove', session, place };
}

export function createDevice(id: string): ControlWrite {
  return { op: 'device.create', device: device(id) };
}

export function openConnection(id: string, timeUs = 5000): ControlWrite {
  return { op: 'connection.open', device: id, protocol: 'mqtt', address: '127.0.0.1', clientId: `c-${id}`, timeUs };
}

export function openStream(
  nextSeq: number,
  more: Partial<Extract<ControlWrite, { op: 'stream.open' }>> = {},
): ControlWrite {
  return { op: 'stream.open', device: 'd1', stream: 's', nextSeq, maxStreams: 8, timeUs: 9000, ...more };
}

export function addRejected(id: string, text: string, keepPerDevice = 100, keepInAll = 1000): ControlWrite {
  const rejected = {
    device: id,
    timeUs: 7000,
    protocol: 'mqtt',
    topic: `devices/${id}/telemetry`,
    contentType: null,
    payload: Buffer.from(text),
    code: 'malformed_payload' as const,
    message: 'not JSON',
  };
  return { op: 'rejected.add', rejected, keepPerDevice, keepInAll };
}

export function addEvent(id: string, name: string, keepPerDevice = 100): ControlWrite {
  const event = { device: id, timeUs: 8000, name, contentType: 'application/json', payload: Buffer.from(`"${name}"`) };
  return { op: 'event.add', event, keepPerDevice };
}

/** The whole log, by pages. */
export async function wholeLog(store: Store, pageRows = 10_000): Promise<LogRow[]> {
  const rows: LogRow[] = [];
  for (;;) {
    const page = await store.read.log(rows.at(-1)?.id ?? 0, pageRows);
    if (page.length === 0) return rows;
    rows.push(...page);
  }
}

/** Everything a range query gives, page by page, searching on where a budget ended. */
export async function wholeRange(
  store: Store,
  query: Partial<Parameters<Store['read']['range']>[0]> = {},
): Promise<{ rows: LogRow[]; pages: number[]; incomplete: number }> {
  const rows: LogRow[] = [];
  const pages: number[] = [];
  let incomplete = 0;
  let after: string | null = null;
  do {
    const page: Awaited<ReturnType<Store['read']['range']>> = await store.read.range({
      device: 'd1',
      metric: null,
      fromUs: 0,
      toUs: Number.MAX_SAFE_INTEGER,
      limit: 1000,
      budgetMs: 1000,
      ...query,
      after,
    });
    rows.push(...page.items);
    if (page.complete) pages.push(page.items.length);
    else incomplete++;
    after = page.next;
  } while (after !== null);
  return { rows, pages, incomplete };
}
