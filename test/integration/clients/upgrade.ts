import { request, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import { afterThisTest } from './opened.ts';

/** RFC 9457, as the gateway writes it. */
export interface RefusalBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly offered: readonly string[];
  readonly served: readonly string[];
}

export interface Upgraded {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Of a refusal; empty when it was accepted. */
  readonly body: Partial<RefusalBody>;
  /** Of an acceptance. */
  readonly socket: Duplex | null;
}

export interface UpgradeOptions {
  readonly path?: string;
  readonly method?: string;
  readonly localAddress?: string;
  /** Added to those of a sound handshake, or in their place; undefined leaves one out. */
  readonly headers?: Record<string, string | string[] | undefined>;
}

/** A WebSocket handshake written by hand, so that every header can be wrong. Does not go on to speak WebSocket. */
export function upgrade(port: number, options: UpgradeOptions = {}): Promise<Upgraded> {
  const { path = '/', method = 'GET', localAddress } = options;
  const sound = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  };
  const merged: Record<string, string | string[] | undefined> = { ...sound, ...options.headers };
  const headers = Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== undefined));
  return new Promise((resolve, reject) => {
    const asked = request({
      host: '127.0.0.1',
      port,
      path,
      method,
      headers: headers as OutgoingHttpHeaders,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    asked.on('error', reject);
    asked.on('upgrade', (response, socket) => {
      socket.on('error', () => undefined);
      afterThisTest(() => socket.destroy());
      resolve({ status: response.statusCode!, headers: response.headers, body: {}, socket });
    });
    asked.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const body: RefusalBody = JSON.parse(Buffer.concat(chunks).toString());
        resolve({ status: response.statusCode!, headers: response.headers, body, socket: null });
      });
    });
    asked.end();
  });
}

/** The same with an offer of subprotocols; several lines when it is a list. */
export function offer(
  port: number,
  offered: string | string[] | undefined,
  more: UpgradeOptions = {},
): Promise<Upgraded> {
  return upgrade(port, { ...more, headers: { 'sec-websocket-protocol': offered, ...more.headers } });
}
