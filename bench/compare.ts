/**
 * Muster beside mosquitto, in one run and in turn: durable QoS 1 with JSON readings on the device topic, and memory per
 * idle connection. See README.md for what it needs and what the figures mean.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort } from './ports.ts';

interface Subject {
  readonly name: string;
  readonly port: number;
  readonly child: ChildProcess;
  stop(): Promise<void>;
}

interface Scenario {
  readonly name: string;
  readonly unit: string;
  /** Which way is better. */
  readonly more: boolean;
  readonly args: readonly string[];
  read(output: string): number;
}

const { values } = parseArgs({
  options: {
    generator: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
  },
});
if (values.generator === undefined) {
  console.error('give the load generator: --generator PATH (bench/README.md says what it must speak)');
  process.exit(2);
}
const generator = values.generator;
const rounds = Number(values.rounds);
const dur = values.seconds;

const publish = (n: number, w: number): readonly string[] =>
  `--app mqtt --mode qos1 --n ${n} --w ${w} --dur ${dur} --warm 2 --sub 0 --topic devices/me/telemetry --json 1`.split(
    ' ',
  );

const SCENARIOS: readonly Scenario[] = [
  {
    name: '100 clients x 20 in flight',
    unit: 'acked/s',
    more: true,
    args: publish(100, 20),
    read: figure(/acked=(\d+)\/s/),
  },
  { name: '2,000 clients x 1', unit: 'acked/s', more: true, args: publish(2000, 1), read: figure(/acked=(\d+)\/s/) },
  {
    name: 'memory per idle connection, 5,000',
    unit: 'KB',
    more: false,
    args: '--app mqtt --mode idle --n 5000 --sub 0 --dur 4'.split(' '),
    read: figure(/([\d.]+) KB\/conn \(user\)/),
  },
];

const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'));
try {
  await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function main(): Promise<void> {
  const results = new Map<string, number[]>();
  for (let round = 1; round <= rounds; round++) {
    for (const scenario of SCENARIOS) {
      for (const start of [startMosquitto, startMuster]) {
        // A fresh process each time: nobody measures on another's heap.
        const subject = await start();
        try {
          const output = generate(subject, scenario);
          const value = scenario.read(output);
          const key = `${scenario.name}|${subject.name}`;
          results.set(key, [...(results.get(key) ?? []), value]);
          console.log(
            `round ${round}  ${scenario.name}  ${subject.name}: ${value} ${scenario.unit}  [${output.trim()}]`,
          );
          if (subject.name === 'muster' && scenario.unit === 'acked/s') await checkStored(subject, output);
        } finally {
          await subject.stop();
        }
      }
    }
  }
  for (const scenario of SCENARIOS) {
    const [other, ours] = ['mosquitto', 'muster'].map((name) => median(results.get(`${scenario.name}|${name}`) ?? []));
    const line = `| ${scenario.name} (${scenario.unit}) | ${other} | ${ours} | ${(ours! / other!).toFixed(2)} |`;
    console.log(line);
  }
}

function generate(subject: Subject, scenario: Scenario): string {
  const args = [
    '--port',
    String(subject.port),
    '--path',
    '/mqtt',
    ...scenario.args,
    '--pid',
    String(subject.child.pid),
  ];
  return execFileSync(generator, args, { encoding: 'utf8', timeout: 120_000 });
}

/** An ack counts only when its reading was stored: four rows a message, none rejected. */
async function checkStored(subject: Subject, output: string): Promise<void> {
  const metrics = await (await fetch(`http://127.0.0.1:${subject.port}/metrics`)).text();
  const stored = Number(/^muster_readings_stored_total (\d+)/m.exec(metrics)?.[1] ?? 0);
  const rejected = [...metrics.matchAll(/^muster_messages_rejected_total\{.*\} (\d+)/gm)].reduce(
    (n, m) => n + Number(m[1]),
    0,
  );
  const acknowledged = Number(/tot\{sent=\d+ ack=(\d+)\}/.exec(output)?.[1] ?? NaN);
  const ok = rejected === 0 && stored >= acknowledged * 4;
  console.log(
    `         acknowledged ${acknowledged}, rows stored ${stored}, rejected ${rejected}: ${ok ? 'ok' : 'NOT ALL STORED'}`,
  );
  if (!ok) process.exitCode = 1;
}

async function startMosquitto(): Promise<Subject> {
  const [plain, port] = [await freePort(), await freePort()];
  const file = join(folder, `mosquitto-${port}.conf`);
  const lines = [
    `listener ${plain} 127.0.0.1`,
    `listener ${port} 127.0.0.1`,
    'protocol websockets',
    'allow_anonymous true',
    'persistence false',
    'max_queued_messages 100000',
    'max_inflight_messages 1000',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const child = spawn('mosquitto', ['-c', file], { stdio: 'ignore' });
  await listening(plain);
  await listening(port);
  return { name: 'mosquitto', port, child, stop: () => stopped(child) };
}

async function startMuster(): Promise<Subject> {
  const port = await freePort();
  const data = mkdtempSync(join(folder, 'data-'));
  const cli = join(import.meta.dirname, '..', 'cli', 'main.ts');
  const flags = [
    '--allow-anonymous',
    '--large-integers',
    'round',
    '--max-unidentified',
    '10000',
    '--log-level',
    'error',
  ];
  // The flags of the npm script that runs this are those of `npm run muster`.
  const args = [...process.execArgv, cli, 'serve', '--port', String(port), '--data', data, ...flags];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  await listening(port);
  return {
    name: 'muster',
    port,
    child,
    stop: async () => {
      await stopped(child);
      rmSync(data, { recursive: true, force: true });
    },
  };
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}

async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    // Any HTTP answer, or a broken one, says that somebody listens.
    const up = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(1000) }).then(
      () => true,
      (error: unknown) => !String((error as { cause?: unknown }).cause).includes('ECONNREFUSED'),
    );
    if (up) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`nothing listens on port ${port}`);
}

function figure(pattern: RegExp): (output: string) => number {
  return (output) => {
    const found = pattern.exec(output);
    if (found === null) throw new Error(`the generator did not print ${pattern}: ${output}`);
    return Number(found[1]);
  };
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}
