import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { generate, parser, type Packet } from 'mqtt-packet';
import { freePort, listens } from './ports.ts';

/**
 * Sessions that last, without a connection: 10,000 of them subscribe and go, and a publisher sends each a hundred messages of QoS 1.
 * Tells how fast those are acknowledged (each is on disk in a queue by then), what the hub takes of memory and disk, how long it takes to
 * start with them (after a SIGTERM, after a kill -9, and with no data at all beside it), and how fast sessions that come back get theirs.
 *
 *     node --max-semi-space-size=8 --conditions=muster-source bench/sessions.ts [sessions] [messages of each]
 */

const sessions = Number(process.argv[2] ?? 10_000);
const messagesOfEach = Number(process.argv[3] ?? 100);
const PAYLOAD = Buffer.alloc(100, 'x');
const AT_ONCE = 100;
/** PUBLISH packets of the publisher that await their PUBACK: about what the hub takes of one client. */
const WINDOW = 500;
const BACK = Math.min(1000, sessions);

const folder = mkdtempSync(join(tmpdir(), 'muster-sessions-'));
const children: ChildProcess[] = [];
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

interface Hub {
  readonly port: number;
  readonly pid: number;
  /** From the start of the process until it listens. */
  readonly startMs: number;
  stop(signal: NodeJS.Signals): Promise<void>;
}

/** A plain MQTT 3.1.1 client: what it sends within a tick goes out together. */
class Client {
  readonly #socket: Socket;
  readonly #came: Packet[] = [];
  #waiting: (() => void) | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
    const read = parser({ protocolVersion: 4 });
    read.on('packet', (packet: Packet) => {
      this.#came.push(packet);
      this.#waiting?.();
    });
    socket.on('data', (data) => read.parse(data));
    socket.on('error', () => socket.destroy());
  }

  /** The client id is none of a device, so it connects as an application. */
  static async open(index: number, clean: boolean): Promise<Client> {
    const socket = connect({ port: hub.port, host: '127.0.0.1', noDelay: true });
    const client = new Client(socket);
    client.send({
      ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean, keepalive: 0 },
      clientId: `bench/${index}`,
    });
    const answer = await client.next('connack');
    if (answer.cmd !== 'connack' || answer.returnCode !== 0) throw new Error('refused');
    return client;
  }

  send(packet: Packet): void {
    const socket = this.#socket;
    if (socket.writableCorked === 0) {
      socket.cork();
      setImmediate(() => socket.uncork());
    }
    socket.write(generate(packet));
  }

  async next(cmd: Packet['cmd']): Promise<Packet> {
    while (this.#came.length === 0) await new Promise<void>((resolve) => (this.#waiting = resolve));
    const packet = this.#came.shift()!;
    if (packet.cmd !== cmd) throw new Error(`${packet.cmd} came in place of ${cmd}`);
    return packet;
  }

  close(): void {
    this.#socket.end();
  }
}

let hub = await startHub('empty');
console.log(`no data: starts in ${seconds(hub.startMs)}, RSS ${rssMib(hub)} MiB`);
await hub.stop('SIGTERM');

hub = await startHub('data');
await measured(`${sessions} sessions subscribe and go`, sessions, 'sessions', () => everybody(subscribeAndGo));
await settle();
console.log(`  RSS ${rssMib(hub)} MiB`);
await measured('a publisher sends them their messages', sessions * messagesOfEach, 'acknowledged', publishAll);
await settle();
console.log(`  RSS ${rssMib(hub)} MiB, data folder ${folderMib()} MiB`);
for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  await hub.stop(signal);
  hub = await startHub('data');
  console.log(`after ${signal}: starts in ${seconds(hub.startMs)}, RSS ${rssMib(hub)} MiB`);
}
let received = 0;
await measured(`${BACK} sessions come back for theirs`, BACK * messagesOfEach, 'messages', () =>
  everybody(comeBack, BACK),
);
if (received !== BACK * messagesOfEach) throw new Error(`${received} messages came`);
await hub.stop('SIGTERM');
process.exit(0);

async function subscribeAndGo(index: number): Promise<void> {
  const client = await Client.open(index, false);
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: `bench/${index}`, qos: 1 }] });
  await client.next('suback');
  client.send({ cmd: 'disconnect' });
  client.close();
}

async function comeBack(index: number): Promise<void> {
  const client = await Client.open(index, false);
  for (let n = 0; n < messagesOfEach; n++) {
    const packet = await client.next('publish');
    if (packet.cmd !== 'publish') continue;
    client.send({ cmd: 'puback', messageId: packet.messageId! });
    received++;
  }
  client.send({ cmd: 'disconnect' });
  client.close();
}

async function publishAll(): Promise<void> {
  const client = await Client.open(-1, true);
  let sent = 0;
  let acknowledged = 0;
  const total = sessions * messagesOfEach;
  while (acknowledged < total) {
    while (sent < total && sent - acknowledged < WINDOW) {
      client.send({
        ...{ cmd: 'publish', topic: `bench/${sent % sessions}`, payload: PAYLOAD, qos: 1, retain: false, dup: false },
        messageId: 1 + (sent % 60_000),
      });
      sent++;
    }
    await client.next('puback');
    acknowledged++;
  }
  client.close();
}

/** For each session, some at once. */
async function everybody(run: (index: number) => Promise<void>, count = sessions): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await run(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function startHub(name: string): Promise<Hub> {
  const port = await freePort();
  const args = ['cli/main.ts', 'serve', '--port', '0', '--mqtt-port', String(port), '--data', join(folder, name)];
  const flags = ['--allow-anonymous', '--max-offline-sessions', String(sessions), '--log-level', 'error'];
  const began = performance.now();
  const child = spawn(process.execPath, [...process.execArgv, ...args, ...flags], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  children.push(child);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  while (!(await listens(port))) {
    if (child.exitCode !== null) throw new Error('the hub ended');
    await wait(10);
  }
  const startMs = performance.now() - began;
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await exited;
  };
  return { port, pid: child.pid!, startMs, stop };
}

async function measured(name: string, count: number, unit: string, run: () => Promise<void>): Promise<void> {
  const began = performance.now();
  await run();
  const ms = performance.now() - began;
  console.log(`${name}: ${Math.round((count * 1000) / ms).toLocaleString('en')} ${unit}/s, ${seconds(ms)}`);
}

/** Disconnections are written, and a checkpoint is made. */
async function settle(): Promise<void> {
  await wait(3000);
}

function rssMib({ pid }: Hub): number {
  const kib = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
  return Math.round(kib / 1024);
}

function folderMib(): number {
  const data = join(folder, 'data');
  return Math.round(readdirSync(data).reduce((sum, file) => sum + statSync(join(data, file)).size, 0) / 1024 / 1024);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
