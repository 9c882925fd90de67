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
  readonly password: string;
  readonly clientId?: string;
  readonly path?: string;
  readonly protocol?: 'mqtt' | 'mqttv3.1';
  readonly clean?: boolean;
}

/** Eclipse Paho for Python over a WebSocket, in a process of its own. */
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
    const { port, password, clientId = 'paho', path = '/mqtt', protocol = 'mqtt', clean = true } = options;
    const parameters = [String(port), path, clientId, password, protocol, clean ? '1' : '0'];
    this.#process = spawn(PYTHON, [SCRIPT, ...parameters]);
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

  async subscribe(filter: string, qos: number): Promise<readonly number[] | undefined> {
    this.#tell({ do: 'subscribe', filter, qos });
    return (await this.event('subscribed')).granted;
  }

  publish(topic: string, payload: string, qos: number, retain = false): void {
    this.#tell({ do: 'publish', topic, payload, qos, retain });
  }

  async disconnect(): Promise<void> {
    this.#tell({ do: 'disconnect' });
    await until('the end of Paho', () => this.exitCode !== null);
  }

  #tell(instruction: object): void {
    this.#process.stdin.write(`${JSON.stringify(instruction)}\n`);
  }

  #heard(told: PahoEvent & PahoMessage): void {
    const { event, topic, payload, qos, retain } = told;
    if (event === 'published') this.published++;
    else if (event === 'message') {
      const message = { topic, payload, qos, retain };
      this.messages.push(message);
      this.onMessage(message);
    } else this.events.push(told);
  }
}
