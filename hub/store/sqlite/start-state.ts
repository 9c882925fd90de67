import type { Database } from 'better-sqlite3';
import type {
  CommandRow,
  ConnectionRow,
  DeviceRow,
  OperatorRow,
  SeriesRow,
  SignInRow,
  StartState,
  TokenRow,
} from '../port.ts';
import { readKeptState } from './sessions/kept-state.ts';
import type { IndexColumns } from './sessions/queue-index.ts';
import { COMMAND_COLUMNS, CONNECTION_COLUMNS, OPERATOR_COLUMNS, TOKEN_COLUMNS } from './columns.ts';

/** Log rows read at once: some tens of MB of memory. */
const CHUNK_ROWS = 100_000;

/** Everything that the hub must know again. Reads the whole log once, a few million rows a second. */
export function readStartState(db: Database): { readonly state: StartState; readonly index: IndexColumns } {
  return db.transaction(() => {
    const kept = readKeptState(db);
    const series = readSeries(db);
    const state: StartState = {
      devices: readDevices(db),
      tokens: readTokens(db),
      series,
      lastSeriesId: series.at(-1)?.id ?? 0,
      latest: readLatest(db),
      unfinished: db
        .prepare<[], CommandRow>(
          `SELECT ${COMMAND_COLUMNS} FROM commands WHERE state IN ('queued', 'sent', 'received') ORDER BY n`,
        )
        .all(),
      lastConnections: db
        .prepare<[], ConnectionRow>(
          `SELECT ${CONNECTION_COLUMNS} FROM epochs JOIN connections USING (device, epoch) ORDER BY device`,
        )
        .all(),
      operators: readOperators(db),
      signIns: db
        .prepare<[], SignInRow>(
          'SELECT hash, operator, created_us AS createdUs, expires_us AS expiresUs FROM sign_ins ORDER BY rowid',
        )
        .all(),
      ...kept.state,
    };
    return { state, index: kept.index };
  })();
}

function readSeries(db: Database): SeriesRow[] {
  interface Stored extends Omit<SeriesRow, 'unit'> {
    readonly unit: string | null;
  }
  const rows = db.prepare<[], Stored>('SELECT id, device, metric, unit FROM series ORDER BY id').all();
  return rows.map(({ unit, ...row }) => (unit === null ? row : { ...row, unit }));
}

function readDevices(db: Database): DeviceRow[] {
  interface Stored extends Omit<DeviceRow, 'protocols' | 'disabled'> {
    readonly protocols: string | null;
    readonly disabled: number;
  }
  const rows = db
    .prepare<[], Stored>('SELECT id, name, protocols, disabled, created_us AS createdUs FROM devices ORDER BY id')
    .all();
  return rows.map((row) => ({
    ...row,
    protocols: row.protocols === null ? null : (JSON.parse(row.protocols) as string[]),
    disabled: row.disabled !== 0,
  }));
}

function readTokens(db: Database): TokenRow[] {
  interface Stored extends Omit<TokenRow, 'scopes' | 'topics'> {
    readonly scopes: string | null;
    readonly topics: string | null;
  }
  const rows = db.prepare<[], Stored>(`SELECT ${TOKEN_COLUMNS} FROM tokens ORDER BY rowid`).all();
  return rows.map((row) => ({
    ...row,
    scopes: row.scopes === null ? null : (JSON.parse(row.scopes) as TokenRow['scopes']),
    topics: row.topics === null ? null : (JSON.parse(row.topics) as TokenRow['topics']),
  }));
}

function readOperators(db: Database): OperatorRow[] {
  interface Stored extends Omit<OperatorRow, 'disabled'> {
    readonly disabled: number;
  }
  const rows = db.prepare<[], Stored>(`SELECT ${OPERATOR_COLUMNS} FROM operators ORDER BY name`).all();
  return rows.map((row) => ({ ...row, disabled: row.disabled !== 0 }));
}

/** Greatest time of each series, the last committed among equals. The values are looked up only for the rows that won. */
function readLatest(db: Database): StartState['latest'] {
  const chunk = db
    .prepare<[number, number], [id: number, series: number, timeUs: number]>(
      'SELECT id, series, time_us FROM log WHERE id > ? ORDER BY id LIMIT ?',
    )
    .raw();
  const latest = new Map<number, { id: number; timeUs: number }>();
  for (let rows = chunk.all(0, CHUNK_ROWS); rows.length > 0; rows = chunk.all(rows.at(-1)![0], CHUNK_ROWS)) {
    for (const [id, series, timeUs] of rows) {
      const best = latest.get(series);
      if (best === undefined) latest.set(series, { id, timeUs });
      else if (timeUs >= best.timeUs) {
        best.id = id;
        best.timeUs = timeUs;
      }
    }
  }
  const value = db
    .prepare<[number], [value: number | string, isBoolean: number]>(
      "SELECT value, typeof(value) = 'integer' FROM log WHERE id = ?",
    )
    .raw();
  return Array.from(latest, ([series, { id, timeUs }]) => {
    const [stored, isBoolean] = value.get(id)!;
    return { series, timeUs, value: isBoolean === 1 ? stored !== 0 : stored };
  });
}
