import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { until } from '../../support/hub.ts';
import { afterThisTest } from './opened.ts';

const PYTHON = '/usr/bin/python3';
const SCRIPT = join(import.meta.dirname, '..', 'paho', 'client.py');

/** Why Paho cannot be run here, or null. */
export function whyNoPaho(): string | null {
  const { status } = spawnSync(PYTHON, ['-c', 'import paho.mqtt.client'], { timeout: 20_000 });
  if (status === 0) return null;
  return `${PYTHON} has no module paho.mqtt.client; install it with: apt-get install -y python3-paho-mqtt`;
}

export interface PahoMessage {
  readonly topic: string;
  readonly payload: string;
  readonly qos: number;
  readonly retain: boolean;
  /** MQTT 5.0, as Paho names them. */
  readonly properties: Readonly<Record<string, unknown>>;
}

/** What `paho/client.py` tells beside messages. */
export interface PahoEvent {
  readonly event: string;
  readonly rc?: number;
  /** `connected`: session present. */
  readonly resumed?: boolean;
  /** `subscribed` */
  readonly granted?: readonly number[];
}

export interface PahoOptions {
  readonly port: number;
  /** None: the hub is open to all. */
  readonly password?: string;
  readonly clientId?: string;
  readonly transport?: 'websockets' | 'tcp';
  readonly path?: string;
  readonly version?: '3.1' | '3.1.1' | '5.0';
  readonly clean?: boolean;
  /** MQTT 5.0: how long the session is kept, in seconds. */
  readonly expiryS?: number;
  readonly receiveMaximum?: number;
  readonly will?: { topic: string; payload: string; qos: number; retain: boolean; delayS: number };
}

/** What a message says of itself or a subscription asks for, as Paho names them. */
type PahoProperties = Readonly<Record<string, unknown>>;

/** Eclipse Paho for Python, in a process of its own. */
export class PahoPeer {
  readonly events: PahoEvent[] = [];
  readonly messages: PahoMessage[] = [];
  published = 0;
  stderr = '';
  exitCode: number | null = null;
  /** Sees each message as it comes. */
  onMessage: (message: PahoMessage) => void = () => undefined;
  readonly #process: ChildProcessWithoutNullStreams;

  constructor(options: PahoOptions) {
    const all = { password: null, clientId: 'paho', transport: 'websockets', path: '/mqtt', version: '3.1.1' };
    const more = { clean: true, expiryS: 0, receiveMaximum: null, will: null };
    this.#process = spawn(PYTHON, [SCRIPT, JSON.stringify({ ...all, ...more, ...options })]);
    this.#process.on('exit', (code) => (this.exitCode = code ?? -1));
    this.#process.stderr.on('data', (text: Buffer) => (this.stderr += text.toString()));
    this.#process.stdin.on('error', () => undefined);
    createInterface(this.#process.stdout).on('line', (line) => this.#heard(JSON.parse(line)));
    afterThisTest(() => this.#process.kill('SIGKILL'));
  }

  /** Resolves with the details; rejects when the process ends before. */
  async event(name: string): Promise<PahoEvent> {
    const find = (): PahoEvent | undefined => this.events.find(({ event }) => event === name);
    await until(`${name} of Paho`, () => find() !== undefined || this.exitCode !== null);
    const found = find();
    if (found === undefined) throw new Error(`Paho ended with ${this.exitCode}: ${this.stderr}`);
    return found;
  }

  /** What was granted, or the failure. */
  async subscribe(filter: string, qos: number, properties?: PahoProperties): Promise<readonly number[] | undefined> {
    const before = this.events.filter(({ event }) => event === 'subscribed').length;
    this.#tell({ do: 'subscribe', filter, qos, properties });
    const found = (): PahoEvent | undefined => this.events.filter(({ event }) => event === 'subscribed')[before];
    await until('SUBACK for Paho', () => found() !== undefined || this.exitCode !== null);
    return found()?.granted;
  }

  publish(topic: string, payload: string, qos: number, retain = false, properties?: PahoProperties): void {
    this.#tell({ do: 'publish', topic, payload, qos, retain, properties });
  }

  /** The process ends at once, and with it the connection, without a goodbye. */
  kill(): void {
    this.#process.kill('SIGKILL');
  }

  async disconnect(): Promise<void> {
    this.#tell({ do: 'disconnect' });
    await until('the end of Paho', () => this.exitCode !== null);
  }

  #tell(instruction: object): void {
    this.#process.stdin.write(`${JSON.stringify(instruction)}\n`);
  }

  #heard(told: PahoEvent & PahoMessage): void {
    const { event, topic, payload, qos, retain, properties } = told;
    if (event === 'published') this.published++;
    else if (event === 'message') {
      const message = { topic, payload, qos, retain, properties };
      this.messages.push(message);
      this.onMessage(message);
    } else this.events.push(told);
  }
}
