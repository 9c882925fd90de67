import { StompDecoder } from '#protocols/stomp/decoder.js';
import { STOMP_1_2 } from '#protocols/stomp/dialect.js';
import { encodeFrame, type Header } from '#protocols/stomp/encoder.js';
import { SERVER_COMMANDS, type StompFrame } from '#protocols/stomp/frame.js';
import type { WorldMessage } from '../world.ts';
import {
  BEAT_INTERVAL_MS,
  IN_FLIGHT_WINDOW,
  readCommandTopic,
  readParams,
  RESULT_NAME,
  telemetryJson,
  WireError,
  type DeviceWire,
  type WireEvents,
  type WireIdentity,
  type WireLink,
  type WireResult,
} from './wire.ts';

/** Generous: what a hub may send to a device. */
const LIMITS = { maxHeaders: 64, maxHeaderBytes: 8 * 1024, maxFrameBytes: 256 * 1024 };

/** A receipt id says what it is the receipt of. */
const MESSAGE_RECEIPT = 'm';
const RESULT_RECEIPT = 'r';

/** STOMP 1.2: SEND with receipt, commands by a `client-individual` subscription. */
export class StompWire implements DeviceWire {
  readonly window = IN_FLIGHT_WINDOW;
  readonly acknowledgesResults = true;
  readonly #identity: WireIdentity;
  readonly #link: WireLink;
  readonly #events: WireEvents;
  readonly #decoder = new StompDecoder({ commands: SERVER_COMMANDS, dialect: STOMP_1_2, ...LIMITS });
  readonly #receipts = new Set<string>();
  #connected = false;

  constructor(identity: WireIdentity, link: WireLink, events: WireEvents) {
    this.#identity = identity;
    this.#link = link;
    this.#events = events;
  }

  open(): void {
    const { deviceId, token } = this.#identity;
    this.#send('CONNECT', [
      ['accept-version', '1.2'],
      ['host', 'muster'],
      ['client-id', deviceId],
      ['heart-beat', `${BEAT_INTERVAL_MS},${BEAT_INTERVAL_MS}`],
      ...(token === null
        ? []
        : ([
            ['login', deviceId],
            ['passcode', token],
          ] as const)),
    ]);
  }

  receive(data: Buffer, _isText: boolean): void {
    let from = 0;
    while (from < data.length) {
      const frame = this.#decoder.read(data, from);
      from = this.#decoder.position;
      if (frame !== null) this.#handle(frame);
    }
  }

  send(seq: number, message: WorldMessage, _resent: boolean): void {
    this.#sendJson('/devices/me/telemetry', `${MESSAGE_RECEIPT}${seq}`, telemetryJson(message));
  }

  result({ commandId, status, value }: WireResult): void {
    const destination = `/devices/me/commands/${commandId}/result`;
    this.#sendJson(destination, `${RESULT_RECEIPT}${commandId}`, JSON.stringify({ status, value }));
  }

  beat(): void {
    if (this.#connected) this.#link.send('\n');
  }

  goodbye(): void {
    if (this.#connected) this.#send('DISCONNECT', []);
  }

  #sendJson(destination: string, receipt: string, json: string): void {
    this.#receipts.add(receipt);
    const headers: Header[] = [
      ['destination', destination],
      ['content-type', 'application/json'],
      ['receipt', receipt],
    ];
    this.#send('SEND', headers, Buffer.from(json));
  }

  #send(command: string, headers: readonly Header[], body: Buffer | null = null): void {
    this.#link.send(encodeFrame(STOMP_1_2, command, headers, body));
  }

  #handle(frame: StompFrame): void {
    if (frame.command === 'ERROR') {
      this.#events.goodbye(`STOMP ERROR: ${frame.headers.get('message') ?? ''}`);
    } else if (frame.command === 'CONNECTED') {
      this.#takenIn();
    } else if (!this.#connected) {
      throw new WireError(`${frame.command} before CONNECTED`);
    } else if (frame.command === 'RECEIPT') {
      this.#receipt(frame);
    } else {
      this.#message(frame);
    }
  }

  #takenIn(): void {
    if (this.#connected) throw new WireError('a second CONNECTED');
    this.#connected = true;
    this.#send('SUBSCRIBE', [
      ['id', 'commands'],
      ['destination', '/devices/me/commands/#'],
      ['ack', 'client-individual'],
    ]);
    this.#events.ready(null);
  }

  #receipt(frame: StompFrame): void {
    const receipt = frame.headers.get('receipt-id') ?? '';
    if (!this.#receipts.delete(receipt)) throw new WireError(`a RECEIPT ${receipt} that was not asked for`);
    const of = receipt.slice(1);
    const rejected = frame.headers.get('muster-status') === 'rejected';
    if (receipt.startsWith(RESULT_RECEIPT)) this.#events.resultAcknowledged(of, !rejected);
    else if (rejected) this.#events.refused(Number(of), 'RECEIPT with muster-status: rejected');
    else this.#events.acknowledged(Number(of));
  }

  #message(frame: StompFrame): void {
    const ack = frame.headers.get('ack');
    if (ack === undefined) throw new WireError('a MESSAGE without ack header for a client-individual subscription');
    this.#send('ACK', [['id', ack]]);
    const destination = frame.headers.get('destination') ?? '';
    const named = readCommandTopic(destination.replace(/^\//, ''));
    if (named === null) throw new WireError(`a MESSAGE of ${destination}, which was not subscribed`);
    if (named.name === RESULT_NAME) return;
    this.#events.command({ ...named, params: readParams(frame.body) });
  }
}
