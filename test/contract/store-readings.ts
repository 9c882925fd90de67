import { describe, expect, it } from 'vitest';
import { batch, series, wholeLog, type TestReading } from './store-batches.ts';
import type { StoreUnderTest } from './store.ts';

const ODD_VALUES = [
  0,
  1,
  -1,
  0.1,
  -1e-300,
  Number.MAX_VALUE,
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
  false,
  true,
  '',
  '0',
  'true',
  'a\0b',
  'Grüße, 世界 🌍',
  'it\'s -- "quoted"; DROP TABLE log',
  'x'.repeat(100_000),
];

export function storeReadings({ make }: StoreUnderTest): void {
  describe('readings', () => {
    it('gives every value back as it was, with its kind', async () => {
      const store = await make();
      expect(await store.read.lastLogId()).toBe(0);
      await store.commit(
        batch({
          newSeries: [series(1, 'd1', 'temperature')],
          readings: ODD_VALUES.map((value, row): TestReading => [1, 1_767_225_600_000_001 + row, value]),
        }),
      );
      const rows = await wholeLog(store);
      expect(await store.read.lastLogId()).toBe(rows.at(-1)!.id);
      expect(rows.map(({ value }) => value)).toEqual(ODD_VALUES);
      expect(rows[0]).toEqual({
        id: rows[0]!.id,
        device: 'd1',
        metric: 'temperature',
        timeUs: 1_767_225_600_000_001,
        value: 0,
      });
    });

    it('keeps the order of commits with rising ids, and reads on from an id', async () => {
      const store = await make();
      await store.commit(batch({ newSeries: [series(1), series(2, 'd2', 'x')] }));
      const sizes = [1, 2, 15, 16, 17, 127, 128, 129, 145, 300];
      let made = 0;
      for (const size of sizes) {
        await store.commit(
          batch({
            readings: Array.from({ length: size }, (_, row): TestReading => [1 + (row % 2), 1000 - row, made + row]),
          }),
        );
        made += size;
      }
      const rows = await wholeLog(store, 100);
      expect(rows.map(({ value }) => value)).toEqual(Array.from({ length: made }, (_, index) => index));
      expect(rows.every(({ id }, index) => index === 0 || id > rows[index - 1]!.id)).toBe(true);
      expect(rows[1]).toMatchObject({ device: 'd1' });
      expect(rows[2]).toMatchObject({ device: 'd2', metric: 'x' });

      const middle = rows[400]!;
      const next = await store.read.log(middle.id, 3);
      expect(next).toEqual(rows.slice(401, 404));
      expect(await store.read.log(rows.at(-1)!.id, 10)).toEqual([]);
    });

    it('keeps equal readings apart in the log, since it is raw', async () => {
      const store = await make();
      const readings: TestReading[] = [
        [1, 10, 1],
        [1, 10, 1],
      ];
      await store.commit(batch({ newSeries: [series(1)], readings }));
      expect(await wholeLog(store)).toHaveLength(2);
    });

    it('gives at most 10,000 rows of the log at once', async () => {
      const store = await make();
      const readings = Array.from({ length: 10_001 }, (_, row): TestReading => [1, row, row]);
      await store.commit(batch({ newSeries: [series(1)], readings }));
      expect(await store.read.log(0, 1_000_000)).toHaveLength(10_000);
      expect(await wholeLog(store)).toHaveLength(10_001);
    });

    it('knows the latest reading of each series at a start: greatest time, the last committed among equals', async () => {
      const store = await make();
      await store.commit(
        batch({
          newSeries: [series(3, 'd1', 'a'), series(7, 'd1', 'b'), series(9, 'd2', 'a'), series(12, 'd2', 'silent')],
          readings: [
            [3, 100, 'old'],
            [3, 300, 'first of two'],
            [7, 100, true],
            [9, -5, 1.5],
          ],
        }),
      );
      await store.commit(
        batch({
          readings: [
            [3, 300, 'second of two'],
            [3, 200, 'late'],
          ],
        }),
      );
      const state = await store.read.startState();
      expect([...state.latest].sort((a, b) => a.series - b.series)).toEqual([
        { series: 3, timeUs: 300, value: 'second of two' },
        { series: 7, timeUs: 100, value: true },
        { series: 9, timeUs: -5, value: 1.5 },
      ]);
      expect(state.series).toHaveLength(4);
      expect(state.series[3]).toEqual(series(12, 'd2', 'silent'));
      expect(state.lastSeriesId).toBe(12);
    });

    it('starts empty', async () => {
      const store = await make();
      expect(await store.read.startState()).toEqual({
        devices: [],
        tokens: [],
        series: [],
        lastSeriesId: 0,
        latest: [],
        unfinished: [],
        lastConnections: [],
        operators: [],
        signIns: [],
        sessions: [],
        queues: [],
        lastSessionId: 0,
        lastMessageId: 0,
        retained: [],
        wills: [],
      });
    });
  });
}
