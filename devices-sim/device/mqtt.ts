import { generate, parser, type IPublishPacket, type Packet, type Parser } from 'mqtt-packet';
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

const TELEMETRY = 'devices/me/telemetry';
const COMMANDS = 'devices/me/commands/#';

/** MQTT 3.1.1, table 3.1: CONNACK return codes. */
const REFUSALS = [
  'accepted',
  'protocol version',
  'client id',
  'server unavailable',
  'bad credentials',
  'not authorized',
];

/** MQTT 5.0, 2.4: a PUBACK from here on says that nothing was stored. */
const FIRST_ERROR = 0x80;
/** With it the hub says that a number was left out; its reason string names the one that it expects. */
const IMPLEMENTATION_SPECIFIC = 0x83;

/** The hub's answer to a result of a command that it does not know. */
const TOPIC_NAME_INVALID = 0x90;

/** What a packet identifier stands for until its acknowledgement comes. */
type Owed =
  | { readonly kind: 'message'; readonly seq: number }
  | { readonly kind: 'result'; readonly commandId: string }
  | { readonly kind: 'subscribe' };

/**
 * MQTT with a clean session: telemetry, events and results at QoS 1, commands by subscription at QoS 1. With a stream it is
 * MQTT 5.0, whose user properties number the messages, so that the hub stores each once; without one MQTT 3.1.1, at least once.
 */
export class MqttWire implements DeviceWire {
  readonly opensGaps = false;
  readonly #identity: WireIdentity;
  readonly #stream: string | null;
  readonly #link: WireLink;
  readonly #events: WireEvents;
  readonly #parser: Parser;
  readonly #owed = new Map<number, Owed>();
  #window = IN_FLIGHT_WINDOW;
  #maxPacketBytes = Infinity;
  #lastPacketId = 0;
  #connected = false;
  #fault: Error | null = null;

  constructor(identity: WireIdentity, stream: string | null, link: WireLink, events: WireEvents) {
    this.#identity = identity;
    this.#stream = stream;
    this.#link = link;
    this.#events = events;
    this.#parser = parser({ protocolVersion: this.#version });
    // The parser catches nothing that a listener throws, but goes on after an error event: faults are kept for `receive`.
    this.#parser.on('packet', (packet) => this.#packet(packet));
    this.#parser.on('error', (error: unknown) => (this.#fault ??= new WireError(`MQTT: ${String(error)}`)));
  }

  get window(): number {
    return this.#window;
  }

  open(): void {
    const { deviceId, token } = this.#identity;
    this.#link.send(
      generate({
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: this.#version,
        clean: true,
        clientId: deviceId,
        keepalive: BEAT_INTERVAL_MS / 1000,
        ...(token === null ? {} : { username: deviceId, password: Buffer.from(token) }),
      }),
    );
  }

  receive(data: Uint8Array, isText: boolean): void {
    if (isText) throw new WireError('MQTT in a text message [MQTT-6.0.0-1]');
    this.#parser.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    if (this.#fault !== null) throw this.#fault;
  }

  send(seq: number, message: Message, resent: boolean): boolean {
    const topic = isEvent(message) ? `devices/me/events/${message.event}` : TELEMETRY;
    const payload = isEvent(message) ? JSON.stringify(message.value ?? null) : telemetryJson(message);
    const messageId = this.#owe({ kind: 'message', seq });
    return this.#sendIfTaken(messageId, this.#encode(topic, payload, messageId, resent, seq));
  }

  received(receipt: Receipt): void {
    // 0: at QoS 0 nothing is acknowledged.
    if (receipt !== 0) this.#link.send(generate({ cmd: 'puback', messageId: Number(receipt) }, this.#options));
  }

  result({ commandId, status, value }: WireResult): boolean {
    const messageId = this.#owe({ kind: 'result', commandId });
    const topic = `devices/me/commands/${commandId}/result`;
    const payload = JSON.stringify({ status, value: value ?? null });
    return this.#sendIfTaken(messageId, this.#encode(topic, payload, messageId, false, null));
  }

  beat(): void {
    if (this.#connected) this.#link.send(generate({ cmd: 'pingreq' }));
  }

  goodbye(): void {
    if (this.#connected) this.#link.send(generate({ cmd: 'disconnect' }, this.#options));
  }

  get #version(): 4 | 5 {
    return this.#stream === null ? 4 : 5;
  }

  get #options(): { readonly protocolVersion: 4 | 5 } {
    return { protocolVersion: this.#version };
  }

  /** DUP says nothing that a clean session would know: the packet id is new. It is set for whoever watches the wire. */
  #encode(topic: string, payload: string, messageId: number, resent: boolean, seq: number | null): Buffer {
    const numbered = this.#stream !== null && seq !== null;
    return generate(
      {
        cmd: 'publish',
        qos: 1,
        dup: resent,
        retain: false,
        topic,
        payload,
        messageId,
        ...(numbered ? { properties: { userProperties: { stream: this.#stream, seq: String(seq) } } } : {}),
      },
      this.#options,
    );
  }

  #sendIfTaken(messageId: number, packet: Buffer): boolean {
    if (packet.length > this.#maxPacketBytes) {
      this.#owed.delete(messageId);
      return false;
    }
    this.#link.send(packet);
    return true;
  }

  #owe(owed: Owed): number {
    do this.#lastPacketId = (this.#lastPacketId % 0xffff) + 1;
    while (this.#owed.has(this.#lastPacketId));
    this.#owed.set(this.#lastPacketId, owed);
    return this.#lastPacketId;
  }

  #packet(packet: Packet): void {
    if (this.#fault !== null) return;
    try {
      this.#handle(packet);
    } catch (error) {
      this.#fault = error instanceof Error ? error : new WireError(String(error));
    }
  }

  #handle(packet: Packet): void {
    if (packet.cmd === 'connack') {
      const { receiveMaximum, maximumPacketSize } = packet.properties ?? {};
      this.#window = Math.min(this.#window, receiveMaximum ?? IN_FLIGHT_WINDOW);
      this.#maxPacketBytes = maximumPacketSize ?? Infinity;
      this.#connack(packet.reasonCode ?? packet.returnCode ?? -1);
    } else if (!this.#connected) throw new WireError(`${packet.cmd} before CONNACK [MQTT-3.2.0-1]`);
    else if (packet.cmd === 'puback') {
      const { messageId = 0, reasonCode = 0, properties } = packet;
      this.#acknowledged(messageId, ['message', 'result'], reasonCode, properties?.reasonString ?? '');
    } else if (packet.cmd === 'suback') this.#acknowledged(packet.messageId ?? 0, ['subscribe'], 0, '');
    else if (packet.cmd === 'publish') this.#published(packet);
    else if (packet.cmd === 'disconnect' && this.#stream !== null) {
      const { reasonCode = 0, properties } = packet;
      this.#events.goodbye(`DISCONNECT ${hex(reasonCode)}: ${properties?.reasonString ?? ''}`);
    } else if (packet.cmd !== 'pingresp') throw new WireError(`${packet.cmd} is no packet for a client of QoS 1`);
  }

  #connack(code: number): void {
    if (this.#connected) throw new WireError('a second CONNACK');
    if (code !== 0) {
      const text = this.#stream === null ? `${code} (${REFUSALS[code] ?? 'unknown'})` : hex(code);
      this.#events.goodbye(`CONNACK ${text}`);
      return;
    }
    this.#connected = true;
    const messageId = this.#owe({ kind: 'subscribe' });
    const subscriptions = [{ topic: COMMANDS, qos: 1 as const }];
    this.#link.send(generate({ cmd: 'subscribe', messageId, subscriptions }, this.#options));
    this.#events.ready(null, null);
  }

  #acknowledged(messageId: number, kinds: readonly Owed['kind'][], code: number, text: string): void {
    const owed = this.#owed.get(messageId);
    if (owed === undefined || !kinds.includes(owed.kind)) {
      throw new WireError(`an acknowledgement of packet ${messageId}, for which none was owed`);
    }
    this.#owed.delete(messageId);
    if (owed.kind === 'result') {
      const known = code < FIRST_ERROR || code === TOPIC_NAME_INVALID;
      if (known) this.#events.resultAcknowledged(owed.commandId, code < FIRST_ERROR);
      else this.#events.resultRefused(owed.commandId, `PUBACK ${hex(code)}: ${text}`);
    } else if (owed.kind === 'message') {
      const expected = code === IMPLEMENTATION_SPECIFIC ? /\bseq (\d+) is expected/.exec(text)?.[1] : undefined;
      if (expected !== undefined) this.#events.gap(Number(expected));
      else if (code >= FIRST_ERROR) this.#events.refused(owed.seq, `PUBACK ${hex(code)}: ${text}`);
      else this.#events.acknowledged(owed.seq);
    }
  }

  #published(packet: IPublishPacket): void {
    const receipt = packet.qos === 1 ? (packet.messageId ?? 0) : 0;
    const named = readCommandTopic(packet.topic);
    if (named === null) throw new WireError(`a message on ${packet.topic}, which was not subscribed`);
    if (named.name === RESULT_NAME) this.received(receipt);
    else this.#events.command({ ...named, params: readParams(Buffer.from(packet.payload)) }, receipt);
  }
}

function hex(code: number): string {
  return `0x${code.toString(16).padStart(2, '0')}`;
}
