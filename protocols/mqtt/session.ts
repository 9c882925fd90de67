import type { CloseReason } from '../close-reasons.ts';
import { ProtocolError } from '../errors.ts';
import type { Command, Delivery } from '../message.ts';
import type { SessionState } from '../session-state.ts';
import type { DeviceSession, Identification, Identified, Link, SessionHost, Subprotocol } from '../subprotocol.ts';
import { acceptance, announce, keepAliveOf, refusal, type Announced } from './connack.ts';
import { identificationOf, isMqtt, peerOf, servedLevel } from './connect.ts';
import { GrowingBytes } from './growing-bytes.ts';
import { Incoming } from './incoming.ts';
import { Outgoing } from './outgoing.ts';
import type { DisconnectPacket, Level } from './packet.ts';
import {
  readAck,
  readAuth,
  readConnect,
  readDisconnect,
  readSubscribe,
  readUnsubscribe,
  readVersion,
} from './packets.ts';
import { unknownPeer, type Peer } from './peer.ts';
import { PublishReader } from './publish.ts';
import { PacketReader, type PacketSink } from './reader.ts';
import { REASON, SERVER_UNAVAILABLE } from './reason-codes.ts';
import { subscribe, unsubscribe } from './subscriptions.ts';
import * as raw from './validate.ts';
import { Wire, type WireOwner } from './wire.ts';

/** MQTT 3.1, 3.1.1 and 5.0; either name takes any level. What is served and what is not: README.md beside this file. */
export const mqttSubprotocol: Subprotocol = {
  names: ['mqtt', 'mqttv3.1'],
  family: 'mqtt',
  framing: 'stream',
  identifies: true,
  open: (link, host): DeviceSession => new MqttSession(link, host),
};

/** What an accepted client's packets need. */
interface Open {
  readonly wire: Wire;
  readonly state: SessionState;
  readonly incoming: Incoming;
  readonly outgoing: Outgoing;
}

class MqttSession implements DeviceSession, PacketSink, WireOwner {
  readonly #link: Link;
  readonly #host: SessionHost;
  readonly #reader: PacketReader;
  readonly #publishes: PublishReader;
  /** `connect`: nothing accepted yet. `identifying`: the hub thinks about the CONNECT. `ended`: nothing more is read or sent. */
  #phase: 'connect' | 'identifying' | 'open' | 'ended' = 'connect';
  /** Known as soon as a CONNECT has said its level: from then on it is answered. */
  #peer: Peer | null = null;
  /** Of the CONNECT: what a DISCONNECT may change (MQTT 5.0, 3.14.2.2.2). */
  #expiryS = 0;
  /** What came while the hub thought about the CONNECT. */
  #early: GrowingBytes | null = null;
  #open: Open | null = null;

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
      this.#open!.incoming.publish(this.#publishes.read(data, first, body, end));
    } else {
      this.expect(first);
      this.#host.heard();
      if (this.#phase === 'connect') this.#connect(data, body, end);
      else this.#control(this.#open!, data, start, body, end);
    }
    return this.#phase === 'open';
  }

  deliver(command: Command): boolean {
    return this.#open?.outgoing.deliver(command) ?? false;
  }

  forward(delivery: Delivery): boolean {
    return this.#open?.outgoing.forward(delivery) ?? delivery.qos === 0;
  }

  writable(): void {
    this.#open?.outgoing.goOn();
  }

  beat(): void {
    // The server has nothing to say by itself in MQTT: keep-alive is the client's to prove.
  }

  /** In MQTT 5.0 a DISCONNECT; before the CONNACK, the CONNACK that refuses [MQTT-3.14.0-1]. MQTT 3 has no other word of parting. */
  end(reason: CloseReason, detail: string): void {
    if (this.#phase === 'open') this.#open!.wire.goodbye(reason, detail);
    else if (this.#phase !== 'ended' && this.#peer !== null) this.#refuse(this.#peer, reason, detail);
    this.#stop();
  }

  /** The session itself ends the connection. */
  fail(reason: CloseReason, detail: string): void {
    this.end(reason, detail);
    this.#link.close(reason, detail);
  }

  closed(_reason: CloseReason): void {
    this.#stop();
    this.#open?.incoming.closed();
    this.#open?.outgoing.closed();
    this.#open = null;
  }

  // ---- the beginning

  /** Throws ProtocolError, which `end` says in a CONNACK once the level is known. */
  #connect(data: Buffer, body: number, end: number): void {
    const version = readVersion(data, body, end);
    if (!isMqtt(version.name)) {
      throw new ProtocolError('unsupported_version', 'the protocol name is neither MQTT nor MQIsdp [MQTT-3.1.2-1]');
    }
    this.#peer = unknownPeer(4);
    const level = servedLevel(version);
    this.#peer = unknownPeer(level);
    this.#publishes.level = level;
    this.#reader.strictLength = level === 5;
    const packet = readConnect(data, body, end, this.#host.limits);
    const peer = peerOf(packet);
    this.#peer = peer;
    const identification = identificationOf(packet, this.#host.limits);
    this.#expiryS = identification.expiryS;
    this.#phase = 'identifying';
    this.#host.identify(identification, (result) => this.#identified(packet.keepAliveS, peer, identification, result));
  }

  #identified(keepAliveS: number, peer: Peer, identification: Identification, result: Identified): void {
    if (!this.#isIdentifying()) return;
    if (!result.ok) {
      // MQTT 3 has few codes, and a client that was heard gets one.
      this.#refuse(peer, result.reason, '', SERVER_UNAVAILABLE);
      this.#stop();
      this.#link.close(result.reason);
      return;
    }
    const { limits } = this.#host;
    const announced = announce(this.#host);
    const connack = acceptance(peer, keepAliveS, identification, result, announced, limits.maxMessageBytes);
    if (connack.length > peer.maxPacketBytes) {
      this.fail('too_large', `a CONNACK of ${connack.length} bytes, the client takes ${peer.maxPacketBytes}`);
      return;
    }
    this.#phase = 'open';
    this.#reader.maxPacketBytes = limits.maxMessageBytes;
    const open = this.#opened(peer, result, announced);
    // One and a half times the keep-alive, of whole control packets [MQTT-3.1.2-22]; 0 turns it off.
    this.#host.liveness({
      expectMs: keepAliveOf(peer, keepAliveS, announced) * 1500,
      sendMs: 0,
      reason: 'keep_alive_timeout',
    });
    this.#link.send(connack);
    // What was released goes before anything that `ready` brings.
    open.outgoing.resume();
    this.#host.ready();
    open.outgoing.goOn();
    this.#readEarly();
  }

  #opened(peer: Peer, { state, principal }: Extract<Identified, { ok: true }>, announced: Announced): Open {
    const wire = new Wire(this.#link, peer, this);
    const open = {
      wire,
      state,
      incoming: new Incoming(wire, this.#host, state, announced),
      outgoing: new Outgoing(wire, this.#host, state, principal),
    };
    this.#open = open;
    return open;
  }

  #refuse(peer: Peer, reason: CloseReason, detail: string, otherwise: number | null = null): void {
    const words = refusal(peer, reason, detail, otherwise);
    if (words !== null) this.#link.send(words);
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
      this.fail(error.reason, error.message);
    }
  }

  // ---- packets of an accepted client

  #control(open: Open, data: Buffer, start: number, body: number, end: number): void {
    const { level } = open.wire.peer;
    switch (data[start]! >> 4) {
      case raw.PUBACK:
        open.outgoing.acknowledged(readAck(level, data, start, body, end));
        return;
      case raw.PUBREC:
        open.outgoing.received(readAck(level, data, start, body, end));
        return;
      case raw.PUBREL:
        open.incoming.release(readAck(level, data, start, body, end).packetId);
        return;
      case raw.PUBCOMP:
        open.outgoing.completed(readAck(level, data, start, body, end));
        return;
      case raw.SUBSCRIBE:
        subscribe(readSubscribe(level, data, body, end), open.wire, this.#host, open.state);
        return;
      case raw.UNSUBSCRIBE:
        unsubscribe(readUnsubscribe(level, data, body, end), open.wire, this.#host);
        return;
      case raw.PINGREQ:
        raw.checkEmpty(data[start]!, body, end);
        open.wire.pong();
        return;
      case raw.DISCONNECT:
        this.#disconnect(readDisconnect(level, data, body, end));
        return;
      case raw.CONNECT:
        throw new ProtocolError('protocol_error', 'a second CONNECT [MQTT-3.1.0-2]');
      default:
        // AUTH. A CONNECT that names a method is refused, so nothing can be authenticated by it [MQTT-4.12.0-6].
        readAuth(data, body, end);
        throw new ProtocolError('protocol_error', 'AUTH without an authentication method in CONNECT');
    }
  }

  /** Section 3.14: only reason code 0x00 discards the will [MQTT-3.14.4-3]. */
  #disconnect({ reasonCode, properties }: DisconnectPacket): void {
    const expiryS = properties.sessionExpiryIntervalS;
    if (expiryS !== undefined && expiryS !== 0 && this.#expiryS === 0) {
      throw new ProtocolError('protocol_error', 'DISCONNECT would keep a session that CONNECT did not [MQTT-3.1.2-23]');
    }
    if (expiryS !== undefined) this.#host.changeExpiry(expiryS);
    if (reasonCode === REASON.success) this.#host.discardWill();
    this.fail(
      'client_disconnect',
      reasonCode === REASON.success ? '' : `reason code 0x${reasonCode.toString(16).padStart(2, '0')}`,
    );
  }

  // ---- the end

  get #level(): Level {
    return this.#peer?.level ?? 4;
  }

  /** A method, so that the compiler does not take the phase from before a call that may change it. */
  #isIdentifying(): boolean {
    return this.#phase === 'identifying';
  }

  #stop(): void {
    this.#phase = 'ended';
    this.#early = null;
    this.#reader.drop();
    this.#open?.wire.stop();
  }
}

function notConnected(first: number): ProtocolError {
  return new ProtocolError(
    'protocol_error',
    `the first packet is ${raw.packetName(first)}, not CONNECT [MQTT-3.1.0-1]`,
  );
}
