import { describe, expect, it } from 'vitest';
import type { Store } from '#hub/store/port.js';
import {
  addRejected,
  batch,
  createDevice,
  message,
  openStream,
  series,
  wholeLog,
  type TestReading,
} from './store-batches.ts';
import type { StoreUnderTest } from './store.ts';

const STORED = { kind: 'stored' };
const DUPLICATE = { kind: 'duplicate' };

export function storeSequences({ make }: StoreUnderTest): void {
  const started = async (): Promise<Store> => {
    const store = await make({ streamsPerDevice: 3, gapsPerDevice: 2 });
    await store.commit(batch({ newSeries: [series(1)], control: [createDevice('d1'), createDevice('d2')] }));
    return store;
  };
  const values = async (store: Store): Promise<unknown[]> => (await wholeLog(store)).map(({ value }) => value);
  const readings = (...list: string[]): TestReading[] => list.map((value, row) => [1, row, value]);

  describe('numbered messages', () => {
    it('stores what comes next, drops what was stored, refuses what is ahead and names the number it waits for', async () => {
      const store = await started();
      const { sequenced } = await store.commit(
        batch({
          readings: readings('before', 'one', 'again', 'ahead', 'between', 'two', 'two too', 'after'),
          sequenced: [message(1, 1, 2), message(1, 2, 3), message(3, 3, 4), message(2, 5, 7)],
        }),
      );
      expect(sequenced).toEqual([STORED, DUPLICATE, { kind: 'gap', expected: 2 }, STORED]);
      expect(await values(store)).toEqual(['before', 'one', 'between', 'two', 'two too', 'after']);
    });

    it('remembers the mark from commit to commit, for each device and stream apart', async () => {
      const store = await started();
      const other = { stream: 't' };
      const elsewhere = { device: 'd2' };
      await store.commit(batch({ readings: readings('a'), sequenced: [message(1, 0, 1), message(1, 1, 1, other)] }));
      const { sequenced } = await store.commit(
        batch({
          readings: readings('b', 'c', 'd', 'e'),
          sequenced: [
            message(1, 0, 1),
            message(2, 1, 2, other),
            message(2, 2, 3, elsewhere),
            message(1, 3, 4, elsewhere),
          ],
        }),
      );
      expect(sequenced).toEqual([DUPLICATE, STORED, { kind: 'gap', expected: 1 }, STORED]);
      expect(await values(store)).toEqual(['a', 'c', 'e']);
    });

    it('stores a batch in which every message is a duplicate as nothing', async () => {
      const store = await started();
      const again = () => batch({ readings: readings('a', 'b'), sequenced: [message(1, 0, 1), message(2, 1, 2)] });
      await store.commit(again());
      expect((await store.commit(again())).sequenced).toEqual([DUPLICATE, DUPLICATE]);
      expect(await values(store)).toEqual(['a', 'b']);
    });

    it('stores long runs around one refused message', async () => {
      const store = await started();
      const list = Array.from({ length: 700 }, (_, row): TestReading => [1, row, row]);
      const messages = list.map((_, row) => message(row < 350 ? row + 1 : row, row, row + 1));
      const { sequenced } = await store.commit(batch({ readings: list, sequenced: messages }));
      expect(sequenced.filter(({ kind }) => kind === 'duplicate')).toHaveLength(1);
      expect(await values(store)).toEqual(list.map(([, , value]) => value).filter((value) => value !== 350));
    });

    it('records a refused message in its place, once', async () => {
      const store = await started();
      const refused = () =>
        batch({ sequenced: [message(1, 0, 0, { control: addRejected('d1', '{') }), message(2, 0, 0)] });
      expect((await store.commit(refused())).sequenced).toEqual([STORED, STORED]);
      expect((await store.commit(refused())).sequenced).toEqual([DUPLICATE, DUPLICATE]);
      expect((await store.read.rejected('d1', { limit: 10, after: null })).items).toHaveLength(1);
    });

    it('lets the longest unused stream go when too many appear', async () => {
      const store = await started();
      for (const stream of ['a', 'b', 'c']) await store.commit(batch({ sequenced: [message(1, 0, 0, { stream })] }));
      await store.commit(batch({ sequenced: [message(2, 0, 0, { stream: 'a' })] }));
      await store.commit(batch({ sequenced: [message(1, 0, 0, { stream: 'd' })] }));
      const { sequenced } = await store.commit(
        batch({ sequenced: ['a', 'b', 'c', 'd'].map((stream) => message(3, 0, 0, { stream })) }),
      );
      expect(sequenced).toEqual([
        STORED,
        { kind: 'gap', expected: 1 },
        { kind: 'gap', expected: 2 },
        { kind: 'gap', expected: 2 },
      ]);
    });
  });

  describe('streams opened by a device', () => {
    const open = async (store: Store, nextSeq: number): Promise<number | undefined> => {
      const [result] = (await store.commit(batch({ control: [openStream(nextSeq)] }))).control;
      return result?.ok === true ? result.resumeSeq : undefined;
    };

    it('begin where the device says when they are new', async () => {
      const store = await started();
      expect(await open(store, 41)).toBe(41);
      expect((await store.commit(batch({ sequenced: [message(41, 0, 0)] }))).sequenced).toEqual([STORED]);
      expect(await store.read.gaps('d1')).toEqual([]);
    });

    it('go on where the store stands when the device is behind or level', async () => {
      const store = await started();
      await store.commit(batch({ sequenced: [message(1, 0, 0), message(2, 0, 0)] }));
      expect(await open(store, 1)).toBe(3);
      expect(await open(store, 3)).toBe(3);
      expect(await store.read.gaps('d1')).toEqual([]);
    });

    it('record a gap when the device is ahead', async () => {
      const store = await started();
      await store.commit(batch({ sequenced: [message(1, 0, 0)] }));
      expect(await open(store, 5)).toBe(5);
      expect(await store.read.gaps('d1')).toEqual([{ stream: 's', fromSeq: 2, toSeq: 4, timeUs: 9000 }]);
      expect((await store.commit(batch({ sequenced: [message(4, 0, 0), message(5, 0, 0)] }))).sequenced).toEqual([
        DUPLICATE,
        STORED,
      ]);
    });

    it('keep the newest gaps only', async () => {
      const store = await started();
      for (const nextSeq of [1, 5, 9, 13]) await open(store, nextSeq);
      expect((await store.read.gaps('d1')).map(({ fromSeq, toSeq }) => [fromSeq, toSeq])).toEqual([
        [5, 8],
        [9, 12],
      ]);
      expect(await store.read.gaps('d2')).toEqual([]);
    });

    it('stay at most maxStreams, and the longest unused goes', async () => {
      const store = await started();
      for (const stream of ['a', 'b']) {
        await store.commit(batch({ control: [openStream(10, { stream, maxStreams: 2 })] }));
      }
      await store.commit(batch({ sequenced: [message(10, 0, 0, { stream: 'a' })] }));
      await store.commit(batch({ control: [openStream(20, { stream: 'c', maxStreams: 2 })] }));
      const { sequenced } = await store.commit(
        batch({ sequenced: ['a', 'b', 'c'].map((stream) => message(30, 0, 0, { stream })) }),
      );
      expect(sequenced.map((outcome) => outcome.kind === 'gap' && outcome.expected)).toEqual([11, 1, 20]);
    });

    it('see the marks of the messages in the same batch', async () => {
      const store = await started();
      const { control } = await store.commit(
        batch({ sequenced: [message(1, 0, 0), message(2, 0, 0)], control: [openStream(1)] }),
      );
      expect(control).toEqual([{ ok: true, resumeSeq: 3 }]);
    });
  });
}
