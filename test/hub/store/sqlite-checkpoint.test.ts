import Database from 'better-sqlite3';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import type { Store } from '#hub/store/port.js';
import { batch, series, wholeLog, type TestReading } from '../../contract/store-batches.ts';
import { openStore, temporaryFolder } from './folders.ts';

const KB = 1024;
const ROWS = 1000;

function walBytes(folder: string): number {
  return statSync(join(folder, 'muster.db-wal')).size;
}

async function write(store: Store, batches: number): Promise<void> {
  for (let i = 0; i < batches; i++) {
    const readings = Array.from({ length: ROWS }, (_, row): TestReading => [1, row, 'x'.repeat(40)]);
    await store.commit(batch({ readings }));
  }
}

it('the write-ahead log stays small under load', async () => {
  const folder = temporaryFolder();
  const store = await openStore(folder, { checkpointBytes: 256 * KB });
  await store.commit(batch({ newSeries: [series(1)] }));
  let largest = 0;
  for (let i = 0; i < 60; i++) {
    await write(store, 1);
    largest = Math.max(largest, walBytes(folder));
  }
  expect(statSync(join(folder, 'muster.db')).size).toBeGreaterThan(2000 * KB);
  expect(largest).toBeLessThan(600 * KB);
});

it('a log that grew behind a long reader is cut when the reader has gone', async () => {
  const folder = temporaryFolder();
  const store = await openStore(folder, {
    checkpointBytes: 64 * KB,
    walKeepBytes: 64 * KB * KB,
    walTruncateBytes: 512 * KB,
    idleCheckpointMs: 20,
  });
  await store.commit(batch({ newSeries: [series(1)] }));
  const reader = new Database(join(folder, 'muster.db'), { readonly: true });
  reader.exec('BEGIN');
  reader.prepare('SELECT count(*) FROM log').get();
  await write(store, 30);
  expect(walBytes(folder)).toBeGreaterThan(1000 * KB);
  // The commits went on meanwhile, and other readers see them.
  expect(await wholeLog(store)).toHaveLength(30 * ROWS);
  reader.close();
  await write(store, 1);
  await vi.waitFor(() => expect(walBytes(folder)).toBeLessThan(64 * KB), { timeout: 5000 });
  expect(await wholeLog(store)).toHaveLength(31 * ROWS);
});

it('an idle store checkpoints by itself', async () => {
  const folder = temporaryFolder();
  const store = await openStore(folder, { idleCheckpointMs: 20 });
  await store.commit(batch({ newSeries: [series(1)] }));
  const before = statSync(join(folder, 'muster.db')).size;
  await write(store, 10);
  await vi.waitFor(() => expect(statSync(join(folder, 'muster.db')).size).toBeGreaterThan(before + 500 * KB), {
    timeout: 5000,
  });
});
