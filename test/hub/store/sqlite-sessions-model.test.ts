import Database from 'better-sqlite3';
import fc from 'fast-check';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { MemoryStore } from '#hub/store/memory.js';
import { StoreError, type QueueRow, type SessionWrite, type Store, type WillRow } from '#hub/store/port.js';
import {
  addEntry,
  addMessage,
  batch,
  putQueue,
  putSession,
  removeEntry,
  storedMessage,
} from '../../contract/store-batches.ts';
import { openStore, temporaryFolder } from './folders.ts';
import { queueFaults } from './queue-checks.ts';

const BATCHES = 300;

const KINDS = [
  'add',
  'fan',
  'name',
  'remove',
  'release',
  'refuse',
  'session',
  'subscribe',
  'receipt',
  'retain',
  'will',
] as const;
const step = fc.record({
  kind: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('add', 'remove') },
    { weight: 2, arbitrary: fc.constantFrom(...KINDS) },
  ),
  a: fc.nat(1000),
  b: fc.nat(1000),
  c: fc.nat(1000),
});
const sample = fc.record({
  steps: fc.array(step, { maxLength: 40 }),
  fails: fc.nat(9),
  reopens: fc.nat(14),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Makes writes as a registry would, and now and then as it would not. Ids rise, places mostly do. */
class Writer {
  /** Sessions and named queues, which have their numbers of one row. */
  readonly #sessions: number[] = [];
  readonly #places = new Map<number, number>();
  #lastSession = 0;
  #lastMessage = 0;

  writes(steps: readonly Step[]): SessionWrite[] {
    return steps.flatMap((made) => this.#write(made));
  }

  #write({ kind, a, b, c }: Step): SessionWrite[] {
    if (this.#sessions.length < 2) return [this.#newSession()];
    const session = this.#sessions[a % this.#sessions.length]!;
    const last = this.#places.get(session)!;
    // Near the head or near the end.
    const place = b % 2 === 0 ? Math.max(1, last - (c % 12)) : 1 + (c % 30);
    switch (kind) {
      case 'add':
        return [this.#newMessage(b), this.#entry(session, this.#lastMessage, c)];
      case 'fan':
        return [this.#newMessage(b), ...this.#sessions.map((id) => this.#entry(id, this.#lastMessage, c))];
      case 'name':
        // Some of them have gone meanwhile.
        return this.#lastMessage === 0 ? [] : [this.#entry(session, Math.max(1, this.#lastMessage - (b % 30)), c)];
      case 'remove':
        return [removeEntry(session, place)];
      case 'release':
        return [{ op: 'queue.release', session, place }];
      case 'refuse':
        return [{ op: 'queue.refuse', session, place, refused: 1 + (c % 9) }];
      case 'session':
        return a % 4 === 0
          ? [this.#deleteSession(b)]
          : a % 4 === 1
            ? [isQueue(session) ? putQueue(session, { dropped: b, sentPlace: c }) : putSession(session, { dropped: b })]
            : [this.#newSession()];
      case 'subscribe':
        return b % 3 === 0
          ? [{ op: 'subscription.delete', session, id: `f${c % 4}` }]
          : [
              {
                op: 'subscription.put',
                session,
                subscription: { id: `f${c % 4}`, filter: 'f', qos: 1, noLocal: b % 2 === 0 },
              },
            ];
      case 'receipt':
        return [{ op: b % 2 === 0 ? 'receipt.add' : 'receipt.remove', session, packetId: 1 + (c % 5) }];
      case 'retain':
        return b % 3 === 0
          ? [{ op: 'retained.delete', topic: `r${c % 4}` }]
          : [{ op: 'retained.put', message: storedMessage(`${b}`, { topic: `r${c % 4}`, retain: true }) }];
      case 'will':
        return b % 2 === 0 ? [{ op: 'will.delete', key: `k${c % 3}` }] : [putWill(`k${c % 3}`, b)];
    }
  }

  #newSession(): SessionWrite {
    const id = ++this.#lastSession;
    this.#sessions.push(id);
    this.#places.set(id, 0);
    return isQueue(id) ? putQueue(id, id % 6 === 0 ? { subscription: DURABLE } : {}) : putSession(id);
  }

  #deleteSession(n: number): SessionWrite {
    const [id] = this.#sessions.splice(n % this.#sessions.length, 1);
    return { op: isQueue(id!) ? 'namedQueue.delete' : 'session.delete', id: id! };
  }

  #newMessage(n: number): SessionWrite {
    return addMessage(
      ++this.#lastMessage,
      `m${this.#lastMessage}`,
      n % 4 === 0 ? { expiresMs: n, headers: [['h', `${n}`]] } : {},
    );
  }

  #entry(session: number, message: number, n: number): SessionWrite {
    const again = n % 17 === 0;
    const next = this.#places.get(session)! + 1 + (n % 5 === 0 ? 3 : 0);
    const place = again ? 1 + (n % next) : next;
    if (!again) this.#places.set(session, place);
    return addEntry(session, place, message, {
      qos: n % 2 === 0 ? 1 : 2,
      bytes: n,
      matches: n % 3 === 0 ? ['a', 'b'] : ['a'],
    });
  }
}

const DURABLE = {
  ...{ principalKind: 'application' as const, principalId: 'app', anonymous: false, clientId: 'c', protocol: 'stomp' },
  ...{ filter: 'a/#', autoDelete: true, detachedUs: 7 },
};

function isQueue(id: number): boolean {
  return id % 3 === 0;
}

function putWill(key: string, dueUs: number): SessionWrite {
  const will: WillRow = {
    ...{ key, principalKind: 'device' as const, principalId: 'd', anonymous: false, protocol: 'mqtt' },
    ...{ message: storedMessage('w'), delayS: 1, expiryS: null, dueUs },
  };
  return { op: 'will.put', will };
}

async function everything(store: Store): Promise<unknown> {
  const { sessions, queues, lastSessionId, lastMessageId, retained, wills } = await store.read.startState();
  const waiting: (readonly QueueRow[])[] = [];
  for (const { id } of [...sessions.map(({ session }) => session), ...queues.map(({ queue }) => queue)]) {
    const query = { session: id, limit: 7, maxBytes: 3000 };
    let page = await store.read.sessionQueue({ ...query, afterPlace: 0 });
    for (; page.length > 0; page = await store.read.sessionQueue({ ...query, afterPlace: page.at(-1)!.place }))
      waiting.push(page);
  }
  return { sessions, queues, lastSessionId, lastMessageId, retained, wills, waiting };
}

it(
  'SQLite and memory answer alike after the same session writes, through failures and restarts',
  { timeout: 60_000 },
  async () => {
    const seed = Math.floor(Math.random() * 1e9);
    const folder = temporaryFolder();
    const sqlite = await openStore(folder, { busyTimeoutMs: 1 });
    const memory = new MemoryStore();
    await memory.open();
    const writer = new Writer();
    for (const [index, { steps, fails, reopens }] of fc.sample(sample, { numRuns: BATCHES, seed }).entries()) {
      const where = `seed ${seed}, batch ${index}`;
      const sessions = writer.writes(steps);
      if (fails === 0) await refused(folder, sqlite, sessions);
      await sqlite.commit(batch({ sessions }));
      await memory.commit(batch({ sessions }));
      if (reopens === 0) {
        await sqlite.close();
        await sqlite.open();
      }
      if (index % 10 !== 0 && index !== BATCHES - 1) continue;
      expect(await everything(sqlite), where).toEqual(await everything(memory));
      expect(queueFaults(folder), where).toEqual([]);
    }
  },
);

/** The batch is tried while another program holds the database. */
async function refused(folder: string, store: Store, sessions: readonly SessionWrite[]): Promise<void> {
  const other = new Database(join(folder, 'muster.db'));
  other.exec('BEGIN IMMEDIATE');
  await expect(store.commit(batch({ sessions }))).rejects.toBeInstanceOf(StoreError);
  other.exec('ROLLBACK');
  other.close();
}
