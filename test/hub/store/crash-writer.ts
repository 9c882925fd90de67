import { writeSync } from 'node:fs';
import { SqliteStore } from '#hub/store/sqlite/index.js';
import { batch, message, openStream, series, type TestReading } from '../../contract/store-batches.ts';

/**
 * Plays a device that numbers its messages, until it is killed: goes on where the store stands, sends the last RESENT messages once more, and
 * prints the highest number that was acknowledged. Message n has 1 + n % 4 readings, the i-th at time 10 n + i.
 *
 *     crash-writer.ts folder seed
 */

const RESENT = 20;
const folder = process.argv[2]!;
let random = Number(process.argv[3]);

const store = new SqliteStore(folder, { checkpointBytes: 256 * 1024 });
await store.open();
const { lastSeriesId } = await store.read.startState();
const { control } = await store.commit(
  batch({ newSeries: lastSeriesId === 0 ? [series(1)] : [], control: [openStream(1)] }),
);
const [opened] = control;
if (opened?.ok !== true) throw new Error('no stream');
let seq = Math.max(1, opened.resumeSeq! - RESENT);

while (true) {
  random = (random * 1_103_515_245 + 12_345) % 2_147_483_648;
  const readings: TestReading[] = [];
  const sequenced = Array.from({ length: 1 + (random % 400) }, () => {
    const first = readings.length;
    for (let i = 0; i <= seq % 4; i++) readings.push([1, 10 * seq + i, i % 2 === 0 ? seq : `text of ${seq}`]);
    return message(seq++, first, readings.length);
  });
  await store.commit(batch({ readings, sequenced }));
  writeSync(1, `${seq - 1}\n`);
}
