import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { freePorts, listens } from './ports.ts';

/** Where Debian puts what its wrappers on the PATH start as another user. */
const SCRIPTS = '/usr/lib/rabbitmq/bin';
const START_LIMIT_MS = 60_000;

export interface RunningRabbitMq {
  /** Of Web STOMP; its path is `/ws`. */
  readonly port: number;
  readonly pid: number;
  /** Messages in its queues, and those among them that are on disk. */
  stored(): { readonly durable: boolean; readonly messages: number; readonly persistent: number };
  stop(): Promise<void>;
}

const running: ChildProcess[] = [];
const folders: string[] = [];
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

// A signal alone would end this process without its `exit`, and leave Erlang behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

/**
 * RabbitMQ with Web STOMP, from Debian's rabbitmq-server, as a node of its own: name, data, ports, epmd and cookie are nobody else's, all
 * on loopback, and end with this process.
 */
export async function startRabbitMq(): Promise<RunningRabbitMq> {
  const scripts = existsSync(SCRIPTS) ? `${SCRIPTS}/` : '';
  const folder = mkdtempSync(join(tmpdir(), 'muster-rabbitmq-'));
  folders.push(folder);
  const [port, stompPort, amqpPort, distPort, epmdPort] = await freePorts(5);
  const path = (name: string): string => join(folder, name);
  for (const name of ['mnesia', 'log']) mkdirSync(path(name));
  writeFileSync(path('plugins'), '[rabbitmq_web_stomp].\n');
  writeFileSync(path('env.conf'), '');
  writeFileSync(
    path('rabbitmq.conf'),
    `listeners.tcp.1 = 127.0.0.1:${amqpPort}\nstomp.listeners.tcp.1 = 127.0.0.1:${stompPort}\n` +
      `web_stomp.tcp.ip = 127.0.0.1\nweb_stomp.tcp.port = ${port}\nlog.file.level = error\nlog.console = false\n`,
  );
  const env = {
    PATH: process.env.PATH,
    LANG: 'C.UTF-8',
    HOME: folder,
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_EPMD_PORT: String(epmdPort),
    RABBITMQ_NODENAME: `muster-bench-${process.pid}@localhost`,
    RABBITMQ_BASE: folder,
    RABBITMQ_CONF_ENV_FILE: path('env.conf'),
    RABBITMQ_CONFIG_FILE: path('rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: path('plugins'),
    RABBITMQ_MNESIA_BASE: path('mnesia'),
    RABBITMQ_LOG_BASE: path('log'),
    RABBITMQ_PID_FILE: path('pid'),
    RABBITMQ_DIST_PORT: String(distPort),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    // So that the script becomes the server, and the process id is its own.
    RABBITMQ_ALLOW_INPUT: '1',
  };
  // Otherwise Erlang would start one that outlives it.
  const epmd = spawn('epmd', ['-port', String(epmdPort), '-address', '127.0.0.1'], { env, stdio: 'ignore' });
  running.push(epmd);
  await listening(epmdPort!);
  const server = spawn(`${scripts}rabbitmq-server`, [], { env, cwd: folder, stdio: ['pipe', 'ignore', 'ignore'] });
  running.push(server);
  await listening(port!);
  const ended = once(server, 'exit');
  return {
    port: port!,
    pid: server.pid!,
    stored: () => {
      const columns = ['durable', 'messages', 'messages_persistent'];
      const args = ['--silent', 'list_queues', '--no-table-headers', ...columns];
      const output = execFileSync(`${scripts}rabbitmqctl`, args, {
        env,
        cwd: folder,
        encoding: 'utf8',
        timeout: 60_000,
      });
      const rows = output
        .trim()
        .split('\n')
        .map((line) => line.split('\t'));
      const sum = (column: number): number => rows.reduce((total, row) => total + Number(row[column]), 0);
      return { durable: rows.every(([durable]) => durable === 'true'), messages: sum(1), persistent: sum(2) };
    },
    stop: async () => {
      server.kill('SIGTERM');
      await ended;
      epmd.kill('SIGTERM');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function listening(port: number): Promise<void> {
  const end = Date.now() + START_LIMIT_MS;
  while (Date.now() < end) {
    if (await listens(port)) return;
    await wait(100);
  }
  throw new Error(`nothing listens on port ${port}`);
}
