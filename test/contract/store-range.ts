import { describe, expect, it } from 'vitest';
import type { Store } from '#hub/store/port.js';
import { batch, series, wholeRange, type TestReading } from './store-batches.ts';
import type { StoreUnderTest } from './store.ts';

export function storeRange({ make }: StoreUnderTest): void {
  const filled = async (...commits: TestReading[][]): Promise<Store> => {
    const store = await make();
    await store.commit(
      batch({ newSeries: [series(1, 'd1', 'a'), series(2, 'd2', 'a'), series(3, 'd1', 'b'), series(4, 'd3', 'a')] }),
    );
    for (const readings of commits) await store.commit(batch({ readings }));
    return store;
  };
  const told = ({ rows }: Awaited<ReturnType<typeof wholeRange>>): unknown[] =>
    rows.map(({ metric, timeUs, value }) => [metric, timeUs, value]);

  describe('ranges', () => {
    it('come in order of time, then of commit, of one device', async () => {
      const store = await filled(
        [
          [1, 30, 'c'],
          [2, 15, 'of another'],
          [1, 10, 'a'],
        ],
        [
          [3, 20, 'b1'],
          [1, 20, 'b2'],
          [4, 20, 'of a third'],
        ],
      );
      expect(told(await wholeRange(store))).toEqual([
        ['a', 10, 'a'],
        ['b', 20, 'b1'],
        ['a', 20, 'b2'],
        ['a', 30, 'c'],
      ]);
      expect(told(await wholeRange(store, { metric: 'b' }))).toEqual([['b', 20, 'b1']]);
      expect(told(await wholeRange(store, { metric: 'unknown' }))).toEqual([]);
      expect(told(await wholeRange(store, { device: 'unknown' }))).toEqual([]);
    });

    it('hold what is from fromUs on and before toUs', async () => {
      const store = await filled([9, 10, 11, 19, 20, 21].map((timeUs): TestReading => [1, timeUs, timeUs]));
      const { rows } = await wholeRange(store, { fromUs: 10, toUs: 20 });
      expect(rows.map(({ value }) => value)).toEqual([10, 11, 19]);
      expect((await wholeRange(store, { fromUs: 20, toUs: 10 })).rows).toEqual([]);
    });

    it('give an equal reading once and keep another value at the same time', async () => {
      const store = await filled(
        [
          [1, 10, 1],
          [1, 10, 1],
          [1, 10, true],
          [1, 10, '1'],
        ],
        [
          [1, 10, 1],
          [1, 10, 2],
          [3, 10, 1],
          [1, 11, 1],
        ],
      );
      expect(told(await wholeRange(store))).toEqual([
        ['a', 10, 1],
        ['a', 10, true],
        ['a', 10, '1'],
        ['a', 10, 2],
        ['b', 10, 1],
        ['a', 11, 1],
      ]);
    });

    it('stop at the limit and go on, giving no reading twice and leaving none out, equal ones across pages included', async () => {
      const readings = Array.from({ length: 60 }, (_, row): TestReading => [
        1 + 2 * (row % 2),
        100 - (row % 7),
        row % 5,
      ]);
      const store = await filled(readings.slice(0, 20), readings.slice(20), readings.slice(10, 50));
      const whole = await wholeRange(store);
      expect(whole.rows.length).toBeLessThan(readings.length + 40);
      for (const limit of [1, 2, 7, 69, 70, 71]) {
        const paged = await wholeRange(store, { limit });
        expect(paged.rows).toEqual(whole.rows);
        expect(paged.pages.every((size, page) => size === limit || page === paged.pages.length - 1)).toBe(true);
      }
    });

    it('say that there is no more when the limit is met exactly', async () => {
      const store = await filled([1, 2, 3].map((timeUs): TestReading => [1, timeUs, timeUs]));
      expect((await wholeRange(store, { limit: 3 })).pages).toEqual([3]);
      expect((await wholeRange(store, { limit: 2 })).pages).toEqual([2, 1]);
    });

    it('refuse a cursor that was not given out', async () => {
      const store = await filled([]);
      const query = { device: 'd1', metric: null, fromUs: 0, toUs: 10, limit: 10, budgetMs: 100 };
      for (const after of [
        '',
        'x',
        '1',
        '1.2.3.4',
        '1e3.2',
        '99999999999999999999.1',
        '9999999999999999.1',
        "1.1'--",
      ]) {
        await expect(store.read.range({ ...query, after })).rejects.toMatchObject({ code: 'invalid' });
      }
    });
  });
}
