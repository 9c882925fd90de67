import { batch, signal, type ReadonlySignal } from '@preact/signals';
import {
  ApiError,
  path,
  type Api,
  type Device,
  type LatestValue,
  type Page,
  type Presence,
  type Value,
} from '../../api.ts';
import { orderKeyOf } from '../../fleet-view.ts';
import type { CommandChange, LatestChange, LiveClient, PresenceChange } from '../../live.ts';
import { withNews, type Command } from './command-state.ts';
import { loadHistory, type ReadingPage } from './history.ts';
import { Series } from './series.ts';

/** What is charted. */
export const WINDOW_MS = 60 * 60 * 1000;
/** Metrics whose latest value is shown: as many as one answer holds. */
const LATEST = 1000;
/** Commands that are listed. */
export const COMMANDS = 20;

export type DeviceFault = { readonly kind: 'missing' | 'deleted' } | { readonly kind: 'failed'; readonly text: string };

/** What is known of the last hour. `fromMs`: nothing is missing since then. */
export type HistoryState =
  | { readonly state: 'loading' }
  | { readonly state: 'here'; readonly fromMs: number }
  | { readonly state: 'failed'; readonly text: string };

export interface DeviceModelOptions {
  readonly id: string;
  readonly api: Pick<Api, 'get'>;
  readonly live: Pick<LiveClient, 'on' | 'hubNowMs'>;
}

/** One device: its state from the API, then what the live feed tells of it. Both may speak of the same; the newer one counts. */
export class DeviceModel {
  readonly id: string;
  readonly #options: DeviceModelOptions;
  readonly #device = signal<Device | null>(null);
  readonly #fault = signal<DeviceFault | null>(null);
  readonly #latest = signal<readonly LatestValue[] | null>(null);
  readonly #charted = signal<readonly string[]>([]);
  readonly #commands = signal<readonly Command[] | null>(null);
  readonly #history = signal<HistoryState>({ state: 'loading' });
  readonly #points = signal(0);
  readonly #series = new Map<string, Series>();
  readonly #booleans = new Set<string>();
  #isAskingAgain = false;

  constructor(options: DeviceModelOptions) {
    this.id = options.id;
    this.#options = options;
  }

  /** Null: it has not come yet. */
  get device(): ReadonlySignal<Device | null> {
    return this.#device;
  }

  get fault(): ReadonlySignal<DeviceFault | null> {
    return this.#fault;
  }

  /** By metric; null: they have not come yet. */
  get latest(): ReadonlySignal<readonly LatestValue[] | null> {
    return this.#latest;
  }

  /** Metrics that have a series: numbers, and yes or no. By name. */
  get charted(): ReadonlySignal<readonly string[]> {
    return this.#charted;
  }

  /** Newest first. */
  get commands(): ReadonlySignal<readonly Command[] | null> {
    return this.#commands;
  }

  get history(): ReadonlySignal<HistoryState> {
    return this.#history;
  }

  /** Counts up when a series has changed. */
  get points(): ReadonlySignal<number> {
    return this.#points;
  }

  series(metric: string): Series | undefined {
    return this.#series.get(metric);
  }

  /** Time of the oldest point that is charted; null: there is none. */
  get oldestMs(): number | null {
    const firsts = [...this.#series.values()].flatMap(({ times }) => times[0] ?? []);
    return firsts.length === 0 ? null : Math.min(...firsts);
  }

  /** Its values are yes and no, drawn as 1 and 0. */
  isBoolean(metric: string): boolean {
    return this.#booleans.has(metric);
  }

  /** Listens to the feed; the answer ends it. */
  start(): () => void {
    const { live } = this.#options;
    const offs = [
      live.on('presence', (changes) => this.#takePresence(changes)),
      live.on('latest', (changes) => this.#takeLatest(changes)),
      live.on('command', (changes) => this.#takeCommands(changes)),
    ];
    return () => {
      for (const off of offs) off();
    };
  }

  /** Takes everything from the API. History comes last and does not hold up the rest. */
  async load(abort: AbortSignal): Promise<void> {
    const { api } = this.#options;
    const of = path`/api/v1/devices/${this.id}`;
    try {
      const [device, latest, commands] = await Promise.all([
        api.get<Device>(of, {}, abort),
        api.get<Page<LatestValue>>(`${of}/latest`, { limit: LATEST }, abort),
        api.get<Page<Command>>(`${of}/commands`, { limit: COMMANDS }, abort),
      ]);
      batch(() => {
        this.#fault.value = null;
        this.#takeDevice(device);
        this.#keepLatest(latest.items);
        this.#latest.value ??= [];
        this.tellCommands(commands.items);
      });
    } catch (error) {
      if (abort.aborted) return;
      this.#fault.value = faultOf(error);
      return;
    }
    await this.loadHistory(abort);
  }

  /** News of commands that came another way than by the feed: the answer to one that was sent. */
  tellCommands(news: readonly Command[]): void {
    this.#commands.value = withNews(this.#commands.value ?? [], news, COMMANDS);
  }

  /** Takes the last hour anew: after a pause the feed tells the newest value alone, and not what was in between. */
  async loadHistory(abort: AbortSignal): Promise<void> {
    const { api, live } = this.#options;
    if (this.#history.value.state !== 'here') this.#history.value = { state: 'loading' };
    try {
      const ask = (query: { from: number; after: string | null; limit: number }): Promise<ReadingPage> =>
        api.get<ReadingPage>(path`/api/v1/devices/${this.id}/readings`, query, abort);
      const { readings, fromMs } = await loadHistory(ask, live.hubNowMs(), WINDOW_MS);
      if (abort.aborted) return;
      batch(() => {
        this.#takeHistory(readings);
        this.#history.value = { state: 'here', fromMs };
      });
    } catch (error) {
      if (abort.aborted) return;
      this.#history.value = {
        state: 'failed',
        text: error instanceof Error ? error.message : 'it could not be loaded',
      };
    }
  }

  #takeDevice(device: Device): void {
    const known = this.#device.value;
    if (known !== null && known.createdUs !== device.createdUs) this.#empty();
    const isOlder = known?.createdUs === device.createdUs && isNewer(known.presence, device.presence);
    this.#device.value = isOlder ? { ...device, presence: known.presence } : device;
  }

  #takePresence(changes: readonly PresenceChange[]): void {
    const known = this.#device.value;
    for (const { device, presence } of changes) {
      if (device !== this.id) continue;
      if (presence === null) this.#forget();
      else if (known !== null && !isNewer(known.presence, presence)) this.#device.value = { ...known, presence };
      if (presence !== null) void this.#askAgain();
    }
  }

  #forget(): void {
    batch(() => {
      this.#fault.value = { kind: 'deleted' };
      this.#device.value = null;
      this.#empty();
    });
  }

  /** What is here belongs to a device that was deleted: one that is made anew under its id has nothing of it. */
  #empty(): void {
    this.#latest.value = null;
    this.#commands.value = null;
    this.#charted.value = [];
    this.#history.value = { state: 'loading' };
    this.#series.clear();
    this.#booleans.clear();
  }

  /** Name, policy and being disabled are not in the feed, but they change together with the connection as a rule. */
  async #askAgain(): Promise<void> {
    if (this.#isAskingAgain) return;
    this.#isAskingAgain = true;
    try {
      const device = await this.#options.api.get<Device>(path`/api/v1/devices/${this.id}`);
      if (this.#device.value?.createdUs === device.createdUs) this.#takeDevice(device);
      else await this.load(new AbortController().signal);
    } catch {
      // What the feed told stands.
    } finally {
      this.#isAskingAgain = false;
    }
  }

  #takeLatest(changes: readonly LatestChange[]): void {
    const mine = changes.filter(({ device }) => device === this.id).flatMap(({ values }) => values);
    if (mine.length > 0) batch(() => this.#keepLatest(mine));
  }

  #takeCommands(changes: readonly CommandChange[]): void {
    const mine = changes.filter(({ device }) => device === this.id);
    if (mine.length > 0) this.tellCommands(mine);
  }

  #keepLatest(values: readonly LatestValue[]): void {
    const known = this.#latest.value ?? [];
    const byMetric = new Map(known.map((value) => [value.metric, value]));
    for (const value of values) {
      const before = byMetric.get(value.metric);
      if (before === undefined || value.timeUs >= before.timeUs) byMetric.set(value.metric, value);
      this.#draw(value);
    }
    // A map keeps the place of what it has: only new metrics call for sorting.
    const all = [...byMetric.values()];
    this.#latest.value = all.length === known.length ? all : all.sort((a, b) => compare(a.metric, b.metric));
    this.#told();
  }

  #draw({ metric, value, timeUs }: LatestValue): void {
    const number = numberOf(value);
    if (number === null) return;
    const series = this.#seriesOf(metric, value);
    series.append(timeUs / 1000, number);
    series.trim(this.#options.live.hubNowMs() - WINDOW_MS);
  }

  #takeHistory(readings: readonly LatestValue[]): void {
    const byMetric = new Map<string, { times: number[]; values: number[] }>();
    for (const { metric, value, timeUs } of readings) {
      const number = numberOf(value);
      if (number === null) continue;
      this.#seriesOf(metric, value);
      let points = byMetric.get(metric);
      if (points === undefined) byMetric.set(metric, (points = { times: [], values: [] }));
      points.times.push(timeUs / 1000);
      points.values.push(number);
    }
    for (const [metric, { times, values }] of byMetric) this.#series.get(metric)!.replaceWith(times, values);
    this.#told();
  }

  #seriesOf(metric: string, value: Value): Series {
    if (typeof value === 'boolean') this.#booleans.add(metric);
    else this.#booleans.delete(metric);
    let series = this.#series.get(metric);
    if (series === undefined) this.#series.set(metric, (series = new Series()));
    return series;
  }

  #told(): void {
    this.#points.value++;
    if (this.#series.size !== this.#charted.value.length) this.#charted.value = [...this.#series.keys()].sort(compare);
  }
}

/** A later connection, or the end of the same one. */
export function isNewer(a: Presence, b: Presence): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && !a.online && b.online);
}

function numberOf(value: Value): number | null {
  if (typeof value === 'number') return value;
  return typeof value === 'boolean' ? Number(value) : null;
}

/** `line-2` stands before `line-10`, as devices do. */
function compare(a: string, b: string): number {
  const [one, other] = [orderKeyOf(a), orderKeyOf(b)];
  return one < other ? -1 : one > other ? 1 : 0;
}

function faultOf(error: unknown): DeviceFault {
  if (error instanceof ApiError && error.status === 404) return { kind: 'missing' };
  return { kind: 'failed', text: error instanceof Error ? error.message : 'The device could not be loaded.' };
}
