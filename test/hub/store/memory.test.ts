import { expect, it } from 'vitest';
import { MemoryStore } from '#hub/store/memory.js';
import { batch, series, wholeLog } from '../../contract/store-batches.ts';
import { storeContract } from '../../contract/store.ts';

const FAILURES = 10;

storeContract('memory store', {
  async make(limits) {
    const store = new MemoryStore(limits);
    await store.open();
    return store;
  },
  obstruct(store) {
    if (!(store instanceof MemoryStore)) throw new Error('another store');
    for (let i = 0; i < FAILURES; i++) store.failNext('full');
    return () => store.clearFailures();
  },
});

it('the memory store holds a commit until it is released', async () => {
  const store = new MemoryStore();
  await store.open();
  store.hold();
  let done = false;
  const commit = store.commit(batch({ newSeries: [series(1)], readings: [[1, 10, 1]] })).then(() => (done = true));
  for (let i = 0; i < 20; i++) await Promise.resolve();
  expect(done).toBe(false);
  expect(await wholeLog(store)).toEqual([]);
  store.release();
  await commit;
  expect(await wholeLog(store)).toHaveLength(1);
});

it('the memory store fails with the code that a test gives, once', async () => {
  const store = new MemoryStore();
  await store.open();
  store.failNext('io');
  await expect(store.commit(batch())).rejects.toMatchObject({ code: 'io' });
  await store.commit(batch());
  expect(store.commits).toBe(1);
});
