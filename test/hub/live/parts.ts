import { LiveHub } from '#hub/live/feed.js';
import { FigureMeter, type Levels } from '#hub/live/figures.js';
import { LIVE_LIMITS, type LiveLimits } from '#hub/live/limits.js';
import type { AlarmSource } from '#hub/live/alarms.js';
import type { Figures, LiveEvent, Viewer, ViewerSink } from '#hub/live/port.js';
import type { PresenceView } from '#hub/fleet/port.js';
import { Counters } from '#hub/observe/counters.js';
import type { CommandRow } from '#hub/store/port.js';
import type { CommittedSeries } from '#hub/telemetry/port.js';
import { FakeClock } from '#test/support/fake-clock.js';

/** A viewer that takes `room` events before it says that it has no more. */
export class Watcher implements ViewerSink {
  readonly events: LiveEvent[] = [];
  closed = false;
  room = Infinity;
  viewer!: Viewer;

  /** Figures come each second whatever happens: they are kept apart. */
  readonly figures: Figures[] = [];

  send(event: LiveEvent): boolean {
    if (event.kind === 'figures') this.figures.push(event.data);
    else this.events.push(event);
    return --this.room > 0;
  }

  close(): void {
    this.closed = true;
  }

  /** Makes room for so many. */
  drain(room = Infinity): void {
    this.room = room;
    this.viewer.drained();
  }

  /** What came since the last call. */
  take(): LiveEvent[] {
    return this.events.splice(0);
  }
}

export interface MutableSeries extends CommittedSeries {
  latestUs: number;
  latestValue: CommittedSeries['latestValue'];
  unit?: string | undefined;
}

export function seriesOf(
  device: string,
  metric: string,
  latestValue: CommittedSeries['latestValue'] = 0,
): MutableSeries {
  return { device, metric, latestUs: 1, latestValue };
}

export const LEVELS: Levels = { online: 2, offline: 3, byProtocol: { mqtt: 2, cbor: 0 }, backlogRows: 7 };

/** A live feed on a clock that stands. */
export function liveParts(limits: Partial<LiveLimits> = {}, alarms: readonly AlarmSource[] = []) {
  const clock = new FakeClock();
  let listener: ((changed: readonly CommittedSeries[]) => void) | null = null;
  const all: LiveLimits = { ...LIVE_LIMITS, maxViewers: 100, ...limits };
  const counters = new Counters();
  let measured = 0;
  const levels = (): Levels => {
    measured++;
    return LEVELS;
  };
  const hub = new LiveHub({
    clock,
    limits: all,
    alarms,
    figures: new FigureMeter(counters, levels, clock),
    run: 'r',
    watchReadings: (given) => void (listener = given),
  });
  return {
    clock,
    hub,
    counters,
    /** How often figures were made. */
    measured: () => measured,
    limits: all,
    watched: () => listener !== null,
    /** A commit that moved these series on. */
    commit: (...series: CommittedSeries[]) => listener?.(series),
    watch(devices: readonly string[] | null = null, lastEventId: string | null = null, room = Infinity): Watcher {
      const watcher = new Watcher();
      watcher.room = room;
      watcher.viewer = hub.open(watcher, { devices }, lastEventId)!;
      return watcher;
    },
  };
}

export function online(epoch: number): PresenceView {
  return {
    online: true,
    epoch,
    protocol: 'mqtt',
    connectedMs: 5,
    disconnectedMs: null,
    reason: null,
    initiator: null,
  };
}

export function commandRow(change: Partial<CommandRow> = {}): CommandRow {
  return {
    id: 'c-1',
    device: 'pump',
    name: 'reboot',
    params: '{"secret":1}',
    state: 'queued',
    createdUs: 1,
    expiresUs: 2,
    responseTimeoutMs: 3,
    sentUs: null,
    receivedUs: null,
    finishedUs: null,
    attempts: 0,
    result: null,
    lateStatus: null,
    lateResult: null,
    ...change,
  };
}
