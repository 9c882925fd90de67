import { createRequire } from 'node:module';
import type { EventEmitter } from 'node:events';
import { afterThisTest } from './opened.ts';

/** What tests use of stompit, which has no types of its own. */
type Headers = Record<string, string>;

export interface StompitMessage {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readString(encoding: string, done: (error: Error | null, body: string) => void): void;
}

interface Answered {
  readonly onReceipt?: () => void;
}

interface Transaction {
  readonly id: number;
  send(headers: Headers, options?: Answered): { end(body: string): void };
  commit(options?: Answered): void;
  abort(options?: Answered): void;
}

type Acknowledge = (message: StompitMessage, headers?: object, options?: Answered) => void;

export interface StompitClient extends EventEmitter {
  readonly headers: Readonly<Record<string, string | undefined>>;
  send(headers: Headers, options?: Answered): { end(body: string | Buffer): void };
  subscribe(
    headers: Headers,
    onMessage: (error: Error | null, message: StompitMessage) => void,
  ): { unsubscribe(headers?: object): void };
  /** For messages of a subscription that the hub made by itself. */
  setImplicitSubscription(
    id: string,
    ack: string,
    onMessage: (error: Error | null, message: StompitMessage) => void,
  ): void;
  readonly ack: Acknowledge;
  readonly nack: Acknowledge;
  begin(): Transaction;
  disconnect(done: (error: Error | null) => void): void;
  destroy(): void;
}

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  readonly ssl?: boolean;
  readonly ca?: Buffer;
  readonly connectHeaders?: Headers;
}

export interface StompitChannel {
  send(headers: Headers, body: string, done?: (error: Error | null) => void): void;
  subscribe(
    headers: Headers,
    onMessage: (error: Error | null, message: StompitMessage) => void,
  ): { unsubscribe(): void };
  ack(message: StompitMessage): void;
  begin(): {
    send(headers: Headers, body: string): void;
    commit(done: (error: Error | null) => void): void;
    abort(): void;
  };
  close(): void;
}

interface Stompit {
  connect(options: ConnectOptions, done: (error: Error | null, client: StompitClient) => void): void;
  ConnectFailover: new (servers: readonly ConnectOptions[], options: object) => object;
  Channel: new (failover: object, options?: object) => StompitChannel;
}

const stompit = createRequire(import.meta.url)('stompit') as Stompit;

/** Connects; rejects when the hub refuses, with what its ERROR says. */
export function stompitConnect(options: ConnectOptions): Promise<StompitClient> {
  return new Promise((resolve, reject) => {
    stompit.connect(options, (error, client) => {
      if (error !== null) {
        reject(error);
        return;
      }
      // What a test expects, it listens to itself.
      client.on('error', () => undefined);
      afterThisTest(() => client.destroy());
      resolve(client);
    });
  });
}

/** A channel that connects by itself to one of these, and again when the connection is lost. */
export function stompitChannel(servers: readonly ConnectOptions[]): StompitChannel {
  const failover = new stompit.ConnectFailover(servers, { initialReconnectDelay: 10, maxReconnectDelay: 200 });
  // An ERROR that says hub_shutdown is no reason to give up.
  const channel = new stompit.Channel(failover, { alwaysConnected: true, recoverAfterApplicationError: true });
  afterThisTest(() => channel.close());
  return channel;
}

export function bodyOf(message: StompitMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    message.readString('utf8', (error, body) => {
      if (error === null) resolve(body);
      else reject(error);
    });
  });
}

/** SEND; resolves with its RECEIPT. */
export function stompitSend(client: StompitClient, headers: Headers, body: string): Promise<void> {
  return new Promise((resolve) => client.send(headers, { onReceipt: resolve }).end(body));
}
