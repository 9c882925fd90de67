import { PayloadError } from '#protocols/errors.js';
import { ABANDONED, DUPLICATE, STORED, type Outcome, type Pending } from '#protocols/outcome.js';
import type { Reading, StreamPosition } from '#protocols/reading.js';
import type { Clock } from '#hub/clock.js';
import {
  StoreError,
  type BatchResult,
  type ControlResult,
  type ControlWrite,
  type SessionWrite,
  type StartState,
  type Store,
} from '#hub/store/port.js';
import { AwaitedControl, type AfterCommit, type OpenBatch } from './batch.ts';
import { Committer } from './committer.ts';
import type { CommittedSeries, LatestValue, StoreHealth, Telemetry, TelemetryBacklog } from './port.ts';
import { ownText, SeriesIndex, type Series } from './series.ts';

export interface TelemetryOptions {
  readonly maxSeriesPerDevice: number;
  readonly backlogHighRows: number;
  readonly backlogLowRows: number;
  readonly backlogHighBytes: number;
  readonly backlogLowBytes: number;
}

/** What the path counts; read when metrics are scraped. */
export interface TelemetryObserver {
  committed(rows: number, commitMs: number, oldestWaitMs: number): void;
  failed(error: StoreError): void;
  recovered(): void;
  /** A fault of ours in something that ran after a commit. */
  fault(error: unknown): void;
}

/** Accept, batch, commit, acknowledge: the way of every reading and of every other write. See `port.ts`. */
export class TelemetryPath implements Telemetry {
  readonly #clock: Clock;
  readonly #series: SeriesIndex;
  readonly #committer: Committer;

  constructor(store: Store, clock: Clock, options: TelemetryOptions, observer: TelemetryObserver) {
    this.#clock = clock;
    this.#series = new SeriesIndex(options.maxSeriesPerDevice);
    this.#committer = new Committer(store, clock, options, observer);
  }

  restore(state: StartState): void {
    this.#series.restore(state);
  }

  get backlog(): TelemetryBacklog {
    return this.#committer;
  }

  get health(): StoreHealth {
    return this.#committer.health;
  }

  /** Hot path: called for each message. */
  accept(
    device: string,
    readings: readonly Reading[],
    pending: Pending,
    position?: StreamPosition,
    published?: () => void,
  ): void {
    const batch = this.#committer.batch();
    const series = this.#seriesOf(device, readings, batch);
    const hubUs = needsHubTime(readings) ? this.#hubTime(series, readings) : 0;
    const firstRow = batch.count;
    const counts = position === undefined;
    let units = null as Map<Series, string> | null;
    for (let i = 0; i < readings.length; i++) {
      const { timeUs, value, unit } = readings[i]!;
      batch.add(series[i]!, timeUs ?? hubUs, value, counts);
      if (unit !== undefined && (series[i]!.mayDifferFrom(unit) || units?.has(series[i]!) === true)) {
        (units ??= new Map()).set(series[i]!, ownText(unit));
      }
    }
    if (units !== null && counts) batch.addUnits(units);
    if (position === undefined && published === undefined) {
      batch.waiting.push(pending);
      return;
    }
    if (position === undefined) {
      batch.waiting.push(new PublishedMessage(pending, published!));
      return;
    }
    const index = batch.sequenced.length;
    const { stream, seq } = position;
    const control = units === null ? null : batch.addSequencedUnits(units);
    batch.sequenced.push({ device, stream, seq, firstRow, endRow: batch.count, control });
    batch.waiting.push(new SequencedReadings(pending, index, readings, series, hubUs, published));
  }

  reserve(device: string, readings: readonly Reading[]): void {
    this.#seriesOf(device, readings, this.#committer.batch());
  }

  write(control: ControlWrite): Promise<ControlResult> {
    return new Promise((resolve, reject) => {
      const refuse = (): void => reject(new StoreError('closed', 'the hub stopped before this was written'));
      if (this.#committer.abandoned) {
        refuse();
        return;
      }
      const batch = this.#committer.batch();
      const index = batch.control.push(control) - 1;
      batch.bytes += controlBytes(control);
      batch.waiting.push(new AwaitedControl(index, resolve, refuse));
    });
  }

  record(
    device: string,
    control: ControlWrite,
    pending: Pending,
    settledAs: 'rejected' | 'stored',
    position?: StreamPosition,
  ): void {
    const outcome = outcomeOf(control, settledAs);
    const batch = this.#committer.batch();
    batch.bytes += controlBytes(control);
    if (position === undefined) {
      const index = batch.control.push(control) - 1;
      batch.waiting.push(new RecordedControl(pending, index, outcome));
      return;
    }
    const index = batch.sequenced.length;
    const { stream, seq } = position;
    batch.sequenced.push({ device, stream, seq, firstRow: batch.count, endRow: batch.count, control });
    batch.waiting.push(new SequencedControl(pending, index, outcome));
  }

  keep(write: SessionWrite, bytes: number): void {
    // Nothing is written any more, so nothing is gathered.
    if (this.#committer.abandoned) return;
    const batch = this.#committer.batch();
    batch.sessions.push(write);
    batch.bytes += bytes;
  }

  settleAfterCommit(pending: Pending): void {
    if (this.#committer.abandoned) pending.settle(ABANDONED);
    else this.#committer.lastBatch().waiting.push(pending);
  }

  latest(device: string): readonly LatestValue[] {
    return this.#series.latest(device);
  }

  /** From now on `listener` hears after each commit which series have a new latest value; null: nobody, which costs nothing. */
  watch(listener: ((changed: readonly CommittedSeries[]) => void) | null): void {
    this.#committer.onCommitted = listener;
  }

  /** Resolves when everything accepted so far is decided on disk, or `limitMs` have passed: then false. */
  drain(limitMs: number): Promise<boolean> {
    return this.#committer.drain(limitMs);
  }

  /** What is not on disk by now never will be: nobody is acknowledged for it. */
  abandon(): void {
    this.#committer.abandon();
  }

  /** The series of each reading; new ones come with `batch`. Throws PayloadError `series_limit`. */
  #seriesOf(device: string, readings: readonly Reading[], batch: OpenBatch): readonly Series[] {
    const known = this.#series.of(device);
    const found = seriesOf(known, readings);
    if (found !== null) return found;
    batch.newSeries.push(...this.#series.reserve(device, missing(known, readings)));
    return seriesOf(known, readings)!;
  }

  /** One time for the whole message, above every time that the hub gave its series before. */
  #hubTime(series: readonly Series[], readings: readonly Reading[]): number {
    let timeUs = this.#clock.now() * 1000;
    for (let i = 0; i < readings.length; i++) {
      if (readings[i]!.timeUs === null && timeUs <= series[i]!.lastHubUs) timeUs = series[i]!.lastHubUs + 1;
    }
    for (let i = 0; i < readings.length; i++) {
      if (readings[i]!.timeUs === null) series[i]!.lastHubUs = timeUs;
    }
    return timeUs;
  }
}

/** The series of each reading; null: the device does not have all of them yet. */
function seriesOf(known: ReadonlyMap<string, Series>, readings: readonly Reading[]): Series[] | null {
  const found = new Array<Series>(readings.length);
  for (let i = 0; i < readings.length; i++) {
    const series = known.get(readings[i]!.metric);
    if (series === undefined) return null;
    found[i] = series;
  }
  return found;
}

/** Metrics that the device does not have yet. */
function missing(known: ReadonlyMap<string, Series>, readings: readonly Reading[]): Set<string> {
  const fresh = new Set<string>();
  for (const { metric } of readings) {
    if (!known.has(metric)) fresh.add(metric);
  }
  return fresh;
}

function needsHubTime(readings: readonly Reading[]): boolean {
  for (const reading of readings) if (reading.timeUs === null) return true;
  return false;
}

function controlBytes(control: ControlWrite): number {
  if (control.op === 'rejected.add') return 256 + control.rejected.payload.length;
  if (control.op === 'event.add') return 256 + control.event.payload.length;
  return 256;
}

function outcomeOf(control: ControlWrite, settledAs: 'rejected' | 'stored'): Outcome {
  if (settledAs === 'stored') return STORED;
  if (control.op !== 'rejected.add') throw new PayloadError('malformed_payload', `${control.op} records no rejection`);
  return { kind: 'rejected', code: control.rejected.code, message: control.rejected.message, recorded: true };
}

class PublishedMessage implements AfterCommit {
  readonly #pending: Pending;
  readonly #published: () => void;

  constructor(pending: Pending, published: () => void) {
    this.#pending = pending;
    this.#published = published;
  }

  committed(): void {
    this.#pending.settle(STORED);
    this.#published();
  }

  abandoned(): void {
    this.#pending.settle(ABANDONED);
  }
}

class SequencedReadings implements AfterCommit {
  readonly #pending: Pending;
  readonly #index: number;
  readonly #readings: readonly Reading[];
  /** Of each reading. */
  readonly #series: readonly Series[];
  /** Of readings without a time. */
  readonly #hubUs: number;
  readonly #published: (() => void) | undefined;

  constructor(
    pending: Pending,
    index: number,
    readings: readonly Reading[],
    series: readonly Series[],
    hubUs: number,
    published: (() => void) | undefined,
  ) {
    this.#pending = pending;
    this.#index = index;
    this.#readings = readings;
    this.#series = series;
    this.#hubUs = hubUs;
    this.#published = published;
  }

  committed(result: BatchResult, changed: Series[] | null): void {
    const decided = result.sequenced[this.#index]!;
    if (decided.kind === 'gap') {
      this.#pending.settle(decided);
      return;
    }
    if (decided.kind === 'duplicate') {
      this.#pending.settle(DUPLICATE);
      return;
    }
    for (let i = 0; i < this.#readings.length; i++) {
      const { timeUs, value } = this.#readings[i]!;
      const series = this.#series[i]!;
      series.committed(timeUs ?? this.#hubUs, value);
      changed?.push(series);
    }
    this.#pending.settle(STORED);
    this.#published?.();
  }

  abandoned(): void {
    this.#pending.settle(ABANDONED);
  }
}

class RecordedControl implements AfterCommit {
  readonly #pending: Pending;
  readonly #index: number;
  readonly #outcome: Outcome;

  constructor(pending: Pending, index: number, outcome: Outcome) {
    this.#pending = pending;
    this.#index = index;
    this.#outcome = outcome;
  }

  committed(result: BatchResult): void {
    // What could not be recorded is not acknowledged: the device says it again.
    this.#pending.settle(result.control[this.#index]!.ok ? this.#outcome : ABANDONED);
  }

  abandoned(): void {
    this.#pending.settle(ABANDONED);
  }
}

class SequencedControl implements AfterCommit {
  readonly #pending: Pending;
  readonly #index: number;
  readonly #outcome: Outcome;

  constructor(pending: Pending, index: number, outcome: Outcome) {
    this.#pending = pending;
    this.#index = index;
    this.#outcome = outcome;
  }

  committed(result: BatchResult): void {
    const decided = result.sequenced[this.#index]!;
    if (decided.kind === 'gap') this.#pending.settle(decided);
    else this.#pending.settle(decided.kind === 'duplicate' ? DUPLICATE : this.#outcome);
  }

  abandoned(): void {
    this.#pending.settle(ABANDONED);
  }
}
