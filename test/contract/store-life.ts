import { describe, expect, it } from 'vitest';
import { StoreError } from '#hub/store/port.js';
import {
  batch,
  columns,
  createDevice,
  message,
  openConnection,
  openStream,
  series,
  wholeLog,
} from './store-batches.ts';
import type { StoreUnderTest } from './store.ts';

export function storeLife({ make, obstruct }: StoreUnderTest): void {
  describe('commits and failures', () => {
    it('refuses a commit while another is under way', async () => {
      const store = await make();
      const first = store.commit(batch());
      expect(() => store.commit(batch())).toThrow(StoreError);
      await first;
      await store.commit(batch());
    });

    it('finishes the commit under way when closed, and answers nothing later', async () => {
      const store = await make();
      const last = store.commit(batch({ newSeries: [series(1)], readings: [[1, 10, 1]] }));
      await store.close();
      await expect(last).resolves.toEqual({ sequenced: [], control: [] });
      await expect(store.commit(batch())).rejects.toMatchObject({ code: 'closed' });
      await expect(store.read.log(0, 1)).rejects.toMatchObject({ code: 'closed' });
    });

    it('takes the columns away, and leaves those of an empty batch alone', async () => {
      const store = await make();
      const full = batch({ newSeries: [series(1)], readings: [[1, 10, 1]] });
      await store.commit(full);
      expect(full.rows.timeUs).toHaveLength(0);
      await expect(store.commit(full)).rejects.toMatchObject({ code: 'internal' });

      const empty = columns([]);
      for (let i = 0; i < 3; i++) await store.commit({ ...batch(), rows: empty });
      expect(empty.timeUs).toHaveLength(1);
      expect(await wholeLog(store)).toHaveLength(1);
    });

    it('takes columns that share one buffer', async () => {
      const store = await make();
      const buffer = new ArrayBuffer(64);
      const rows = {
        count: 2,
        timeUs: Float64Array.of(0, 0),
        series: new Uint32Array(buffer, 0, 2),
        number: new Float64Array(buffer, 16, 2),
        kind: new Uint8Array(buffer, 48, 2),
        texts: [],
      };
      rows.series.set([1, 1]);
      rows.number.set([4, 5]);
      await store.commit({ ...batch({ newSeries: [series(1)] }), rows });
      expect((await wholeLog(store)).map(({ value }) => value)).toEqual([4, 5]);
    });

    it('stores nothing of a batch that fails, and all of it once when the same batch is tried again', async () => {
      const store = await make();
      await store.commit(batch({ newSeries: [series(1)], readings: [[1, 10, 'first']], control: [openStream(1)] }));
      const write = batch({
        newSeries: [series(2)],
        readings: [
          [1, 20, 2.5],
          [2, 20, 'text'],
          [2, 30, true],
        ],
        sequenced: [message(1, 1, 3)],
        control: [createDevice('d1'), openConnection('d1')],
      });

      const clear = obstruct(store);
      for (let attempt = 0; attempt < 3; attempt++) {
        const failure = await store.commit(write).catch((error: unknown) => error);
        expect(failure).toBeInstanceOf(StoreError);
        expect(['full', 'io', 'busy']).toContain((failure as StoreError).code);
        expect(write.rows.timeUs).toHaveLength(0);
      }
      expect(await wholeLog(store)).toHaveLength(1);
      expect((await store.read.startState()).devices).toEqual([]);

      clear();
      const result = await store.commit(write);
      expect(result).toEqual({ sequenced: [{ kind: 'stored' }], control: [{ ok: true }, { ok: true, epoch: 1 }] });
      expect((await wholeLog(store)).map(({ timeUs, value }) => [timeUs, value])).toEqual([
        [10, 'first'],
        [20, 2.5],
        [20, 'text'],
        [30, true],
      ]);
    });

    it('lets other batches through while a failed one waits', async () => {
      const store = await make();
      const waiting = batch({ newSeries: [series(1)], readings: [[1, 10, 'waited']] });
      const clear = obstruct(store);
      await expect(store.commit(waiting)).rejects.toBeInstanceOf(StoreError);
      clear();
      await store.commit(batch({ control: [createDevice('d1')] }));
      await store.commit(waiting);
      expect((await wholeLog(store)).map(({ value }) => value)).toEqual(['waited']);
    });

    it('stores nothing of a batch that names a series id twice', async () => {
      const store = await make();
      await store.commit(batch({ newSeries: [series(1)] }));
      const bad = batch({ newSeries: [series(2), series(1)], readings: [[2, 10, 1]] });
      await expect(store.commit(bad)).rejects.toMatchObject({ code: 'internal' });
      expect(await wholeLog(store)).toEqual([]);
      expect((await store.read.startState()).lastSeriesId).toBe(1);
    });
  });
}
