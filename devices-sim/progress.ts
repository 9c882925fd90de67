import type { Figures } from './figures.ts';

/** Figures of a run under way, for the progress line or whoever asks for them. */
export interface SimProgress {
  readonly phase: 'starting' | 'provisioning' | 'ramp' | 'running' | 'draining' | 'verifying';
  readonly elapsedMs: number;
  readonly devices: number;
  /** Devices with a token so far. */
  readonly provisioned: number;
  readonly connected: number;
  readonly sent: number;
  readonly resent: number;
  readonly acknowledged: number;
  /** Acknowledged per second since the last report of progress. */
  readonly acknowledgedPerSecond: number;
  readonly pending: number;
  readonly reconnects: number;
  readonly commandsReceived: number;
  readonly ackP50Ms: number;
  readonly ackP99Ms: number;
}

/** A stream to write on, such as `process.stderr`. */
export interface TextSink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

/** Where lines are rewritten, every second; elsewhere a line each so many milliseconds. */
const TTY_EVERY_MS = 1000;
const PLAIN_EVERY_MS = 5000;

/** Writes one line of figures: rewritten in place on a terminal, line by line elsewhere. */
export class ProgressLine {
  readonly #sink: TextSink;
  #lastMs = -Infinity;
  #open = false;

  constructor(sink: TextSink) {
    this.#sink = sink;
  }

  show(progress: SimProgress, nowMs: number): void {
    const tty = this.#sink.isTTY === true;
    if (nowMs - this.#lastMs < (tty ? TTY_EVERY_MS : PLAIN_EVERY_MS)) return;
    this.#lastMs = nowMs;
    this.#sink.write(tty ? `\r\x1b[K${progressText(progress)}` : `${progressText(progress)}\n`);
    this.#open = tty;
  }

  /** A line of its own, between the figures. */
  note(text: string): void {
    this.end();
    this.#sink.write(`${text}\n`);
  }

  /** Ends the line that is being rewritten. */
  end(): void {
    if (this.#open) this.#sink.write('\n');
    this.#open = false;
  }
}

export function progressText(p: SimProgress): string {
  const head = `${(p.elapsedMs / 1000).toFixed(0).padStart(4)} s  ${p.phase.padEnd(9)}`;
  if (p.phase === 'starting') return head;
  if (p.phase === 'provisioning') return `${head}  ${p.provisioned}/${p.devices} devices have a token`;
  return (
    `${head}  connected ${p.connected}/${p.devices}  acknowledged ${p.acknowledged} (${p.acknowledgedPerSecond.toFixed(0)}/s)` +
    `  pending ${p.pending}  resent ${p.resent}  reconnects ${p.reconnects}` +
    `  ack p50 ${p.ackP50Ms.toFixed(1)} ms p99 ${p.ackP99Ms.toFixed(1)} ms` +
    (p.commandsReceived > 0 ? `  commands ${p.commandsReceived}` : '')
  );
}

/** What of the progress comes from the figures. */
export function progressFigures(
  figures: Figures,
): Omit<SimProgress, 'phase' | 'elapsedMs' | 'devices' | 'provisioned' | 'acknowledgedPerSecond'> {
  const latency = figures.acknowledgement.summary();
  return {
    connected: figures.connected,
    sent: figures.sent,
    resent: figures.resent,
    acknowledged: figures.acknowledged,
    pending: figures.pending,
    reconnects: figures.reconnects,
    commandsReceived: figures.commandsReceived,
    ackP50Ms: latency.p50Ms,
    ackP99Ms: latency.p99Ms,
  };
}
