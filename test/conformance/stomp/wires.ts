import { afterAll, beforeAll, describe, onTestFinished } from 'vitest';
import { startTestHub, type TestHub } from '../../support/hub.ts';
import { escaped, type Headers, type Received, type Version } from './frames.ts';
import { RawClient, type Wire } from './raw-client.ts';

const TRANSPORTS = ['TCP', 'WebSocket'] as const;
const WRITINGS = ['frame by frame', 'byte by byte', 'five in one'] as const;
const VERSIONS: readonly Version[] = ['1.0', '1.1', '1.2'];

let hub: TestHub;
let serial = 0;

/** One hub, open to all, for the tests of a file. Ids and destinations of each test are its own. */
export function oneHub(flags: Parameters<typeof startTestHub>[0] = {}): void {
  beforeAll(async () => {
    hub = await startTestHub({ stompPort: 0, allowAnonymous: true, ...flags });
  });
  afterAll(() => hub.close());
}

/** Each test over TCP and WebSocket, with whole frames, with single bytes, and with five frames in one. */
export function overEveryWire(tests: (stomp: Stomp) => void, versions = VERSIONS): void {
  describe.each(wires(versions))('STOMP $version over $transport, $writing', (wire) => tests(new Stomp(wire)));
}

/** Over TCP and WebSocket, for what does not depend on how frames are cut. */
export function overEveryTransport(tests: (stomp: Stomp) => void, versions = VERSIONS): void {
  const whole = wires(versions).filter(({ writing }) => writing === 'frame by frame');
  describe.each(whole)('STOMP $version over $transport', (wire) => tests(new Stomp(wire)));
}

/** What WebSocket alone has. */
export function overWebSocket(tests: (stomp: Stomp) => void, versions = VERSIONS): void {
  const whole = wires(versions).filter((wire) => wire.transport === 'WebSocket' && wire.writing === 'frame by frame');
  describe.each(whole)('STOMP $version over $transport', (wire) => tests(new Stomp(wire)));
}

/** For what takes its time: one test, all wires at once. */
export async function onEveryWire(test: (stomp: Stomp) => Promise<void>, versions = VERSIONS): Promise<void> {
  await Promise.all(wires(versions).map((wire) => test(new Stomp(wire))));
}

function wires(versions: readonly Version[]): Wire[] {
  return versions.flatMap((version) =>
    TRANSPORTS.flatMap((transport) => WRITINGS.map((writing) => ({ version, transport, writing }))),
  );
}

/** One way to the hub, for the tests that are run on it. */
export class Stomp {
  readonly wire: Wire;

  constructor(wire: Wire) {
    this.wire = wire;
  }

  get version(): Version {
    return this.wire.version;
  }

  get hub(): TestHub {
    return hub;
  }

  /** A name that nobody else uses: client id, or the end of a destination. */
  own(name: string): string {
    return `${name}-${process.pid.toString(36)}-${(++serial).toString(36)}`;
  }

  /** A connection on which nothing was said. */
  async open(subprotocol?: string): Promise<RawClient> {
    const url = new URL(hub.hub.streamUrls.find((each) => each.startsWith('stomp:'))!);
    const addresses = { tcpPort: Number(url.port), wsUrl: hub.wsUrl };
    const raw = await RawClient.open(this.wire, addresses, subprotocol);
    onTestFinished(() => raw.cut());
    return raw;
  }

  /** An accepted client; without a `client-id` an application of no name. */
  async connect(headers: Headers = {}): Promise<Client> {
    const raw = await this.open();
    raw.frame('CONNECT', { 'accept-version': this.version, host: 'hub', ...headers });
    return new Client(raw, await raw.next('CONNECTED'), this.version);
  }

  /** A device: its client id names it. */
  device(id: string): Promise<Client> {
    return this.connect({ 'client-id': id });
  }
}

type Ack = 'auto' | 'client' | 'client-individual';

/** An accepted client, with the whole exchanges that most tests need. */
export class Client {
  readonly raw: RawClient;
  readonly connected: Received;
  readonly version: Version;
  #subscriptions = 0;

  constructor(raw: RawClient, connected: Received, version: Version) {
    this.raw = raw;
    this.connected = connected;
    this.version = version;
  }

  /** A frame with a receipt, and its RECEIPT, which must be the next that comes. */
  async does(command: string, headers: Headers = {}, body: string | Buffer = ''): Promise<Received> {
    const receipt = this.raw.receipt();
    this.raw.frame(command, { ...headers, receipt }, body);
    return this.raw.receipted(receipt);
  }

  /** The id of the new subscription. */
  async subscribe(destination: string, ack: Ack = 'auto', more: Headers = {}): Promise<string> {
    const id = more['id'] ?? `s${++this.#subscriptions}`;
    await this.does('SUBSCRIBE', { destination: escaped(this.version, destination), ack, id, ...more });
    return id;
  }

  /** SEND alone, without a receipt. */
  sends(destination: string, body: string | Buffer = '', headers: Headers = {}): void {
    this.raw.frame('SEND', { destination, ...headers }, body);
  }

  /** SEND, and its RECEIPT. */
  send(destination: string, body: string | Buffer = '', headers: Headers = {}): Promise<Received> {
    return this.does('SEND', { destination, ...headers }, body);
  }

  message(): Promise<Received> {
    return this.raw.next('MESSAGE');
  }

  /** The next messages' bodies as text. */
  async texts(count: number): Promise<string[]> {
    const texts: string[] = [];
    for (let i = 0; i < count; i++) texts.push((await this.message()).body.toString());
    return texts;
  }

  /** What an ACK or NACK of this message says in this version. */
  answer({ headers }: Received, more: Headers = {}): Headers {
    if (this.version === '1.2') return { id: headers['ack'] ?? '', ...more };
    const said = { 'message-id': headers['message-id'] ?? '', ...more };
    return this.version === '1.1' ? { ...said, subscription: headers['subscription'] ?? '' } : said;
  }

  /** ACK with a receipt, and its RECEIPT. */
  ack(message: Received, more: Headers = {}): Promise<Received> {
    return this.does('ACK', this.answer(message, more));
  }

  nack(message: Received, more: Headers = {}): Promise<Received> {
    return this.does('NACK', this.answer(message, more));
  }
}
