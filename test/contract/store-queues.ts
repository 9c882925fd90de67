import { describe, expect, it } from 'vitest';
import { StoreError, type KeptSession, type QueueRow, type SessionWrite, type Store } from '#hub/store/port.js';
import {
  addEntry,
  addMessage,
  batch,
  putQueue,
  putSession,
  removeEntry,
  series,
  storedMessage,
  wholeLog,
} from './store-batches.ts';
import type { StoreUnderTest } from './store.ts';

const ALL = { afterPlace: 0, limit: 1000, maxBytes: 1e9 };

function release(session: number, place: number): SessionWrite {
  return { op: 'queue.release', session, place };
}

export function storeQueues({ make, obstruct }: StoreUnderTest): void {
  const write = async (store: Store, ...sessions: SessionWrite[]): Promise<void> => {
    await store.commit(batch({ sessions }));
  };
  const queue = (store: Store, session: number, more: Partial<typeof ALL> = {}): Promise<readonly QueueRow[]> =>
    store.read.sessionQueue({ session, ...ALL, ...more });
  /** Places and texts of what waits. */
  const waiting = async (store: Store, session: number, more: Partial<typeof ALL> = {}): Promise<unknown[]> =>
    (await queue(store, session, more)).map(
      ({ place, message }) => `${place} ${Buffer.from(message.payload).toString()}`,
    );
  const kept = async (store: Store, session: number): Promise<KeptSession['queue'] | undefined> =>
    (await store.read.startState()).sessions.find((found) => found.session.id === session)?.queue;

  describe('queues', () => {
    it('give back what waits, in the order of places, as it was written', async () => {
      const store = await make();
      const message = storedMessage('full', {
        payload: new Uint8Array([0, 1, 255]),
        qos: 2,
        contentType: 'text/plain',
        headers: [
          ['k', 'v'],
          ['k', 'w'],
        ],
        responseTopic: 'r',
        correlationData: new Uint8Array([9]),
        payloadIsText: true,
        expiresMs: 1_770_000_000_000,
        origin: 'someone',
      });
      await write(
        store,
        putSession(1),
        putSession(2),
        { op: 'message.add', id: 1, message },
        addEntry(1, 1, 1, { qos: 2, retain: true, matches: ['=odd', '["a"]', 'ö'], bytes: 77 }),
        addMessage(2, ''),
        addEntry(1, 2, 2, { matches: ['[one]'] }),
        addEntry(2, 1, 2, { matches: [] }),
      );
      expect(await queue(store, 1)).toEqual([
        { place: 1, qos: 2, retain: true, matches: ['=odd', '["a"]', 'ö'], bytes: 77, refused: 0, message },
        { place: 2, qos: 1, retain: false, matches: ['[one]'], bytes: 100, refused: 0, message: storedMessage('') },
      ]);
      expect((await queue(store, 2)).map(({ matches }) => matches)).toEqual([[]]);
      expect(await kept(store, 1)).toEqual({ count: 2, bytes: 177, first: 1, last: 2, released: [] });
    });

    it('come in pages: after a place, at most so many, and no more once the bytes are reached', async () => {
      const store = await make();
      const entries = [1, 3, 5, 7, 9].map((place) => addEntry(1, place, 1, { bytes: 10 }));
      await write(store, putSession(1), addMessage(1), ...entries);
      const places = async (more: Partial<typeof ALL>): Promise<number[]> =>
        (await queue(store, 1, more)).map(({ place }) => place);
      expect(await places({ limit: 2 })).toEqual([1, 3]);
      expect(await places({ afterPlace: 3, limit: 2 })).toEqual([5, 7]);
      expect(await places({ afterPlace: 4 })).toEqual([5, 7, 9]);
      expect(await places({ afterPlace: 9 })).toEqual([]);
      expect(await places({ maxBytes: 19 })).toEqual([1, 3]);
      expect(await places({ maxBytes: 20 })).toEqual([1, 3]);
      expect(await places({ maxBytes: 21 })).toEqual([1, 3, 5]);
      // One comes always, however large it is.
      expect(await places({ maxBytes: 0 })).toEqual([1]);
      expect(await queue(store, 77)).toEqual([]);
    });

    it('shrink by what is removed, in any order', async () => {
      const store = await make();
      await write(store, putSession(1), addMessage(1), ...[1, 2, 3, 4, 5].map((place) => addEntry(1, place, 1)));
      await write(store, removeEntry(1, 2), removeEntry(1, 4), removeEntry(1, 9));
      expect(await waiting(store, 1)).toEqual(['1 m1', '3 m1', '5 m1']);
      await write(store, removeEntry(1, 1), removeEntry(1, 1));
      expect(await kept(store, 1)).toEqual({ count: 2, bytes: 200, first: 3, last: 5, released: [] });
      await write(store, removeEntry(1, 5), removeEntry(1, 3));
      expect(await waiting(store, 1)).toEqual([]);
      expect(await kept(store, 1)).toEqual({ count: 0, bytes: 0, first: 0, last: 0, released: [] });
      await write(store, addMessage(2), addEntry(1, 6, 2));
      expect(await waiting(store, 1)).toEqual(['6 m2']);
    });

    it('one message for many sessions stays as long as one of them waits for it', async () => {
      const store = await make();
      const sessions = Array.from({ length: 100 }, (_, i) => i + 1);
      await write(store, ...sessions.map((id) => putSession(id)));
      await write(store, addMessage(1), ...sessions.map((id) => addEntry(id, 1, 1)));
      await write(store, ...sessions.slice(0, 98).map((id) => removeEntry(id, 1)));
      expect(await waiting(store, 1)).toEqual([]);
      expect(await waiting(store, 99)).toEqual(['1 m1']);
      await write(store, removeEntry(99, 1));
      expect(await waiting(store, 100)).toEqual(['1 m1']);
      // A later batch may name it too.
      await write(store, addEntry(1, 2, 1));
      await write(store, removeEntry(100, 1));
      expect(await waiting(store, 1)).toEqual(['2 m1']);
      await write(store, removeEntry(1, 2));
      await write(store, addEntry(1, 3, 1));
      expect(await waiting(store, 1)).toEqual([]);
    });

    it('a release that is owed keeps its place and nothing else', async () => {
      const store = await make();
      await write(store, putSession(1), ...[1, 2, 3].flatMap((n) => [addMessage(n, `q${n}`), addEntry(1, n, n)]));
      await write(store, release(1, 3), release(1, 1), release(1, 1), release(1, 8));
      expect(await waiting(store, 1)).toEqual(['2 q2']);
      expect(await kept(store, 1)).toEqual({ count: 1, bytes: 100, first: 1, last: 3, released: [1, 3] });
      await write(store, removeEntry(1, 1), removeEntry(1, 2));
      expect(await kept(store, 1)).toEqual({ count: 0, bytes: 0, first: 3, last: 3, released: [3] });
      await write(store, removeEntry(1, 3));
      expect(await kept(store, 1)).toEqual({ count: 0, bytes: 0, first: 0, last: 0, released: [] });
    });

    it('what is added, released and removed in one batch comes to the same', async () => {
      const store = await make();
      await write(store, putSession(1), addMessage(1), addEntry(1, 1, 1), addEntry(1, 2, 1));
      await write(
        store,
        ...[addMessage(2), addEntry(1, 3, 2), removeEntry(1, 3)],
        ...[addMessage(3), addEntry(1, 4, 3), release(1, 4)],
        ...[addMessage(4), addEntry(1, 5, 4), release(1, 5), removeEntry(1, 5)],
        ...[release(1, 1), removeEntry(1, 1), removeEntry(1, 2), release(1, 2)],
        ...[addMessage(5), addEntry(1, 6, 5)],
      );
      expect(await waiting(store, 1)).toEqual(['6 m5']);
      expect(await kept(store, 1)).toEqual({ count: 1, bytes: 100, first: 4, last: 6, released: [4] });
    });

    it('an entry at a place that is taken replaces what was there', async () => {
      const store = await make();
      await write(store, putSession(1), addMessage(1), ...[1, 2, 3, 4].map((place) => addEntry(1, place, 1)));
      await write(store, release(1, 4));
      await write(store, addMessage(2), addEntry(1, 2, 2, { bytes: 5 }), addEntry(1, 4, 2), addEntry(1, 4, 2));
      expect(await waiting(store, 1)).toEqual(['1 m1', '2 m2', '3 m1', '4 m2']);
      expect(await kept(store, 1)).toEqual({ count: 4, bytes: 305, first: 1, last: 4, released: [] });
      // A place that has gone can be taken again.
      await write(store, removeEntry(1, 2));
      await write(store, addMessage(3), addEntry(1, 2, 3));
      expect(await waiting(store, 1)).toEqual(['1 m1', '2 m3', '3 m1', '4 m2']);
    });

    it('an entry of a message or a session that is not there is left out', async () => {
      const store = await make();
      await write(store, putSession(1), addMessage(1), addEntry(1, 1, 1), addEntry(1, 2, 99), addEntry(7, 1, 1));
      await write(store, addEntry(1, 3, 98), addMessage(97));
      await write(store, addEntry(1, 4, 97));
      expect(await waiting(store, 1)).toEqual(['1 m1']);
      expect(await kept(store, 1)).toEqual({ count: 1, bytes: 100, first: 1, last: 1, released: [] });
      await write(store, removeEntry(1, 1), removeEntry(1, 2), removeEntry(1, 3), removeEntry(1, 4));
    });

    it('go with their session, and messages of others stay', async () => {
      const store = await make();
      await write(store, putSession(1), putSession(2), addMessage(1), addEntry(1, 1, 1), addEntry(2, 1, 1));
      await write(store, addMessage(2), addEntry(1, 2, 2), addMessage(3), addEntry(1, 3, 3), release(1, 3));
      await write(
        store,
        ...[addMessage(4), addEntry(1, 4, 4), addEntry(2, 2, 4), removeEntry(1, 1)],
        ...[{ op: 'session.delete', id: 1 } as const, addEntry(1, 5, 4), putSession(3)],
      );
      expect(await queue(store, 1)).toEqual([]);
      expect(await waiting(store, 2)).toEqual(['1 m1', '2 m4']);
      expect((await store.read.startState()).sessions.map(({ session }) => session.id)).toEqual([2, 3]);
    });

    it('stay as they are when the batch fails, and the same batch may be tried again', async () => {
      const store = await make();
      await write(store, putSession(1), addMessage(1), addEntry(1, 1, 1), addEntry(1, 2, 1));
      const failing = batch({
        newSeries: [series(1)],
        readings: [[1, 10, 1]],
        sessions: [
          ...[removeEntry(1, 1), release(1, 2), addMessage(2), addEntry(1, 3, 2), putSession(2), addEntry(2, 1, 2)],
        ],
      });
      const clear = obstruct(store);
      for (let attempt = 0; attempt < 3; attempt++) {
        await expect(store.commit(failing)).rejects.toBeInstanceOf(StoreError);
        expect(await waiting(store, 1)).toEqual(['1 m1', '2 m1']);
        expect(await waiting(store, 2)).toEqual([]);
      }
      clear();
      await store.commit(failing);
      expect(await waiting(store, 1)).toEqual(['3 m2']);
      expect(await waiting(store, 2)).toEqual(['1 m2']);
      expect(await kept(store, 1)).toMatchObject({ count: 1, released: [2] });
      expect(await wholeLog(store)).toHaveLength(1);
    });

    it('hold large and many messages', async () => {
      const store = await make();
      const large = new Uint8Array(300_000).fill(7);
      const count = 3000;
      const writes: SessionWrite[] = [putSession(1), putSession(2)];
      for (let i = 1; i <= count; i++) writes.push(addMessage(i, `${i}`), addEntry(1 + (i % 2), i, i));
      const last = storedMessage('large', { payload: large });
      writes.push({ op: 'message.add', id: count + 1, message: last }, addEntry(1, count + 1, count + 1));
      await write(store, ...writes);
      const all: QueueRow[] = [];
      for (let page = await queue(store, 1); page.length > 0;) {
        all.push(...page);
        page = await queue(store, 1, { afterPlace: page.at(-1)!.place });
      }
      expect(all.map(({ place }) => place)).toEqual([
        ...Array.from({ length: count / 2 }, (_, i) => 2 * (i + 1)),
        count + 1,
      ]);
      expect(all.at(-1)!.message).toEqual(last);
      // A page is bounded, whatever is asked.
      expect(await queue(store, 1, { limit: 1e9 })).toHaveLength(1000);
      await write(store, { op: 'session.delete', id: 1 });
      expect(await kept(store, 2)).toMatchObject({ count: count / 2, first: 1, last: count - 1 });
    });
  });

  describe('named queues', () => {
    const DURABLE = {
      ...{ principalKind: 'device' as const, principalId: 'd', anonymous: true, clientId: 'ö', protocol: 'stomp' },
      ...{ filter: 'a/#', autoDelete: false, detachedUs: 5 },
    };

    it('are found again as they were put last, with what waits in them', async () => {
      const store = await make();
      await write(store, putSession(1), putQueue(2), putQueue(3, { name: 'sub', subscription: DURABLE }));
      await write(
        store,
        putQueue(2, { consumed: true, sentPlace: 4, dropped: 7 }),
        addMessage(1, 'a'),
        addEntry(2, 1, 1, { matches: [] }),
        addEntry(3, 1, 1),
        addMessage(2, 'b'),
        addEntry(2, 2, 2),
      );
      const { queues, lastSessionId } = await store.read.startState();
      const none = { count: 0, bytes: 0, first: 0, last: 0, released: [] };
      expect(queues).toEqual([
        {
          queue: { ...row(2), consumed: true, sentPlace: 4, dropped: 7 },
          entries: { ...none, count: 2, bytes: 200, first: 1, last: 2 },
        },
        {
          queue: { ...row(3), name: 'sub', subscription: DURABLE },
          entries: { ...none, count: 1, bytes: 100, first: 1, last: 1 },
        },
      ]);
      expect(lastSessionId).toBe(3);
      expect(await waiting(store, 2)).toEqual(['1 a', '2 b']);
    });

    it('go with what waits in them, and take nothing after that', async () => {
      const store = await make();
      await write(store, putQueue(1), putQueue(2), addMessage(1, 'both'), addEntry(1, 1, 1), addEntry(2, 1, 1));
      await write(store, { op: 'namedQueue.delete', id: 1 }, addMessage(2, 'late'), addEntry(1, 2, 2));
      expect((await store.read.startState()).queues.map(({ queue: { id } }) => id)).toEqual([2]);
      expect(await queue(store, 1)).toEqual([]);
      expect(await waiting(store, 2)).toEqual(['1 both']);
    });

    it('remember how often a message was refused, until it is replaced', async () => {
      const store = await make();
      const refuse = (place: number, refused: number): SessionWrite => ({
        op: 'queue.refuse',
        session: 1,
        place,
        refused,
      });
      const refused = async (): Promise<unknown> => (await queue(store, 1)).map((entry) => entry.refused);
      await write(store, putQueue(1), addMessage(1), addEntry(1, 1, 1), addEntry(1, 2, 1), addEntry(1, 3, 1));
      await write(store, refuse(1, 1), refuse(3, 1), refuse(1, 2), refuse(9, 1));
      expect(await refused()).toEqual([2, 0, 1]);
      await write(
        store,
        removeEntry(1, 3),
        refuse(3, 5),
        addMessage(2),
        addEntry(1, 1, 2),
        addEntry(1, 4, 2),
        refuse(4, 3),
      );
      expect(await refused()).toEqual([0, 0, 3]);
    });

    function row(id: number): object {
      return (putQueue(id) as { queue: object }).queue;
    }
  });
}
