import { describe, expect, it } from 'vitest';
import { MemoryStore } from '#hub/store/memory.js';
import type { Store } from '#hub/store/port.js';
import { batch, series, wholeRange, type TestReading } from '../../contract/store-batches.ts';
import { openStore, temporaryFolder } from './folders.ts';

const ROWS = 500;

async function fill(store: Store): Promise<void> {
  const newSeries = [series(1, 'd1', 'a'), series(2, 'd2', 'a'), series(3, 'd1', 'b')];
  const readings = Array.from({ length: ROWS }, (_, row): TestReading => [1 + (row % 3), (row * 37) % 90, row % 4]);
  await store.commit(batch({ newSeries, readings }));
}

describe('a range over more of the log than one call can scan', () => {
  it('says that it is not complete, gives nothing yet, and goes on searching from its cursor', async () => {
    const store = await openStore(temporaryFolder(), { rangeChunkRows: 100 });
    const memory = new MemoryStore();
    await memory.open();
    await fill(store);
    await fill(memory);
    const expected = (await wholeRange(memory)).rows;

    const first = await store.read.range({
      device: 'd1',
      metric: null,
      fromUs: 0,
      toUs: 1000,
      limit: 10,
      after: null,
      budgetMs: -1,
    });
    expect(first).toEqual({ items: [], next: expect.any(String), complete: false });

    // One chunk each call: five calls for every page.
    const { rows, pages, incomplete } = await wholeRange(store, { budgetMs: -1, limit: 50 });
    expect(rows).toEqual(expected);
    expect(incomplete).toBe(4 * pages.length);
  });

  it('starts over when its scan was forgotten meanwhile', async () => {
    const store = await openStore(temporaryFolder(), { rangeChunkRows: 100, rangeScans: 1 });
    await fill(store);
    const query = { device: 'd1', metric: null, fromUs: 0, toUs: 1000, limit: 1000 };
    const first = await store.read.range({ ...query, after: null, budgetMs: -1 });
    const other = await store.read.range({ ...query, device: 'd2', after: null, budgetMs: -1 });
    const resumed = await store.read.range({ ...query, after: first.next, budgetMs: 10_000 });
    expect(resumed).toEqual(await store.read.range({ ...query, after: null, budgetMs: 10_000 }));
    expect(resumed.complete).toBe(true);
    // The number of the other scan, with another question.
    const misled = await store.read.range({ ...query, after: other.next, budgetMs: 10_000 });
    expect(misled).toEqual(resumed);
  });

  it('lets other questions through between its chunks', async () => {
    const store = await openStore(temporaryFolder(), { rangeChunkRows: 1 });
    await fill(store);
    const answered: string[] = [];
    const query = { device: 'd1', metric: null, fromUs: 0, toUs: 1000, limit: 10, after: null, budgetMs: 10_000 };
    await Promise.all([
      store.read.range(query).then(() => answered.push('range')),
      store.read.gaps('d1').then(() => answered.push('gaps')),
    ]);
    expect(answered).toEqual(['gaps', 'range']);
  });

  it('is bounded in what it compares with earlier pages', async () => {
    const store = await openStore(temporaryFolder(), { rangeSeenRows: 5 });
    const readings = Array.from({ length: 20 }, (_, row): TestReading => [1, 7, row]);
    await store.commit(batch({ newSeries: [series(1)], readings: [...readings, ...readings] }));
    const values = (await wholeRange(store, { limit: 10 })).rows.map(({ value }) => value);
    // None is left out; those past the bound may come once more.
    expect(new Set(values).size).toBe(20);
    expect(values.slice(0, 20)).toEqual(readings.map(([, , value]) => value));
  });
});
