import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SqliteStore } from '#hub/store/sqlite/index.js';
import type { SessionRow, SessionWrite, StoredMessage, WriteBatch } from '#hub/store/port.js';

/**
 * Queues of sessions that last, in the SQLite store with FULL sync: how fast entries are written and removed, how fast a
 * queue is read, how long a start takes with all of them, and what that costs in memory.
 *
 *     node --expose-gc --conditions=muster-source bench/queues.ts [sessions] [messages of each] [folder]
 */

const sessions = Number(process.argv[2] ?? 10_000);
const messagesOfEach = Number(process.argv[3] ?? 100);
const folder = mkdtempSync(join(process.argv[4] ?? tmpdir(), 'muster-bench-'));
const BATCH = 4000;
const FAN_OUT = 1000;
const PAYLOAD_BYTES = 100;

let store = new SqliteStore(folder);
await store.open();
let lastMessage = 0;
try {
  const { version, synchronous } = await store.read.facts();
  console.log(`SQLite ${version}, synchronous ${synchronous}, ${sessions} sessions x ${messagesOfEach}, ${folder}`);
  for (let id = 1; id <= sessions; id += BATCH) {
    await commit(range(id, Math.min(id + BATCH - 1, sessions)).map((session) => putSession(session)));
  }
  await measureLive();
  await measureFilling();
  await measureStart();
  await measureReading();
  await measureDraining();
} finally {
  await store.close();
  rmSync(folder, { recursive: true });
}

/** Connected sessions: each message goes to many, and leaves their queues while the next ones come. */
async function measureLive(): Promise<void> {
  const perBatch = Math.max(1, BATCH / FAN_OUT);
  let entries = 0;
  let before: SessionWrite[] = [];
  const startMs = performance.now();
  for (let place = 1; performance.now() - startMs < 3000; place += perBatch) {
    const adds: SessionWrite[] = [];
    const removes: SessionWrite[] = [];
    for (let k = 0; k < perBatch; k++) {
      const message = addMessage(`live/${place + k}`);
      adds.push(message);
      for (let session = 1; session <= FAN_OUT; session++) {
        adds.push(addEntry(session, place + k, message.id));
        removes.push({ op: 'queue.remove', session, place: place + k });
      }
    }
    await commit([...adds, ...before]);
    before = removes;
    entries += perBatch * FAN_OUT;
  }
  await commit(before);
  rate(`live, ${FAN_OUT} receivers of each message: entries written and removed`, entries, performance.now() - startMs);
}

/** Sessions without a connection: each message is for one. */
async function measureFilling(): Promise<void> {
  const startMs = performance.now();
  let batch: SessionWrite[] = [];
  let longestMs = 0;
  for (let place = 1; place <= messagesOfEach; place++) {
    for (let session = 1; session <= sessions; session++) {
      const message = addMessage(`devices/device-${session}/state`);
      batch.push(message, addEntry(session, 1_000_000 + place, message.id));
      if (batch.length < 2 * BATCH) continue;
      const beganMs = performance.now();
      await commit(batch);
      longestMs = Math.max(longestMs, performance.now() - beganMs);
      batch = [];
    }
  }
  await commit(batch);
  rate('offline, one receiver each: entries written', sessions * messagesOfEach, performance.now() - startMs);
  console.log(
    `  longest commit ${longestMs.toFixed(0)} ms, database ${megabytes(statSync(join(folder, 'muster.db')).size)}`,
  );
}

async function measureStart(): Promise<void> {
  await store.close();
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  const startMs = performance.now();
  store = new SqliteStore(folder);
  await store.open();
  const openMs = performance.now() - startMs;
  const state = await store.read.startState();
  const readMs = performance.now() - startMs - openMs;
  const waiting = state.sessions.reduce((sum, { queue }) => sum + queue.count, 0);
  globalThis.gc?.();
  console.log(
    `start with ${waiting.toLocaleString('en')} messages: open ${openMs.toFixed(0)} ms, start state ${readMs.toFixed(0)} ms, ` +
      `memory +${megabytes(process.memoryUsage().rss - before)}`,
  );
}

async function measureReading(): Promise<void> {
  const startMs = performance.now();
  let rows = 0;
  for (let session = 1; session <= sessions; session += 10) {
    rows += (await store.read.sessionQueue({ session, afterPlace: 0, limit: 100, maxBytes: 1e6 })).length;
  }
  rate('queues read in pages of 100: messages', rows, performance.now() - startMs);
}

/** All sessions come back at once: each acknowledges from the head of its queue. */
async function measureDraining(): Promise<void> {
  const half = Math.ceil(messagesOfEach / 2);
  const startMs = performance.now();
  let batch: SessionWrite[] = [];
  for (let first = 1; first <= half; first += 20) {
    for (let session = 1; session <= sessions; session++) {
      for (let place = first; place < first + 20 && place <= half; place++)
        batch.push({ op: 'queue.remove', session, place: 1_000_000 + place });
      if (batch.length < BATCH) continue;
      await commit(batch);
      batch = [];
    }
  }
  await commit(batch);
  rate(
    'offline sessions come back, 20 at a time of each: entries removed',
    half * sessions,
    performance.now() - startMs,
  );
}

function addMessage(topic: string): Extract<SessionWrite, { op: 'message.add' }> {
  const payload = Buffer.allocUnsafeSlow(PAYLOAD_BYTES).fill('p');
  const message: StoredMessage = {
    ...{ topic, payload, qos: 1, retain: false, contentType: null, headers: [], responseTopic: null },
    ...{ correlationData: null, payloadIsText: false, expiresMs: null, origin: 'device publisher p' },
  };
  return { op: 'message.add', id: ++lastMessage, message };
}

function addEntry(session: number, place: number, message: number): SessionWrite {
  return { op: 'queue.add', session, place, message, qos: 1, retain: false, matches: ['devices/me/state'], bytes: 200 };
}

function putSession(id: number): SessionWrite {
  const session: SessionRow = {
    ...{ id, principalKind: 'device' as const, principalId: `device-${id}`, anonymous: false, clientId: `c${id}` },
    ...{ protocol: 'mqtt', expiryS: 3600, createdUs: 1, detachedUs: null, sentPlace: 0, dropped: 0 },
  };
  return { op: 'session.put', session };
}

async function commit(writes: readonly SessionWrite[]): Promise<void> {
  const rows: WriteBatch['rows'] = {
    ...{ count: 0, series: new Uint32Array(0), timeUs: new Float64Array(0) },
    ...{ kind: new Uint8Array(0), number: new Float64Array(0), texts: [] },
  };
  await store.commit({ newSeries: [], rows, sequenced: [], sessions: writes, control: [] });
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

function rate(what: string, count: number, elapsedMs: number): void {
  console.log(
    `${what}: ${Math.round((count / elapsedMs) * 1000).toLocaleString('en')}/s (${count.toLocaleString('en')})`,
  );
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}
