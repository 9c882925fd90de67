import { FakeClock } from '#test/support/fake-clock.js';
import { LiveClient, type LiveKinds, type Source } from '../../dashboard/live.ts';

/** Stands for the browser's `EventSource`. */
export class FakeSource implements Source {
  readonly url: string;
  readyState = 0;
  isClosed = false;
  onerror: (() => void) | null = null;
  readonly #listeners = new Map<string, (event: { data: string }) => void>();

  constructor(url: string) {
    this.url = url;
  }

  addEventListener(kind: string, listener: (event: { data: string }) => void): void {
    this.#listeners.set(kind, listener);
  }

  close(): void {
    this.isClosed = true;
    this.readyState = 2;
  }

  says(kind: string, data: unknown): void {
    this.#listeners.get(kind)?.({ data: JSON.stringify(data) });
  }

  /** The connection breaks; the browser tries again by itself. */
  breaks(): void {
    this.readyState = 0;
    this.onerror?.();
  }

  /** The hub answers something else than a stream; the browser gives up. */
  isRefused(): void {
    this.readyState = 2;
    this.onerror?.();
  }
}

/** A live client on a fake hub: `source` is the newest stream. */
export class FakeFeed {
  readonly clock = new FakeClock();
  readonly sources: FakeSource[] = [];
  /** The hub's clock is so far ahead of the browser's. */
  hubAheadMs = 0;
  refusals = 0;
  reloads = 0;
  readonly live: LiveClient;

  constructor() {
    this.live = new LiveClient({
      open: (url) => {
        const source = new FakeSource(url);
        this.sources.push(source);
        return source;
      },
      nowMs: () => this.clock.now(),
      after: (ms, run) => {
        const timer = this.clock.after(ms, run);
        return () => timer.cancel();
      },
      onRefused: () => this.refusals++,
    });
    this.live.on('reload', () => this.reloads++);
  }

  get source(): FakeSource {
    return this.sources.at(-1)!;
  }

  get nowMs(): number {
    return this.clock.now() + this.hubAheadMs;
  }

  hello(resumed = false, alarms: LiveKinds['alarm'] = []): void {
    this.source.says('hello', { nowMs: this.nowMs, resumed, alarms });
  }

  figures(part: Partial<LiveKinds['figures']> = {}): void {
    this.source.says('figures', { ...FIGURES, nowMs: this.nowMs, ...part });
  }

  /** Time passes while the hub speaks each second. */
  speaks(seconds: number): void {
    for (let i = 0; i < seconds; i++) {
      this.clock.advance(1000);
      this.figures();
    }
  }
}

const FIGURES = {
  online: 0,
  offline: 0,
  byProtocol: {},
  messagesPerS: 0,
  readingsPerS: 0,
  commitsPerS: 0,
  commitMs: null,
  ackMs: null,
  backlogRows: 0,
};
