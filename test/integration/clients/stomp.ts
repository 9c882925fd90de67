/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- stompjs declares its option bags as classes and documents object literals for them */
import { Client, Versions, type IFrame, type IMessage, type StompSubscription } from '@stomp/stompjs';
import { WebSocket, type ClientOptions } from 'ws';
import { until, type TestHub } from '../../support/hub.ts';
import { afterThisTest } from './opened.ts';

type Headers = Readonly<Record<string, string>>;

export interface StompOptions {
  /** Of CONNECT. */
  readonly headers?: Headers;
  readonly webSocket?: ClientOptions;
  readonly url?: string;
  readonly heartBeatMs?: number;
  /** The one version that it speaks; absent: all. */
  readonly version?: string;
  /** It connects again by itself after so long. */
  readonly reconnectDelayMs?: number;
  /** Each time that it is connected. */
  readonly onConnect?: (peer: StompPeer) => void;
}

/** @stomp/stompjs on ws, with what it receives in lists. */
export class StompPeer {
  readonly client: Client;
  readonly received: IMessage[] = [];
  readonly errors: IFrame[] = [];
  readonly receipts: IFrame[] = [];
  readonly beats = { sent: 0, received: 0 };
  connected: IFrame | null = null;
  closed: { code: number; reason: string } | null = null;
  #webSocket: WebSocket | null = null;
  #nextReceipt = 0;

  constructor(hub: TestHub, options: StompOptions) {
    const { heartBeatMs = 0, headers = {} } = options;
    this.client = new Client({
      webSocketFactory: () => {
        const offered = this.client.stompVersions.protocolVersions();
        this.#webSocket = new WebSocket(options.url ?? `${hub.wsUrl}/stomp`, offered, options.webSocket);
        return this.#webSocket as never;
      },
      connectHeaders: { ...headers },
      reconnectDelay: options.reconnectDelayMs ?? 0,
      ...(options.version === undefined ? {} : { stompVersions: new Versions([options.version]) }),
      heartbeatIncoming: heartBeatMs,
      heartbeatOutgoing: heartBeatMs,
      onConnect: (frame) => {
        this.connected = frame;
        this.closed = null;
        options.onConnect?.(this);
      },
      onStompError: (frame) => this.errors.push(frame),
      onUnhandledMessage: (message) => this.received.push(message),
      onUnhandledReceipt: (frame) => this.receipts.push(frame),
      onWebSocketClose: ({ code, reason }: { code: number; reason: string }) => (this.closed = { code, reason }),
      debug: (text) => {
        if (text === '>>> PING') this.beats.sent++;
        if (text === '<<< PONG') this.beats.received++;
      },
    });
    this.client.activate();
    afterThisTest(() => this.client.deactivate({ force: true }));
  }

  get bodies(): string[] {
    return this.received.map(({ body }) => body);
  }

  /** Subscribes and waits until the hub has done so. */
  async subscribe(
    destination: string,
    ack: 'auto' | 'client' | 'client-individual' = 'auto',
    take: (message: IMessage) => void = () => undefined,
    more: Headers = {},
  ): Promise<StompSubscription> {
    const receipt = this.#receipt();
    const subscription = this.client.subscribe(
      destination,
      (message) => {
        this.received.push(message);
        take(message);
      },
      { ack, receipt, ...more },
    );
    await this.#answered(receipt);
    return subscription;
  }

  async unsubscribe(subscription: StompSubscription): Promise<void> {
    await this.does((headers) => subscription.unsubscribe(headers));
  }

  /** What sends a frame with these headers; resolves with its RECEIPT. */
  async does(send: (headers: { receipt: string }) => void): Promise<IFrame> {
    const receipt = this.#receipt();
    send({ receipt });
    return this.#answered(receipt);
  }

  /** SEND with a receipt; resolves with the RECEIPT. */
  async send(destination: string, body: unknown, headers: Headers = {}): Promise<IFrame> {
    const receipt = this.#receipt();
    this.sendOnly(destination, body, { receipt, ...headers });
    return this.#answered(receipt);
  }

  /** The same with a body of bytes. */
  async sendBytes(destination: string, binaryBody: Uint8Array, headers: Headers = {}): Promise<IFrame> {
    const receipt = this.#receipt();
    this.client.publish({ destination, binaryBody, headers: { receipt, ...headers } });
    return this.#answered(receipt);
  }

  sendOnly(destination: string, body: unknown, headers: Headers = {}): void {
    this.client.publish({
      destination,
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { ...headers },
    });
  }

  /** The network goes, without a DISCONNECT. */
  cut(): void {
    this.#webSocket?.terminate();
  }

  get subprotocol(): string {
    return this.#webSocket?.protocol ?? '';
  }

  #receipt(): string {
    return `r${++this.#nextReceipt}`;
  }

  async #answered(receipt: string): Promise<IFrame> {
    const isIt = (frame: IFrame): boolean => frame.headers['receipt-id'] === receipt;
    await until(`RECEIPT ${receipt}`, () => this.receipts.some(isIt) || this.closed !== null);
    const found = this.receipts.find(isIt);
    if (found === undefined) throw new Error(`closed before RECEIPT: ${JSON.stringify(this.errors[0]?.headers)}`);
    return found;
  }
}

/** Connects and waits for CONNECTED. Rejects when the hub refuses. */
export async function stompConnect(hub: TestHub, options: StompOptions): Promise<StompPeer> {
  const peer = new StompPeer(hub, options);
  await until('CONNECTED or a refusal', () => peer.connected !== null || peer.closed !== null);
  if (peer.connected === null) throw new Error(`refused: ${JSON.stringify(peer.errors[0]?.headers ?? peer.closed)}`);
  return peer;
}

export function stompDevice(hub: TestHub, token: string, options: StompOptions = {}): Promise<StompPeer> {
  return stompConnect(hub, { headers: { login: 'device', passcode: token }, ...options });
}

export function stompApplication(hub: TestHub, clientId: string, options: StompOptions = {}): Promise<StompPeer> {
  return stompConnect(hub, { headers: { login: 'app', passcode: hub.token, 'client-id': clientId }, ...options });
}
