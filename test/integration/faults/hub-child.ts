import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ALL_OPTIONS } from '#hub/config.js';

const MAIN = join(import.meta.dirname, '../../../cli/main.ts');
const START_LIMIT_MS = 20_000;

export interface HubChildOptions {
  readonly data: string;
  /** Options by name, as for `startTestHub`. */
  readonly flags?: Readonly<Record<string, string | number | boolean>>;
  /** API token of an earlier start on the same data. */
  readonly token?: string;
  /** Program and arguments that run the hub's command line. */
  readonly under?: readonly string[];
}

/** A hub in a process of its own, by its own command line: to be killed. */
export class HubChild {
  readonly port: number;
  readonly token: string;
  readonly lines: readonly string[];
  readonly #child: ChildProcess;
  readonly #exit: Promise<Exit>;

  private constructor(child: ChildProcess, exit: Promise<Exit>, port: number, token: string, lines: readonly string[]) {
    this.#child = child;
    this.#exit = exit;
    this.port = port;
    this.token = token;
    this.lines = lines;
  }

  /** Resolves when it listens. Rejects with its last words when it does not come up. */
  static async start({ data, flags = {}, token, under = [] }: HubChildOptions): Promise<HubChild> {
    const command = [...under, process.execPath, '--conditions=muster-source', MAIN, 'serve'];
    const [program, ...args] = [...command, '--host', '127.0.0.1', '--port', '0', '--data', data, ...flagsOf(flags)];
    const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const exit = new Promise<Exit>((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
    const lines: string[] = [];
    const listening = new Promise<{ port: number; token: string }>((resolve, reject) => {
      const lastWords = (): Error => new Error(`the hub did not start:\n${lines.join('\n')}`);
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        reject(lastWords());
      }, START_LIMIT_MS);
      const look = (line: string): void => {
        lines.push(line);
        const port = find(lines, /listening on ws:\/\/[^:]+:(\d+)/);
        const shown = token ?? find(lines, /API token[^:]*: (mst_\S+)/);
        if (port === null || shown === null) return;
        clearTimeout(timer);
        resolve({ port: Number(port), token: shown });
      };
      createInterface({ input: child.stdout }).on('line', look);
      createInterface({ input: child.stderr }).on('line', look);
      child.once('error', reject);
      child.once('exit', () => reject(lastWords()));
    });
    const started = await listening;
    return new HubChild(child, exit, started.port, started.token, lines);
  }

  get wsUrl(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** JSON, or text where the hub answers with something else. */
  async api(method: string, path: string): Promise<{ status: number; body: any }> {
    const headers = { authorization: `Bearer ${this.token}` };
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`, { method, headers });
    const text = await response.text();
    const isJson = /[/+]json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, body: isJson ? JSON.parse(text) : text };
  }

  /** Resolves when the process is gone. */
  async kill(signal: NodeJS.Signals): Promise<Exit> {
    this.#child.kill(signal);
    return this.#exit;
  }
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

function flagsOf(flags: Readonly<Record<string, string | number | boolean>>): string[] {
  return Object.entries(flags).flatMap(([name, value]) => {
    const option = ALL_OPTIONS.find(({ attribute }) => attribute === name);
    if (option === undefined) throw new Error(`there is no option ${name}`);
    return value === true ? [option.flag] : [option.flag, String(value)];
  });
}

function find(lines: readonly string[], pattern: RegExp): string | null {
  for (const line of lines) {
    const match = pattern.exec(line);
    if (match !== null) return match[1]!;
  }
  return null;
}
