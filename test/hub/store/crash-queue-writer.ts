import { writeSync } from 'node:fs';
import type { SessionWrite } from '#hub/store/port.js';
import { SqliteStore } from '#hub/store/sqlite/index.js';
import { addEntry, addMessage, batch, putSession, removeEntry } from '../../contract/store-batches.ts';
import { KEPT, OWED, SESSIONS } from './crash-queue-rules.ts';

/**
 * Plays a hub with sessions that last, until it is killed: step n adds message n to all their queues, releases the place n - OWED and removes the
 * place n - KEPT. Prints the last step of each batch once it is acknowledged.
 *
 *     crash-queue-writer.ts folder seed
 */

const folder = process.argv[2]!;
let random = Number(process.argv[3]);

const store = new SqliteStore(folder, { checkpointBytes: 256 * 1024 });
await store.open();
const { lastMessageId, sessions } = await store.read.startState();
if (sessions.length === 0) await store.commit(batch({ sessions: SESSIONS.map((id) => putSession(id)) }));
let step = lastMessageId;

while (true) {
  random = (random * 1_103_515_245 + 12_345) % 2_147_483_648;
  const writes: SessionWrite[] = [];
  for (let left = 1 + (random % 60); left > 0; left--) {
    step++;
    writes.push(addMessage(step), ...SESSIONS.map((id) => addEntry(id, step, step)));
    for (const session of SESSIONS) {
      writes.push({ op: 'queue.release', session, place: step - OWED }, removeEntry(session, step - KEPT));
    }
  }
  await store.commit(batch({ sessions: writes }));
  writeSync(1, `${step}\n`);
}
