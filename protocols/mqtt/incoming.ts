import { isUtf8 } from 'node:buffer';
import { AckFifo } from '../ack-fifo.ts';
import { ProtocolError } from '../errors.ts';
import { NOBODY, STORED, type Outcome, type Pending } from '../outcome.ts';
import { positionOf } from '../position.ts';
import type { StreamPosition } from '../reading.ts';
import type { SessionState } from '../session-state.ts';
import type { PublishRequest, SessionHost } from '../subprotocol.ts';
import { IncomingAliases } from './aliases.ts';
import type { Announced } from './connack.ts';
import { messageProperties } from './message-properties.ts';
import type { Properties, PublishPacket } from './packet.ts';
import { REASON } from './reason-codes.ts';
import { publishReason } from './reasons.ts';
import type { Wire } from './wire.ts';

const NO_HEADERS: PublishRequest['headers'] = [];
/** Packet ids are 16 bits, and one may not be used again before its exchange is over [MQTT-2.2.1-3]. */
const PACKET_IDS = 0xffff;

// What is owed for a packet id, in the bits above it: a number, so that nothing is made for each message.
const PUBACK = 0x10000;
const PUBREC = 0x20000;
/** The answer to a repeated PUBLISH of QoS 2. */
const PUBREC_AGAIN = 0x30000;
/** A PUBREL that came before its PUBREC was sent. */
const PUBREL = 0x40000;

/**
 * Messages from the client: QoS 0, 1 and 2 (section 4.3), topic aliases, flow control. Acknowledgements leave when the hub
 * has decided, in the order in which the PUBLISH packets came [MQTT-4.6.0-2].
 *
 * QoS 2: the packet id is kept by the hub in the transaction of the message, and PUBREC leaves after it; until PUBREL a PUBLISH
 * with that id is a repeat [MQTT-4.3.3-10], also on the session's next connection.
 */
export class Incoming {
  readonly #wire: Wire;
  readonly #host: SessionHost;
  readonly #state: SessionState;
  /** QoS 2 exchanges that may be open at once; null: MQTT 3, where the packet ids are the bound. */
  readonly #receiveMaximum: number | null;
  readonly #topicAliasMaximum: number;
  // Made when they are first needed: most connections of a large fleet are idle.
  #aliases: IncomingAliases | null = null;
  #acks: AckFifo<number> | null = null;
  /** QoS 2 packet ids that came on this connection and have not had their PUBCOMP; `answered`: PUBREC was sent. */
  #exchanges: Map<number, { answered: boolean }> | null = null;
  /** Packet ids whose PUBCOMP waits for the disk. */
  #forgetting: Set<number> | null = null;
  /** QoS 1 and 2 messages of this connection that are under way. */
  #underWay = 0;

  constructor(wire: Wire, host: SessionHost, state: SessionState, announced: Announced) {
    this.#wire = wire;
    this.#host = host;
    this.#state = state;
    this.#receiveMaximum = wire.peer.level === 5 ? announced.receiveMaximum : null;
    this.#topicAliasMaximum = announced.topicAliasMaximum;
  }

  /** Hot path. The packet is used up: nothing of it is kept. Throws ProtocolError. */
  publish(packet: PublishPacket): void {
    const { topicAlias, properties, payload, qos, retain } = packet;
    const topic = topicAlias === 0 ? packet.topic : this.#topicOf(packet.topic, topicAlias);
    if (properties !== null) this.#publishWith(topic, packet, properties);
    else if (qos === 2) this.#exactlyOnce(packet.packetId, requestOf(topic, packet), undefined);
    else {
      const pending = qos === 0 ? NOBODY : this.#owe(packet.packetId);
      this.#host.publish({ topic, payload, qos, retain, contentType: null, headers: NO_HEADERS }, pending);
    }
  }

  /** PUBREL. Always answered, since the client waits; MQTT 5.0 says when the id was unknown (3.7.2.1). */
  release(packetId: number): void {
    const exchange = this.#exchanges?.get(packetId);
    // Its PUBREC comes first: the client did not wait for it.
    if (exchange?.answered === false) this.#push(PUBREL | packetId).settle(STORED);
    else this.#forget(packetId, exchange !== undefined || this.#state.hasReceived(packetId));
  }

  closed(): void {
    this.#acks?.close();
  }

  #topicOf(topic: string, alias: number): string {
    this.#aliases ??= new IncomingAliases(this.#topicAliasMaximum);
    return this.#aliases.resolve(topic, alias);
  }

  #publishWith(topic: string, packet: PublishPacket, properties: Properties): void {
    const { qos, packetId, payload } = packet;
    const position = qos === 1 ? positionOf(topic, properties.userProperties ?? []) : null;
    const wrong =
      properties.payloadFormatIndicator === 1 && !isUtf8(payload)
        ? 'the payload is not UTF-8, although its payload format indicator says so'
        : position === 'malformed'
          ? 'the user properties `stream` and `seq` name no place in a stream'
          : null;
    const place = position === null || position === 'malformed' ? undefined : position;
    if (qos === 2)
      this.#exactlyOnce(packetId, requestOf(topic, packet, properties, this.#host.now()), wrong ?? undefined);
    else {
      const pending = qos === 0 ? NOBODY : this.#owe(packetId);
      if (wrong !== null) this.#host.reject(payload, 'malformed_payload', wrong, pending, place);
      else this.#submit(requestOf(topic, packet, properties, this.#host.now()), pending, place);
    }
  }

  #submit(request: PublishRequest, pending: Pending, position: StreamPosition | undefined): void {
    if (position === undefined) this.#host.publish(request, pending);
    else this.#host.publish(request, pending, position);
  }

  /** QoS 2. `wrong`: why the payload cannot be taken. */
  #exactlyOnce(packetId: number, request: PublishRequest, wrong: string | undefined): void {
    if (this.#exchanges?.has(packetId) === true) {
      this.#push(PUBREC_AGAIN | packetId).settle(STORED);
      return;
    }
    const isRepeat = this.#state.hasReceived(packetId);
    const pending = this.#begin(packetId);
    if (isRepeat) pending.settle(STORED);
    else if (wrong !== undefined) this.#host.reject(request.payload, 'malformed_payload', wrong, pending);
    else this.#host.publish({ ...request, receipt: packetId }, pending);
  }

  #begin(packetId: number): Pending {
    this.#take(2);
    (this.#exchanges ??= new Map()).set(packetId, { answered: false });
    return this.#push(PUBREC | packetId);
  }

  #owe(packetId: number): Pending {
    this.#take(1);
    return this.#push(PUBACK | packetId);
  }

  /**
   * One more message is under way. A client that goes over the receive maximum [MQTT-3.3.4-7] at QoS 1 is served as one of MQTT 3 is,
   * and slowed down by the hub: MQTT.js sends all that it has, acknowledgements wait for the disk, and a close would make it come back
   * and send the same again, for ever. An open exchange of QoS 2 is the client's own doing.
   */
  #take(qos: 1 | 2): void {
    if (qos === 2 && this.#receiveMaximum !== null && (this.#exchanges?.size ?? 0) >= this.#receiveMaximum) {
      throw new ProtocolError(
        'receive_maximum_exceeded',
        `more than ${this.#receiveMaximum} PUBLISH packets of QoS 2 without PUBREL [MQTT-3.3.4-7]`,
      );
    }
    if (this.#underWay >= PACKET_IDS) {
      throw new ProtocolError('protocol_error', 'more unacknowledged PUBLISH packets than there are packet ids');
    }
    this.#underWay++;
  }

  #push(owed: number): Pending {
    // Repeats take nothing from the receive maximum.
    this.#acks ??= new AckFifo((answer, outcome) => this.#decided(answer, outcome));
    if (this.#acks.size >= PACKET_IDS) {
      throw new ProtocolError('protocol_error', 'more packets wait for an answer than there are packet ids');
    }
    return this.#acks.push(owed);
  }

  #decided(owed: number, outcome: Outcome): void {
    const packetId = owed & 0xffff;
    switch (owed & ~0xffff) {
      case PUBACK:
        this.#underWay--;
        this.#answer(4, packetId, outcome);
        return;
      case PUBREC:
        this.#taken(packetId, outcome);
        return;
      case PUBREC_AGAIN:
        // Its first was refused meanwhile, and the client was told why.
        if (this.#exchanges?.has(packetId) === true) this.#wire.acknowledge(5, packetId);
        else this.#wire.acknowledge(5, packetId, REASON.unspecifiedError);
        return;
      default:
        this.#forget(packetId, this.#exchanges?.has(packetId) === true);
    }
  }

  #taken(packetId: number, outcome: Outcome): void {
    const exchange = this.#exchanges?.get(packetId);
    if (exchange !== undefined) exchange.answered = true;
    // A PUBREC that refuses ends the exchange (MQTT 5.0, 4.3.3); MQTT 3 has none.
    if (this.#wire.peer.level === 5 && publishReason(outcome).code >= REASON.unspecifiedError) this.#over(packetId);
    this.#answer(5, packetId, outcome);
  }

  #answer(type: 4 | 5, packetId: number, outcome: Outcome): void {
    switch (outcome.kind) {
      case 'stored':
      case 'routed':
        this.#wire.acknowledge(type, packetId);
        return;
      case 'rejected':
      case 'gap':
        // Rejected, in MQTT 3: it cannot refuse a message. The hub has recorded it, and without the answer it would come for ever.
        // In MQTT 3 nothing names a sequence number, so none can be wrong.
        if (this.#wire.peer.level !== 5 && outcome.kind === 'gap') this.#wire.fail('protocol_error', 'a sequence gap');
        else {
          const { code, text } = publishReason(outcome);
          this.#wire.acknowledge(type, packetId, code, text);
        }
        return;
      case 'abandoned':
        return;
    }
  }

  /** PUBCOMP leaves when the hub has forgotten the id on disk: from then on it may stand for another message. */
  #forget(packetId: number, known: boolean): void {
    if (this.#forgetting?.has(packetId) === true) return;
    (this.#forgetting ??= new Set()).add(packetId);
    this.#host.forgetReceipt(packetId, () => {
      this.#forgetting?.delete(packetId);
      this.#over(packetId);
      this.#wire.acknowledge(7, packetId, known ? REASON.success : REASON.packetIdNotFound);
    });
  }

  #over(packetId: number): void {
    if (this.#exchanges?.delete(packetId) === true) this.#underWay--;
  }
}

function requestOf(topic: string, packet: PublishPacket, properties?: Properties, nowMs = 0): PublishRequest {
  const { payload, qos, retain } = packet;
  const expiryS = properties?.messageExpiryIntervalS;
  const more =
    properties === undefined
      ? undefined
      : messageProperties(properties, expiryS === undefined ? null : nowMs + expiryS * 1000);
  const contentType = properties?.contentType ?? null;
  const headers = properties?.userProperties ?? NO_HEADERS;
  const request = { topic, payload, qos, retain, contentType, headers };
  return more === undefined ? request : { ...request, properties: more };
}
