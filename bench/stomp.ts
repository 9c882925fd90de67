/**
 * STOMP over WebSocket, SEND with receipt, Muster beside RabbitMQ's Web STOMP, in one run and in turn: messages that are on disk when their
 * RECEIPT comes. Muster stores readings of a device, and messages of a queue; RabbitMQ persistent messages of a durable queue. See
 * README.md for what it needs and what the figures mean.
 */
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { startHub } from './processes.ts';
import { startRabbitMq } from './rabbitmq.ts';

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

const LOADS = [
  { name: '100 clients x 20 in flight', clients: 100, window: 20 },
  { name: '2,000 clients x 1', clients: 2000, window: 1 },
] as const;
type Load = (typeof LOADS)[number];

interface Subject {
  readonly name: string;
  /** Starts it, measures, ends it: nobody measures on another's heap or disk. Receipts a second. */
  measure(load: Load): Promise<number>;
}

// The generator's readings carry its clock as an integer past 2^53, and strangers come all at once.
process.env.MUSTER_LARGE_INTEGERS = 'round';
process.env.MUSTER_MAX_UNIDENTIFIED = '10000';
// Nobody consumes: what is sent has to find room, as it does in RabbitMQ.
process.env.MUSTER_MAX_QUEUE_MESSAGES = '10000000';
process.env.MUSTER_MAX_QUEUE_BYTES = String(4 * 1024 ** 3);
process.env.MUSTER_MAX_QUEUE_BYTES_IN_ALL = String(4 * 1024 ** 3);

const RABBITMQ: Subject = {
  name: 'RabbitMQ',
  measure: async (load) => {
    const rabbit = await startRabbitMq();
    try {
      // persistent:true is what makes it wait for its disk.
      const more = ['--user', 'guest', '--pass', 'guest', '--dest', '/queue/bench\npersistent:true', '--size', '100'];
      const output = generate(rabbit.port, rabbit.pid, '/ws', load, more);
      const { durable, messages, persistent } = rabbit.stored();
      const receipts = Number(/ack=(\d+)\}/.exec(output)?.[1]);
      check(
        receipts > 0 && durable && persistent >= receipts,
        `receipts ${receipts}, messages ${messages}, persistent ${persistent}`,
      );
      return ratePerSecond(output);
    } finally {
      await rabbit.stop();
    }
  },
};

const READINGS: Subject = {
  name: 'Muster, readings',
  measure: (load) =>
    measureMuster(
      load,
      ['--dest', '/devices/bench/telemetry', '--json', '1'],
      4,
      /^muster_readings_stored_total (\d+)/m,
    ),
};

const QUEUE: Subject = {
  name: 'Muster, queue',
  measure: (load) =>
    measureMuster(load, ['--dest', '/queue/bench', '--size', '100'], 1, /^muster_queue_messages (\d+)/m),
};

/** `counter`: the metric by which each receipt shows, `rows` times. */
async function measureMuster(load: Load, more: readonly string[], rows: number, counter: RegExp): Promise<number> {
  const hub = await startHub();
  try {
    const headers = { authorization: `Bearer ${hub.token}`, 'content-type': 'application/json' };
    await fetch(`${hub.url}/api/v1/devices`, { method: 'POST', headers, body: '{"id":"bench"}' });
    const output = generate(Number(new URL(hub.url).port), hub.pid, '/stomp', load, more);
    const metrics = await (await fetch(`${hub.url}/metrics`)).text();
    const stored = Number(counter.exec(metrics)?.[1] ?? 0);
    const receipts = Number(/ack=(\d+)\}/.exec(output)?.[1]);
    check(receipts > 0 && stored >= receipts * rows, `receipts ${receipts}, stored ${stored} of ${receipts * rows}`);
    return ratePerSecond(output);
  } finally {
    await hub.stop();
  }
}

function generate(port: number, pid: number, path: string, { clients, window }: Load, more: readonly string[]): string {
  const args = [
    '--port',
    port,
    '--path',
    path,
    '--app',
    'stomp',
    '--proto',
    'v12.stomp',
    '--mode',
    'receipt',
    '--pid',
    pid,
  ];
  const load = ['--n', clients, '--w', window, '--dur', values.seconds, '--warm', 2, '--sub', 0];
  const output = execFileSync(generator, [...args, ...load].map(String).concat(more), {
    encoding: 'utf8',
    timeout: 120_000,
  });
  console.log(`         [${output.trim()}]`);
  return output;
}

/** A receipt counts only when its message was stored. */
function check(ok: boolean, words: string): void {
  console.log(`         ${words}: ${ok ? 'ok' : 'NOT ALL STORED'}`);
  if (!ok) process.exitCode = 1;
}

function ratePerSecond(output: string): number {
  const found = /acked=(\d+)\/s/.exec(output);
  if (found === null) throw new Error(`the generator did not print what it measured: ${output}`);
  return Number(found[1]);
}

const results = new Map<string, number[]>();
for (let round = 1; round <= rounds; round++) {
  for (const load of LOADS) {
    for (const subject of [RABBITMQ, READINGS, QUEUE]) {
      const rate = await subject.measure(load);
      console.log(`round ${round}  ${load.name}  ${subject.name}: ${rate} receipts/s`);
      const key = `${load.name}|${subject.name}`;
      results.set(key, [...(results.get(key) ?? []), rate]);
    }
  }
}
for (const { name } of LOADS) {
  const other = median(results.get(`${name}|${RABBITMQ.name}`)!);
  for (const subject of [READINGS, QUEUE]) {
    const ours = median(results.get(`${name}|${subject.name}`)!);
    console.log(`| ${name}, ${subject.name} (receipts/s) | ${other} | ${ours} | ${(ours / other).toFixed(2)} |`);
  }
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
}
