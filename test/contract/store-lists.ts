import { describe, expect, it } from 'vitest';
import type { ControlResult, ControlWrite, Store } from '#hub/store/port.js';
import { addEvent, addRejected, batch, createDevice } from './store-batches.ts';
import type { StoreUnderTest } from './store.ts';

const PAGE = { limit: 100, after: null };

export function storeLists({ make }: StoreUnderTest): void {
  const write = async (store: Store, ...control: ControlWrite[]): Promise<readonly ControlResult[]> =>
    (await store.commit(batch({ control }))).control;
  const evicted = (results: readonly ControlResult[]): unknown[] =>
    results.map((result) => (result.ok ? result.evicted : result.code));
  const texts = async (store: Store, id: string): Promise<string[]> =>
    (await store.read.rejected(id, PAGE)).items.map(({ payload }) => Buffer.from(payload).toString());

  describe('rejected payloads', () => {
    it('are kept as they came, bytes that lie in a larger buffer included', async () => {
      const store = await make();
      const bytes = Buffer.from('....\0\xff{broken....', 'latin1').subarray(4, -4);
      const add = addRejected('d1', '');
      if (add.op !== 'rejected.add') throw new Error('wrong write');
      await write(store, { ...add, rejected: { ...add.rejected, payload: bytes, contentType: 'application/json' } });
      const { items, next } = await store.read.rejected('d1', PAGE);
      expect(next).toBeNull();
      expect([...items[0]!.payload]).toEqual([...bytes]);
      expect(items[0]).toMatchObject({
        device: 'd1',
        timeUs: 7000,
        protocol: 'mqtt',
        topic: 'devices/d1/telemetry',
        contentType: 'application/json',
        code: 'malformed_payload',
        message: 'not JSON',
      });
    });

    it('are bounded for each device, the oldest go and are counted', async () => {
      const store = await make();
      const results = await write(store, ...['a', 'b', 'c', 'd'].map((text) => addRejected('d1', text, 2)));
      expect(evicted(results)).toEqual([0, 0, 1, 1]);
      await write(store, addRejected('d2', 'x', 2));
      expect(await texts(store, 'd1')).toEqual(['d', 'c']);
      expect((await store.read.rejected('d1', PAGE)).evicted).toBe(2);
      expect((await store.read.rejected('d2', PAGE)).evicted).toBe(0);
    });

    it('are bounded over all devices, and the one that loses its oldest counts it', async () => {
      const store = await make();
      await write(store, addRejected('d1', 'a', 9, 3), addRejected('d2', 'b', 9, 3), addRejected('d1', 'c', 9, 3));
      expect(evicted(await write(store, addRejected('d2', 'd', 9, 3), addRejected('d2', 'e', 9, 3)))).toEqual([1, 1]);
      expect(await texts(store, 'd1')).toEqual(['c']);
      expect(await texts(store, 'd2')).toEqual(['e', 'd']);
      expect((await store.read.rejected('d1', PAGE)).evicted).toBe(1);
      expect((await store.read.rejected('d2', PAGE)).evicted).toBe(1);
    });

    it('shrink at once when the bounds were lowered, and forget what a deleted device had', async () => {
      const store = await make();
      await write(store, createDevice('d1'), ...['a', 'b', 'c', 'd', 'e'].map((text) => addRejected('d1', text, 9)));
      expect(evicted(await write(store, addRejected('d1', 'f', 2)))).toEqual([4]);
      await write(store, { op: 'device.delete', id: 'd1' });
      expect(evicted(await write(store, addRejected('d2', 'x', 9, 2), addRejected('d2', 'y', 9, 2)))).toEqual([0, 0]);
      expect(await texts(store, 'd2')).toEqual(['y', 'x']);
    });

    it('come by pages, newest first', async () => {
      const store = await make();
      await write(store, ...['a', 'b', 'c'].map((text) => addRejected('d1', text)));
      const first = await store.read.rejected('d1', { limit: 2, after: null });
      await write(store, addRejected('d1', 'newer'));
      const second = await store.read.rejected('d1', { limit: 2, after: first.next });
      const ids = [...first.items, ...second.items].map(({ id }) => id);
      expect(ids).toHaveLength(3);
      expect(ids).toEqual([...ids].sort((a, b) => b - a));
      expect(second.next).toBeNull();
      await expect(store.read.rejected('d1', { limit: 2, after: '-1' })).rejects.toMatchObject({ code: 'invalid' });
    });

    it('come at most 1,000 at once, and at least one', async () => {
      const store = await make();
      await write(store, ...Array.from({ length: 1001 }, () => addRejected('d1', 'x', 2000, 2000)));
      const all = await store.read.rejected('d1', { limit: 5000, after: null });
      expect(all.items).toHaveLength(1000);
      expect((await store.read.rejected('d1', { limit: 5000, after: all.next })).items).toHaveLength(1);
      expect((await store.read.rejected('d1', { limit: 0, after: null })).items).toHaveLength(1);
    });
  });

  describe('events', () => {
    it('are kept in order, bounded for each device', async () => {
      const store = await make();
      const results = await write(
        store,
        addEvent('d1', 'a', 2),
        addEvent('d2', 'x', 2),
        addEvent('d1', 'b', 2),
        addEvent('d1', 'c', 2),
      );
      expect(evicted(results)).toEqual([0, 0, 0, 1]);
      const { items, next } = await store.read.events('d1', PAGE);
      expect(next).toBeNull();
      expect(items.map(({ name }) => name)).toEqual(['c', 'b']);
      expect(items[0]).toMatchObject({ device: 'd1', timeUs: 8000, contentType: 'application/json' });
      expect(Buffer.from(items[0]!.payload).toString()).toBe('"c"');
      expect((await store.read.events('d2', PAGE)).items).toHaveLength(1);
    });
  });
}
