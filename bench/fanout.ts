/**
 * Muster beside mosquitto: one publisher to 1,000 subscribers, and 1,000 publishers to one, in MQTT 3.1.1 and 5.0 over
 * TCP. Closed loop: a message is sent when the ones before it have arrived, so nothing is dropped and nobody is flooded.
 * Run: `node --max-semi-space-size=8 --conditions=muster-source bench/fanout.ts` (about two minutes; needs mosquitto).
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'mqtt-packet';
import { freePort, listens } from './ports.ts';

const MANY = 1000;
const RUN_MS = 4000;
const WARM_MS = 1500;
const ROUNDS = Number(process.argv[2] ?? 3);
/** Messages of the one publisher that may be under way to all its subscribers. */
const WINDOW = 4;
const TOPIC = 'bench/fanout';
const PAYLOAD = Buffer.alloc(100, 'x');
type Level = 4 | 5;

interface Broker {
  readonly name: string;
  readonly port: number;
  stop(): Promise<void>;
}

const folder = mkdtempSync(join(tmpdir(), 'muster-fanout-'));
const children: ChildProcess[] = [];
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

const results = new Map<string, number[]>();
for (let round = 1; round <= ROUNDS; round++) {
  for (const level of [4, 5] as const) {
    for (const [name, run] of [
      ['1 to 1,000, QoS 0', oneToMany],
      ['1,000 to 1, QoS 1 in, QoS 0 out', manyToOne],
    ] as const) {
      for (const start of [startMosquitto, startMuster]) {
        const broker = await start();
        const rate = Math.round(await run(broker.port, level));
        await broker.stop();
        const key = `${name}, MQTT ${level === 4 ? '3.1.1' : '5.0'}|${broker.name}`;
        results.set(key, [...(results.get(key) ?? []), rate]);
        console.log(`round ${round}  ${key.replace('|', '  ')}: ${rate} deliveries/s`);
      }
    }
  }
}
console.log('\n| deliveries/s, medians | mosquitto | Muster | ratio |\n|---|---|---|---|');
for (const key of [...results.keys()].filter((name) => name.endsWith('|mosquitto'))) {
  const scenario = key.split('|')[0]!;
  const [other, ours] = [median(results.get(key)!), median(results.get(`${scenario}|muster`)!)];
  console.log(`| ${scenario} | ${other} | ${ours} | ${(ours / other).toFixed(2)} |`);
}
process.exit(0);

/** Deliveries a second to 1,000 subscribers of QoS 0. */
async function oneToMany(port: number, level: Level): Promise<number> {
  let received = 0;
  const packet = publishPacket(level, 0, 0);
  // The subscribers' packets are the publisher's, as long as no property is added on the way.
  const subscribers = await Promise.all(
    Array.from({ length: MANY }, (_, i) => client(port, level, `s${i}`, (data) => void (received += data.length))),
  );
  for (const socket of subscribers) await subscribe(socket, level);
  received = 0;
  const publisher = await client(port, level, 'p', () => undefined);
  let sent = 0;
  return measured(
    () => {
      const arrived = received / (packet.length * MANY);
      while (sent < arrived + WINDOW) {
        publisher.write(packet);
        sent++;
      }
    },
    () => received / packet.length,
    [...subscribers, publisher],
  );
}

/** Messages a second from 1,000 publishers, one under way on each, that arrive at one subscriber. */
async function manyToOne(port: number, level: Level): Promise<number> {
  let received = 0;
  const subscriber = await client(port, level, 's', (data) => void (received += data.length));
  await subscribe(subscriber, level);
  received = 0;
  const arriving = publishPacket(level, 0, 0).length;
  const packet = publishPacket(level, 1, 1);
  const publishers: Socket[] = [];
  for (let i = 0; i < MANY; i++) {
    const socket: Socket = await client(port, level, `p${i}`, () => void socket.write(packet));
    publishers.push(socket);
  }
  for (const socket of publishers) socket.write(packet);
  return measured(
    () => undefined,
    () => received / arriving,
    [...publishers, subscriber],
  );
}

/** `push` is called all the time, `count` is what has arrived so far. */
async function measured(push: () => void, count: () => number, sockets: readonly Socket[]): Promise<number> {
  let running = true;
  const loop = (): void => {
    if (!running) return;
    push();
    setImmediate(loop);
  };
  loop();
  await wait(WARM_MS);
  const [before, since] = [count(), performance.now()];
  await wait(RUN_MS);
  const rate = ((count() - before) * 1000) / (performance.now() - since);
  running = false;
  for (const socket of sockets) socket.destroy();
  if (rate === 0) throw new Error('nothing arrived');
  return rate;
}

function publishPacket(level: Level, qos: 0 | 1, messageId: number): Buffer {
  return generate(
    { cmd: 'publish', topic: TOPIC, payload: PAYLOAD, qos, retain: false, dup: false, messageId },
    { protocolVersion: level },
  );
}

/** Connected; `onData` hears what comes after CONNACK. */
async function client(port: number, level: Level, clientId: string, onData: (data: Buffer) => void): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.write(
    generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: level, clientId, clean: true, keepalive: 0 }),
  );
  const answer: Buffer = await new Promise((resolve) => socket.once('data', resolve));
  const code = answer[3] ?? 255;
  if (answer[0] !== 0x20 || code !== 0) throw new Error(`refused: ${answer.toString('hex')}`);
  socket.on('data', onData);
  return socket;
}

async function subscribe(socket: Socket, level: Level): Promise<void> {
  const answered = new Promise((resolve) => socket.once('data', resolve));
  socket.write(
    generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: TOPIC, qos: 0 }] }, { protocolVersion: level }),
  );
  await answered;
}

async function startMosquitto(): Promise<Broker> {
  const port = await freePort();
  const file = join(folder, `${port}.conf`);
  writeFileSync(file, `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\n`);
  return started('mosquitto', port, spawn('mosquitto', ['-c', file], { stdio: 'ignore' }));
}

async function startMuster(): Promise<Broker> {
  const port = await freePort();
  const data = mkdtempSync(join(folder, 'data-'));
  const args = ['cli/main.ts', 'serve', '--port', '0', '--mqtt-port', String(port), '--data', data];
  const flags = ['--allow-anonymous', '--max-unidentified', '10000', '--log-level', 'error'];
  const child = spawn(process.execPath, [...process.execArgv, ...args, ...flags], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return started('muster', port, child);
}

async function started(name: string, port: number, child: ChildProcess): Promise<Broker> {
  children.push(child);
  for (let tries = 0; !(await listens(port)); tries++) {
    if (tries > 100) throw new Error(`${name} does not listen on ${port}`);
    await wait(100);
  }
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exited;
  };
  return { name, port, stop };
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
}
