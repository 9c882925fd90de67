import type { Database, Statement } from 'better-sqlite3';
import { pageLimit, pageOf, parseNumberCursor } from '../cursor.ts';
import type {
  CommandEvent,
  CommandRow,
  CommandState,
  ConnectionRow,
  EventRow,
  Page,
  PageRequest,
  RejectedRow,
} from '../port.ts';
import { COMMAND_COLUMNS, CONNECTION_COLUMNS } from './columns.ts';

interface Gap {
  readonly stream: string;
  readonly fromSeq: number;
  readonly toSeq: number;
  readonly timeUs: number;
}

type Numbered<T> = T & { readonly n: number };
type Paged<T> = Statement<[{ device: string; before: number; most: number }], T>;

/** The lists of a device, newest first, found by index. */
export class Lists {
  readonly #rejected: Paged<RejectedRow>;
  readonly #evicted: Statement<[string], number>;
  readonly #events: Paged<EventRow>;
  readonly #connections: Paged<ConnectionRow>;
  readonly #commands: Paged<Numbered<CommandRow>>;
  readonly #commandsInState: Statement<
    [{ device: string; before: number; most: number; state: CommandState }],
    Numbered<CommandRow>
  >;
  readonly #command: Statement<[string], Numbered<CommandRow>>;
  readonly #history: Statement<[number], CommandEvent>;
  readonly #gaps: Statement<[string], Gap>;
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
    this.#rejected = db.prepare(
      'SELECT id, device, time_us AS timeUs, protocol, topic, content_type AS contentType, payload, code, message ' +
        'FROM rejected WHERE device = :device AND id < :before ORDER BY id DESC LIMIT :most',
    );
    this.#evicted = db
      .prepare<[string], number>("SELECT evicted FROM kept WHERE list = 'rejected' AND device = ?")
      .pluck();
    this.#events = db.prepare(
      'SELECT id, device, time_us AS timeUs, name, content_type AS contentType, payload ' +
        'FROM events WHERE device = :device AND id < :before ORDER BY id DESC LIMIT :most',
    );
    this.#connections = db.prepare(
      `SELECT ${CONNECTION_COLUMNS} FROM connections WHERE device = :device AND epoch < :before ORDER BY epoch DESC LIMIT :most`,
    );
    const commands = `SELECT n, ${COMMAND_COLUMNS} FROM commands WHERE device = :device AND n < :before`;
    this.#commands = db.prepare(`${commands} ORDER BY n DESC LIMIT :most`);
    this.#commandsInState = db.prepare(`${commands} AND state = :state ORDER BY n DESC LIMIT :most`);
    this.#command = db.prepare(`SELECT n, ${COMMAND_COLUMNS} FROM commands WHERE id = ?`);
    this.#history = db.prepare(
      'SELECT state, time_us AS timeUs, detail FROM command_history WHERE command = ? ORDER BY step',
    );
    this.#gaps = db.prepare(
      'SELECT stream, from_seq AS fromSeq, to_seq AS toSeq, time_us AS timeUs FROM gaps WHERE device = ? ORDER BY id',
    );
  }

  rejected(device: string, page: PageRequest): Page<RejectedRow> & { readonly evicted: number } {
    const found = paged(page, (before, most) => this.#rejected.all({ device, before, most }), numberOfRow);
    return { ...found, evicted: this.#evicted.get(device) ?? 0 };
  }

  events(device: string, page: PageRequest): Page<EventRow> {
    return paged(page, (before, most) => this.#events.all({ device, before, most }), numberOfRow);
  }

  connections(device: string, page: PageRequest): Page<ConnectionRow> {
    return paged(
      page,
      (before, most) => this.#connections.all({ device, before, most }),
      ({ epoch }) => epoch,
    );
  }

  commands(device: string, page: PageRequest & { readonly state: CommandState | null }): Page<CommandRow> {
    const { state } = page;
    const found = paged(
      page,
      (before, most) =>
        state === null
          ? this.#commands.all({ device, before, most })
          : this.#commandsInState.all({ device, before, most, state }),
      ({ n }) => n,
    );
    return { items: found.items.map(commandRow), next: found.next };
  }

  command(id: string): { readonly command: CommandRow; readonly history: readonly CommandEvent[] } | null {
    return this.#db.transaction(() => {
      const row = this.#command.get(id);
      return row === undefined ? null : { command: commandRow(row), history: this.#history.all(row.n) };
    })();
  }

  gaps(device: string): readonly Gap[] {
    return this.#gaps.all(device);
  }
}

/** Reads one row too many to know whether there is more. */
function paged<T>(
  page: PageRequest,
  read: (before: number, most: number) => T[],
  numberOf: (row: T) => number,
): Page<T> {
  const limit = pageLimit(page.limit);
  return pageOf(read(parseNumberCursor(page.after, Number.MAX_SAFE_INTEGER), limit + 1), limit, numberOf);
}

function numberOfRow({ id }: { readonly id: number }): number {
  return id;
}

function commandRow({ n: _, ...command }: Numbered<CommandRow>): CommandRow {
  return command;
}
