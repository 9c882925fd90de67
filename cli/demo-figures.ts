import type { SimProgress } from '#devices-sim/main.js';
import type { TextSink } from './io.ts';
import { Scrape } from './scrape.ts';

/** What the demo shows, each second. */
export interface DemoFigures {
  readonly phase: string;
  readonly devices: number;
  readonly online: number;
  readonly onlineByProtocol: Readonly<Record<string, number>>;
  readonly messagesPerSecond: number;
  readonly readingsStored: number;
  readonly commitsPerSecond: number;
  /** From a device's send to its acknowledgement, as the devices measured it. */
  readonly ackP50Ms: number;
  readonly ackP99Ms: number;
  readonly commands: Readonly<Record<string, number>>;
}

/** Makes rates out of the hub's counters and joins them with what the devices saw. */
export class DemoMeter {
  #last: { readonly atMs: number; readonly messages: number; readonly commits: number } | null = null;

  next(metrics: string, progress: SimProgress, atMs: number): DemoFigures {
    const scrape = new Scrape(metrics);
    const messages = scrape.sum('muster_messages_received_total');
    const commits = scrape.sum('muster_commits_total');
    const last = this.#last ?? { atMs, messages, commits };
    this.#last = { atMs, messages, commits };
    const perSecond = (now: number, before: number): number =>
      atMs > last.atMs ? (now - before) / ((atMs - last.atMs) / 1000) : 0;
    return {
      phase: progress.phase,
      devices: progress.devices,
      online: scrape.sum('muster_devices_online'),
      onlineByProtocol: scrape.byLabel('muster_devices_online'),
      messagesPerSecond: perSecond(messages, last.messages),
      readingsStored: scrape.sum('muster_readings_stored_total'),
      commitsPerSecond: perSecond(commits, last.commits),
      ackP50Ms: progress.ackP50Ms,
      ackP99Ms: progress.ackP99Ms,
      commands: scrape.byLabel('muster_commands'),
    };
  }
}

/** The figures as lines of text. */
export function figureLines(f: DemoFigures): string[] {
  const some = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ') || 'none';
  return [
    `devices    ${f.online} of ${f.devices} online (${some(f.onlineByProtocol)})   ${f.phase}`,
    `messages   ${Math.round(f.messagesPerSecond)}/s received, ${f.readingsStored} readings on disk`,
    `acks       p50 ${f.ackP50Ms.toFixed(1)} ms, p99 ${f.ackP99Ms.toFixed(1)} ms after the send, each after its commit`,
    `commits    ${Math.round(f.commitsPerSecond)}/s`,
    `commands   ${some(f.commands)}`,
  ];
}

/** Elsewhere than on a terminal: one line each so many seconds. */
const PLAIN_EVERY = 5;

/** Shows figures: rewritten in place on a terminal, as single lines elsewhere. */
export class FigureScreen {
  readonly #sink: TextSink;
  #shown = 0;
  #calls = 0;

  constructor(sink: TextSink) {
    this.#sink = sink;
  }

  show(figures: DemoFigures): void {
    const lines = figureLines(figures);
    if (this.#sink.isTTY === true) {
      // Up over the lines shown before; each is cleared to its end.
      const up = this.#shown === 0 ? '' : `\x1b[${this.#shown}A`;
      this.#sink.write(up + lines.map((line) => `${line}\x1b[K\n`).join(''));
      this.#shown = lines.length;
    } else if (this.#calls++ % PLAIN_EVERY === 0) {
      this.#sink.write(`${lines.map((line) => line.replace(/ {2,}/g, ' ')).join(' | ')}\n`);
    }
  }
}
