import type { Database, Statement } from 'better-sqlite3';
import type { ControlResult } from '../../port.ts';
import { openStream } from '../../sequence.ts';
import type { Marks } from '../marks.ts';
import type { Write } from './index.ts';

export class StreamWrites {
  readonly #marks: Marks;
  readonly #insertGap: Statement;
  readonly #trimGaps: Statement;
  readonly #keepGaps: number;

  constructor(db: Database, marks: Marks, gapsPerDevice: number) {
    this.#marks = marks;
    this.#keepGaps = gapsPerDevice;
    this.#insertGap = db.prepare('INSERT INTO gaps (device, stream, from_seq, to_seq, time_us) VALUES (?, ?, ?, ?, ?)');
    this.#trimGaps = db.prepare(
      'DELETE FROM gaps WHERE device = :device AND id <= ' +
        '(SELECT id FROM gaps WHERE device = :device ORDER BY id DESC LIMIT 1 OFFSET :keep)',
    );
  }

  open({ device, stream, nextSeq, maxStreams, timeUs }: Write<'stream.open'>): ControlResult {
    const { mark, gap } = openStream(this.#marks.get(device, stream), nextSeq);
    if (gap !== null) {
      this.#insertGap.run(device, stream, gap.fromSeq, gap.toSeq, timeUs);
      this.#trimGaps.run({ device, keep: this.#keepGaps });
    }
    this.#marks.set(device, stream, mark, maxStreams);
    return { ok: true, resumeSeq: mark + 1 };
  }
}
