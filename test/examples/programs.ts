import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterThisTest } from '../integration/clients/opened.ts';
import { until } from '../support/hub.ts';

/** The examples as programs: compiled where that is needed, run, and watched. */

const EXAMPLES = join(import.meta.dirname, '../../examples');
/** Debian's, for which its packages are. */
export const PYTHON = '/usr/bin/python3';

export const IN_CI = process.env['CI'] !== undefined && process.env['CI'] !== '';

/** Why the C example cannot be made here, or null. */
export function whyNoC({ tls = false } = {}): string | null {
  const packages = ['libcbor', ...(tls ? ['openssl'] : [])];
  const found = [
    ['gcc', '--version'],
    ['make', '--version'],
    ['pkg-config', '--exists', ...packages],
  ].every(([program, ...args]) => spawnSync(program!, args, { timeout: 20_000 }).status === 0);
  const debian = `gcc make libc6-dev pkg-config libcbor-dev${tls ? ' libssl-dev' : ''}`;
  return found ? null : `the C example cannot be made; install what it needs with: apt-get install -y ${debian}`;
}

/** Why the Python examples cannot be run here, or null. */
export function whyNoPython(): string | null {
  if (spawnSync(PYTHON, ['-c', 'import websockets'], { timeout: 20_000 }).status === 0) return null;
  return `${PYTHON} has no module websockets; install it with: apt-get install -y python3-websockets`;
}

/** Says so when tests are left out. Returns whether they are. */
export function skips(file: string, missing: string | null): boolean {
  if (missing !== null) console.warn(`${file}: ${IN_CI ? 'fails' : 'is skipped'}: ${missing}`);
  return missing !== null && !IN_CI;
}

export interface Made {
  /** Path of a program of the Makefile. */
  readonly program: (name: string) => string;
  readonly remove: () => void;
}

/** Makes programs of `examples/c` in a folder of their own, without a warning. */
export function makeC(targets: readonly string[], variables: readonly string[] = []): Made {
  const out = mkdtempSync(join(tmpdir(), 'muster-examples-'));
  const files = targets.map((target) => join(out, target));
  const args = ['-s', '-C', join(EXAMPLES, 'c'), `OUT=${out}`, ...variables, ...files];
  const { status, stdout, stderr } = spawnSync('make', args, { encoding: 'utf8', timeout: 120_000 });
  if (status !== 0 || stderr !== '') throw new Error(`make ended with ${status}:\n${stdout}${stderr}`);
  return { program: (name) => join(out, name), remove: () => rmSync(out, { recursive: true, force: true }) };
}

export function pythonScript(name: string): string {
  return join(EXAMPLES, 'python', name);
}

/** How a device of the examples is started: the program, and what stands before its own arguments. */
export interface DeviceProgram {
  readonly name: string;
  /** Why it cannot be run here, or null. */
  readonly missing: string | null;
  readonly command: () => readonly string[];
  /** Commands of 100 KB and more; else they are rejected. */
  readonly readsLongCommands: boolean;
  /** What a reset in the middle of a write leaves at the end of that file. */
  readonly halfAMessage: Buffer;
  /** It grows no further: what is acknowledged leaves it in time. */
  readonly mostFileBytes: number;
  /** How many messages a file of its queue holds. */
  readonly messagesIn: (file: Buffer) => number;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
}

/** A running example. */
export class Running {
  output = '';
  words = '';
  /** Null while it runs. */
  end: { readonly code: number | null; readonly signal: NodeJS.Signals | null } | null = null;
  readonly #process: ChildProcessWithoutNullStreams;

  constructor(command: readonly string[], args: readonly string[], { env = {} }: RunOptions = {}) {
    const [program, ...before] = command;
    // A sanitizer that finds something ends the program with a code of its own.
    const sanitizers = { ASAN_OPTIONS: 'exitcode=99', UBSAN_OPTIONS: 'exitcode=99' };
    this.#process = spawn(program!, [...before, ...args], {
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...sanitizers, ...env },
    });
    this.#process.on('exit', (code, signal) => (this.end = { code, signal }));
    this.#process.stdout.on('data', (text: Buffer) => (this.output += text.toString()));
    this.#process.stderr.on('data', (text: Buffer) => (this.words += text.toString()));
    this.#process.stdin.on('error', () => undefined);
    afterThisTest(() => this.#process.kill('SIGKILL'));
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Its exit code, or null after a signal. */
  async ended(limitMs = 15_000): Promise<number | null> {
    await until('the end of the example', () => this.end !== null, limitMs).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}; its words:\n${this.words.slice(-2000)}`);
    });
    if (this.end?.code === 99) throw new Error(`the sanitizers found something:\n${this.words}`);
    return this.end!.code;
  }

  /** Waits until it has said something on standard error. */
  async said(words: string, limitMs?: number): Promise<void> {
    const heard = (): boolean => this.words.includes(words);
    await until(`"${words}"`, () => heard() || this.end !== null, limitMs);
    if (!heard()) throw new Error(`it ended with ${this.end?.code ?? this.end?.signal} and said:\n${this.words}`);
  }
}
