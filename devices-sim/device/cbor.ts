import { TYPE } from '#protocols/cbor/messages.js';
import { decodeCbor } from './cbor-bytes.ts';
import { encodeHello, encodeMessage, encodeReceived, encodeResult, toJson } from './cbor-messages.ts';
import type { Message } from './message.ts';
import {
  WireError,
  type DeviceWire,
  type Receipt,
  type StreamStart,
  type WireEvents,
  type WireIdentity,
  type WireLink,
  type WireResult,
} from './wire.ts';

/** `v1.cbor.muster`: exactly once, by stream and seq. Runs in browsers as well. */
export class CborWire implements DeviceWire {
  readonly opensGaps = true;
  readonly #identity: WireIdentity;
  readonly #start: StreamStart;
  readonly #link: WireLink;
  readonly #events: WireEvents;
  #window = 0;
  #maxMessageBytes = Infinity;
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
    this.#link.send(encodeHello(this.#start, this.#identity));
  }

  receive(data: Uint8Array, isText: boolean): void {
    if (isText) throw new WireError('a text message in a binary protocol');
    const items = decodeCbor(data);
    if (!Array.isArray(items)) throw new WireError('a message that is no array');
    this.#handle(items);
  }

  send(seq: number, message: Message, _resent: boolean): boolean {
    return this.#sendIfTaken(encodeMessage(seq, message));
  }

  received(receipt: Receipt): void {
    this.#link.send(encodeReceived(String(receipt)));
  }

  result(result: WireResult): boolean {
    return this.#sendIfTaken(encodeResult(result));
  }

  /** The WebSocket's own pings are this protocol's liveness. */
  beat(): void {
    return;
  }

  /** The WebSocket's close is this protocol's goodbye. */
  goodbye(): void {
    return;
  }

  #sendIfTaken(bytes: Uint8Array): boolean {
    if (bytes.length > this.#maxMessageBytes) return false;
    this.#link.send(bytes);
    return true;
  }

  #handle(items: readonly unknown[]): void {
    const type = items[0];
    if (type === TYPE.error) {
      this.#events.goodbye(`CBOR ERROR ${text(items[1], 'ERROR')}: ${text(items[2], 'ERROR')}`);
    } else if (type === TYPE.welcome) {
      this.#welcome(items[1]);
    } else if (!this.#welcomed) {
      throw new WireError(`a message of type ${String(type)} before WELCOME`);
    } else if (type === TYPE.ack) {
      this.#events.acknowledgedUpTo(whole(items[1], 'ACK'));
    } else if (type === TYPE.nack) {
      this.#nack(items);
    } else if (type === TYPE.command) {
      this.#command(items);
    } else if (type === TYPE.done) {
      this.#events.resultAcknowledged(text(items[1], 'DONE'), true);
    }
    // Types that this version does not know are ignored.
  }

  #welcome(map: unknown): void {
    if (this.#welcomed) throw new WireError('a second WELCOME');
    if (!(map instanceof Map)) throw new WireError('WELCOME without a map');
    this.#welcomed = true;
    this.#window = Math.max(1, whole(map.get('window'), 'WELCOME'));
    this.#maxMessageBytes = whole(map.get('max'), 'WELCOME');
    this.#events.ready(whole(map.get('resume'), 'WELCOME'), whole(map.get('time'), 'WELCOME'));
  }

  #nack(items: readonly unknown[]): void {
    const seq = whole(items[1], 'NACK');
    const code = text(items[2], 'NACK');
    if (code === 'gap') this.#events.gap(whole(items[4], 'NACK gap'));
    else if (seq > 0) this.#events.refused(seq, `NACK ${code}: ${text(items[3], 'NACK')}`);
    // About a RECEIVED or a RESULT; hubs that do not say of which command leave a RESULT to the next connection.
    else if (typeof items[4] !== 'string') return;
    else if (code === 'unknown_command') this.#events.resultAcknowledged(items[4], false);
    else this.#events.resultRefused(items[4], `NACK ${code}: ${text(items[3], 'NACK')}`);
  }

  #command(items: readonly unknown[]): void {
    const id = text(items[1], 'COMMAND');
    const name = text(items[2], 'COMMAND');
    this.#events.command({ id, name, params: toJson(items[3]), deadlineMs: whole(items[4], 'COMMAND') }, id);
  }
}

function whole(value: unknown, message: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new WireError(`${message} without a whole number where one is due`);
}

function text(value: unknown, message: string): string {
  if (typeof value === 'string') return value;
  throw new WireError(`${message} without a text where one is due`);
}
