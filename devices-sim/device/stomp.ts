import { StompDecoder } from '#protocols/stomp/decoder.js';
import { STOMP_1_2 } from '#protocols/stomp/dialect.js';
import { encodeFrame, type Header } from '#protocols/stomp/encoder.js';
import { SERVER_COMMANDS, type StompFrame } from '#protocols/stomp/frame.js';
import { isEvent, telemetryJson, type Message } from './message.ts';
import {
  BEAT_INTERVAL_MS,
  IN_FLIGHT_WINDOW,
  readCommandTopic,
  readParams,
  RESULT_NAME,
  WireError,
  type DeviceWire,
  type Receipt,
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

/** STOMP 1.2: SEND with receipt, numbered where there is a stream; commands by a `client-individual` subscription. */
export class StompWire implements DeviceWire {
  readonly window = IN_FLIGHT_WINDOW;
  readonly opensGaps = false;
  readonly #identity: WireIdentity;
  readonly #stream: string | null;
  readonly #link: WireLink;
  readonly #events: WireEvents;
  readonly #decoder = new StompDecoder({ commands: SERVER_COMMANDS, dialect: STOMP_1_2, ...LIMITS });
  readonly #receipts = new Set<string>();
  #connected = false;

  constructor(identity: WireIdentity, stream: string | null, link: WireLink, events: WireEvents) {
    this.#identity = identity;
    this.#stream = stream;
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

  receive(bytes: Uint8Array, _isText: boolean): void {
    const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let from = 0;
    while (from < data.length) {
      const frame = this.#decoder.read(data, from);
      from = this.#decoder.position;
      if (frame !== null) this.#handle(frame);
    }
  }

  send(seq: number, message: Message, _resent: boolean): boolean {
    const receipt = `${MESSAGE_RECEIPT}${seq}`;
    const headers: Header[] =
      this.#stream === null
        ? []
        : [
            ['stream', this.#stream],
            ['seq', String(seq)],
          ];
    if (isEvent(message)) {
      const destination = `/devices/me/events/${message.event}`;
      this.#sendJson(destination, receipt, JSON.stringify(message.value ?? null), headers);
    } else {
      this.#sendJson('/devices/me/telemetry', receipt, telemetryJson(message), headers);
    }
    return true;
  }

  received(receipt: Receipt): void {
    this.#send('ACK', [['id', String(receipt)]]);
  }

  result({ commandId, status, value }: WireResult): boolean {
    const destination = `/devices/me/commands/${commandId}/result`;
    this.#sendJson(destination, `${RESULT_RECEIPT}${commandId}`, JSON.stringify({ status, value: value ?? null }), []);
    return true;
  }

  beat(): void {
    if (this.#connected) this.#link.send('\n');
  }

  goodbye(): void {
    if (this.#connected) this.#send('DISCONNECT', []);
  }

  #sendJson(destination: string, receipt: string, json: string, more: readonly Header[]): void {
    this.#receipts.add(receipt);
    const headers: Header[] = [
      ['destination', destination],
      ['content-type', 'application/json'],
      ['receipt', receipt],
      ...more,
    ];
    this.#send('SEND', headers, Buffer.from(json));
  }

  #send(command: string, headers: readonly Header[], body: Buffer | null = null): void {
    this.#link.send(encodeFrame(STOMP_1_2, command, headers, body));
  }

  #handle(frame: StompFrame): void {
    if (frame.command === 'ERROR') {
      this.#error(frame);
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

  #error({ headers }: StompFrame): void {
    const text = `STOMP ERROR: ${headers.get('message') ?? ''}`;
    const expected = Number(headers.get('muster-expected'));
    const receipt = headers.get('receipt-id') ?? '';
    if (expected >= 1) this.#events.gap(expected);
    // This protocol does not tell before how much the hub takes.
    else if (headers.get('message') === 'too_large' && this.#receipts.has(receipt)) {
      const of = receipt.slice(1);
      this.#events.tooLarge(receipt.startsWith(RESULT_RECEIPT) ? of : Number(of), text);
    }
    this.#events.goodbye(text);
  }

  #takenIn(): void {
    if (this.#connected) throw new WireError('a second CONNECTED');
    this.#connected = true;
    this.#send('SUBSCRIBE', [
      ['id', 'commands'],
      ['destination', '/devices/me/commands/#'],
      ['ack', 'client-individual'],
    ]);
    this.#events.ready(null, null);
  }

  #receipt(frame: StompFrame): void {
    const receipt = frame.headers.get('receipt-id') ?? '';
    if (!this.#receipts.delete(receipt)) throw new WireError(`a RECEIPT ${receipt} that was not asked for`);
    const of = receipt.slice(1);
    const rejected = frame.headers.get('muster-status') === 'rejected';
    if (receipt.startsWith(RESULT_RECEIPT)) {
      const known = !rejected || frame.headers.get('muster-reason') === 'unknown_command';
      if (known) this.#events.resultAcknowledged(of, !rejected);
      else this.#events.resultRefused(of, `RECEIPT with muster-status: rejected${reasonOf(frame)}`);
    } else if (rejected) this.#events.refused(Number(of), `RECEIPT with muster-status: rejected${reasonOf(frame)}`);
    else this.#events.acknowledged(Number(of));
  }

  #message(frame: StompFrame): void {
    const ack = frame.headers.get('ack');
    if (ack === undefined) throw new WireError('a MESSAGE without ack header for a client-individual subscription');
    const destination = frame.headers.get('destination') ?? '';
    const named = readCommandTopic(destination.replace(/^\//, ''));
    if (named === null) throw new WireError(`a MESSAGE of ${destination}, which was not subscribed`);
    if (named.name === RESULT_NAME) this.received(ack);
    else this.#events.command({ ...named, params: readParams(frame.body), ...deadlineOf(frame) }, ack);
  }
}

function reasonOf(frame: StompFrame): string {
  const reason = frame.headers.get('muster-reason');
  return reason === undefined ? '' : ` (${reason})`;
}

function deadlineOf(frame: StompFrame): { readonly deadlineMs?: number } {
  const deadline = frame.headers.get('deadline') ?? '';
  return /^\d{1,15}$/.test(deadline) ? { deadlineMs: Number(deadline) } : {};
}
