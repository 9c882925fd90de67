import { setTimeout as wait } from 'node:timers/promises';
import { Api } from './api.ts';
import { CommandLedger, CommandSender, type CommandReport } from './commands.ts';
import { SimError } from './errors.ts';
import { Figures } from './figures.ts';
import { checkFileLimit, processLimits } from './file-limit.ts';
import { deviceId, Fleet, socketsPerDevice } from './fleet.ts';
import { HubProcess } from './hub-process.ts';
import { interruption, sleep } from './interruption.ts';
import { Ledger } from './ledger.ts';
import { BadLink } from './link.ts';
import type { SimOptions } from './options.ts';
import { inParallel } from './parallel.ts';
import { progressFigures, ProgressLine, type SimProgress, type TextSink } from './progress.ts';
import { Random } from './random.ts';
import { failuresOf, reportText, type OutageReport, type SimReport } from './report.ts';
import { Schedule } from './schedule.ts';
import { verify } from './verification.ts';

export { SimError } from './errors.ts';
export {
  optionKey,
  parseSimOptions,
  SIM_OPTION_TABLE,
  SimOptionError,
  type RawSimOptions,
  type SimOptionRow,
  type SimOptions,
} from './options.ts';
export type { SimProgress, TextSink } from './progress.ts';
export { reportText, type SimReport } from './report.ts';

/** What a run may touch besides the network. */
export interface SimIo {
  /** For the final report; null: it is only returned. */
  readonly stdout: TextSink | null;
  /** For the progress line and notes; null: none. */
  readonly stderr: TextSink | null;
  /** Ends the run early, in order: it drains, checks and reports. Without it SIGINT and SIGTERM do. */
  readonly signal?: AbortSignal;
  /** Called about once a second. */
  readonly onProgress?: (progress: SimProgress) => void;
}

/** The one timer of a run. */
const TICK_MS = 10;
const PROGRESS_MS = 1000;
const POLL_MS = 25;
const PROVISION_PARALLEL = 16;
/** Some 300 MB of columns; a day of 1,000 devices at one message in ten seconds is 40 million and must be split. */
const LEDGER_MAX_READINGS = 20_000_000;

/**
 * Plays a fleet against a hub and says whether the hub kept its promises. Writes progress and the report to `io`.
 *
 * Throws SimError when there is nothing to report on (the hub cannot be reached by its API, did not start, too few open
 * files allowed). A run that ends otherwise, an interrupted one included, gives a report with its exit code.
 */
export async function runSimulation(options: SimOptions, io: SimIo): Promise<SimReport> {
  // Each connection through the link has two more ends, both of them here.
  const perDevice = socketsPerDevice(options.mix) * (options.cuts === null ? 1 : 3);
  checkFileLimit(options.devices, perDevice, processLimits());
  const interrupt = interruption(io.signal);
  const run = new Run(options, io, interrupt.signal);
  try {
    return await run.go();
  } finally {
    await run.dispose();
    interrupt.dispose();
  }
}

class Run {
  readonly #options: SimOptions;
  readonly #io: SimIo;
  /** Aborted by the caller or Ctrl-C. */
  readonly #interrupt: AbortSignal;
  /** Aborted by a fault of the run itself as well. */
  readonly #stop: AbortSignal;
  readonly #fault = new AbortController();
  /** Null: nobody kills the hub, or the run ended before. */
  #outage: Promise<OutageReport | null> = Promise.resolve(null);
  readonly #figures = new Figures();
  readonly #schedule = new Schedule();
  readonly #commandLedger = new CommandLedger();
  readonly #line: ProgressLine | null;
  #ticker: NodeJS.Timeout | null = null;
  #hub: HubProcess | null = null;
  #link: BadLink | null = null;
  #fleet: Fleet | null = null;
  #phase: SimProgress['phase'] = 'starting';
  #provisioned = 0;
  #startMs = nowMs();
  #progressMs = nowMs();
  #progressAcknowledged = 0;

  constructor(options: SimOptions, io: SimIo, interrupt: AbortSignal) {
    this.#options = options;
    this.#io = io;
    this.#interrupt = interrupt;
    this.#stop = AbortSignal.any([interrupt, this.#fault.signal]);
    this.#line = io.stderr === null ? null : new ProgressLine(io.stderr);
  }

  async go(): Promise<SimReport> {
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    const { url, token } = await this.#reachHub();
    const api = token === null ? null : new Api(url, token);
    const tokens = await this.#provision(api);
    if (this.#interrupt.aborted) tokens.length = 0;

    const ledger = this.#options.verify ? new Ledger(LEDGER_MAX_READINGS) : null;
    const startWallMs = Date.now();
    this.#startMs = nowMs();
    const deviceUrl = await this.#throughLink(url);
    const fleet = new Fleet(this.#options, deviceUrl, tokens, startWallMs, {
      figures: this.#figures,
      ledger,
      commands: this.#commandLedger,
      schedule: this.#schedule,
      nowMs,
    });
    this.#fleet = fleet;
    const ids = tokens.map((_, i) => deviceId(this.#options.seed, i));
    const sender =
      api === null || this.#options.commandsPerMinute === 0 || ids.length === 0
        ? null
        : new CommandSender(api, ids, new Random(this.#options.seed, 'commands'));

    await this.#play(fleet, sender);
    await this.#drain(fleet, sender);
    const elapsedMs = nowMs() - this.#startMs;
    const connectedAtEnd = this.#figures.connected;
    this.#phase = 'verifying';
    const outage = await this.#outage;
    await fleet.close();
    if (this.#fault.signal.aborted) throw this.#fault.signal.reason;

    const { commandsReceived, commandRepeats } = this.#figures;
    const commands = (await sender?.report(this.#commandLedger, commandsReceived, commandRepeats)) ?? null;
    const verification = await verify(ledger, api, startWallMs);
    const report = this.#report(fleet, { elapsedMs, connectedAtEnd, commands, outage, ledger: verification });
    this.#line?.end();
    this.#io.stdout?.write(this.#options.json ? `${JSON.stringify(report, null, 2)}\n` : reportText(report));
    return report;
  }

  /** Whatever happened: no timer, socket or process of the run is left. */
  async dispose(): Promise<void> {
    this.#line?.end();
    await this.#fleet?.close();
    await this.#link?.close();
    if (this.#ticker !== null) clearInterval(this.#ticker);
    await this.#hub?.stop();
  }

  async #reachHub(): Promise<{ url: string; token: string | null }> {
    const { url, token, spawnHub, dataDir, hubCommand } = this.#options;
    if (!spawnHub) return { url, token };
    const hub = await HubProcess.start({ url, dataDir, command: hubCommand });
    this.#hub = hub;
    const usable = token ?? hub.token;
    if (usable === null) {
      throw new SimError('the hub printed no API token, as its data folder was used before: give the token by --token');
    }
    this.#line?.note(`hub ${hub.pid ?? 0} serves ${hub.url}`);
    return { url: hub.url, token: usable };
  }

  /** The API is reached directly: it provisions, and is what is checked against. */
  async #throughLink(url: string): Promise<string> {
    const { cuts, seed } = this.#options;
    if (cuts === null) return url;
    this.#link = await BadLink.open({ url, cuts, random: new Random(seed, 'link') });
    return this.#link.url;
  }

  /** A token for each device; nulls without an API. */
  async #provision(api: Api | null): Promise<(string | null)[]> {
    const { devices, seed } = this.#options;
    const tokens = new Array<string | null>(devices).fill(null);
    if (api === null) return tokens;
    this.#phase = 'provisioning';
    const provisionOne = async (i: number): Promise<void> => {
      tokens[i] = await api.provision(deviceId(seed, i));
      this.#provisioned++;
    };
    await inParallel(devices, PROVISION_PARALLEL, provisionOne, this.#stop);
    return tokens;
  }

  /** Ramp, run, and the kill in between. */
  async #play(fleet: Fleet, sender: CommandSender | null): Promise<void> {
    this.#phase = 'ramp';
    fleet.start(this.#startMs);
    if (sender !== null) this.#scheduleCommands(sender, this.#startMs + fleet.rampMs);
    await sleep(fleet.rampMs, this.#stop);
    this.#phase = 'running';
    this.#outage = this.#killLater();
    await sleep(this.#startMs + fleet.rampMs + this.#options.durationMs - nowMs(), this.#stop);
    fleet.stopMeasuring();
    this.#phase = 'draining';
  }

  async #drain(fleet: Fleet, sender: CommandSender | null): Promise<void> {
    // What was measured is to be acknowledged in the end: then nothing may be missing.
    this.#link?.heal();
    const deadlineMs = nowMs() + this.#options.drainMs;
    const open = (): boolean => this.#figures.pending > 0 || fleet.owedResults > 0;
    while (open() && nowMs() < deadlineMs && !this.#fault.signal.aborted) await wait(POLL_MS);
    await sender?.drain(Math.max(0, deadlineMs - nowMs()));
  }

  #scheduleCommands(sender: CommandSender, atMs: number): void {
    this.#schedule.at(atMs, () => {
      if (this.#phase !== 'running' && this.#phase !== 'ramp') return;
      sender.send();
      this.#scheduleCommands(sender, atMs + 60_000 / this.#options.commandsPerMinute);
    });
  }

  /** SIGKILL after a while, and a new start on the same data. Resolves with null when it is not wanted or did not come to it. */
  async #killLater(): Promise<OutageReport | null> {
    const hub = this.#hub;
    if (hub === null || this.#options.killAfterMs === null) return null;
    try {
      await sleep(this.#options.killAfterMs, this.#stop);
      if (this.#stop.aborted) return null;
      return await this.#killNow(hub);
    } catch (error) {
      // Without its hub the rest of the run would show nothing.
      this.#fault.abort(error);
      return null;
    }
  }

  async #killNow(hub: HubProcess): Promise<OutageReport> {
    const before = this.#figures.connected;
    const killedMs = nowMs();
    this.#line?.note(`kill -9 ${hub.pid ?? 0}`);
    await hub.kill();
    await hub.start();
    const hubBackMs = nowMs() - killedMs;
    this.#line?.note(`hub ${hub.pid ?? 0} is back after ${Math.round(hubBackMs)} ms`);
    // Sockets of the killed hub are closed by the kernel; until the last is noticed, nobody is "back".
    while (this.#figures.connected < before || this.#figures.reconnects === 0) {
      if (this.#phase === 'verifying') return { hubBackMs, fleetBackMs: null };
      await wait(POLL_MS);
    }
    return { hubBackMs, fleetBackMs: nowMs() - killedMs };
  }

  #report(
    fleet: Fleet,
    ends: Pick<SimReport, 'elapsedMs' | 'connectedAtEnd' | 'outage' | 'ledger'> & {
      readonly commands: CommandReport | null;
    },
  ): SimReport {
    const f = this.#figures;
    const faults = { count: f.faults, first: f.firstFault };
    const failures = failuresOf({ ...ends, faults });
    return {
      exitCode: failures.length === 0 ? 0 : 1,
      failures,
      interrupted: this.#interrupt.aborted,
      devices: this.#options.devices,
      devicesByProtocol: fleet.devicesByProtocol,
      everConnected: f.everConnected,
      reconnects: f.reconnects,
      gaveUp: f.gaveUp,
      sent: f.sent,
      resent: f.resent,
      acknowledged: f.acknowledged,
      refused: f.refused,
      firstRefusal: f.firstRefusal,
      unacknowledgedAtEnd: f.pending,
      skipped: f.skipped,
      acknowledgement: f.acknowledgement.summary(),
      delivery: f.delivery.summary(),
      closes: f.closes(),
      faults,
      link: this.#link?.figures ?? null,
      ...ends,
    };
  }

  #tick(): void {
    const now = nowMs();
    this.#schedule.advance(now);
    if (now - this.#progressMs < PROGRESS_MS) return;
    const seconds = (now - this.#progressMs) / 1000;
    const acknowledged = this.#figures.acknowledged;
    const progress: SimProgress = {
      phase: this.#phase,
      elapsedMs: now - this.#startMs,
      devices: this.#options.devices,
      provisioned: this.#provisioned,
      acknowledgedPerSecond: (acknowledged - this.#progressAcknowledged) / seconds,
      ...progressFigures(this.#figures),
    };
    this.#progressMs = now;
    this.#progressAcknowledged = acknowledged;
    this.#line?.show(progress, now);
    this.#io.onProgress?.(progress);
  }
}

function nowMs(): number {
  return performance.now();
}
