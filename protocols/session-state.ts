import type { Delivery, Subscription } from './message.ts';

/** What was sent to a client under a packet id and is not finished yet. */
export type InFlight =
  /** PUBLISH went out; PUBACK or PUBREC is awaited. */
  | { readonly kind: 'message'; readonly delivery: Delivery }
  /** PUBREC came; PUBREL is sent once that is on disk, PUBCOMP is awaited. */
  | { readonly kind: 'released'; readonly delivery: Delivery }
  | { readonly kind: 'command'; readonly commandId: string };

const LAST_PACKET_ID = 0xffff;
/** Packet ids of messages with a place on disk: 1 to this. The rest is for commands and for messages in memory. */
export const DURABLE_PACKET_IDS = 0xbfff;

/**
 * The packet id of a message with a place on disk. It follows from the place, so that a restarted hub sends the same
 * message under the same id again [MQTT-4.4.0-1] without having written anything when it was sent. Two messages of one
 * session that are alive at once never share one: the queue takes no message `DURABLE_PACKET_IDS` places past its first.
 */
export function packetIdOf(place: number): number {
  return ((place - 1) % DURABLE_PACKET_IDS) + 1;
}

/**
 * What of a session its connection works on. The hub makes it, by (principal, client id), and keeps it beyond the
 * connection where the session lasts. What waits to be sent is not here: the hub holds it and offers it by `forward`.
 */
export class SessionState {
  // Each is made when it is first asked for: an empty map costs 200 bytes, and most sessions of a large fleet are idle.
  #subscriptions: Map<string, Subscription> | null = null;
  #received: Set<number> | null = null;
  #inFlight: Map<number, InFlight> | null = null;
  #lastPacketId = DURABLE_PACKET_IDS;

  get subscriptions(): Map<string, Subscription> {
    return (this.#subscriptions ??= new Map());
  }

  /** Subscriptions in number, which makes nothing. So do the next two. */
  get subscribed(): number {
    return this.#subscriptions?.size ?? 0;
  }

  get flying(): number {
    return this.#inFlight?.size ?? 0;
  }

  hasReceived(packetId: number): boolean {
    return this.#received?.has(packetId) === true;
  }

  /** MQTT: packet ids of QoS 2 messages of the client that were taken and not yet released by PUBREL. */
  get received(): Set<number> {
    return (this.#received ??= new Set());
  }

  /**
   * MQTT: insertion order is the order of sending. A resumed session finds commands and `released` ones here; messages with
   * a place are offered again by the hub, so the connection that ends takes its `message` entries out.
   */
  get inFlight(): Map<number, InFlight> {
    return (this.#inFlight ??= new Map());
  }

  /** A packet id that is not in flight and belongs to no message with a place. The in-flight window is far smaller, so one is always found. */
  nextPacketId(): number {
    do {
      this.#lastPacketId = this.#lastPacketId === LAST_PACKET_ID ? DURABLE_PACKET_IDS + 1 : this.#lastPacketId + 1;
    } while (this.inFlight.has(this.#lastPacketId));
    return this.#lastPacketId;
  }
}
