import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { wholeLog } from '../../contract/store-batches.ts';
import { afterStep } from './crash-queue-rules.ts';
import { openStore, startProgram, temporaryFolder } from './folders.ts';
import { queueFaults } from './queue-checks.ts';

const ROUNDS = 5;
const LONGEST_RUN_MS = 400;

/** Lets the writer run for a while after its first acknowledgement and kills it; returns the last number that it saw acknowledged. */
async function runAndKill(folder: string, seed: number, program = 'crash-writer.ts'): Promise<number> {
  const child = startProgram(program, folder, String(seed));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  await once(child.stdout, 'data');
  await sleep(Math.random() * LONGEST_RUN_MS);
  child.kill('SIGKILL');
  await once(child, 'close');
  // A last line that was cut counts for nothing.
  return Number(output.slice(0, output.lastIndexOf('\n')).split('\n').at(-1));
}

it('kill -9 at any moment loses nothing that was acknowledged, and a resend stores nothing twice', async () => {
  const folder = temporaryFolder();
  let acknowledged = 0;
  for (let round = 1; round <= ROUNDS; round++) {
    const last = await runAndKill(folder, round);
    expect(last).toBeGreaterThan(acknowledged - 400);
    acknowledged = Math.max(acknowledged, last);

    const store = await openStore(folder);
    const times = (await wholeLog(store)).map(({ timeUs }) => timeUs);
    await store.close();
    // Every message up to the last is there whole, once and in order; the last may be one that was stored and not yet acknowledged.
    const stored = Math.floor(times.at(-1)! / 10);
    expect(stored).toBeGreaterThanOrEqual(acknowledged);
    const expected: number[] = [];
    for (let seq = 1; seq <= stored; seq++) for (let i = 0; i <= seq % 4; i++) expected.push(10 * seq + i);
    expect(times).toEqual(expected);
  }
}, 60_000);

it('kill -9 at any moment leaves queues as they were after an acknowledged batch or the one behind it', async () => {
  const folder = temporaryFolder();
  for (let round = 1; round <= ROUNDS; round++) {
    const acknowledged = await runAndKill(folder, round, 'crash-queue-writer.ts');
    const store = await openStore(folder);
    const { sessions, lastMessageId } = await store.read.startState();
    expect(lastMessageId).toBeGreaterThanOrEqual(acknowledged);
    const { waiting, owed } = afterStep(lastMessageId);
    for (const { session, queue } of sessions) {
      expect(queue).toMatchObject({ count: waiting.length, released: owed });
      const rows = await store.read.sessionQueue({ session: session.id, afterPlace: 0, limit: 1000, maxBytes: 1e9 });
      expect(rows.map(({ place, message }) => `${place} ${Buffer.from(message.payload).toString()}`)).toEqual(
        waiting.map((place) => `${place} m${place}`),
      );
    }
    await store.close();
    expect(queueFaults(folder)).toEqual([]);
  }
}, 60_000);
