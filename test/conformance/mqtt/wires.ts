import type { IConnectPacket, IPublishPacket, ISubscribePacket } from 'mqtt-packet';
import { afterAll, beforeAll, describe, onTestFinished } from 'vitest';
import { startTestHub, type TestHub } from '../../support/hub.ts';
import { RawClient, type Level, type Received, type Wire } from './raw-client.ts';

const TRANSPORTS = ['TCP', 'WebSocket'] as const;
const WRITINGS = ['packet by packet', 'byte by byte', 'five in one'] as const;
const BOTH: readonly Level[] = [4, 5];
const NAMES = { 4: '3.1.1', 5: '5.0' } as const;

let hub: TestHub;
let serial = 0;

/** One hub, open to all, for the tests of a file. Ids and topics of each test are its own. */
export function oneHub(): void {
  beforeAll(async () => {
    hub = await startTestHub({ mqttPort: 0, allowAnonymous: true });
  });
  afterAll(() => hub.close());
}

/** Each test over TCP and WebSocket, with whole packets, with single bytes, and with five packets in one. */
export function overEveryWire(tests: (mqtt: Mqtt) => void, levels: readonly Level[] = BOTH): void {
  describe.each(wires(levels).map((wire) => ({ ...wire, name: NAMES[wire.level] })))(
    'MQTT $name over $transport, $writing',
    (wire) => tests(new Mqtt(wire)),
  );
}

/** For what takes its time: one test, all wires at once. */
export async function onEveryWire(test: (mqtt: Mqtt) => Promise<void>, levels: readonly Level[] = BOTH): Promise<void> {
  await Promise.all(wires(levels).map((wire) => test(new Mqtt(wire))));
}

function wires(levels: readonly Level[]): Wire[] {
  return levels.flatMap((level) =>
    TRANSPORTS.flatMap((transport) => WRITINGS.map((writing) => ({ level, transport, writing }))),
  );
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export interface ConnectOptions {
  readonly id?: string;
  /** Clean session, clean start. */
  readonly clean?: boolean;
  /** The session is kept for so long after the connection, in seconds; MQTT 3.1.1 knows 0 and for ever. */
  readonly expiryS?: number;
  readonly keepalive?: number;
  readonly will?: IConnectPacket['will'];
  readonly properties?: IConnectPacket['properties'];
  readonly username?: string;
  readonly password?: Buffer;
}

export interface PublishOptions {
  readonly qos?: 0 | 1 | 2;
  readonly retain?: boolean;
  readonly dup?: boolean;
  readonly packetId?: number;
  readonly properties?: IPublishPacket['properties'];
}

type Options = Omit<ISubscribePacket['subscriptions'][number], 'topic'>;

/** One way to the hub, for the tests that are run on it. */
export class Mqtt {
  readonly wire: Wire;

  constructor(wire: Wire) {
    this.wire = wire;
  }

  get level(): Level {
    return this.wire.level;
  }

  get hub(): TestHub {
    return hub;
  }

  /** A name that nobody else uses: client id or topic. */
  own(name: string): string {
    return `${name}-${process.pid.toString(36)}-${(++serial).toString(36)}`;
  }

  /** A connection on which nothing was said. */
  async open(): Promise<RawClient> {
    const url = new URL(hub.hub.streamUrls.find((each) => each.startsWith('mqtt:'))!);
    const client = await RawClient.open(this.wire, { tcpPort: Number(url.port), wsUrl: `${hub.wsUrl}/mqtt` });
    onTestFinished(() => client.cut());
    return client;
  }

  connectPacket(options: ConnectOptions = {}): IConnectPacket {
    const { id = this.own('client'), clean = true, expiryS = 0, keepalive = 0, properties } = options;
    const { will, username, password } = options;
    const is5 = this.level === 5;
    return {
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: this.level,
      clientId: id,
      clean,
      keepalive,
      ...(will === undefined ? {} : { will }),
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(is5 ? { properties: { ...(expiryS === 0 ? {} : { sessionExpiryInterval: expiryS }), ...properties } } : {}),
    };
  }

  /** An accepted client. */
  async connect(options: ConnectOptions = {}): Promise<Client> {
    const raw = await this.open();
    raw.send(this.connectPacket(options));
    const connack = await raw.next('connack');
    const code = this.level === 5 ? connack.reasonCode : connack.returnCode;
    if (code !== 0) throw new Error(`refused with ${code}`);
    return new Client(raw, connack, this.level);
  }

  /** A client whose session is kept. */
  lasting(id: string, clean = false): Promise<Client> {
    return this.connect({ id, clean, expiryS: 3600 });
  }
}

/** An accepted client, with the whole exchanges that most tests need. */
export class Client {
  readonly raw: RawClient;
  readonly connack: Received<'connack'>;
  readonly #level: Level;

  constructor(raw: RawClient, connack: Received<'connack'>, level: Level) {
    this.raw = raw;
    this.connack = connack;
    this.#level = level;
  }

  /** The codes of the SUBACK. */
  async subscribe(
    filters: string | readonly string[],
    options: Options | 0 | 1 | 2 = 1,
    properties?: ISubscribePacket['properties'],
  ): Promise<number[]> {
    const messageId = this.raw.packetId();
    const all = typeof options === 'number' ? { qos: options } : options;
    const subscriptions = [filters].flat().map((topic) => ({ topic, ...all }));
    this.raw.send({ cmd: 'subscribe', messageId, subscriptions, ...(properties === undefined ? {} : { properties }) });
    const suback = await this.raw.next('suback');
    if (suback.messageId !== messageId) throw new Error(`SUBACK ${suback.messageId} for SUBSCRIBE ${messageId}`);
    return suback.granted as number[];
  }

  /** The codes of the UNSUBACK; none in MQTT 3.1.1. */
  async unsubscribe(filters: string | readonly string[]): Promise<number[]> {
    const messageId = this.raw.packetId();
    this.raw.send({ cmd: 'unsubscribe', messageId, unsubscriptions: [filters].flat() });
    const unsuback = await this.raw.next('unsuback');
    if (unsuback.messageId !== messageId) throw new Error(`UNSUBACK ${unsuback.messageId} for ${messageId}`);
    return this.#level === 5 ? unsuback.granted : [];
  }

  /** A PUBLISH alone; its packet id. */
  sendPublish(topic: string, payload: string | Buffer, options: PublishOptions = {}): number {
    const { qos = 0, retain = false, dup = false, properties } = options;
    const messageId = options.packetId ?? (qos === 0 ? 0 : this.raw.packetId());
    this.raw.send({
      cmd: 'publish',
      topic,
      payload,
      qos,
      retain,
      dup,
      ...(qos === 0 ? {} : { messageId }),
      ...(properties === undefined ? {} : { properties }),
    });
    return messageId;
  }

  /** The whole exchange, to the last acknowledgement. The reason code of the first. */
  async publish(topic: string, payload: string | Buffer, options: PublishOptions = {}): Promise<number> {
    const { qos = 1 } = options;
    const messageId = this.sendPublish(topic, payload, { ...options, qos });
    if (qos === 0) return 0;
    const ack = await this.raw.next(qos === 1 ? 'puback' : 'pubrec');
    if (ack.messageId !== messageId) throw new Error(`acknowledged ${ack.messageId}, sent ${messageId}`);
    if (qos === 2 && (ack.reasonCode ?? 0) < 0x80) {
      this.raw.answer('pubrel', { messageId });
      const comp = await this.raw.next('pubcomp');
      if (comp.messageId !== messageId) throw new Error(`PUBCOMP ${comp.messageId}, sent ${messageId}`);
    }
    return ack.reasonCode ?? 0;
  }

  /** The next packet, a PUBLISH; nothing is answered. */
  message(): Promise<Received<'publish'>> {
    return this.raw.next('publish');
  }

  /** The next message, acknowledged to the end. */
  async take(): Promise<Received<'publish'>> {
    const message = await this.message();
    this.raw.finish(message);
    return message;
  }

  /** The next messages' payloads as text, acknowledged. */
  async texts(count: number): Promise<string[]> {
    const texts: string[] = [];
    for (let i = 0; i < count; i++) texts.push((await this.take()).payload.toString());
    return texts;
  }

  /** DISCONNECT, and the close that follows. */
  async disconnect(reasonCode = 0): Promise<void> {
    await this.raw.finished();
    this.raw.send(this.#level === 5 ? { cmd: 'disconnect', reasonCode } : { cmd: 'disconnect' });
    await this.raw.closed();
  }
}
