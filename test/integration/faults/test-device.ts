import { WebSocket } from 'ws';
import { CborWire } from '#devices-sim/device/cbor.js';
import { MqttWire } from '#devices-sim/device/mqtt.js';
import { StompWire } from '#devices-sim/device/stomp.js';
import type { DeviceWire, WireEvents, WireLink } from '#devices-sim/device/wire.js';

export type Protocol = 'mqtt' | 'stomp' | 'cbor';
export const PROTOCOLS: readonly Protocol[] = ['mqtt', 'stomp', 'cbor'];
export const SUBPROTOCOL: Readonly<Record<Protocol, string>> = {
  mqtt: 'mqtt',
  stomp: 'v12.stomp',
  cbor: 'v1.cbor.muster',
};

export interface TestDeviceOptions {
  readonly protocol: Protocol;
  readonly id: string;
  readonly token?: string;
  /** The first number that is not known to be stored. The hub may know better (CBOR), and then it is that one. */
  readonly next?: number;
}

export interface Ended {
  readonly code: number;
  readonly reason: string;
}

/** Readings of device `id` have the metric `n`, whose value is the number of the message; so a log tells which of them it holds. */
export const METRIC = 'n';

/** One message's time, the same when it is sent again: microseconds since 1970. */
export function timeOf(startUs: number, seq: number): number {
  return startUs + seq;
}

/** One connection of one device in any protocol, on a real socket. */
export class TestDevice {
  readonly id: string;
  readonly protocol: Protocol;
  readonly socket: WebSocket;
  readonly acked = new Set<number>();
  readonly refused: string[] = [];
  /** What the hub said in the protocol's own words. */
  readonly goodbyes: string[] = [];
  /** Null while the connection stands. */
  end: Ended | null = null;
  readonly ended: Promise<Ended>;
  /** The hub has taken the device in. */
  isReady = false;
  /** CBOR: the hub wants the stream from here on. */
  resumeSeq: number | null = null;
  readonly #startUs: number;
  readonly #wire: DeviceWire;
  readonly #ready: Promise<void>;
  readonly #waiting = new Map<number, () => void>();
  /** The first message of this connection, and the next one. */
  #first: number;
  #next: number;

  /** `startUs`: time of message 0. */
  constructor(url: string, options: TestDeviceOptions, startUs: number) {
    const { protocol, id, token = null, next = 1 } = options;
    this.id = id;
    this.protocol = protocol;
    this.#startUs = startUs;
    this.#first = next;
    this.#next = next;
    const socket = new WebSocket(url, [SUBPROTOCOL[protocol]], { perMessageDeflate: false });
    this.socket = socket;
    const told = Promise.withResolvers<undefined>();
    this.#ready = told.promise;
    // Not everybody waits for it.
    told.promise.catch(() => undefined);
    const events: WireEvents = {
      ready: (resumeSeq) => {
        this.resumeSeq = resumeSeq;
        if (resumeSeq !== null) this.#first = this.#next = resumeSeq;
        this.isReady = true;
        told.resolve(undefined);
      },
      acknowledged: (seq) => this.#acknowledged(seq),
      acknowledgedUpTo: (seq) => {
        for (let n = seq; n >= this.#first && !this.acked.has(n); n--) this.#acknowledged(n);
      },
      refused: (seq, text) => void this.refused.push(`${seq}: ${text}`),
      tooLarge: (what, text) => void this.goodbyes.push(`${what} is too large: ${text}`),
      gap: (expectedSeq) => void this.goodbyes.push(`a gap before ${expectedSeq}`),
      command: () => undefined,
      resultAcknowledged: () => undefined,
      resultRefused: () => undefined,
      goodbye: (text) => void this.goodbyes.push(text),
    };
    const link: WireLink = {
      send: (unit) => {
        if (socket.readyState === WebSocket.OPEN) socket.send(unit);
      },
    };
    const identity = { deviceId: id, token };
    if (protocol === 'mqtt') this.#wire = new MqttWire(identity, null, link, events);
    else if (protocol === 'stomp') this.#wire = new StompWire(identity, null, link, events);
    else this.#wire = new CborWire(identity, { stream: `queue-of-${id}`, next }, link, events);
    socket.on('open', () => this.#wire.open());
    socket.on('message', (data: Buffer, isBinary: boolean) => this.#wire.receive(data, !isBinary));
    socket.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        this.end = { code, reason: reason.toString() };
        told.reject(new Error(`${id} was not taken in: ${code} ${reason.toString()} ${this.goodbyes.join(' ')}`));
        resolve(this.end);
      });
    });
  }

  /** Resolves once the hub has taken the device in. */
  async ready(): Promise<this> {
    await this.#ready;
    return this;
  }

  /** Sends the next message, or `seq` again. Returns its number. */
  send(seq = this.#next): number {
    const resent = seq < this.#next;
    this.#next = Math.max(this.#next, seq + 1);
    const message = { timeUs: timeOf(this.#startUs, seq), readings: [{ metric: METRIC, value: seq }] };
    this.#wire.send(seq, message, resent);
    return seq;
  }

  /** Sends the next message and resolves when it is acknowledged. */
  async sendAndWait(): Promise<number> {
    const seq = this.send();
    await new Promise<void>((resolve, reject) => {
      if (this.acked.has(seq)) resolve();
      this.#waiting.set(seq, resolve);
      void this.ended.then(({ code, reason }) => {
        reject(new Error(`${this.id} lost its connection: ${code} ${reason} ${this.goodbyes.join(' ')}`));
      });
    });
    return seq;
  }

  /** How many messages of this connection are not acknowledged. */
  get owed(): number {
    return this.#next - this.#first - this.acked.size;
  }

  /** The highest number that was sent. */
  get sent(): number {
    return this.#next - 1;
  }

  terminate(): void {
    this.socket.terminate();
  }

  #acknowledged(seq: number): void {
    this.acked.add(seq);
    this.#waiting.get(seq)?.();
    this.#waiting.delete(seq);
  }
}

/** Connects a device; its messages' times begin a minute ago. */
export async function connectDevice(url: string, options: TestDeviceOptions): Promise<TestDevice> {
  return new TestDevice(url, options, (Date.now() - 60_000) * 1000).ready();
}

/** Publishes one message after the other, each when the one before was acknowledged, until `stop`. */
export class Witness {
  readonly device: TestDevice;
  /** The longest time from a message to its acknowledgement. */
  slowestMs = 0;
  #stopped = false;
  readonly #done: Promise<unknown>;
  #fault: unknown = null;

  constructor(device: TestDevice) {
    this.device = device;
    this.#done = this.#publish().catch((error: unknown) => (this.#fault = error));
  }

  /** One of each protocol. */
  static async ofEachProtocol(url: string): Promise<Witness[]> {
    const devices = PROTOCOLS.map((protocol) => connectDevice(url, { protocol, id: `witness-${protocol}` }));
    return (await Promise.all(devices)).map((device) => new Witness(device));
  }

  /** Resolves with how many messages went through. Rejects when it was disturbed. */
  async stop(): Promise<number> {
    this.#stopped = true;
    await this.#done;
    if (this.#fault !== null) throw this.#fault as Error;
    return this.device.acked.size;
  }

  async #publish(): Promise<void> {
    while (!this.#stopped) {
      const start = performance.now();
      await this.device.sendAndWait();
      this.slowestMs = Math.max(this.slowestMs, performance.now() - start);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
