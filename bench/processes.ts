import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';

/** A hub and a fleet as processes of their own, and what the hub costs. They end with this process, their data too. */

const RAMP_PER_SECOND = 1000;
/** A process that has just taken in a fleet still grows and compiles. */
const SETTLE_MS = 15_000;
/** Clock ticks a second in /proc (getconf CLK_TCK). */
const TICKS = 100;
const MIB = 1024 * 1024;

const children: ChildProcess[] = [];
const folders: string[] = [];
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

export interface RunningHub {
  readonly url: string;
  readonly pid: number;
  /** Its data folder. */
  readonly data: string;
  /** May do everything. */
  readonly token: string;
  /** Good once: signs an administrator in. */
  readonly link: string;
  /** Resolves when it has ended by itself; its data stay. */
  stop(): Promise<void>;
}

/** `checkout`: the one whose hub it is. `nodeFlags`: further ones, for a profile. */
export async function startHub(checkout = '.', nodeFlags: readonly string[] = []): Promise<RunningHub> {
  const data = mkdtempSync(join(tmpdir(), 'muster-bench-'));
  folders.push(data);
  const words = ['serve', '--port', '0', '--data', data, '--allow-anonymous', '--log-level', 'warn'];
  const hub = muster(words, checkout, nodeFlags);
  const [url, token, link] = await Promise.all([
    printed(hub, /API and metrics: (http:\/\/[^\s)]+)/),
    printed(hub, /(mst_[0-9a-f]+_[A-Za-z0-9_-]+)/),
    printed(hub, /\/sign-in#([A-Za-z0-9_-]+)/),
  ]);
  const stop = async (): Promise<void> => {
    const ended = once(hub, 'exit');
    hub.kill('SIGTERM');
    await ended;
  };
  return { url, pid: hub.pid!, data, token, link, stop };
}

/** `devices` of all three protocols with a message each `interval`; resolves when they are online and the hub has settled. */
export async function startFleet(hub: RunningHub, devices: number, interval: string): Promise<void> {
  const fleet = muster([
    ...['sim', '--url', hub.url.replace('http', 'ws'), '--devices', String(devices), '--interval', interval],
    ...['--ramp', `${RAMP_PER_SECOND}/s`, '--duration', 'forever', '--no-verify'],
  ]);
  fleet.stdout!.resume();
  await wait((devices / RAMP_PER_SECOND) * 1000 + SETTLE_MS);
}

function muster(words: readonly string[], checkout = '.', nodeFlags: readonly string[] = []): ChildProcess {
  const child = spawn(process.execPath, [...process.execArgv, ...nodeFlags, 'cli/main.ts', ...words], {
    cwd: checkout,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  return child;
}

/** The first match of `pattern` in what a process prints. */
function printed(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error('it ended early')));
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const match = pattern.exec(line);
      if (match !== null) resolve(match[1]!);
    });
  });
}

interface Load {
  /** CPU seconds of the whole process, and of its main thread. */
  readonly all: number;
  readonly main: number;
  readonly rssMib: number;
  /** Messages that came. */
  readonly messages: number;
  readonly atMs: number;
}

async function loadOf({ pid, url }: RunningHub): Promise<Load> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const messages = [...metrics.matchAll(/^muster_messages_received_total\{[^}]*\} (\d+)/gm)];
  return {
    all: cpuSeconds(`/proc/${pid}/stat`),
    main: cpuSeconds(`/proc/${pid}/task/${pid}/stat`),
    rssMib: (Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024) / MIB,
    messages: messages.reduce((sum, match) => sum + Number(match[1]), 0),
    atMs: performance.now(),
  };
}

/** User and system time of a process or thread, by its `stat` in /proc. */
export function cpuSeconds(file: string): number {
  const fields = readFileSync(file, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

/** Prints what the hub takes for so many seconds. */
export async function printLoad(name: string, hub: RunningHub, seconds: number): Promise<void> {
  const before = await loadOf(hub);
  await wait(seconds * 1000);
  const after = await loadOf(hub);
  const s = (after.atMs - before.atMs) / 1000;
  const percent = (cpu: number): string => `${((cpu / s) * 100).toFixed(1)} %`;
  console.log(
    `${name.padEnd(34)} hub CPU ${percent(after.all - before.all)} (main thread ${percent(after.main - before.main)}), ` +
      `RSS ${before.rssMib.toFixed(0)} to ${after.rssMib.toFixed(0)} MiB, ` +
      `${Math.round((after.messages - before.messages) / s)} messages/s`,
  );
}
