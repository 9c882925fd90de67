import type { Database, Statement } from 'better-sqlite3';

/** Inserts rows many at a time: single ones cost three times as much (measured in bench/store.ts). Hot path. */
export class MultiInsert {
  readonly #inserts: readonly { readonly rows: number; readonly statement: Statement }[];
  readonly #perRow: number;
  readonly #full: number;
  /** The bound values of the rows that wait for their insert. */
  readonly #bound: unknown[];
  #waiting = 0;

  /** `sizes`: rows of one INSERT, largest first, ending with 1. `columns`: their names, separated by commas. */
  constructor(db: Database, table: string, columns: string, sizes: readonly number[]) {
    this.#perRow = columns.split(',').length;
    this.#full = sizes[0]! * this.#perRow;
    this.#bound = new Array<unknown>(this.#full).fill(null);
    const row = `(${Array(this.#perRow).fill('?').join(',')})`;
    this.#inserts = sizes.map((rows) => ({
      rows,
      statement: db.prepare(`INSERT INTO ${table} (${columns}) VALUES ${Array(rows).fill(row).join(',')}`),
    }));
  }

  /** Forgets what a failed transaction left waiting. */
  begin(): void {
    this.#waiting = 0;
  }

  /** Where the values of the next row go; `add` takes them. */
  get bound(): unknown[] {
    return this.#bound;
  }

  get at(): number {
    return this.#waiting;
  }

  add(): void {
    this.#waiting += this.#perRow;
    if (this.#waiting < this.#full) return;
    this.#inserts[0]!.statement.run(this.#bound);
    this.#waiting = 0;
  }

  /** All rows are in the table when it returns. */
  flush(): void {
    let first = 0;
    for (const { rows, statement } of this.#inserts) {
      const values = rows * this.#perRow;
      while (this.#waiting - first >= values) {
        statement.run(this.#bound.slice(first, first + values));
        first += values;
      }
    }
    this.#waiting = 0;
  }
}
