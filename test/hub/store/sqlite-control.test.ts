import { describe, expect, it } from 'vitest';
import type { ControlWrite } from '#hub/store/port.js';
import { packControl, packSequenced } from '#hub/store/sqlite/wire.js';
import { addEvent, addRejected, batch, createDevice, message, series, wholeLog } from '../../contract/store-batches.ts';
import { openStore, temporaryFolder } from './folders.ts';

/** A write that SQLite refuses half-way: the row goes in, and the count of the list does not. */
function broken(): ControlWrite {
  const add = addRejected('d1', 'x');
  if (add.op !== 'rejected.add') throw new Error('wrong write');
  return { ...add, rejected: { ...add.rejected, topic: null as unknown as string } };
}

describe('control writes in SQLite', () => {
  it('that break a rule of the table fail alone and leave nothing behind', async () => {
    const store = await openStore(temporaryFolder());
    const { control } = await store.commit(
      batch({
        newSeries: [series(1)],
        readings: [[1, 10, 1]],
        control: [createDevice('d1'), broken(), addRejected('d1', 'good', 1), broken(), createDevice('d2')],
      }),
    );
    expect(control).toEqual([
      { ok: true },
      { ok: false, code: 'failed', message: expect.stringMatching(/^rejected.add: NOT NULL/) },
      { ok: true, evicted: 0 },
      { ok: false, code: 'failed', message: expect.stringMatching(/^rejected.add: NOT NULL/) },
      { ok: true },
    ]);
    expect(await wholeLog(store)).toHaveLength(1);
    expect((await store.read.rejected('d1', { limit: 10, after: null })).items).toHaveLength(1);
  });

  it('that stand for a numbered message fail the batch, since the message would be acknowledged for nothing', async () => {
    const store = await openStore(temporaryFolder());
    await store.commit(batch({ newSeries: [series(1)] }));
    const bad = batch({
      readings: [
        [1, 10, 1],
        [1, 11, 1],
      ],
      sequenced: [message(1, 0, 1), message(5, 1, 1), message(2, 2, 2, { control: broken() })],
    });
    await expect(store.commit(bad)).rejects.toMatchObject({ code: 'internal' });
    expect(await wholeLog(store)).toEqual([]);
    // The number was not consumed, and rows of the failed batch do not leak into the next one.
    const good = batch({ readings: [[1, 20, 2]], sequenced: [message(1, 0, 1)] });
    expect((await store.commit(good)).sequenced).toEqual([{ kind: 'stored' }]);
    expect((await wholeLog(store)).map(({ timeUs }) => timeUs)).toEqual([20]);
  });
});

describe('what crosses to the writer', () => {
  it('brings the bytes of a payload and not the socket buffer that they lie in', () => {
    const socketBuffer = Buffer.alloc(65536, 'x');
    for (const write of [addRejected('d1', ''), addEvent('d1', 'a')]) {
      const payload = socketBuffer.subarray(100, 110);
      const packed = packControl(
        write.op === 'rejected.add'
          ? { ...write, rejected: { ...write.rejected, payload } }
          : write.op === 'event.add'
            ? { ...write, event: { ...write.event, payload } }
            : write,
      );
      const sent =
        packed.op === 'rejected.add' ? packed.rejected.payload : packed.op === 'event.add' && packed.event.payload;
      expect(sent && sent.buffer.byteLength).toBe(10);
      expect(Buffer.from(sent as Uint8Array)).toEqual(payload);
    }
  });

  it('names each stream once', () => {
    const other = { device: 'd2' };
    const packed = packSequenced([
      message(1, 0, 1),
      message(1, 1, 2, other),
      message(2, 2, 3),
      message(2, 3, 4, other),
    ])!;
    expect(packed.streams).toEqual([
      { device: 'd1', stream: 's' },
      { device: 'd2', stream: 's' },
    ]);
    expect([...packed.stream]).toEqual([0, 1, 0, 1]);
    expect([...packed.seq]).toEqual([1, 1, 2, 2]);
    expect(packSequenced([])).toBeNull();
  });
});
