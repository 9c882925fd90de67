import {
  decodeHubMessage,
  encodeData,
  encodeHello,
  encodeReceived,
  encodeResult,
  senmlRecords,
  type HubMessage,
} from '#protocols/cbor/codec.js';
import type { WorldMessage } from '../world.ts';
import {
  WireError,
  type DeviceWire,
  type WireEvents,
  type WireIdentity,
  type WireLink,
  type WireResult,
} from './wire.ts';

/** The device's numbered queue, as HELLO names it. */
export interface StreamStart {
  /** Random name of the queue. */
  readonly stream: string;
  /** seq of the oldest message that is not acknowledged. */
  readonly next: number;
}

/** `v1.cbor.muster`: exactly once, by stream and seq. */
export class CborWire implements DeviceWire {
  /** RESULT has no acknowledgement in this protocol; a command that comes again is answered again. */
  readonly acknowledgesResults = false;
  readonly #identity: WireIdentity;
  readonly #start: StreamStart;
  readonly #link: WireLink;
  readonly #events: WireEvents;
  #window = 0;
  #welcomed = false;

  constructor(identity: WireIdentity, start: StreamStart, link: WireLink, events: WireEvents) {
    this.#identity = identity;
    this.#start = start;
    this.#link = link;
    this.#events = events;
  }

  /** As WELCOME said. */
  get window(): number {
    return this.#window;
  }

  open(): void {
    const { deviceId, token } = this.#identity;
    this.#link.send(encodeHello({ ...this.#start, ...(token === null ? { id: deviceId } : { token }) }));
  }

  receive(data: Buffer, isText: boolean): void {
    if (isText) throw new WireError('a text message in a binary protocol');
    this.#handle(decodeHubMessage(data));
  }

  send(seq: number, message: WorldMessage, _resent: boolean): void {
    const { timeUs } = message;
    this.#link.send(encodeData(seq, senmlRecords(message.readings.map((reading) => ({ ...reading, timeUs })))));
  }

  result({ commandId, status, value }: WireResult): void {
    this.#link.send(encodeResult(commandId, status, value));
  }

  /** The WebSocket's own pings are this protocol's liveness. */
  beat(): void {
    return;
  }

  /** The WebSocket's close is this protocol's goodbye. */
  goodbye(): void {
    return;
  }

  #handle(message: HubMessage): void {
    if (message.type === 'error') {
      this.#events.goodbye(`CBOR ERROR ${message.code}: ${message.text}`);
    } else if (message.type === 'welcome') {
      if (this.#welcomed) throw new WireError('a second WELCOME');
      this.#welcomed = true;
      this.#window = message.window;
      this.#events.ready(message.resumeSeq);
    } else if (!this.#welcomed) {
      throw new WireError(`${message.type} before WELCOME`);
    } else if (message.type === 'ack') {
      this.#events.acknowledgedUpTo(message.seq);
    } else if (message.type === 'nack') {
      if (message.code === 'gap')
        throw new WireError(`the hub sees a gap before seq ${message.seq}, and there is none`);
      this.#events.refused(message.seq, `NACK ${message.code}: ${message.text}`);
    } else if (message.type === 'command') {
      this.#link.send(encodeReceived(message.id));
      this.#events.command({ id: message.id, name: message.name, params: message.params });
    }
  }
}
