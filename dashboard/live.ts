import { signal, type ReadonlySignal } from '@preact/signals';
import type { CommandState, LatestValue, Presence } from './api.ts';

/**
 * The live feed (`docs/live.md`) as the pages use it: one stream, changes by kind, and one truth about whether what is shown
 * is live. Changes are added to state that comes from the API: take it at each `reload`.
 */

export interface PresenceChange {
  readonly device: string;
  /** Null: the device was deleted. */
  readonly presence: Presence | null;
}

export interface LatestChange {
  readonly device: string;
  /** The metrics that have a new value, not all. */
  readonly values: readonly LatestValue[];
}

export interface CommandChange {
  readonly id: string;
  readonly device: string;
  readonly name: string;
  readonly state: CommandState;
  readonly createdUs: number;
  readonly sentUs: number | null;
  readonly receivedUs: number | null;
  readonly finishedUs: number | null;
  readonly attempts: number;
  /** What the device answered; null as well when it is too large for everybody (`resultCut`). */
  readonly result: unknown;
  readonly resultCut?: boolean;
  readonly lateStatus: 'succeeded' | 'failed' | 'rejected' | null;
}

export interface AlarmChange {
  readonly code: string;
  readonly raised: boolean;
  readonly sinceMs: number;
  readonly detail: string;
}

/** Once a second: what the hub measures of itself. */
export interface Figures {
  readonly nowMs: number;
  readonly online: number;
  readonly offline: number;
  readonly byProtocol: Readonly<Record<string, number>>;
  readonly messagesPerS: number;
  readonly readingsPerS: number;
  readonly commitsPerS: number;
  /** Null: there was none to measure. */
  readonly commitMs: Percentiles | null;
  readonly ackMs: Percentiles | null;
  readonly backlogRows: number;
}

export interface Percentiles {
  readonly p50: number | null;
  readonly p99: number | null;
}

/** What a page can listen to. `reload`: take the state from the API now, changes are (or may be) missing. */
export interface LiveKinds {
  readonly presence: readonly PresenceChange[];
  readonly latest: readonly LatestChange[];
  readonly command: readonly CommandChange[];
  readonly alarm: readonly AlarmChange[];
  readonly figures: Figures;
  readonly reload: null;
}

/** `sinceMs`: of the last word of the hub, by the hub's clock; null: there was none yet. */
export type LiveStatus =
  | { readonly state: 'connecting' }
  | { readonly state: 'live' }
  | { readonly state: 'stale'; readonly sinceMs: number | null; readonly why: StaleReason };

/** `broken`: the connection ended. `silent`: nothing comes. `refused`: the hub takes no further viewer. `resting`: the page was hidden for long. */
export type StaleReason = 'broken' | 'silent' | 'refused' | 'resting';

/** The part of `EventSource` that is used. */
export interface Source {
  readonly readyState: number;
  onerror: (() => void) | null;
  addEventListener(kind: string, listener: (event: { readonly data: string }) => void): void;
  close(): void;
}

export interface LiveClientOptions {
  readonly open: (url: string) => Source;
  readonly nowMs: () => number;
  /** Runs once after `ms`; the answer takes it back. */
  readonly after: (ms: number, run: () => void) => () => void;
  /** The stream was refused (the browser does not say why): is the sign-in still good? */
  readonly onRefused: () => void;
}

const CLOSED = 2;
const KINDS = ['presence', 'latest', 'command'] as const;
/** The hub speaks each second (`figures`). */
const LOOK_MS = 1000;
/** So long without a word, and nothing that is shown counts as live any more. */
export const SILENT_MS = 10_000;
/** So long without a word, and the way is broken (`docs/live.md`): try another one. */
export const BROKEN_MS = 45_000;
/** Waits before a refused stream is tried again; browsers try again by themselves when a connection breaks. */
const RETRY_MS = [1000, 2000, 5000, 10_000, 30_000];

type Listener<K extends keyof LiveKinds> = (data: LiveKinds[K]) => void;

export class LiveClient {
  readonly #options: LiveClientOptions;
  readonly #status = signal<LiveStatus>({ state: 'connecting' });
  readonly #alarms = signal<readonly AlarmChange[]>([]);
  readonly #figures = signal<Figures | null>(null);
  readonly #listeners: { [K in keyof LiveKinds]: Set<Listener<K>> } = {
    presence: new Set(),
    latest: new Set(),
    command: new Set(),
    alarm: new Set(),
    figures: new Set(),
    reload: new Set(),
  };
  #source: Source | null = null;
  /** Whether the pages were told to take the state since this stream was asked for. */
  #reloaded = false;
  /** Null: all devices. None: no page has asked for any yet. */
  #devices: readonly string[] | null = [];
  #refusals = 0;
  /** When this stream was asked for, or last said something. */
  #heardMs = 0;
  /** Of the last word of any stream, by the hub's clock. */
  #lastWordMs: number | null = null;
  /** The hub's clock less this browser's. */
  #offsetMs = 0;
  #cancelLook: (() => void) | null = null;
  #cancelRetry: (() => void) | null = null;

  constructor(options: LiveClientOptions) {
    this.#options = options;
  }

  get status(): ReadonlySignal<LiveStatus> {
    return this.#status;
  }

  /** Those that are raised. */
  get alarms(): ReadonlySignal<readonly AlarmChange[]> {
    return this.#alarms;
  }

  /** The newest; null: this stream has told none yet. */
  get figures(): ReadonlySignal<Figures | null> {
    return this.#figures;
  }

  /** The hub's clock, as far as it is known. */
  hubNowMs(): number {
    return this.#options.nowMs() + this.#offsetMs;
  }

  /** The answer ends it. */
  on<K extends keyof LiveKinds>(kind: K, listener: Listener<K>): () => void {
    this.#listeners[kind].add(listener);
    return () => this.#listeners[kind].delete(listener);
  }

  /** Which devices are watched; null: all, and from then on always all, so that a look at one device loses nothing of the fleet. */
  watch(devices: readonly string[] | null): void {
    const isWatched = this.#source !== null && (this.#devices === null || sameIds(this.#devices, devices));
    if (isWatched) return;
    this.#devices = this.#devices === null ? null : devices;
    this.#open();
  }

  /** The page is not looked at: let go of the stream. `watch` and `wake` come back. */
  rest(): void {
    if (this.#source === null && this.#cancelRetry === null) return;
    this.stop();
    this.#stale('resting');
  }

  wake(): void {
    if (this.#source === null && this.#devices?.length !== 0) this.#open();
  }

  stop(): void {
    this.#source?.close();
    this.#source = null;
    this.#cancelLook?.();
    this.#cancelRetry?.();
    this.#cancelLook = this.#cancelRetry = null;
  }

  #open(): void {
    this.stop();
    const { open, nowMs } = this.#options;
    const ids = this.#devices;
    const source = open(
      ids === null ? '/api/v1/live' : `/api/v1/live?devices=${ids.map(encodeURIComponent).join(',')}`,
    );
    this.#source = source;
    this.#reloaded = false;
    this.#heardMs = nowMs();
    if (this.#status.value.state === 'live') this.#status.value = { state: 'connecting' };
    const listen = (kind: string, take: (data: never) => void): void =>
      source.addEventListener(kind, ({ data }) => {
        if (source !== this.#source) return;
        this.#heard();
        take(JSON.parse(data) as never);
      });
    listen('hello', (data: Hello) => this.#hello(data));
    listen('resync', () => this.#reload());
    listen('alarm', (data: LiveKinds['alarm']) => this.#takeAlarms(data));
    listen('figures', (data: Figures) => this.#takeFigures(data));
    for (const kind of KINDS) listen(kind, (data: never) => this.#tell(kind, data));
    source.onerror = () => this.#failed(source);
    this.#look();
  }

  #hello({ nowMs, resumed, alarms }: Hello): void {
    this.#refusals = 0;
    this.#setHubClock(nowMs);
    this.#alarms.value = alarms.filter((alarm) => alarm.raised);
    // Those of before are not of now, and new ones come within a second.
    this.#figures.value = null;
    this.#status.value = { state: 'live' };
    if (!resumed) this.#reload();
  }

  #reload(): void {
    this.#reloaded = true;
    this.#tell('reload', null);
  }

  #heard(): void {
    this.#heardMs = this.#options.nowMs();
    this.#lastWordMs = this.hubNowMs();
    const status = this.#status.value;
    if (status.state === 'stale' && status.why === 'silent') this.#status.value = { state: 'live' };
  }

  #takeFigures(figures: Figures): void {
    this.#setHubClock(figures.nowMs);
    this.#figures.value = figures;
    this.#tell('figures', figures);
  }

  #takeAlarms(changes: LiveKinds['alarm']): void {
    const codes = new Set(changes.map((alarm) => alarm.code));
    const others = this.#alarms.value.filter((alarm) => !codes.has(alarm.code));
    this.#alarms.value = [...others, ...changes.filter((alarm) => alarm.raised)];
    this.#tell('alarm', changes);
  }

  #setHubClock(hubMs: number): void {
    this.#offsetMs = hubMs - this.#options.nowMs();
    this.#lastWordMs = hubMs;
  }

  /** The browser tries again by itself unless the hub answered something else than a stream. */
  #failed(source: Source): void {
    if (source !== this.#source) return;
    this.#stale(source.readyState === CLOSED ? 'refused' : 'broken');
    if (source.readyState !== CLOSED) return;
    this.stop();
    this.#options.onRefused();
    const waitMs = RETRY_MS[Math.min(this.#refusals++, RETRY_MS.length - 1)]!;
    this.#cancelRetry = this.#options.after(waitMs, () => this.#open());
  }

  /** Once a second while there is a stream: does it still speak? */
  #look(): void {
    this.#cancelLook = this.#options.after(LOOK_MS, () => {
      // A clock that was set back would hide the silence.
      this.#heardMs = Math.min(this.#heardMs, this.#options.nowMs());
      const silentMs = this.#options.nowMs() - this.#heardMs;
      if (silentMs >= BROKEN_MS) {
        this.#stale('silent');
        this.#open();
        return;
      }
      if (silentMs >= SILENT_MS && this.#status.value.state !== 'stale') this.#stale('silent');
      this.#look();
    });
  }

  #stale(why: StaleReason): void {
    this.#status.value = { state: 'stale', sinceMs: this.#lastWordMs, why };
    // Without a stream, pages show what the API knows, and say that it is not live.
    if (!this.#reloaded) this.#reload();
  }

  #tell<K extends keyof LiveKinds>(kind: K, data: LiveKinds[K]): void {
    for (const listener of [...this.#listeners[kind]]) listener(data);
  }
}

interface Hello {
  readonly nowMs: number;
  readonly resumed: boolean;
  readonly alarms: readonly AlarmChange[];
}

function sameIds(a: readonly string[], b: readonly string[] | null): boolean {
  return b !== null && a.length === b.length && a.every((id, i) => id === b[i]);
}
