import { formatRangeCursor, pageLimit, pageOf, parseNumberCursor, parseRangeCursor } from '../cursor.ts';
import { MAX_READING_ROWS } from '../options.ts';
import type {
  CommandEvent,
  CommandRow,
  CommandState,
  ConnectionRow,
  EventRow,
  LogRow,
  Page,
  PageRequest,
  QueueRow,
  RejectedRow,
  StartState,
  StoreFacts,
  StoreReader,
} from '../port.ts';
import { unknownSeries } from '../wording.ts';
import type { Gap, MemoryTables } from './tables.ts';

type RangeQuery = Parameters<StoreReader['range']>[0];

/** The reads on maps and arrays. */
export class MemoryReader implements StoreReader {
  readonly #tables: MemoryTables;
  readonly #assertOpen: () => void;

  constructor(tables: MemoryTables, assertOpen: () => void) {
    this.#tables = tables;
    this.#assertOpen = assertOpen;
  }

  facts(): Promise<StoreFacts> {
    return this.#answer(() => ({ engine: 'memory', version: '1', synchronous: 0, journalMode: 'none' }));
  }

  startState(): Promise<StartState> {
    return this.#answer(() => {
      const { devices, tokens, series, commands, connections } = this.#tables;
      return {
        devices: [...devices.values()],
        tokens: [...tokens.values()],
        series: [...series.values()],
        lastSeriesId: Math.max(0, ...series.keys()),
        latest: this.#latest(),
        unfinished: [...commands.values()].filter(({ state }) => UNFINISHED.has(state)),
        lastConnections: [...connections.values()].flatMap((rows) => rows.slice(-1)),
        operators: [...this.#tables.operators.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
        signIns: [...this.#tables.signIns.values()],
        ...this.#tables.sessions.startState(),
      };
    });
  }

  range(query: RangeQuery): Promise<{ items: readonly LogRow[]; next: string | null; complete: boolean }> {
    return this.#answer(() => {
      const after = parseRangeCursor(query.after);
      const limit = pageLimit(query.limit, MAX_READING_ROWS);
      const found = this.#merged(query).filter(
        (row) => row.timeUs > after.timeUs || (row.timeUs === after.timeUs && row.id > after.id),
      );
      const items = found.slice(0, limit);
      const last = items.at(-1);
      const more = found.length > limit && last !== undefined;
      return { items, next: more ? formatRangeCursor({ ...last, scan: null }) : null, complete: true };
    });
  }

  log(afterId: number, limit: number): Promise<readonly LogRow[]> {
    return this.#answer(() => {
      const first = Math.max(0, afterId);
      const end = Math.min(this.#tables.log.length, first + pageLimit(limit, MAX_READING_ROWS));
      const rows: LogRow[] = [];
      for (let index = first; index < end; index++) rows.push(this.#row(index));
      return rows;
    });
  }

  lastLogId(): Promise<number> {
    return this.#answer(() => this.#tables.log.length);
  }

  sessionQueue(query: Parameters<StoreReader['sessionQueue']>[0]): Promise<readonly QueueRow[]> {
    return this.#answer(() => this.#tables.sessions.queue({ ...query, limit: pageLimit(query.limit) }));
  }

  rejected(device: string, page: PageRequest): Promise<Page<RejectedRow> & { readonly evicted: number }> {
    return this.#answer(() => ({
      ...newestFirst(
        this.#tables.rejected.filter((row) => row.device === device),
        page,
        ({ id }) => id,
      ),
      evicted: this.#tables.rejectedEvicted.get(device) ?? 0,
    }));
  }

  events(device: string, page: PageRequest): Promise<Page<EventRow>> {
    return this.#answer(() => newestFirst(this.#tables.events.get(device) ?? [], page, ({ id }) => id));
  }

  connections(device: string, page: PageRequest): Promise<Page<ConnectionRow>> {
    return this.#answer(() => newestFirst(this.#tables.connections.get(device) ?? [], page, ({ epoch }) => epoch));
  }

  commands(device: string, page: PageRequest & { readonly state: CommandState | null }): Promise<Page<CommandRow>> {
    return this.#answer(() => {
      const { commands, commandNumbers } = this.#tables;
      const mine = [...commands.values()].filter(
        (command) => command.device === device && (page.state === null || command.state === page.state),
      );
      return newestFirst(mine, page, ({ id }) => commandNumbers.get(id)!);
    });
  }

  command(id: string): Promise<{ readonly command: CommandRow; readonly history: readonly CommandEvent[] } | null> {
    return this.#answer(() => {
      const command = this.#tables.commands.get(id);
      return command === undefined ? null : { command, history: [...(this.#tables.history.get(id) ?? [])] };
    });
  }

  gaps(device: string): Promise<readonly Gap[]> {
    return this.#answer(() => [...(this.#tables.gaps.get(device) ?? [])]);
  }

  #answer<T>(make: () => T): Promise<T> {
    return Promise.resolve().then(() => {
      this.#assertOpen();
      return make();
    });
  }

  #row(index: number): LogRow {
    const { series: id, timeUs, value } = this.#tables.log[index]!;
    const series = this.#tables.series.get(id);
    if (series === undefined) throw unknownSeries(id);
    const { device, metric } = series;
    return { id: index + 1, device, metric, timeUs, value };
  }

  #latest(): StartState['latest'] {
    const latest = new Map<number, StartState['latest'][number]>();
    for (const row of this.#tables.log) {
      const before = latest.get(row.series);
      if (before === undefined || row.timeUs >= before.timeUs) latest.set(row.series, row);
    }
    return [...latest.values()];
  }

  /** All readings of the query in order, equal ones once: the first committed. */
  #merged(query: RangeQuery): LogRow[] {
    const { device, metric, fromUs, toUs } = query;
    const merged = new Map<string, LogRow>();
    for (let index = 0; index < this.#tables.log.length; index++) {
      const row = this.#row(index);
      if (row.device !== device || (metric !== null && row.metric !== metric)) continue;
      if (row.timeUs < fromUs || row.timeUs >= toUs) continue;
      const key = JSON.stringify([row.metric, row.timeUs, row.value]);
      if (!merged.has(key)) merged.set(key, row);
    }
    return [...merged.values()].sort((a, b) => a.timeUs - b.timeUs || a.id - b.id);
  }
}

const UNFINISHED: ReadonlySet<CommandState> = new Set<CommandState>(['queued', 'sent', 'received']);

/** `rows` rise by `numberOf`. */
function newestFirst<T>(rows: readonly T[], page: PageRequest, numberOf: (row: T) => number): Page<T> {
  const limit = pageLimit(page.limit);
  const before = parseNumberCursor(page.after, Number.MAX_SAFE_INTEGER);
  const found = rows.filter((row) => numberOf(row) < before).reverse();
  return pageOf(found.slice(0, limit + 1), limit, numberOf);
}
