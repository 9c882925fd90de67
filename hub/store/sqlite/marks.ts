import type { Database, Statement } from 'better-sqlite3';

interface Mark {
  readonly device: string;
  readonly stream: string;
  mark: number;
  used: number;
  /** The table does not have it yet. */
  readonly fresh: boolean;
  /** A message moved it, so it must be written. */
  moved: boolean;
}

/**
 * The last decided number of each stream. Within a transaction the marks of its messages are held here, looked up once and written
 * once. Uses are numbered, since a message brings no time: the smallest number is the longest unused stream.
 */
export class Marks {
  readonly #select: Statement<[string, string], { mark: number }>;
  readonly #upsert: Statement;
  readonly #trim: Statement;
  readonly #count: Statement<[string], { count: number }>;
  readonly #streamsPerDevice: number;
  #lastUse: number;

  constructor(db: Database, streamsPerDevice: number) {
    this.#streamsPerDevice = streamsPerDevice;
    this.#select = db.prepare('SELECT mark FROM streams WHERE device = ? AND stream = ?');
    this.#upsert = db.prepare(
      'INSERT INTO streams (device, stream, mark, used) VALUES (?, ?, ?, ?) ' +
        'ON CONFLICT DO UPDATE SET mark = excluded.mark, used = excluded.used',
    );
    this.#count = db.prepare('SELECT count(*) AS count FROM streams WHERE device = ?');
    this.#trim = db.prepare(
      'DELETE FROM streams WHERE device = :device AND stream IN ' +
        '(SELECT stream FROM streams WHERE device = :device ORDER BY used LIMIT :over)',
    );
    this.#lastUse = db.prepare<[], number>('SELECT coalesce(max(used), 0) FROM streams').pluck().get() ?? 0;
  }

  /** The marks of these streams as they stand. */
  load(streams: readonly { readonly device: string; readonly stream: string }[]): Mark[] {
    return streams.map(({ device, stream }) => {
      const mark = this.get(device, stream);
      return { device, stream, mark: mark ?? 0, used: 0, fresh: mark === undefined, moved: false };
    });
  }

  advance(mark: Mark, seq: number): void {
    mark.mark = seq;
    mark.used = ++this.#lastUse;
    mark.moved = true;
  }

  save(marks: readonly Mark[]): void {
    for (const { device, stream, mark, used, fresh, moved } of marks) {
      if (!moved) continue;
      this.#upsert.run(device, stream, mark, used);
      if (fresh) this.#trimDevice(device, this.#streamsPerDevice);
    }
  }

  get(device: string, stream: string): number | undefined {
    return this.#select.get(device, stream)?.mark;
  }

  /** Sets the mark, used now, and lets the longest unused streams of the device go. */
  set(device: string, stream: string, mark: number, maxStreams: number): void {
    this.#upsert.run(device, stream, mark, ++this.#lastUse);
    this.#trimDevice(device, maxStreams);
  }

  #trimDevice(device: string, most: number): void {
    const over = this.#count.get(device)!.count - Math.max(1, most);
    if (over > 0) this.#trim.run({ device, over });
  }
}
