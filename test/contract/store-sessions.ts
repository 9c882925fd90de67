import { describe, expect, it } from 'vitest';
import { StoreError, type SessionWrite, type StartState, type Store, type WillRow } from '#hub/store/port.js';
import { addMessage, batch, putSession, sessionRow, storedMessage } from './store-batches.ts';
import type { StoreUnderTest } from './store.ts';

const RETAINED = (text: string, topic = `t/${text}`): SessionWrite => ({
  op: 'retained.put',
  message: storedMessage(text, { topic, retain: true }),
});

function will(key: string, more: Partial<WillRow> = {}): WillRow {
  return {
    ...{ key, principalKind: 'device', principalId: 'd1', anonymous: false, protocol: 'mqtt' },
    ...{ message: storedMessage('gone', { topic: 'devices/me/events/gone' }), delayS: 30, expiryS: null, dueUs: null },
    ...more,
  };
}

/** All that a message can carry. */
const EVERYTHING = storedMessage('all', {
  payload: new Uint8Array([0, 255, 128, 10]),
  qos: 2,
  retain: true,
  contentType: 'application/cbor',
  headers: [
    ['a', '1'],
    ['b', ''],
    ['a', '"2", [3]'],
  ],
  responseTopic: 'answers/1',
  correlationData: new Uint8Array([1, 0, 2]),
  payloadIsText: true,
  expiresMs: 1_770_000_000_123,
  origin: 'device d1 c1',
});

export function storeSessions({ make, obstruct }: StoreUnderTest): void {
  const write = async (store: Store, ...sessions: SessionWrite[]): Promise<void> => {
    await store.commit(batch({ sessions }));
  };
  const start = async (store: Store): Promise<StartState> => store.read.startState();

  describe('sessions that last', () => {
    it('are there again with their subscriptions and receipts', async () => {
      const store = await make();
      const detached = sessionRow(2, {
        ...{ principalKind: 'application', principalId: 'app', anonymous: true, clientId: 'ö "x"', protocol: 'stomp' },
        ...{ expiryS: 0xffff_ffff, createdUs: 7, detachedUs: 1_770_000_000_000_001, sentPlace: 9, dropped: 3 },
      });
      await write(
        store,
        putSession(1),
        { op: 'session.put', session: detached },
        {
          op: 'subscription.put',
          session: 1,
          subscription: {
            ...{ id: '$share/g/a/+', filter: 'a/+', qos: 2, share: 'g', noLocal: true },
            ...{ retainAsPublished: false, retainHandling: 2, identifier: 268_435_455 },
          },
        },
        { op: 'subscription.put', session: 1, subscription: { id: 'b', filter: 'b', qos: 0 } },
        { op: 'receipt.add', session: 1, packetId: 65_535 },
        { op: 'receipt.add', session: 1, packetId: 7 },
        { op: 'receipt.add', session: 1, packetId: 8 },
        { op: 'receipt.remove', session: 1, packetId: 8 },
        { op: 'receipt.add', session: 2, packetId: 7 },
      );
      const nothing = { count: 0, bytes: 0, first: 0, last: 0, released: [] };
      const { sessions, lastSessionId } = await start(store);
      expect(lastSessionId).toBe(2);
      expect(sessions).toEqual([
        {
          session: sessionRow(1),
          subscriptions: [
            {
              ...{ id: '$share/g/a/+', filter: 'a/+', qos: 2, share: 'g', noLocal: true },
              ...{ retainAsPublished: false, retainHandling: 2, identifier: 268_435_455 },
            },
            { id: 'b', filter: 'b', qos: 0 },
          ],
          queue: nothing,
          receipts: [7, 65_535],
        },
        { session: detached, subscriptions: [], queue: nothing, receipts: [7] },
      ]);
    });

    it('are replaced without what is theirs, and subscriptions in their place', async () => {
      const store = await make();
      const subscribe = (id: string, qos: 0 | 1): SessionWrite => ({
        ...{ op: 'subscription.put', session: 1, subscription: { id, filter: `${id}/#`, qos } },
      });
      await write(store, putSession(1), subscribe('a', 1), subscribe('b', 1), {
        ...{ op: 'receipt.add', session: 1, packetId: 1 },
      });
      await write(store, putSession(1, { dropped: 4 }), subscribe('a', 0), {
        op: 'receipt.add',
        session: 1,
        packetId: 1,
      });
      await write(store, { op: 'subscription.delete', session: 1, id: 'b' }, subscribe('c', 1));
      const [kept] = (await start(store)).sessions;
      expect(kept!.session.dropped).toBe(4);
      expect(kept!.subscriptions.map(({ id, qos }) => [id, qos])).toEqual([
        ['a', 0],
        ['c', 1],
      ]);
      expect(kept!.receipts).toEqual([1]);
    });

    it('go with all that is theirs, and their ids are remembered', async () => {
      const store = await make();
      const subscription = { id: 'a', filter: 'a', qos: 1 } as const;
      await write(store, putSession(1), putSession(2), { op: 'subscription.put', session: 2, subscription });
      await write(store, { op: 'receipt.add', session: 2, packetId: 5 }, addMessage(9));
      await write(store, { op: 'session.delete', id: 2 });
      const { sessions, lastSessionId, lastMessageId } = await start(store);
      expect(sessions.map(({ session }) => session.id)).toEqual([1]);
      expect([lastSessionId, lastMessageId]).toEqual([2, 9]);
    });

    it('what belongs to a session that is not there, and what is removed and not there, does no harm', async () => {
      const store = await make();
      await write(
        store,
        ...([
          { op: 'session.delete', id: 5 },
          { op: 'subscription.put', session: 5, subscription: { id: 'a', filter: 'a', qos: 1 } },
          { op: 'subscription.delete', session: 5, id: 'b' },
          { op: 'queue.remove', session: 5, place: 1 },
          { op: 'queue.release', session: 5, place: 1 },
          { op: 'receipt.add', session: 5, packetId: 1 },
          { op: 'receipt.remove', session: 5, packetId: 2 },
          { op: 'retained.delete', topic: 'nothing' },
          { op: 'will.delete', key: 'nobody' },
        ] as const),
        putSession(6),
      );
      const { sessions, retained, wills } = await start(store);
      expect(sessions.map(({ session }) => session.id)).toEqual([6]);
      expect([retained, wills]).toEqual([[], []]);
    });

    it('are written in the transaction of the batch, and with it not at all when it fails', async () => {
      const store = await make();
      await write(store, putSession(1));
      const failing = batch({
        sessions: [putSession(2), { op: 'receipt.add', session: 1, packetId: 4 }, RETAINED('x'), addMessage(3)],
      });
      const clear = obstruct(store);
      for (let attempt = 0; attempt < 2; attempt++) {
        await expect(store.commit(failing)).rejects.toBeInstanceOf(StoreError);
      }
      const before = await start(store);
      expect(before.sessions).toHaveLength(1);
      expect(before).toMatchObject({ retained: [], lastSessionId: 1, lastMessageId: 0 });
      clear();
      await store.commit(failing);
      const after = await start(store);
      expect(after.sessions.map(({ receipts }) => receipts)).toEqual([[4], []]);
      expect(after).toMatchObject({ lastSessionId: 2, lastMessageId: 3 });
      expect(after.retained).toHaveLength(1);
    });
  });

  describe('retained messages', () => {
    it('are the last of each topic, oldest first', async () => {
      const store = await make();
      await write(store, RETAINED('1', 'a'), RETAINED('2', 'b'), RETAINED('3', 'c'));
      await write(store, RETAINED('4', 'a'), RETAINED('5', 'd'));
      await write(store, { op: 'retained.delete', topic: 'b' }, RETAINED('6', 'c'), RETAINED('7', 'c'));
      const texts = (await start(store)).retained.map(({ topic, payload }) => [topic, Buffer.from(payload).toString()]);
      expect(texts).toEqual([
        ['a', '4'],
        ['d', '5'],
        ['c', '7'],
      ]);
    });

    it('follow the order of the writes within a batch', async () => {
      const store = await make();
      const gone = (topic: string): SessionWrite => ({ op: 'retained.delete', topic });
      await write(store, RETAINED('1', 'a'), RETAINED('1', 'b'));
      await write(store, gone('a'), RETAINED('2', 'a'), RETAINED('2', 'b'), gone('b'), RETAINED('1', 'c'), gone('c'));
      expect((await start(store)).retained.map(({ topic }) => topic)).toEqual(['a']);
    });

    it('carry all that a message can carry, byte for byte', async () => {
      const store = await make();
      await write(store, { op: 'retained.put', message: EVERYTHING });
      await write(store, RETAINED('plain'), {
        op: 'retained.put',
        message: storedMessage('empty', { payload: new Uint8Array(0), correlationData: new Uint8Array(0) }),
      });
      const { retained } = await start(store);
      expect(retained[0]).toEqual(EVERYTHING);
      expect(retained[2]).toMatchObject({ payload: new Uint8Array(0), correlationData: new Uint8Array(0) });
    });
  });

  describe('wills', () => {
    it('are one for each key, until they are deleted', async () => {
      const store = await make();
      const full = will('b', {
        ...{ principalKind: 'application', principalId: 'app', anonymous: true, protocol: 'stomp' },
        ...{
          message: { ...EVERYTHING, expiresMs: null },
          delayS: 0xffff_ffff,
          expiryS: 60,
          dueUs: 1_770_000_000_000_000,
        },
      });
      await write(store, { op: 'will.put', will: will('c') }, { op: 'will.put', will: will('b') });
      await write(store, { op: 'will.put', will: full }, { op: 'will.put', will: will('a') });
      expect((await start(store)).wills).toEqual([will('a'), full, will('c')]);
      await write(store, { op: 'will.delete', key: 'b' }, { op: 'will.delete', key: 'c' });
      expect((await start(store)).wills).toEqual([will('a')]);
    });

    it('do not change when the buffer that they came in does', async () => {
      const store = await make();
      const pool = Buffer.alloc(64, 'x');
      const message = storedMessage('w', { payload: pool.subarray(10, 14), correlationData: pool.subarray(20, 22) });
      const commit = store.commit(
        batch({
          sessions: [
            { op: 'will.put', will: will('a', { message }) },
            { op: 'retained.put', message },
          ],
        }),
      );
      await commit;
      pool.fill('y');
      const { wills, retained } = await start(store);
      for (const kept of [wills[0]!.message, retained[0]!]) {
        expect(Buffer.from(kept.payload).toString()).toBe('xxxx');
        expect(Buffer.from(kept.correlationData!).toString()).toBe('xx');
      }
    });
  });
}
