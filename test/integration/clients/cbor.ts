import { expect } from 'vitest';
import { WebSocket } from 'ws';
import {
  decodeHubMessage,
  encodeData,
  encodeHello,
  senmlRecords,
  type Hello,
  type HubMessage,
} from '#protocols/cbor/codec.js';
import type { Reading } from '#protocols/reading.js';
import { flawOfMessage } from '#test/support/cddl/muster.js';
import { until, type TestHub } from '../../support/hub.ts';
import { afterThisTest } from './opened.ts';

type Of<T extends HubMessage['type']> = Extract<HubMessage, { type: T }>;

/** A device of `v1.cbor.muster`: ws and the codec, nothing between. */
export class CborPeer {
  readonly webSocket: WebSocket;
  readonly received: HubMessage[] = [];
  closed: { code: number; reason: string } | null = null;

  constructor(hub: TestHub) {
    this.webSocket = new WebSocket(`${hub.wsUrl}/cbor`, ['v1.cbor.muster']);
    this.webSocket.on('message', (data: Buffer) => {
      // Whatever a real hub says in any test is by the book.
      expect(flawOfMessage('hub-message', data)).toBeNull();
      this.received.push(decodeHubMessage(data));
    });
    this.webSocket.on('close', (code, reason) => (this.closed = { code, reason: reason.toString() }));
    this.webSocket.on('error', () => undefined);
    afterThisTest(() => this.webSocket.terminate());
  }

  send(message: Buffer): void {
    this.webSocket.send(message);
  }

  data(seq: number, readings: readonly Reading[]): void {
    this.send(encodeData(seq, senmlRecords(readings)));
  }

  all<T extends HubMessage['type']>(type: T): Of<T>[] {
    return this.received.filter((message): message is Of<T> => message.type === type);
  }

  /** The first message of a type that is left, taken out of the list; waits for it. */
  async take<T extends HubMessage['type']>(type: T): Promise<Of<T>> {
    await until(`${type} (closed: ${this.closed?.reason ?? 'no'})`, () => this.all(type).length > 0);
    const found = this.all(type)[0]!;
    this.received.splice(this.received.indexOf(found), 1);
    return found;
  }

  /** Waits until everything up to `seq` is acknowledged. */
  async acknowledged(seq: number): Promise<void> {
    await until(`ACK ${seq}`, () => this.all('ack').some((ack) => ack.seq >= seq));
  }
}

/** Connects, says HELLO and waits for WELCOME. */
export async function cborConnect(hub: TestHub, hello: Hello): Promise<{ peer: CborPeer; welcome: Of<'welcome'> }> {
  const peer = await cborOpen(hub);
  peer.send(encodeHello(hello));
  return { peer, welcome: await peer.take('welcome') };
}

/** A WebSocket that is open and has said nothing. */
export async function cborOpen(hub: TestHub): Promise<CborPeer> {
  const peer = new CborPeer(hub);
  await until('the WebSocket', () => peer.webSocket.readyState === WebSocket.OPEN);
  return peer;
}
