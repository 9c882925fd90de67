import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SqliteStore } from '#hub/store/sqlite/index.js';
import { VALUE_NUMBER, VALUE_STRING, type WriteBatch } from '#hub/store/port.js';

/**
 * The commit path of the SQLite store: rows a second with FULL sync, for several sizes of batch, one commit after another as the
 * telemetry module makes them. Three quarters numbers, one quarter strings of 40 characters.
 *
 *     node --conditions=muster-source bench/store.ts [secondsPerSize] [folder]
 */

const SERIES = 5000;
const SIZES = [1, 100, 2000, 20_000];
const NOTHING = { newSeries: [], sequenced: [], sessions: [], control: [] };

const seconds = Number(process.argv[2] ?? 2);
const folder = mkdtempSync(join(process.argv[3] ?? tmpdir(), 'muster-bench-'));
const store = new SqliteStore(folder);
await store.open();
try {
  const { version, synchronous, journalMode } = await store.read.facts();
  console.log(`SQLite ${version}, synchronous ${synchronous}, journal ${journalMode}, ${folder}`);
  await store.commit({ ...batch(0, 0), newSeries: seriesRows() });
  for (const size of SIZES) await measure(size);
  await measureReading();
} finally {
  await store.close();
  rmSync(folder, { recursive: true });
}

async function measure(size: number): Promise<void> {
  const latenciesMs: number[] = [];
  const end = performance.now() + seconds * 1000;
  let made = 0;
  // The next batch is made while one commits, as in the hub.
  let next = batch(size, made);
  const startedMs = performance.now();
  while (performance.now() < end) {
    const startMs = performance.now();
    const commit = store.commit(next);
    made += size;
    next = batch(size, made);
    await commit;
    latenciesMs.push(performance.now() - startMs);
  }
  const elapsedMs = performance.now() - startedMs;
  latenciesMs.sort((a, b) => a - b);
  const at = (share: number): string => latenciesMs[Math.floor((latenciesMs.length - 1) * share)]!.toFixed(2);
  const walBytes = statSync(join(folder, 'muster.db-wal')).size;
  console.log(
    `batches of ${size}: ${Math.round((made / elapsedMs) * 1000).toLocaleString('en')} rows/s, ` +
      `commit p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms, WAL ${(walBytes / 1e6).toFixed(1)} MB`,
  );
}

async function measureReading(): Promise<void> {
  let rows = 0;
  let after = 0;
  let startMs = performance.now();
  for (
    let page = await store.read.log(after, 5000);
    page.length > 0 && rows < 500_000;
    page = await store.read.log(after, 5000)
  ) {
    rows += page.length;
    after = page.at(-1)!.id;
  }
  console.log(
    `log in pages of 5,000: ${Math.round((rows / (performance.now() - startMs)) * 1000).toLocaleString('en')} rows/s`,
  );
  startMs = performance.now();
  const range = await store.read.range({
    device: 'device-7',
    metric: null,
    fromUs: 0,
    toUs: Number.MAX_SAFE_INTEGER,
    limit: 1000,
    after: null,
    budgetMs: 10_000,
  });
  console.log(`range of one device: ${range.items.length} rows in ${(performance.now() - startMs).toFixed(0)} ms`);
  startMs = performance.now();
  const { latest } = await store.read.startState();
  console.log(`start state: ${latest.length} series in ${(performance.now() - startMs).toFixed(0)} ms`);
}

function batch(size: number, from: number): WriteBatch {
  const rows = {
    count: size,
    series: new Uint32Array(size),
    timeUs: new Float64Array(size),
    kind: new Uint8Array(size),
    number: new Float64Array(size),
    texts: [] as string[],
  };
  for (let row = 0; row < size; row++) {
    const n = from + row;
    rows.series[row] = (n % SERIES) + 1;
    rows.timeUs[row] = 1.7e15 + n;
    const isText = n % 4 === 0;
    rows.kind[row] = isText ? VALUE_STRING : VALUE_NUMBER;
    rows.number[row] = isText ? rows.texts.push(String(n).padStart(40, 'x')) - 1 : n * 0.1;
  }
  return { ...NOTHING, rows };
}

function seriesRows(): WriteBatch['newSeries'] {
  return Array.from({ length: SERIES }, (_, index) => ({
    id: index + 1,
    device: `device-${index % 1000}`,
    metric: `metric-${Math.floor(index / 1000)}`,
  }));
}
