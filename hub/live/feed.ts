import { randomBytes } from 'node:crypto';
import type { Clock, Timer } from '#hub/clock.js';
import type { PresenceView } from '#hub/fleet/port.js';
import type { CommandRow } from '#hub/store/port.js';
import type { CommittedSeries } from '#hub/telemetry/port.js';
import { AlarmBoard, type AlarmSource } from './alarms.ts';
import { notedAlarm, notedCommand, notedPresence, type Noted } from './changes.ts';
import { nextDelta, type Delta } from './delta.ts';
import type { FigureSource } from './figures.ts';
import { Journal, type Entry } from './journal.ts';
import type { LiveLimits } from './limits.ts';
import type { LiveEvent, LiveFeed, LiveSelection, ResyncReason, Viewer, ViewerSink } from './port.ts';
import { parsePosition } from './position.ts';

export interface LiveParts {
  readonly clock: Clock;
  readonly limits: LiveLimits;
  readonly alarms: readonly AlarmSource[];
  readonly figures: FigureSource;
  /** Begins (or, with null, ends) to tell which series have a new latest value on disk. */
  readonly watchReadings: (listener: ((changed: readonly CommittedSeries[]) => void) | null) => void;
  /** For tests; a run of the hub has a name of its own. */
  readonly run?: string;
}

/** Deltas kept for other viewers at the same position, between two flushes. */
const MAX_SHARED = 64;

/**
 * The live feed: one journal of changes, one timer for all viewers. While nobody watches, nothing is noted, and the
 * rooms that tell of changes pay for one comparison.
 */
export class LiveHub implements LiveFeed {
  readonly #clock: Clock;
  readonly #limits: LiveLimits;
  readonly #watchReadings: LiveParts['watchReadings'];
  readonly #run: string;
  readonly #journal: Journal;
  readonly #board: AlarmBoard;
  readonly #figures: FigureSource;
  readonly #viewers = new Set<OpenViewer>();
  /** Deltas of this flush for viewers of all devices, by the position that they begin at. */
  readonly #shared = new Map<number, Delta>();
  #noting = false;
  #flushTimer: Timer | null = null;
  #flushedMs = -Infinity;
  #alarmTimer: Timer | null = null;
  #figuresTimer: Timer | null = null;
  #keepTimer: Timer | null = null;
  #closed = false;

  constructor({ clock, limits, alarms, figures, watchReadings, run }: LiveParts) {
    this.#clock = clock;
    this.#limits = limits;
    this.#watchReadings = watchReadings;
    this.#run = run ?? randomBytes(6).toString('hex');
    this.#journal = new Journal(limits.journalEntries, limits.journalBytes);
    this.#board = new AlarmBoard(alarms, clock);
    this.#figures = figures;
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  open(sink: ViewerSink, { devices }: LiveSelection, lastEventId: string | null): Viewer | null {
    if (this.#closed || this.#viewers.size >= this.#limits.maxViewers) return null;
    this.#startNoting();
    const viewer = new OpenViewer(this, sink, devices === null ? null : new Set(devices));
    this.#viewers.add(viewer);
    if (this.#alarmTimer === null) this.#lookForAlarms();
    if (this.#figuresTimer === null) this.#startMeasuring();
    this.#greet(viewer, lastEventId);
    return viewer;
  }

  presenceChanged(device: string, presence: PresenceView | null): void {
    if (this.#noting) this.#note(notedPresence(device, presence));
  }

  commandChanged(row: CommandRow): void {
    if (this.#noting) this.#note(notedCommand(row, this.#limits.resultCharacters));
  }

  /** Every viewer is told to come back; none is taken any more. */
  close(): void {
    this.#closed = true;
    for (const viewer of [...this.#viewers]) {
      viewer.close();
      viewer.sink.close('stopping');
    }
    this.#stopNoting();
  }

  /** Sends what the viewer misses up to its target, until it has no more room. */
  advance(viewer: OpenViewer): void {
    while (viewer.isOpen && viewer.hasRoom && viewer.at < viewer.target) {
      if (viewer.at < this.#journal.floor) {
        this.#resync(viewer, 'too_slow');
        return;
      }
      const delta = this.#delta(viewer);
      viewer.at = delta.to;
      viewer.hint = delta.last;
      for (const event of delta.events) if (!viewer.sink.send(event)) viewer.hasRoom = false;
    }
    if (viewer.isOpen && viewer.hasRoom && viewer.at < this.#journal.last) this.#flushSoon();
  }

  remove(viewer: OpenViewer): void {
    if (!this.#viewers.delete(viewer) || this.#viewers.size > 0) return;
    this.#flushTimer?.cancel();
    this.#flushTimer = null;
    this.#alarmTimer?.cancel();
    this.#figuresTimer?.cancel();
    this.#alarmTimer = this.#figuresTimer = null;
    this.#shared.clear();
    if (!this.#closed) this.#keepTimer = this.#clock.after(this.#limits.keepMs, () => this.#stopNoting());
  }

  idOf(n: number): string {
    return `${this.#run}-${n}`;
  }

  #greet(viewer: OpenViewer, lastEventId: string | null): void {
    const known = lastEventId === null ? null : parsePosition(lastEventId);
    const { last, floor } = this.#journal;
    const isOurs = known !== null && known.run === this.#run && known.n <= last;
    const resumed = isOurs && known.n >= floor;
    viewer.at = viewer.target = resumed ? known.n : last;
    const data = { nowMs: this.#clock.now(), resumed, alarms: this.#board.raised };
    viewer.hasRoom = viewer.sink.send({ kind: 'hello', id: this.idOf(viewer.at), data });
    if (lastEventId !== null && !resumed) this.#resync(viewer, isOurs ? 'too_old' : 'other_run');
    else if (viewer.at < last) this.#flushSoon();
  }

  #resync(viewer: OpenViewer, reason: ResyncReason): void {
    viewer.at = viewer.target = this.#journal.last;
    viewer.hint = null;
    const room = viewer.sink.send({ kind: 'resync', id: this.idOf(viewer.at), data: { reason } });
    viewer.hasRoom = viewer.hasRoom && room;
  }

  #delta(viewer: OpenViewer): Delta {
    const { at: from, hint, target: to, devices } = viewer;
    const make = (): Delta => nextDelta(this.#journal, { from, hint, to, devices }, this.#limits, (n) => this.idOf(n));
    if (devices !== null) return make();
    const shared = this.#shared.get(from);
    if (shared !== undefined) return shared;
    const delta = make();
    if (this.#shared.size < MAX_SHARED) this.#shared.set(from, delta);
    return delta;
  }

  #note({ key, change, bytes }: Noted): void {
    this.#journal.note(key, change, bytes);
    if (this.#flushTimer === null) this.#flushSoon();
  }

  /** Hot while somebody watches. */
  readonly #noteReadings = (changed: readonly CommittedSeries[]): void => {
    for (const series of changed) this.#journal.noteSeries(series);
    if (this.#flushTimer === null) this.#flushSoon();
  };

  /** At once after a quiet while, else at the end of the interval. */
  #flushSoon(): void {
    if (this.#flushTimer !== null || this.#viewers.size === 0) return;
    const inMs = Math.max(0, this.#flushedMs + this.#limits.flushMs - this.#clock.monotonic());
    this.#flushTimer = this.#clock.after(inMs, () => this.#flush());
  }

  #flush(): void {
    this.#flushTimer = null;
    this.#flushedMs = this.#clock.monotonic();
    this.#shared.clear();
    for (const viewer of this.#viewers) {
      if (!viewer.hasRoom) continue;
      viewer.target = this.#journal.last;
      this.advance(viewer);
    }
  }

  #lookForAlarms(): void {
    for (const alarm of this.#board.look()) this.#note(notedAlarm(alarm));
    this.#alarmTimer = this.#clock.after(this.#limits.alarmMs, () => this.#lookForAlarms());
  }

  #startMeasuring(): void {
    this.#figures.begin();
    this.#measureSoon();
  }

  /** Each time once for all viewers. They are of the moment: one that has no room misses them. */
  #measureSoon(): void {
    this.#figuresTimer = this.#clock.after(this.#limits.figuresMs, () => {
      this.#measureSoon();
      const event: LiveEvent = { kind: 'figures', id: null, data: this.#figures.measure() };
      for (const viewer of this.#viewers) {
        if (viewer.hasRoom) viewer.hasRoom = viewer.sink.send(event);
      }
    });
  }

  #startNoting(): void {
    this.#keepTimer?.cancel();
    this.#keepTimer = null;
    if (this.#noting) return;
    this.#noting = true;
    this.#watchReadings(this.#noteReadings);
  }

  #stopNoting(): void {
    this.#keepTimer?.cancel();
    this.#keepTimer = null;
    if (!this.#noting) return;
    this.#noting = false;
    this.#watchReadings(null);
    this.#journal.clear();
  }
}

/** One who watches: a position in the journal, and whether there is room. */
class OpenViewer implements Viewer {
  readonly #hub: LiveHub;
  readonly sink: ViewerSink;
  readonly devices: ReadonlySet<string> | null;
  /** Number of the last change that it was told. */
  at = 0;
  /** How far this flush goes. */
  target = 0;
  hint: Entry | null = null;
  hasRoom = true;
  isOpen = true;

  constructor(hub: LiveHub, sink: ViewerSink, devices: ReadonlySet<string> | null) {
    this.#hub = hub;
    this.sink = sink;
    this.devices = devices;
  }

  get position(): string {
    return this.#hub.idOf(this.at);
  }

  drained(): void {
    if (!this.isOpen || this.hasRoom) return;
    this.hasRoom = true;
    this.#hub.advance(this);
  }

  close(): void {
    this.isOpen = false;
    this.#hub.remove(this);
  }
}
