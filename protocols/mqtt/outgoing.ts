import { ProtocolError } from '../errors.ts';
import type { Command, Delivery, Subscription } from '../message.ts';
import type { Principal } from '../principal.ts';
import { packetIdOf, type SessionState } from '../session-state.ts';
import type { SessionHost } from '../subprotocol.ts';
import { answerTopic } from '../topics.ts';
import { OutgoingAliases } from './aliases.ts';
import { Commands } from './commands.ts';
import { publishProperties, secondsLeft } from './message-properties.ts';
import type { AckPacket } from './packet.ts';
import { REASON } from './reason-codes.ts';
import { Window } from './window.ts';
import type { Wire } from './wire.ts';

const OWN = 'devices/me/';
const PUBREL = 6;

/**
 * Messages on their way to one client: the window, packet ids, QoS 1 and the sender's side of QoS 2 (section 4.3). What waits
 * lies with the hub, which offers it by `forward`, also after a reconnect: first what was sent before, with its packet ids
 * and DUP [MQTT-4.4.0-1]. Commands go before messages that wait for room.
 */
export class Outgoing {
  readonly #wire: Wire;
  readonly #host: SessionHost;
  readonly #state: SessionState;
  readonly #principal: Principal;
  // Made when they are first needed: most connections of a large fleet are idle.
  #windowMade: Window | null = null;
  #commandsMade: Commands | null = null;
  readonly #aliases: OutgoingAliases | null;
  /** `forward` had to refuse for want of room: the hub waits for a word. */
  #refused = false;
  /** Packet ids whose PUBREL waits for the disk. */
  #releasing: Set<number> | null = null;

  constructor(wire: Wire, host: SessionHost, state: SessionState, principal: Principal) {
    this.#wire = wire;
    this.#host = host;
    this.#state = state;
    this.#principal = principal;
    const aliases = Math.min(wire.peer.topicAliasMaximum, host.limits.maxTopicAliases);
    this.#aliases = aliases === 0 ? null : new OutgoingAliases(aliases);
  }

  /** After CONNACK: what was released goes on with PUBREL [MQTT-4.4.0-1]; commands keep their packet ids. */
  resume(): void {
    if (this.#state.flying === 0) return;
    for (const [packetId, entry] of [...this.#state.inFlight]) {
      if (entry.kind === 'command') this.#commands.carry(packetId, entry);
      else if (entry.kind === 'released') this.#release(packetId, entry.delivery);
    }
  }

  /** Lets what waits go on, as far as link and window allow. */
  goOn(): void {
    if (this.#wire.stopped) return;
    this.#commandsMade?.goOn();
    if (!this.#refused || !this.#window.hasRoom) return;
    this.#refused = false;
    this.#host.readyForMessages();
  }

  /** See DeviceSession.deliver. */
  deliver(command: Command): boolean {
    return this.#state.subscribed > 0 && this.#commands.deliver(command);
  }

  /** Hot path. See DeviceSession.forward: one copy, whatever the number of matching subscriptions [MQTT-3.3.4-2]. */
  forward(delivery: Delivery): boolean {
    if (delivery.qos === 0) {
      if (this.#wire.stopped) return true;
      if (this.#wire.congested) this.#host.dropped('slow');
      else this.#send(delivery, 0);
      return true;
    }
    if (!this.#window.hasRoom) {
      this.#refused = true;
      return false;
    }
    const packetId = delivery.place === 0 ? this.#state.nextPacketId() : packetIdOf(delivery.place);
    if (this.#send(delivery, packetId)) this.#state.inFlight.set(packetId, { kind: 'message', delivery });
    else this.#host.acknowledged(delivery);
    return true;
  }

  /** PUBACK. A packet id that is not in flight means nothing: the client may repeat itself. Throws ProtocolError. */
  acknowledged(ack: AckPacket): void {
    const entry = this.#state.inFlight.get(ack.packetId);
    if (entry === undefined) return;
    if (entry.kind === 'released' || (entry.kind === 'message' && entry.delivery.qos !== 1)) {
      throw unexpected('PUBACK', 'a message of QoS 2');
    }
    this.#state.inFlight.delete(ack.packetId);
    if (entry.kind === 'command') this.#commands.answered(entry, ack);
    else this.#host.acknowledged(entry.delivery);
    this.goOn();
  }

  /** PUBREC. Throws ProtocolError. */
  received({ packetId, reasonCode }: AckPacket): void {
    const entry = this.#state.inFlight.get(packetId);
    if (entry === undefined) this.#receivedUnknown(packetId, reasonCode);
    else if (entry.kind === 'command' || (entry.kind === 'message' && entry.delivery.qos !== 2)) {
      throw unexpected('PUBREC', 'a message of QoS 1');
    } else if (reasonCode >= REASON.unspecifiedError) this.#finish(packetId, entry.delivery);
    else if (entry.kind === 'message') {
      // The key keeps its place: the order of sending [MQTT-4.6.0-3].
      this.#state.inFlight.set(packetId, { kind: 'released', delivery: entry.delivery });
      this.#release(packetId, entry.delivery);
    } else if (this.#releasing?.has(packetId) !== true) this.#wire.acknowledge(PUBREL, packetId);
  }

  /** PUBCOMP. Throws ProtocolError. */
  completed({ packetId }: AckPacket): void {
    const entry = this.#state.inFlight.get(packetId);
    if (entry === undefined) return;
    if (entry.kind !== 'released') throw unexpected('PUBCOMP', 'a message that was not released');
    this.#finish(packetId, entry.delivery);
  }

  /** The link is gone. Messages are offered again by the hub; commands and what was released stay for the next connection. */
  closed(): void {
    this.#commandsMade?.closed();
    if (this.#state.flying === 0) return;
    for (const [packetId, entry] of this.#state.inFlight) {
      if (entry.kind === 'message') this.#state.inFlight.delete(packetId);
    }
  }

  get #window(): Window {
    return (this.#windowMade ??= new Window(this.#wire, this.#state, this.#host.limits.maxInFlight));
  }

  get #commands(): Commands {
    return (this.#commandsMade ??= new Commands(this.#wire, this.#host, this.#state, this.#principal, this.#window));
  }

  /** The client has no such exchange in mind that we know of: told so in MQTT 5.0 (3.6.2.1), and in MQTT 3 let go on. */
  #receivedUnknown(packetId: number, reasonCode: number): void {
    if (reasonCode < REASON.unspecifiedError) this.#wire.acknowledge(PUBREL, packetId, REASON.packetIdNotFound);
  }

  /** PUBREL leaves when it is on disk that the message is finished: it is never sent again after it. */
  #release(packetId: number, delivery: Delivery): void {
    (this.#releasing ??= new Set()).add(packetId);
    this.#host.released(delivery, () => {
      this.#releasing?.delete(packetId);
      this.#wire.acknowledge(PUBREL, packetId);
    });
  }

  #finish(packetId: number, delivery: Delivery): void {
    this.#state.inFlight.delete(packetId);
    this.#host.acknowledged(delivery);
    this.goOn();
  }

  /** False: it is skipped for good, and counted. */
  #send(delivery: Delivery, packetId: number): boolean {
    const { message, qos, dup } = delivery;
    const expiryS = message.properties === undefined ? Infinity : secondsLeft(message, this.#host.now());
    // One that the client may know already is finished, not forgotten [MQTT-3.3.2-5].
    if (expiryS <= 0 && !dup) {
      this.#host.dropped('expired');
      return false;
    }
    const topic = this.#topicAsSeen(message.topic, delivery.matches);
    const sent =
      this.#wire.peer.level === 5
        ? this.#sendWithProperties(delivery, topic, packetId, expiryS)
        : this.#wire.publish({
            level: this.#wire.peer.level,
            topic,
            payload: message.payload,
            qos,
            retain: delivery.retain,
            dup: dup && qos !== 0,
            packetId,
            properties: undefined,
          });
    if (!sent) this.#host.dropped('too_large');
    return sent;
  }

  /** MQTT 5.0: with an alias where there is one, and without a new one where only that makes it too large. */
  #sendWithProperties(delivery: Delivery, topic: string, packetId: number, expiryS: number): boolean {
    const known = this.#aliases?.of(topic) ?? 0;
    const fresh = known === 0 ? (this.#aliases?.next() ?? 0) : 0;
    if (known !== 0) return this.#sendAs(delivery, '', known, packetId, expiryS);
    if (fresh !== 0 && this.#sendAs(delivery, topic, fresh, packetId, expiryS)) {
      this.#aliases?.given(topic, fresh);
      return true;
    }
    return this.#sendAs(delivery, topic, 0, packetId, expiryS);
  }

  #sendAs(delivery: Delivery, topic: string, alias: number, packetId: number, expiryS: number): boolean {
    const { message, qos, retain, dup } = delivery;
    return this.#wire.publish({
      level: 5,
      topic,
      payload: message.payload,
      qos,
      retain,
      dup: dup && qos !== 0,
      packetId,
      properties: publishProperties(delivery, alias, expiryS),
    });
  }

  /** Subscriptions that were all written with `me` are answered with `me`. */
  #topicAsSeen(topic: string, matches: readonly Subscription[]): string {
    if (this.#principal.kind !== 'device' || !topic.startsWith('devices/')) return topic;
    for (const match of matches) if (!match.filter.startsWith(OWN)) return topic;
    return answerTopic(topic, OWN, this.#principal.id);
  }
}

function unexpected(packet: string, what: string): ProtocolError {
  return new ProtocolError('protocol_error', `${packet} for ${what}`);
}
