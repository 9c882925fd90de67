import { PayloadError } from '#protocols/errors.js';
import type { Value } from '#protocols/reading.js';
import type { SeriesRow, StartState } from '#hub/store/port.js';
import type { CommittedSeries, LatestValue } from './port.ts';

/** One metric of one device: its id in the store and what the hub knows of it. */
export class Series implements CommittedSeries {
  readonly id: number;
  readonly device: string;
  readonly metric: string;
  /** Last time that the hub gave in place of the device; further ones rise above it. Integer microseconds. */
  lastHubUs = 0;
  /** What is on disk. */
  latestUs = -1;
  latestValue: Value = 0;
  /** Newest value in the batch that fills now, and in the one that is being committed; `-1`: none. */
  openUs = -1;
  openValue: Value = 0;
  sealedUs = -1;
  sealedValue: Value = 0;
  /** What its readings were last given in, on disk; undefined: no unit ever. */
  unit: string | undefined;
  /** The unit that came last for the batches that are not on disk yet. Those of repeated messages will change nothing. */
  #unitSaid: string | undefined;
  /** Writes of units in those batches: all, and those that may hold another than the last. */
  #unitWrites = 0;
  #otherWrites = 0;

  constructor(id: number, device: string, metric: string, unit?: string) {
    this.id = id;
    this.device = device;
    this.metric = metric;
    this.unit = unit;
  }

  /** It may have another unit when what is under way is on disk. */
  mayDifferFrom(unit: string): boolean {
    return unit !== this.unit || (this.#unitWrites > 0 && (unit !== this.#unitSaid || this.#otherWrites > 0));
  }

  /** `unit` goes into the batch that fills: by a further write, or in place of what one would have written. */
  unitUnderWay(unit: string, isFurther: boolean): void {
    if (unit !== this.#unitSaid) this.#otherWrites = this.#unitWrites;
    this.#unitSaid = unit;
    if (isFurther) this.#unitWrites++;
  }

  /** A write has been decided, the oldest first; `counts`: it is on disk. */
  unitDecided(unit: string, counts: boolean): void {
    this.#unitWrites--;
    if (this.#otherWrites > 0) this.#otherWrites--;
    if (counts) this.unit = unit;
  }

  /** A committed value: the greatest time is the latest, the last committed among equals. */
  committed(timeUs: number, value: Value): void {
    if (timeUs < this.latestUs) return;
    this.latestUs = timeUs;
    this.latestValue = value;
  }
}

/** A copy that outlives its message: a decoder may have cut the text out of that of many kilobytes, and it would keep all of them. */
export function ownText(text: string): string {
  return Buffer.from(text).toString();
}

/** All series by device and metric. Ids are given here, travel in the batch that first uses them, and are never reused. */
export class SeriesIndex {
  readonly #maxPerDevice: number;
  readonly #devices = new Map<string, Map<string, Series>>();
  #lastId = 0;

  constructor(maxPerDevice: number) {
    this.#maxPerDevice = maxPerDevice;
  }

  restore(state: StartState): void {
    const byId = new Map<number, Series>();
    for (const row of state.series) {
      const series = new Series(row.id, row.device, row.metric, row.unit);
      byId.set(row.id, series);
      this.#of(row.device).set(row.metric, series);
    }
    for (const latest of state.latest) {
      const series = byId.get(latest.series);
      if (series === undefined) continue;
      series.committed(latest.timeUs, latest.value);
      series.lastHubUs = latest.timeUs;
    }
    this.#lastId = state.lastSeriesId;
  }

  /** The device's series by metric; made when the device is new. */
  of(device: string): ReadonlyMap<string, Series> {
    return this.#of(device);
  }

  /**
   * Makes sure that the device may have these further metrics, all or none.
   * @throws PayloadError `series_limit`
   */
  reserve(device: string, metrics: ReadonlySet<string>): SeriesRow[] {
    const known = this.#of(device);
    if (known.size + metrics.size > this.#maxPerDevice) {
      throw new PayloadError(
        'series_limit',
        `the device has ${known.size} series and may have ${this.#maxPerDevice}; this message would add ${metrics.size}`,
      );
    }
    const rows: SeriesRow[] = [];
    for (const name of metrics) {
      const id = ++this.#lastId;
      const metric = ownText(name);
      known.set(metric, new Series(id, device, metric));
      rows.push({ id, device, metric });
    }
    return rows;
  }

  latest(device: string): LatestValue[] {
    const values: LatestValue[] = [];
    for (const series of this.#devices.get(device)?.values() ?? []) {
      const { metric, latestValue, latestUs, unit } = series;
      if (latestUs < 0) continue;
      const latest = { metric, value: latestValue, timeUs: latestUs };
      values.push(unit === undefined ? latest : { ...latest, unit });
    }
    return values.sort((a, b) => (a.metric < b.metric ? -1 : 1));
  }

  #of(device: string): Map<string, Series> {
    let known = this.#devices.get(device);
    if (known === undefined) {
      known = new Map();
      this.#devices.set(device, known);
    }
    return known;
  }
}
