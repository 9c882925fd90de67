import { generate, parser, type IPublishPacket, type Packet, type Parser } from 'mqtt-packet';
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

/** What a packet identifier stands for until its acknowledgement comes. */
type Owed =
  | { readonly kind: 'message'; readonly seq: number }
  | { readonly kind: 'result'; readonly commandId: string }
  | { readonly kind: 'subscribe' };

/** MQTT 3.1.1 with a clean session: telemetry and results at QoS 1, commands by subscription at QoS 1. */
export class MqttWire implements DeviceWire {
  readonly window = IN_FLIGHT_WINDOW;
  readonly acknowledgesResults = true;
  readonly #identity: WireIdentity;
  readonly #link: WireLink;
  readonly #events: WireEvents;
  readonly #parser: Parser = parser({ protocolVersion: 4 });
  readonly #owed = new Map<number, Owed>();
  #lastPacketId = 0;
  #connected = false;
  #fault: Error | null = null;

  constructor(identity: WireIdentity, link: WireLink, events: WireEvents) {
    this.#identity = identity;
    this.#link = link;
    this.#events = events;
    // The parser catches nothing that a listener throws, but goes on after an error event: faults are kept for `receive`.
    this.#parser.on('packet', (packet) => this.#packet(packet));
    this.#parser.on('error', (error: unknown) => (this.#fault ??= new WireError(`MQTT: ${String(error)}`)));
  }

  open(): void {
    const { deviceId, token } = this.#identity;
    this.#link.send(
      generate({
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: 4,
        clean: true,
        clientId: deviceId,
        keepalive: BEAT_INTERVAL_MS / 1000,
        ...(token === null ? {} : { username: deviceId, password: Buffer.from(token) }),
      }),
    );
  }

  receive(data: Buffer, isText: boolean): void {
    if (isText) throw new WireError('MQTT in a text message [MQTT-6.0.0-1]');
    this.#parser.parse(data);
    if (this.#fault !== null) throw this.#fault;
  }

  send(seq: number, message: WorldMessage, resent: boolean): void {
    const messageId = this.#owe({ kind: 'message', seq });
    this.#publish(TELEMETRY, telemetryJson(message), messageId, resent);
  }

  result({ commandId, status, value }: WireResult): void {
    const messageId = this.#owe({ kind: 'result', commandId });
    this.#publish(`devices/me/commands/${commandId}/result`, JSON.stringify({ status, value }), messageId, false);
  }

  beat(): void {
    if (this.#connected) this.#link.send(generate({ cmd: 'pingreq' }));
  }

  goodbye(): void {
    if (this.#connected) this.#link.send(generate({ cmd: 'disconnect' }));
  }

  /** DUP says nothing that a clean session would know: the packet id is new. It is set for whoever watches the wire. */
  #publish(topic: string, payload: string, messageId: number, resent: boolean): void {
    this.#link.send(generate({ cmd: 'publish', qos: 1, dup: resent, retain: false, topic, payload, messageId }));
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
    if (packet.cmd === 'connack') this.#connack(packet.returnCode ?? -1);
    else if (!this.#connected) throw new WireError(`${packet.cmd} before CONNACK [MQTT-3.2.0-1]`);
    else if (packet.cmd === 'puback') this.#acknowledged(packet.messageId ?? 0, ['message', 'result']);
    else if (packet.cmd === 'suback') this.#acknowledged(packet.messageId ?? 0, ['subscribe']);
    else if (packet.cmd === 'publish') this.#published(packet);
    else if (packet.cmd !== 'pingresp') throw new WireError(`${packet.cmd} is no packet for a client of QoS 1`);
  }

  #connack(returnCode: number): void {
    if (this.#connected) throw new WireError('a second CONNACK');
    if (returnCode !== 0) {
      this.#events.goodbye(`CONNACK ${returnCode} (${REFUSALS[returnCode] ?? 'unknown'})`);
      return;
    }
    this.#connected = true;
    const messageId = this.#owe({ kind: 'subscribe' });
    this.#link.send(generate({ cmd: 'subscribe', messageId, subscriptions: [{ topic: COMMANDS, qos: 1 }] }));
    this.#events.ready(null);
  }

  #acknowledged(messageId: number, kinds: readonly Owed['kind'][]): void {
    const owed = this.#owed.get(messageId);
    if (owed === undefined || !kinds.includes(owed.kind)) {
      throw new WireError(`an acknowledgement of packet ${messageId}, for which none was owed`);
    }
    this.#owed.delete(messageId);
    if (owed.kind === 'message') this.#events.acknowledged(owed.seq);
    else if (owed.kind === 'result') this.#events.resultAcknowledged(owed.commandId, true);
  }

  #published(packet: IPublishPacket): void {
    if (packet.qos === 1) this.#link.send(generate({ cmd: 'puback', messageId: packet.messageId ?? 0 }));
    const named = readCommandTopic(packet.topic);
    if (named === null) throw new WireError(`a message on ${packet.topic}, which was not subscribed`);
    if (named.name === RESULT_NAME) return;
    this.#events.command({ ...named, params: readParams(Buffer.from(packet.payload)) });
  }
}
