import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';

/**
 * What the live feed costs a hub under load: CPU and memory of the hub with nobody watching, with viewers of all devices (one
 * of which reads nothing), and after they have gone. Hub and fleet are processes of their own; the viewers run here.
 *
 *     node --max-semi-space-size=8 --conditions=muster-source bench/live.ts [devices] [interval] [viewers] [secondsPerWindow]
 *
 * With the usual 5,000, 1s, 20 and 10 it takes 55 seconds.
 */

const [devices, interval, viewers, seconds] = [
  Number(process.argv[2] ?? 5000),
  process.argv[3] ?? '1s',
  Number(process.argv[4] ?? 20),
  Number(process.argv[5] ?? 10),
];
const RAMP_PER_SECOND = 1000;
/** A process that has just taken in a fleet still grows and compiles. */
const SETTLE_MS = 15_000;
/** Clock ticks a second in /proc (getconf CLK_TCK). */
const TICKS = 100;
const MIB = 1024 * 1024;

const data = mkdtempSync(join(tmpdir(), 'muster-bench-'));
const children: ChildProcess[] = [];
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(data, { recursive: true, force: true });
});

function muster(...words: string[]): ChildProcess {
  const child = spawn(process.execPath, [...process.execArgv, 'cli/main.ts', ...words], {
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
  /** Messages that came, and events that left for a viewer. */
  readonly messages: number;
  readonly atMs: number;
}

function cpuSeconds(file: string): number {
  const fields = readFileSync(file, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

async function loadOf(pid: number, url: string): Promise<Load> {
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

/** What a viewer has seen; an id ends each event of a flush. */
class Viewer {
  bytes = 0;
  events = 0;
  readonly devices = new Set<string>();
  resyncs = 0;
  #request: ReturnType<typeof get>;

  constructor(url: string, token: string, listsDevices: boolean) {
    this.#request = get(`${url}/api/v1/live`, { headers: { authorization: `Bearer ${token}` } }, (answer) => {
      answer.on('data', (bytes: Buffer) => this.#take(bytes, listsDevices));
    });
    this.#request.on('error', () => undefined);
  }

  #take(bytes: Buffer, listsDevices: boolean): void {
    this.bytes += bytes.length;
    const text = bytes.toString('latin1');
    this.events += text.split('event: ').length - 1;
    this.resyncs += text.split('event: resync').length - 1;
    if (!listsDevices) return;
    for (const match of text.matchAll(/"device":"([^"]+)"/g)) this.devices.add(match[1]!);
  }

  close(): void {
    this.#request.destroy();
  }
}

/** Asks, and never reads. */
function deafViewer(url: string, token: string): Socket {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => undefined).pause();
  socket.write(`GET /api/v1/live HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer ${token}\r\n\r\n`);
  return socket;
}

async function window(name: string, pid: number, url: string): Promise<void> {
  const before = await loadOf(pid, url);
  await wait(seconds * 1000);
  const after = await loadOf(pid, url);
  const s = (after.atMs - before.atMs) / 1000;
  const percent = (cpu: number): string => `${((cpu / s) * 100).toFixed(1)} %`;
  console.log(
    `${name.padEnd(34)} hub CPU ${percent(after.all - before.all)} (main thread ${percent(after.main - before.main)}), ` +
      `RSS ${before.rssMib.toFixed(0)} to ${after.rssMib.toFixed(0)} MiB, ` +
      `${Math.round((after.messages - before.messages) / s)} messages/s`,
  );
}

const hub = muster('serve', '--port', '0', '--data', data, '--allow-anonymous', '--log-level', 'warn');
const tokenPrinted = printed(hub, /(mst_[0-9a-f]+_[A-Za-z0-9_-]+)/);
const url = await printed(hub, /API and metrics: (http:\/\/\S+?)\)/);
const token = await tokenPrinted;
const fleet = muster(
  ...['sim', '--url', url.replace('http', 'ws'), '--devices', String(devices), '--interval', interval],
  ...['--ramp', `${RAMP_PER_SECOND}/s`, '--duration', 'forever', '--no-verify'],
);
fleet.stdout!.resume();
await wait((devices / RAMP_PER_SECOND) * 1000 + SETTLE_MS);

console.log(
  `${devices} devices, a message each ${interval}; ${viewers} viewers of all devices, one of which reads nothing`,
);
const pid = hub.pid!;
await window('nobody watches', pid, url);
const watching = Array.from({ length: viewers - 1 }, (_, i) => new Viewer(url, token, i === 0));
const deaf = deafViewer(url, token);
await wait(1000);
await window(`${viewers} viewers`, pid, url);
const [first] = watching;
const flowing = seconds + 1;
console.log(
  `each viewer: ${Math.round(first!.bytes / 1024 / flowing)} KiB/s, ${(first!.events / flowing).toFixed(1)} events/s, ` +
    `${first!.devices.size} devices seen, ${watching.reduce((sum, viewer) => sum + viewer.resyncs, 0)} resyncs in all`,
);
for (const viewer of watching) viewer.close();
deaf.destroy();
await wait(500);
await window('gone, changes still noted', pid, url);
process.exit(0);
