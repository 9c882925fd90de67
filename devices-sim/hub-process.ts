import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Api } from './api.ts';
import { SimError } from './errors.ts';

const READY_TIMEOUT_MS = 30_000;
const READY_POLL_MS = 25;
const TOKEN_TIMEOUT_MS = 2000;
const STOP_TIMEOUT_MS = 15_000;
const KEPT_LINES = 30;
const TOKEN_PATTERN = /mst_[0-9a-f]+_[A-Za-z0-9_-]+/;

export interface HubProcessOptions {
  /** ws:// address with the port that the hub is to serve; port 0: a free one. */
  readonly url: string;
  /** Null: a fresh folder, removed by `stop`. */
  readonly dataDir: string | null;
  /** Program and first arguments before `serve …`; null: this package's own command line. */
  readonly command: readonly string[] | null;
}

/** A hub that this run starts, kills, starts again and stops. */
export class HubProcess {
  readonly #command: readonly string[];
  readonly #url: URL;
  readonly #ownDataDir: string | null;
  readonly #dataDir: string;
  #child: ChildProcess | null = null;
  #lines: string[] = [];
  #token: string | null = null;
  readonly #killOnExit = (): void => {
    this.#child?.kill('SIGKILL');
    this.#removeOwnData();
  };

  private constructor(options: HubProcessOptions, url: URL) {
    this.#command = options.command ?? ownCommand();
    this.#url = url;
    this.#ownDataDir = options.dataDir === null ? mkdtempSync(join(tmpdir(), 'muster-sim-')) : null;
    this.#dataDir = options.dataDir ?? this.#ownDataDir!;
    // The hub runs in a process group of its own (see `start`), so nothing but us ends it.
    process.on('exit', this.#killOnExit);
  }

  /** Starts a hub and waits until it is ready. Throws SimError with the hub's last words when it does not come up. */
  static async start(options: HubProcessOptions): Promise<HubProcess> {
    const url = new URL(options.url);
    if (url.port === '0') url.port = String(await freePort());
    const hub = new HubProcess(options, url);
    try {
      await hub.start();
      await hub.#waitForToken();
    } catch (error) {
      await hub.stop();
      throw error;
    }
    return hub;
  }

  /** Address with the real port. */
  get url(): string {
    return this.#url.href;
  }

  /** The API token that the hub printed at the first start on its data folder; null: it printed none. */
  get token(): string | null {
    return this.#token;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts it (again) on the same data. Resolves once `/readyz` is green. */
  async start(): Promise<void> {
    const [program, ...before] = this.#command;
    const port = this.#url.port === '' ? '80' : this.#url.port;
    const child = spawn(program!, [...before, 'serve', '--port', port, '--data', this.#dataDir], {
      stdio: ['ignore', 'pipe', 'pipe'],
      // The whole fleet is registered at once, and by one caller.
      env: { MUSTER_API_REQUESTS_PER_MINUTE: '10000000', ...process.env },
      // A Ctrl-C in the terminal is for the simulator, which then still needs its hub to drain and to check the log.
      detached: true,
    });
    this.#child = child;
    const fate: { ended: string | null } = { ended: null };
    child.once('error', (error) => (fate.ended = error.message));
    child.once('exit', (code, signal) => (fate.ended = `exit ${code ?? signal ?? ''}`));
    createInterface({ input: child.stdout }).on('line', (line) => this.#line(line));
    createInterface({ input: child.stderr }).on('line', (line) => this.#line(line));

    const api = new Api(this.#url.href, null);
    const deadline = performance.now() + READY_TIMEOUT_MS;
    while (!(await api.ready())) {
      if (fate.ended !== null) throw new SimError(`the hub did not start (${fate.ended}):\n${this.#lines.join('\n')}`);
      if (performance.now() > deadline) {
        throw new SimError(`the hub was not ready after ${READY_TIMEOUT_MS / 1000} s:\n${this.#lines.join('\n')}`);
      }
      await sleep(READY_POLL_MS);
    }
  }

  /** The hub may be ready a moment before it has printed its token; on a data folder that was used before it prints none. */
  async #waitForToken(): Promise<void> {
    const deadline = performance.now() + TOKEN_TIMEOUT_MS;
    while (this.#token === null && performance.now() < deadline) await sleep(READY_POLL_MS);
  }

  /** SIGKILL, as a power cut would: no goodbye, no flush. Resolves when the process is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL', STOP_TIMEOUT_MS);
  }

  /** Asks it to stop, insists after a while, and removes the data folder if it was made here. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM', STOP_TIMEOUT_MS);
    process.off('exit', this.#killOnExit);
    this.#removeOwnData();
  }

  #removeOwnData(): void {
    if (this.#ownDataDir !== null) rmSync(this.#ownDataDir, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals, insistAfterMs: number): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(signal);
    const insist = setTimeout(() => child.kill('SIGKILL'), insistAfterMs);
    await gone;
    clearTimeout(insist);
  }

  #line(line: string): void {
    this.#token ??= TOKEN_PATTERN.exec(line)?.[0] ?? null;
    this.#lines.push(line.replace(TOKEN_PATTERN, 'mst_…'));
    if (this.#lines.length > KEPT_LINES) this.#lines.shift();
  }
}

/** The command line of this package: its source in a checkout, its build when installed. */
function ownCommand(): readonly string[] {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const main = fileURLToPath(new URL(`../cli/main.${extension}`, import.meta.url));
  // The hub runs with the flags of this process, as the npm script gives them.
  return [process.execPath, ...process.execArgv, main];
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
