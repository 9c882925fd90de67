import type { Database, Statement } from 'better-sqlite3';
import { VALUE_BOOLEAN, VALUE_NUMBER, type ReadingColumns } from '../port.ts';

/** Rows of one INSERT, largest first. Measured in bench/store.ts: beyond 128 nothing is gained, single rows cost three times as much. */
const ROWS_PER_INSERT = [128, 16, 1] as const;
const LARGEST = ROWS_PER_INSERT[0];
const PER_ROW = 3;

/** Appends readings to the log with multi-row inserts. Hot path. */
export class LogWriter {
  readonly #inserts: readonly { readonly rows: number; readonly statement: Statement }[];
  /** The bound values of up to LARGEST rows that wait for their insert. */
  readonly #bound: unknown[] = new Array<unknown>(LARGEST * PER_ROW).fill(null);
  #waiting = 0;

  constructor(db: Database) {
    this.#inserts = ROWS_PER_INSERT.map((rows) => ({
      rows,
      statement: db.prepare(`INSERT INTO log (series, time_us, value) VALUES ${Array(rows).fill('(?,?,?)').join(',')}`),
    }));
  }

  /** Forgets what a failed transaction left waiting. */
  begin(): void {
    this.#waiting = 0;
  }

  /** Appends the rows [first, end). They are in the table after `flush`. */
  append(columns: ReadingColumns, first: number, end: number): void {
    const { series, timeUs, kind, number, texts } = columns;
    const bound = this.#bound;
    let at = this.#waiting * PER_ROW;
    for (let row = first; row < end; row++) {
      const value = number[row]!;
      const type = kind[row];
      bound[at] = series[row];
      bound[at + 1] = timeUs[row];
      // A number is bound as REAL, a BigInt as INTEGER: the type in the table is the kind of the value.
      bound[at + 2] = type === VALUE_NUMBER ? value : type === VALUE_BOOLEAN ? (value === 0 ? 0n : 1n) : texts[value];
      at += PER_ROW;
      if (at === LARGEST * PER_ROW) {
        this.#inserts[0]!.statement.run(bound);
        at = 0;
      }
    }
    this.#waiting = at / PER_ROW;
  }

  flush(): void {
    let first = 0;
    for (const { rows, statement } of this.#inserts) {
      while (this.#waiting - first >= rows) {
        statement.run(this.#bound.slice(first * PER_ROW, (first + rows) * PER_ROW));
        first += rows;
      }
    }
    this.#waiting = 0;
  }
}
