import type { Request } from 'express';
import type { StreamPosition } from '#protocols/reading.js';
import { STREAM_NAME } from '#protocols/names.js';
import { Problem } from '../problems.ts';

/** What the headers mean, for the documentation. */
export const NUMBERED = {
  'Muster-Stream': 'Name of the device’s numbered queue, `[A-Za-z0-9._-]{1,64}`; with Muster-Seq',
  'Muster-Seq': 'Place in that queue, from 1 on: it is stored once, however often it is sent',
};

/** The place of a message in a numbered queue; undefined: it has none. Throws Problem `invalid`. */
export function positionIn(req: Request): StreamPosition | undefined {
  const stream = req.get('muster-stream');
  const seq = req.get('muster-seq');
  if (stream === undefined && seq === undefined) return undefined;
  if (stream === undefined || seq === undefined) {
    throw new Problem('invalid', 'Muster-Stream and Muster-Seq belong together: send both or neither');
  }
  if (!STREAM_NAME.test(stream)) throw new Problem('invalid', 'Muster-Stream is 1 to 64 of A-Z a-z 0-9 . _ -');
  const number = /^[1-9]\d{0,15}$/.test(seq) ? Number(seq) : NaN;
  if (!Number.isSafeInteger(number)) throw new Problem('invalid', 'Muster-Seq is a whole number from 1 to 2^53 - 1');
  return { stream, seq: number };
}
