import { afterAll, beforeAll, describe } from 'vitest';
import { behavesAsADevice } from './behaviour.ts';
import { makeC, skips, whyNoC, type Made } from './programs.ts';

const missing = whyNoC();

describe.skipIf(skips('c-device.test.ts', missing))('the C device, under the sanitizers', () => {
  let made: Made;
  beforeAll(() => {
    if (missing !== null) throw new Error(missing);
    // A queue so small that its ring goes round, is full at times, and has its file written anew.
    made = makeC(['device-checked'], [`DEFINES=-DQUEUE_BYTES=${QUEUE_BYTES}`]);
  }, 120_000);
  afterAll(() => {
    if (missing === null) made.remove();
  });

  behavesAsADevice({
    name: 'c',
    missing,
    command: () => [made.program('device-checked')],
    readsLongCommands: false,
    mostFileBytes: 5 * QUEUE_BYTES,
    halfAMessage: Buffer.from('4000010000001122', 'hex'),
    messagesIn,
  });
});

/** Bytes of the header and of a record's head: examples/c/queue.c. */
const HEADER_BYTES = 88;
const RECORD_HEAD_BYTES = 8;
const QUEUE_BYTES = 8192;

function messagesIn(file: Buffer): number {
  let count = 0;
  for (let at = HEADER_BYTES; at + RECORD_HEAD_BYTES <= file.length; count++) {
    at += RECORD_HEAD_BYTES + file.readUInt16LE(at);
    if (at > file.length) break;
  }
  return count;
}
