import { closeReason, type CloseReason } from '../close-reasons.ts';
import type { Link } from '../subprotocol.ts';
import {
  encodeAck,
  encodeDisconnect,
  encodePublish,
  encodeSuback,
  encodeUnsuback,
  PINGRESP,
  publishBytes,
  type OutgoingPublish,
} from './encode.ts';
import type { Properties } from './packet.ts';
import type { Peer } from './peer.ts';
import { disconnectCode } from './reason-codes.ts';

/** Longest reason string, in characters: it is for people. */
const REASON_CHARACTERS = 256;

/** Ends the connection: an answer that must be given does not fit, or the client has left the protocol. */
export interface WireOwner {
  fail(reason: CloseReason, detail: string): void;
}

/**
 * The way out to an accepted client: says everything in its level, and nothing that is larger than it takes [MQTT-3.1.2-24].
 * After `stop` it says nothing.
 */
export class Wire {
  readonly peer: Peer;
  readonly #link: Link;
  readonly #owner: WireOwner;
  #stopped = false;

  constructor(link: Link, peer: Peer, owner: WireOwner) {
    this.#link = link;
    this.peer = peer;
    this.#owner = owner;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  get congested(): boolean {
    return this.#link.congested;
  }

  /** Says why, where there is a word for it, and ends the connection. */
  fail(why: CloseReason, detail: string): void {
    this.#owner.fail(why, detail);
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Hot path. False: it is too large for this client, and nothing was sent. */
  publish(packet: OutgoingPublish): boolean {
    const { maxPacketBytes } = this.peer;
    if (maxPacketBytes !== Infinity && publishBytes(packet) > maxPacketBytes) return false;
    if (!this.#stopped) this.#link.send(encodePublish(packet));
    return true;
  }

  /** Hot path. PUBACK (4), PUBREC (5), PUBREL (6) or PUBCOMP (7); code and text are for MQTT 5.0. */
  acknowledge(type: 4 | 5 | 6 | 7, packetId: number, code = 0, text = ''): void {
    const { level, problemInformation } = this.peer;
    const bare = encodeAck(level, type, packetId, code);
    if (text === '' || level !== 5 || !problemInformation) this.#send(bare);
    else this.#sendEither(encodeAck(level, type, packetId, code, reason(text)), bare);
  }

  /** False: it does not fit, and the connection was closed. */
  suback(packetId: number, codes: readonly number[]): boolean {
    return this.#send(encodeSuback(this.peer.level, packetId, codes));
  }

  unsuback(packetId: number, codes: readonly number[]): void {
    this.#send(encodeUnsuback(this.peer.level, packetId, codes));
  }

  pong(): void {
    this.#send(PINGRESP);
  }

  /** DISCONNECT, which MQTT 3 has not; not when it was the client that went. An empty `detail` is said in the words of the close reason. */
  goodbye(why: CloseReason, detail: string): void {
    const { initiator, text } = closeReason(why);
    if (this.#stopped || this.peer.level !== 5 || initiator !== 'hub') return;
    const { maxPacketBytes } = this.peer;
    const code = disconnectCode(why);
    const packet = encodeDisconnect(code, reason(detail === '' ? text : detail));
    const fitting = packet.length <= maxPacketBytes ? packet : encodeDisconnect(code);
    if (fitting.length <= maxPacketBytes) this.#link.send(fitting);
  }

  /** A reason string must not make a packet too large [MQTT-3.4.2-2]. */
  #sendEither(packet: Buffer, bare: Buffer): void {
    this.#send(packet.length <= this.peer.maxPacketBytes ? packet : bare);
  }

  #send(packet: Buffer): boolean {
    if (this.#stopped) return false;
    const { maxPacketBytes } = this.peer;
    if (packet.length <= maxPacketBytes) this.#link.send(packet);
    else this.fail('too_large', `an answer of ${packet.length} bytes, the client takes ${maxPacketBytes}`);
    return packet.length <= maxPacketBytes;
  }
}

/** Text for the client's developer, as a property. */
export function reason(text: string): Properties {
  return { reasonString: text.length <= REASON_CHARACTERS ? text : text.slice(0, REASON_CHARACTERS).toWellFormed() };
}
