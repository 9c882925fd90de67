import { expect, it, describe } from 'vitest';
import { batch, series } from './store-batches.ts';
import type { StoreUnderTest } from './store.ts';

/** What the readings of a series are given in. */
export function storeUnits({ make }: StoreUnderTest): void {
  describe('units', () => {
    it('are none until one is written, then the last that was written, also in the batch that brings the series', async () => {
      const store = await make();
      const units = async () => (await store.read.startState()).series;
      await store.commit(
        batch({
          newSeries: [series(1), series(2)],
          readings: [[1, 10, 1]],
          control: [
            { op: 'series.unit', series: 1, unit: 'K' },
            { op: 'series.unit', series: 1, unit: '°C' },
          ],
        }),
      );
      expect(await units()).toStrictEqual([{ ...series(1), unit: '°C' }, series(2)]);
      await store.commit(batch({ control: [{ op: 'series.unit', series: 2, unit: 'W.s' }] }));
      expect(await units()).toStrictEqual([
        { ...series(1), unit: '°C' },
        { ...series(2), unit: 'W.s' },
      ]);
    });

    it('of a numbered message count when it is stored, and with its number', async () => {
      const store = await make();
      const unitsOf = (seq: number, unit: string) => ({
        ...{ device: 'd1', stream: 's', seq, firstRow: 0, endRow: 0 },
        control: { op: 'series.units', units: [1, 2].map((id) => ({ series: id, unit })) } as const,
      });
      const { sequenced } = await store.commit(
        batch({ newSeries: [series(1), series(2)], sequenced: [unitsOf(1, 'K'), unitsOf(1, 'no'), unitsOf(3, 'no')] }),
      );
      expect(sequenced.map(({ kind }) => kind)).toEqual(['stored', 'duplicate', 'gap']);
      const expected = [1, 2].map((id) => ({ ...series(id), unit: 'K' }));
      expect((await store.read.startState()).series).toStrictEqual(expected);
    });

    it('of a series that does not exist are not found, and hurt nothing else', async () => {
      const store = await make();
      const { control } = await store.commit(
        batch({
          newSeries: [series(1)],
          readings: [[1, 10, 1]],
          control: [{ op: 'series.unit', series: 9, unit: 'K' }],
        }),
      );
      expect(control).toMatchObject([{ ok: false, code: 'not_found' }]);
      expect(await store.read.log(0, 10)).toHaveLength(1);
    });
  });
}
