import type { CloseReason } from '../close-reasons.ts';
import { AckFifo } from '../ack-fifo.ts';
import { ProtocolError } from '../errors.ts';
import type { Command, Qos, RoutedMessage, Subscription } from '../message.ts';
import { NOBODY, type Outcome } from '../outcome.ts';
import type { SessionState } from '../session-state.ts';
import type { DeviceSession, Identified, Link, PublishRequest, SessionHost, Subprotocol } from '../subprotocol.ts';
import { readConnect, refusal, type Connect } from './connect.ts';
import { ACCEPTED, encodeConnack, encodePuback, PINGRESP, SERVER_UNAVAILABLE } from './encode.ts';
import { GrowingBytes } from './growing-bytes.ts';
import { Outgoing } from './outgoing.ts';
import { PublishReader } from './publish.ts';
import { PacketReader, type PacketSink } from './reader.ts';
import { subscribe, unsubscribe } from './subscriptions.ts';
import * as raw from './validate.ts';

/** MQTT 3.1 and 3.1.1; either name takes either level. What is served and what is not: README.md beside this file. */
export const mqttSubprotocol: Subprotocol = {
  names: ['mqtt', 'mqttv3.1'],
  family: 'mqtt',
  framing: 'stream',
  identifies: true,
  open: (link, host): DeviceSession => new MqttSession(link, host),
};

/** Packet ids are 16 bits, and one may not be used again before its PUBACK [MQTT-2.3.1-2]. */
const MOST_UNACKNOWLEDGED = 0xffff;

type Accepted = Extract<Connect, { ok: true }>;

class MqttSession implements DeviceSession, PacketSink {
  readonly #link: Link;
  readonly #host: SessionHost;
  readonly #reader: PacketReader;
  readonly #publishes: PublishReader;
  readonly #acks = new AckFifo<number>((packetId, outcome) => this.#acknowledge(packetId, outcome));
  /** `connect`: nothing accepted yet. `identifying`: the hub thinks about the CONNECT. `ended`: nothing more is read or sent. */
  #phase: 'connect' | 'identifying' | 'open' | 'ended' = 'connect';
  #level: 3 | 4 = 4;
  /** What came while the hub thought about the CONNECT. */
  #early: GrowingBytes | null = null;
  #will: PublishRequest | null = null;
  #state: SessionState | null = null;
  #outgoing: Outgoing | null = null;

  constructor(link: Link, host: SessionHost) {
    this.#link = link;
    this.#host = host;
    this.#reader = new PacketReader(host.limits.maxUnidentifiedBytes);
    this.#publishes = new PublishReader(host.limits);
  }

  receive(data: Buffer, isText: boolean): void {
    if (this.#phase === 'ended') return;
    if (isText) throw new ProtocolError('unsupported_data', 'MQTT packets come in binary messages [MQTT-6.0.0-1]');
    const read = this.#phase === 'identifying' ? 0 : this.#reader.feed(data, this);
    if (this.#isIdentifying()) this.#keepEarly(data, read);
  }

  expect(first: number): void {
    raw.checkFixedHeader(first, this.#level);
    if (this.#phase === 'connect' && first >> 4 !== raw.CONNECT) throw notConnected(first);
  }

  packet(data: Buffer, start: number, body: number, end: number): boolean {
    const first = data[start]!;
    if (this.#phase === 'open' && first >> 4 === raw.PUBLISH) {
      this.#host.heard();
      this.#publish(first, data, body, end);
    } else {
      this.expect(first);
      this.#host.heard();
      if (this.#phase === 'connect') this.#connect(readConnect(data, start, body, end, this.#host.limits));
      else this.#control(data, start, body, end);
    }
    return this.#phase === 'open';
  }

  deliver(command: Command): boolean {
    return this.#outgoing?.deliver(command) ?? false;
  }

  forward(message: RoutedMessage, matches: readonly Subscription[], qos: Qos): void {
    this.#outgoing?.forward(message, matches, qos);
  }

  writable(): void {
    this.#outgoing?.goOn();
  }

  beat(): void {
    // The server has nothing to say by itself in MQTT: keep-alive is the client's to prove.
  }

  /** MQTT 3 has no word of parting but the CONNACK that refuses: said when a CONNECT waits for its answer. */
  end(reason: CloseReason): void {
    const words = this.#phase === 'identifying' ? refusal(reason) : null;
    if (words !== null) this.#link.send(words);
    this.#stop();
  }

  /** [MQTT-3.1.2-8, MQTT-3.1.2-10]: the will of an accepted client is due unless a DISCONNECT has discarded it. */
  closed(_reason: CloseReason): void {
    this.#stop();
    this.#acks.close();
    this.#outgoing?.closed();
    const will = this.#outgoing === null ? null : this.#will;
    this.#will = null;
    if (will === null) return;
    try {
      this.#host.publish(will, NOBODY);
    } catch (error) {
      // A topic that the hub does not let this client use: nobody is left to be told, and the hub has more to clean up.
      if (!(error instanceof ProtocolError)) throw error;
    }
  }

  // ---- the beginning

  #connect(connect: Connect): void {
    if (!connect.ok) {
      this.#link.send(connect.answer);
      this.#close(connect.reason, connect.detail);
      return;
    }
    this.#phase = 'identifying';
    this.#level = connect.level;
    this.#will = connect.will;
    this.#host.identify(connect.identification, (result) => this.#identified(connect, result));
  }

  #identified(connect: Accepted, result: Identified): void {
    if (!this.#isIdentifying()) return;
    if (!result.ok) {
      this.#link.send(refusal(result.reason) ?? encodeConnack(false, SERVER_UNAVAILABLE));
      this.#close(result.reason);
      return;
    }
    this.#phase = 'open';
    this.#reader.maxPacketBytes = this.#host.limits.maxMessageBytes;
    this.#state = result.state;
    this.#outgoing = new Outgoing(this.#link, this.#host, result.state, result.principal);
    // One and a half times the keep-alive, of whole control packets [MQTT-3.1.2-24]; 0 turns it off.
    this.#host.liveness({ expectMs: connect.keepAliveS * 1500, sendMs: 0, reason: 'keep_alive_timeout' });
    // MQTT 3.1 has no session present flag: that byte is reserved there.
    this.#link.send(encodeConnack(result.resumed && connect.level === 4, ACCEPTED));
    // What was in flight goes before anything that `ready` brings.
    this.#outgoing.resume();
    this.#host.ready();
    this.#outgoing.goOn();
    this.#readEarly();
  }

  /** A client may send on without waiting for its CONNACK [MQTT-3.1.4-5]. */
  #keepEarly(data: Buffer, from: number): void {
    if (from === data.length) return;
    const { maxEarlyBytes } = this.#host.limits;
    this.#early ??= new GrowingBytes();
    if (this.#early.length + data.length - from > maxEarlyBytes) {
      throw new ProtocolError('limit_exceeded', `more than ${maxEarlyBytes} bytes before the CONNACK`);
    }
    this.#early.append(data, from, data.length, maxEarlyBytes);
  }

  /** Runs in the hub's answer, not in `receive`: what the client did wrong ends its connection here. */
  #readEarly(): void {
    const early = this.#early;
    this.#early = null;
    if (early === null) return;
    try {
      this.receive(early.view(), false);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#close(error.reason, error.message);
    }
  }

  // ---- packets of an accepted client

  #publish(first: number, data: Buffer, body: number, end: number): void {
    const request = this.#publishes.read(data, first, body, end);
    if (request.qos === 0) {
      this.#host.publish(request, NOBODY);
      return;
    }
    if (this.#acks.size >= MOST_UNACKNOWLEDGED) {
      throw new ProtocolError('protocol_error', 'more unacknowledged PUBLISH packets than there are packet ids');
    }
    this.#host.publish(request, this.#acks.push(this.#publishes.packetId));
  }

  #acknowledge(packetId: number, outcome: Outcome): void {
    switch (outcome.kind) {
      case 'stored':
      case 'routed':
      case 'rejected':
        // Rejected too: MQTT 3 cannot refuse a message. The hub has recorded it, and without the ack it would come for ever.
        this.#link.send(encodePuback(packetId));
        return;
      case 'gap':
        // MQTT 3 has no place for a sequence number, so this never comes.
        this.#close('protocol_error', 'a sequence gap');
        return;
      case 'abandoned':
        return;
    }
  }

  #control(data: Buffer, start: number, body: number, end: number): void {
    const first = data[start]!;
    switch (first >> 4) {
      case raw.PUBACK:
        this.#outgoing!.acknowledged(raw.readAcknowledgement(data, start, body, end));
        return;
      case raw.SUBSCRIBE:
        subscribe(data, start, body, end, this.#link, this.#host, this.#state!);
        return;
      case raw.UNSUBSCRIBE:
        unsubscribe(data, start, body, end, this.#link, this.#host, this.#state!);
        return;
      case raw.PINGREQ:
        raw.checkEmpty(first, body, end);
        this.#link.send(PINGRESP);
        return;
      case raw.DISCONNECT:
        raw.checkEmpty(first, body, end);
        this.#will = null;
        this.#close('client_disconnect');
        return;
      case raw.CONNECT:
        throw new ProtocolError('protocol_error', 'a second CONNECT [MQTT-3.1.0-2]');
      default:
        // PUBREC, PUBREL, PUBCOMP. QoS 2 is refused in both directions, so no exchange exists that they could belong to.
        // To answer a PUBREL with PUBCOMP would tell the client that a message was kept which the hub never had.
        raw.readAcknowledgement(data, start, body, end);
        throw new ProtocolError('protocol_error', `${raw.packetName(first)}: QoS 2 is not served`);
    }
  }

  // ---- the end

  /** A method, so that the compiler does not take the phase from before a call that may change it. */
  #isIdentifying(): boolean {
    return this.#phase === 'identifying';
  }

  #close(reason: CloseReason, detail?: string): void {
    this.#stop();
    this.#link.close(reason, detail);
  }

  #stop(): void {
    this.#phase = 'ended';
    this.#early = null;
    this.#reader.drop();
    this.#outgoing?.stop();
  }
}

function notConnected(first: number): ProtocolError {
  return new ProtocolError(
    'protocol_error',
    `the first packet is ${raw.packetName(first)}, not CONNECT [MQTT-3.1.0-1]`,
  );
}
