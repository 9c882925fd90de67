import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, type TestContext } from 'vitest';
import { StoreError, type Store, type WriteBatch } from '#hub/store/port.js';
import { SqliteStore } from '#hub/store/sqlite/index.js';
import { batch, message, series, wholeLog, type TestReading } from '../../contract/store-batches.ts';
import { mountSmallDisk, openStore, resizeDisk, temporaryFolder } from './folders.ts';

const MB = 1024 * 1024;

/** A small disk, or a skipped test that says why. */
function smallDisk(context: TestContext, sizeBytes: number): string {
  const folder = temporaryFolder();
  const reason = mountSmallDisk(folder, sizeBytes);
  if (reason !== null) context.skip(`no small disk can be mounted here: ${reason}`);
  return folder;
}

/** Takes all the space that is left. */
function fill(folder: string): string {
  const path = join(folder, 'filler');
  const file = openSync(path, 'w');
  for (const size of [65536, 4096, 1]) {
    try {
      while (true) writeSync(file, Buffer.alloc(size));
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
    }
  }
  closeSync(file);
  return path;
}

/** `count` readings, told apart by `from`, as one numbered message. */
function readings(from: number, count: number, seq: number): WriteBatch {
  const list = Array.from({ length: count }, (_, row): TestReading => [1, from + row, `${from + row}`.padEnd(40, '.')]);
  return batch({ readings: list, sequenced: [message(seq, 0, count)] });
}

async function failure(commit: Promise<unknown>): Promise<StoreError> {
  const error = await commit.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StoreError);
  return error as StoreError;
}

async function expectRows(store: Store, count: number): Promise<void> {
  expect((await wholeLog(store)).map(({ timeUs }) => timeUs)).toEqual(Array.from({ length: count }, (_, row) => row));
}

describe('a full disk', () => {
  it('fails the commit with `full`; the same batch is stored once when there is space again', async (context) => {
    const folder = smallDisk(context, 4 * MB);
    const store = await openStore(folder);
    await store.commit(batch({ newSeries: [series(1)] }));
    await store.commit(readings(0, 100, 1));
    const filler = fill(folder);

    const write = readings(100, 5000, 2);
    for (let attempt = 0; attempt < 3; attempt++) {
      const error = await failure(store.commit(write));
      expect(error.code).toBe('full');
      expect(error.message).toContain('free some space');
    }
    // Readers are served meanwhile, and what was acknowledged is there.
    await expectRows(store, 100);

    rmSync(filler);
    expect((await store.commit(write)).sequenced).toEqual([{ kind: 'stored' }]);
    expect((await store.commit(readings(100, 5000, 2))).sequenced).toEqual([{ kind: 'duplicate' }]);
    await store.commit(readings(5100, 10, 3));
    await expectRows(store, 5110);
    await store.close();
    await expectRows(await openStore(folder), 5110);
  });

  it('loses nothing that was acknowledged when the store itself fills it, and goes on when the disk grows', async (context) => {
    const folder = smallDisk(context, 3 * MB);
    // Small steps, so that checkpoints meet the full disk too.
    const store = await openStore(folder, { checkpointBytes: 64 * 1024 });
    await store.commit(batch({ newSeries: [series(1)] }));
    let seq = 1;
    let stored = 0;
    let refused: WriteBatch | null = null;
    while (refused === null) {
      const write = readings(stored, 300, seq);
      const error = await store.commit(write).then(
        () => null,
        (reason: unknown) => reason as StoreError,
      );
      if (error === null) {
        stored += 300;
        seq++;
        continue;
      }
      expect(error.code).toBe('full');
      refused = write;
    }
    expect(stored).toBeGreaterThan(3000);
    await expectRows(store, stored);
    expect((await failure(store.commit(refused))).code).toBe('full');

    resizeDisk(folder, 32 * MB);
    expect((await store.commit(refused)).sequenced).toEqual([{ kind: 'stored' }]);
    for (let i = 1; i <= 50; i++) await store.commit(readings(stored + 300 * i, 300, seq + i));
    await expectRows(store, stored + 300 * 51);
    await store.close();
    await expectRows(await openStore(folder), stored + 300 * 51);
  });

  it('refuses to open in words, and opens when there is space', async (context) => {
    const folder = smallDisk(context, MB);
    const filler = fill(folder);
    const store = new SqliteStore(folder);
    const error = await failure(store.open());
    expect(error.code).toBe('full');
    rmSync(filler);
    await store.open();
    await store.commit(batch({ newSeries: [series(1)] }));
    await store.close();
  });
});
