import Database from 'better-sqlite3';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SessionWrite } from '#hub/store/port.js';
import { packMessages } from '#hub/store/sqlite/sessions/message-columns.js';
import { QueueIndex } from '#hub/store/sqlite/sessions/queue-index.js';
import { SessionDraft } from '#hub/store/sqlite/sessions/session-draft.js';
import { addEntry, addMessage, batch, putSession, removeEntry, storedMessage } from '../../contract/store-batches.ts';
import { openStore, temporaryFolder } from './folders.ts';

function emptyIndex(): QueueIndex {
  const none = new Float64Array(0);
  return new QueueIndex({ sessions: Float64Array.of(1, 2), session: none, place: none, row: none, lastMessageId: 0 });
}

function tables(folder: string, ...names: string[]): number[] {
  const db = new Database(join(folder, 'muster.db'), { readonly: true });
  try {
    return names.map((name) => db.prepare<[], number>(`SELECT count(*) FROM ${name}`).pluck().get()!);
  } finally {
    db.close();
  }
}

describe('queues in SQLite', () => {
  it('leave nothing behind when everything was acknowledged', async () => {
    const folder = temporaryFolder();
    const store = await openStore(folder);
    const ids = [1, 2, 3];
    await store.commit(batch({ sessions: ids.map((id) => putSession(id)) }));
    for (let place = 1; place <= 5; place++) {
      const adds = ids.flatMap((id) => [addEntry(id, 2 * place, 2 * place)]);
      const own = [addMessage(2 * place + 1), addEntry(1, 2 * place + 1, 2 * place + 1)];
      await store.commit(batch({ sessions: [addMessage(2 * place), ...adds, ...own] }));
    }
    expect(tables(folder, 'queue', 'messages', 'shared')).toEqual([20, 10, 5]);
    for (const id of ids) {
      const sessions: SessionWrite[] = [];
      for (let place = 2; place <= 11; place++) sessions.push(removeEntry(id, place));
      await store.commit(batch({ sessions }));
    }
    expect(tables(folder, 'queue', 'messages', 'shared')).toEqual([0, 0, 0]);
  });

  it('are found again after a restart without having been asked for, by the first batch that writes to them', async () => {
    const folder = temporaryFolder();
    const store = await openStore(folder);
    await store.commit(batch({ sessions: [putSession(1), addMessage(1), addEntry(1, 1, 1), addEntry(1, 2, 1)] }));
    await store.close();
    await store.open();
    // Row numbers go on behind those on disk, and what is on disk is found.
    await store.commit(batch({ sessions: [removeEntry(1, 1), addMessage(2), addEntry(1, 3, 2)] }));
    const page = await store.read.sessionQueue({ session: 1, afterPlace: 0, limit: 10, maxBytes: 1e6 });
    expect(page.map(({ place }) => place)).toEqual([2, 3]);
  });

  it('the commit under way when the store is closed is finished, its first session write too', async () => {
    const folder = temporaryFolder();
    const store = await openStore(folder);
    const commit = store.commit(batch({ sessions: [putSession(1)] }));
    await store.close();
    await expect(commit).resolves.toEqual({ sequenced: [], control: [] });
    await store.open();
    expect((await store.read.startState()).sessions).toHaveLength(1);
  });

  it('never seem empty because what was read has just gone', async () => {
    const store = await openStore(temporaryFolder());
    const count = 2000;
    const sessions: SessionWrite[] = [putSession(1), addMessage(1)];
    for (let place = 1; place <= count; place++) sessions.push(addEntry(1, place, 1));
    await store.commit(batch({ sessions }));
    for (let first = 1; first < count - 20; first += 20) {
      const gone = Array.from({ length: 20 }, (_, i) => removeEntry(1, first + i));
      const commit = store.commit(batch({ sessions: gone }));
      for (let i = 0; i < 3; i++) {
        const page = await store.read.sessionQueue({ session: 1, afterPlace: 0, limit: 4, maxBytes: 1e6 });
        expect(page.length).toBeGreaterThan(0);
      }
      await commit;
    }
  });
});

describe('what crosses to the writer', () => {
  it('brings the bytes of payloads and not the socket buffers that they lie in', () => {
    const socketBuffer = Buffer.alloc(65_536, 'x');
    const slice = (bytes: number): Uint8Array => socketBuffer.subarray(100, 100 + bytes);
    const packed = packMessages([
      storedMessage('a', { payload: slice(10) }),
      storedMessage('b', { payload: slice(0) }),
      storedMessage('c', { payload: slice(5), correlationData: slice(3) }),
    ]);
    expect(packed.payloads.buffer.byteLength).toBe(15);
    expect([...packed.payloadEnd]).toEqual([10, 10, 15]);
    expect(packed.more.get(2)!.correlation!.buffer.byteLength).toBe(3);
  });

  it('nothing of what a batch adds and takes back', () => {
    const draft = new SessionDraft(emptyIndex(), [
      ...[addMessage(1), addEntry(1, 1, 1), addEntry(2, 1, 1), removeEntry(1, 1), removeEntry(2, 1)],
      { op: 'retained.put', message: storedMessage('r', { topic: 't' }) },
      { op: 'retained.delete', topic: 't' },
    ]);
    expect(draft.request()).toMatchObject({
      ...{ messages: null, entries: null, older: [], retained: null, retainedGone: ['t'], lastMessageId: 1 },
      removed: new Float64Array(0),
    });
  });

  it('a message once, however many wait for it, and each text of matches once', () => {
    const index = emptyIndex();
    const draft = new SessionDraft(index, [addMessage(1), addEntry(1, 1, 1), addEntry(2, 1, 1), addEntry(2, 2, 1)]);
    const { messages, entries } = draft.request();
    expect([...messages!.entries]).toEqual([3]);
    expect(entries).toMatchObject({ count: 3, firstRow: 1, texts: ['=t/#'] });
    // The index changes with the commit alone.
    expect(index.sessions.get(2)!.waiting(0, 9).rows).toEqual([]);
    draft.apply(null);
    expect(index.sessions.get(2)!.waiting(0, 9).rows).toEqual([2, 3]);
  });
});
