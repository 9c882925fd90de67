import { batch, signal, type ReadonlySignal, type Signal } from '@preact/signals';
import type { Api, FleetCounts, FleetPage, FleetRow, LatestValue, Presence } from './api.ts';
import { orderKeyOf } from './fleet-view.ts';
import type { LatestChange, LiveClient, PresenceChange } from './live.ts';

/** Devices in one answer of `GET /api/v1/fleet`: as many as it gives. */
const PAGE_DEVICES = 5000;
/** Latest values kept of one device, as many as the hub tells in a row. */
const ROW_METRICS = 8;
/** A device that the hub speaks of for the first time has a name that the feed does not tell: look it up, not more often than this. */
const RELOAD_FOR_NEW_MS = 30_000;
/** Names, and who may connect, are not told by the feed either. */
const RELOAD_MS = 5 * 60_000;
/** A reader who comes back to the table so soon sees what is there. */
const FRESH_MS = 60_000;

/** One device as the table shows it. Fields change in place; whoever shows them reads `version` and is shown anew. */
export interface FleetDevice {
  readonly id: string;
  readonly version: ReadonlySignal<number>;
  readonly name: string | null;
  /** Id and name, in small letters. */
  readonly searchText: string;
  /** What ids are sorted by. */
  readonly orderKey: string;
  readonly disabled: boolean;
  readonly presence: Presence;
  /** Newest values by metric. */
  readonly latest: ReadonlyMap<string, LatestValue>;
  /** The last sign of life, by the hub's clock; null: it never gave one. */
  readonly seenMs: number | null;
}

interface Cell extends FleetDevice {
  readonly version: Signal<number>;
  name: string | null;
  searchText: string;
  disabled: boolean;
  presence: Presence;
  latest: Map<string, LatestValue>;
  seenMs: number | null;
}

export type FleetPhase =
  { readonly phase: 'loading' } | { readonly phase: 'ready' } | { readonly phase: 'failed'; readonly text: string };

export interface FleetStateOptions {
  readonly api: Pick<Api, 'get'>;
  readonly live: Pick<LiveClient, 'on' | 'hubNowMs'>;
  /** Runs once, before the browser paints the next time. */
  readonly onFrame: (run: () => void) => void;
}

/**
 * All devices, as the hub tells them: the state from `GET /api/v1/fleet`, then the changes of the live feed. The data are
 * changed at once; what is on the screen is told once a frame, however many changes came in between.
 */
export class FleetState {
  readonly #options: FleetStateOptions;
  readonly #devices = new Map<string, Cell>();
  readonly #phase = signal<FleetPhase>({ phase: 'loading' });
  readonly #counts = signal<FleetCounts | null>(null);
  readonly #loads = signal(0);
  readonly #presences = signal(0);
  readonly #values = signal(0);
  /** To be told in the next frame. */
  readonly #dirty = new Set<Cell>();
  #presencesDirty = false;
  #frameAsked = false;
  /** Ids that the feed spoke of while the state is on its way; null: it is not. */
  #toldMeanwhile: Set<string> | null = null;
  #loadedMs = Number.NEGATIVE_INFINITY;
  #isUnknownTold = false;
  readonly #isWhole = signal(false);

  constructor(options: FleetStateOptions) {
    this.#options = options;
  }

  get phase(): ReadonlySignal<FleetPhase> {
    return this.#phase;
  }

  /** Nothing was missed since the state was taken: what is here is what the hub knows, as far as the feed is live. */
  get isWhole(): ReadonlySignal<boolean> {
    return this.#isWhole;
  }

  /** As they came with the state; null: the feed has told newer ones since, or changes were missed. */
  get counts(): ReadonlySignal<FleetCounts | null> {
    return this.#counts;
  }

  /** Counts up when the whole state was taken. */
  get loads(): ReadonlySignal<number> {
    return this.#loads;
  }

  /** Counts up when devices came, went, or changed in state, name or protocol. */
  get presences(): ReadonlySignal<number> {
    return this.#presences;
  }

  /** Counts up when values came. */
  get values(): ReadonlySignal<number> {
    return this.#values;
  }

  get size(): number {
    return this.#devices.size;
  }

  all(): IterableIterator<FleetDevice> {
    return this.#devices.values();
  }

  get(id: string): FleetDevice | undefined {
    return this.#devices.get(id);
  }

  /** Listens to the feed; the answer ends it. */
  start(): () => void {
    const { live } = this.#options;
    const offs = [
      live.on('presence', (changes) => this.#takePresence(changes)),
      live.on('latest', (changes) => this.#takeLatest(changes)),
      live.on('figures', () => (this.#counts.value = null)),
      live.on('reload', () => this.#missed()),
    ];
    return () => {
      for (const off of offs) off();
    };
  }

  #missed(): void {
    batch(() => {
      this.#isWhole.value = false;
      this.#counts.value = null;
    });
  }

  /**
   * Takes the whole state. What the feed tells meanwhile is newer than the answer, and stays. A load gives up when a newer
   * one has begun.
   */
  async load(abort: AbortSignal): Promise<void> {
    const told = (this.#toldMeanwhile = new Set<string>());
    try {
      const seen = new Set<string>();
      let counts: FleetCounts;
      let after: string | null = null;
      do {
        const query = { limit: PAGE_DEVICES, after };
        const page: FleetPage = await this.#options.api.get<FleetPage>('/api/v1/fleet', query, abort);
        if (abort.aborted || this.#toldMeanwhile !== told) return;
        for (const row of page.items) {
          seen.add(row.id);
          this.#takeRow(row, told.has(row.id));
        }
        counts = page.counts;
        after = page.next;
      } while (after !== null);
      for (const id of this.#devices.keys()) if (!seen.has(id) && !told.has(id)) this.#devices.delete(id);
      this.#loadedMs = this.#now();
      this.#isUnknownTold = false;
      this.#presencesDirty = true;
      this.#tell();
      batch(() => {
        this.#counts.value = counts;
        this.#isWhole.value = true;
        this.#loads.value++;
        this.#phase.value = { phase: 'ready' };
      });
    } catch (error) {
      if (abort.aborted || this.#toldMeanwhile !== told) return;
      this.#phase.value = { phase: 'failed', text: error instanceof Error ? error.message : String(error) };
    } finally {
      if (this.#toldMeanwhile === told) this.#toldMeanwhile = null;
    }
  }

  /** Whether the state should be taken anew: it could not be, or the feed does not tell everything about a device. */
  needsReload(): boolean {
    if (this.#toldMeanwhile !== null) return false;
    if (!this.#isWhole.value) return true;
    const ageMs = this.#now() - this.#loadedMs;
    return ageMs >= RELOAD_MS || (this.#isUnknownTold && ageMs >= RELOAD_FOR_NEW_MS);
  }

  /** Whether what is here can be shown as it is. */
  isFresh(): boolean {
    return this.#isWhole.value && this.#now() - this.#loadedMs < FRESH_MS;
  }

  #takeRow(row: FleetRow, wasTold: boolean): void {
    const known = this.#devices.get(row.id);
    if (known === undefined) {
      // The feed said that it was deleted after the hub had written this row.
      if (!wasTold) this.#devices.set(row.id, cellOf(row, this.#now()));
      return;
    }
    known.name = row.name;
    known.searchText = searchTextOf(row);
    known.disabled = row.disabled;
    if (!wasTold) {
      known.presence = row.presence;
      known.latest = new Map(row.latest.map((value) => [value.metric, value]));
      known.seenMs = seenMsOf(row, this.#now());
    } else {
      if (isNewer(row.presence, known.presence)) known.presence = row.presence;
      for (const value of row.latest) keepNewer(known.latest, value);
    }
    this.#dirty.add(known);
  }

  #takePresence(changes: readonly PresenceChange[]): void {
    for (const { device, presence } of changes) {
      this.#toldMeanwhile?.add(device);
      if (presence === null) {
        this.#devices.delete(device);
      } else {
        const cell = this.#cell(device, presence);
        if (!isNewer(cell.presence, presence)) cell.presence = presence;
        const { online, connectedMs, disconnectedMs } = cell.presence;
        const sign = online ? connectedMs : disconnectedMs;
        if (sign !== null && (cell.seenMs === null || sign > cell.seenMs || !online)) cell.seenMs = sign;
        this.#dirty.add(cell);
      }
    }
    this.#presencesDirty = true;
    this.#askForFrame();
  }

  #takeLatest(changes: readonly LatestChange[]): void {
    const now = this.#now();
    for (const { device, values } of changes) {
      const cell = this.#devices.get(device);
      // A device whose presence was never told comes with the next state.
      if (cell === undefined) {
        this.#isUnknownTold = true;
        continue;
      }
      this.#toldMeanwhile?.add(device);
      for (const value of values) keepNewer(cell.latest, value);
      cell.seenMs = cell.seenMs === null ? now : Math.max(cell.seenMs, now);
      this.#dirty.add(cell);
    }
    this.#askForFrame();
  }

  #cell(id: string, presence: Presence): Cell {
    let cell = this.#devices.get(id);
    if (cell === undefined) {
      this.#isUnknownTold = true;
      cell = cellOf({ id, name: null, disabled: false, presence, latest: [] }, this.#now());
      this.#devices.set(id, cell);
    }
    return cell;
  }

  #now(): number {
    return this.#options.live.hubNowMs();
  }

  /** In a page that is hidden no frame comes; then what waits is at most each device once. */
  #askForFrame(): void {
    if (this.#frameAsked) return;
    this.#frameAsked = true;
    this.#options.onFrame(() => this.#tell());
  }

  #tell(): void {
    this.#frameAsked = false;
    batch(() => {
      for (const cell of this.#dirty) cell.version.value++;
      this.#dirty.clear();
      this.#values.value++;
      if (this.#presencesDirty) this.#presences.value++;
      this.#presencesDirty = false;
    });
  }
}

function cellOf(row: FleetRow, nowMs: number): Cell {
  return {
    id: row.id,
    version: signal(0),
    name: row.name,
    searchText: searchTextOf(row),
    orderKey: orderKeyOf(row.id),
    disabled: row.disabled,
    presence: row.presence,
    latest: new Map(row.latest.slice(0, ROW_METRICS).map((value) => [value.metric, value])),
    seenMs: seenMsOf(row, nowMs),
  };
}

function searchTextOf({ id, name }: FleetRow): string {
  return (name === null ? id : `${id} ${name}`).toLowerCase();
}

/** Readings may carry a clock of the device's own, which may be ahead: nobody was seen later than now. */
function seenMsOf({ presence, latest }: FleetRow, nowMs: number): number | null {
  if (!presence.online && presence.disconnectedMs !== null) return presence.disconnectedMs;
  const signs = latest.map(({ timeUs }) => Math.min(timeUs / 1000, nowMs));
  if (presence.connectedMs !== null) signs.push(presence.connectedMs);
  return signs.length === 0 ? null : Math.max(...signs);
}

/** A later connection, or the end of the same one. */
function isNewer(a: Presence, b: Presence): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && !a.online && b.online);
}

function keepNewer(latest: Map<string, LatestValue>, value: LatestValue): void {
  const known = latest.get(value.metric);
  if (known === undefined ? latest.size < ROW_METRICS : value.timeUs >= known.timeUs) latest.set(value.metric, value);
}
