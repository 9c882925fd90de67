import type { CloseReason } from './close-reasons.ts';
import type { RejectCode } from './errors.ts';
import type { ProtocolLimits } from './limits.ts';
import type { Command, CommandProgress, Delivery, MessageProperties, Qos, QueueRef, Subscription } from './message.ts';
import type { Pending } from './outcome.ts';
import type { Credentials, Principal } from './principal.ts';
import type { Reading, StreamPosition } from './reading.ts';
import type { SessionState } from './session-state.ts';

/** How a device's policy and the statistics call a language, whatever its versions are named on the wire. */
export type ProtocolFamily = 'mqtt' | 'stomp' | 'cbor' | 'http' | 'echo';

/** One language, as `registry.ts` offers it. */
export interface Subprotocol {
  /** Names in `Sec-WebSocket-Protocol` that select it. */
  readonly names: readonly string[];
  readonly family: ProtocolFamily;
  /** `stream`: WebSocket messages are parts of a byte stream, so the gateway may gather packets into one. `message`: each is a unit. */
  readonly framing: 'stream' | 'message';
  /** False for `v1.echo.muster` alone: its clients have no identity and no identification deadline. */
  readonly identifies: boolean;
  open(link: Link, host: SessionHost, context: HandshakeContext): DeviceSession;
}

/** The way out to the client. Never throws; after the connection has ended it does nothing. */
export interface Link {
  /** One whole protocol unit (packet, frame, message): bytes as a binary WebSocket message, a string as a text one. Sent at the end of the tick. */
  send(unit: Uint8Array | string): void;
  /** Bytes handed over and not yet taken by the kernel. */
  readonly queuedBytes: number;
  /** True while more output should wait: QoS 0 messages are then dropped and counted, QoS 1 messages wait in the session's queue until `writable`. */
  readonly congested: boolean;
  /** Flush what was sent, then close. `detail` goes into log and close frame (at most 123 bytes of UTF-8). The session is told by `closed`. */
  close(reason: CloseReason, detail?: string): void;
}

export interface HandshakeContext {
  readonly connectionId: string;
  /** The name that was negotiated. */
  readonly subprotocol: string;
  /** Whom the handshake's own credentials named, or null. */
  readonly principal: Principal | null;
}

/**
 * One client's conversation. Fed with bytes by the gateway, calls `Link` and `SessionHost`, knows no socket, timer or clock.
 */
export interface DeviceSession {
  /** A WebSocket message (or a chunk of a TCP stream). `data` is a slice of the socket's buffer: copy what outlives the call. Throws ProtocolError. */
  receive(data: Buffer, isText: boolean): void;
  /** Sends a command. False: not now (no matching subscription, window full); the session calls `host.readyForCommands()` when that may have changed. */
  deliver(command: Command): boolean;
  /**
   * A message for this client. QoS 0: sent, or dropped and counted; always true. QoS 1 and 2: true when it was sent (the session
   * says `acknowledged` when it is finished), false: not now (window full, link congested), nothing has happened, the
   * hub keeps it and offers it again, first, after `readyForMessages`.
   */
  forward(delivery: Delivery): boolean;
  /** The link was congested and is not any more. */
  writable(): void;
  /** Nothing was sent for the interval given to `host.liveness`: send a heart-beat. */
  beat(): void;
  /** Say goodbye in the protocol's own words before the link closes with `reason` (STOMP ERROR, CBOR ERROR, CONNACK code, …). Only words: the gateway closes. */
  end(reason: CloseReason, detail: string, context: Readonly<Record<string, string>>): void;
  /** The link is gone. Last call on the session: drop what is pending. The hub publishes the will. */
  closed(reason: CloseReason): void;
}

export interface Identification {
  /** MQTT client id, STOMP `client-id`; null where the protocol has none or it was empty. */
  readonly clientId: string | null;
  readonly credentials: Credentials | null;
  /** Begin anew: what was kept of an earlier session goes (MQTT clean session, clean start). */
  readonly cleanStart: boolean;
  /** How long the session is to be kept after the connection, in seconds. 0: it ends with it; FOREVER: the longest that the hub allows. */
  readonly expiryS: number;
  /** What the hub publishes for the client when the connection ends without a goodbye. */
  readonly will: Will | null;
  /** The protocol can refuse one message and go on (MQTT 5, CBOR): a message that is not allowed is then settled as `rejected` and closes nothing. */
  readonly refusesSingly: boolean;
  /** For the connection list: what the client says of itself (firmware, protocol level). */
  readonly description: Readonly<Record<string, string>>;
}

/** `Identification.expiryS`: MQTT 5.0, 3.1.2.11.2; MQTT 3 sessions that are not clean ask for it. */
export const FOREVER = 0xffff_ffff;

/** MQTT 3.1.1, 3.1.2.5; MQTT 5.0, 3.1.3.2. */
export interface Will {
  /** Owns its payload. `properties.expiresMs` is not set: `expiryS` counts from the publication. */
  readonly request: PublishRequest;
  /** Seconds to wait after the end of the connection; the end of the session publishes it at once. */
  readonly delayS: number;
  readonly expiryS: number | null;
}

export type Identified =
  | {
      readonly ok: true;
      readonly principal: Principal;
      /** As given, or made by the hub when it was null. */
      readonly clientId: string;
      readonly state: SessionState;
      /** Session present: `state` was kept from an earlier connection. */
      readonly resumed: boolean;
      /** Devices: monotonic per device, on disk. Applications: 0. */
      readonly epoch: number;
      /** How long the session really lasts after its connection, in seconds. */
      readonly expiryS: number;
    }
  | { readonly ok: false; readonly reason: CloseReason };

/** Answer to one subscription: the QoS that is granted, or why not. */
export type Grant =
  | {
      readonly ok: true;
      readonly qos: Qos;
      /** It replaced one with the same id. */
      readonly existed: boolean;
    }
  | {
      readonly ok: false;
      readonly reason: 'not_authorized' | 'limit';
      /** Of `limit`: the option that it would pass. */
      readonly limit?: string;
    };

/** A subscription to a queue. */
export interface Consumer {
  /** `filter` is the queue's topic (`$queue/{name}`, `$reply/…`), of a durable subscription its filter. */
  readonly subscription: Subscription;
  readonly queue: QueueRef;
  /** Most messages that it has unacknowledged, at least 1. */
  readonly prefetch: number;
}

export interface PublishRequest {
  /** As the client wrote it (`me` allowed), in MQTT form. Already checked to be a valid topic name. */
  readonly topic: string;
  /** A slice of the socket's buffer. */
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly contentType: string | null;
  readonly headers: readonly (readonly [string, string])[];
  readonly properties?: MessageProperties;
  /** QoS 2: the packet id. It is put into `state.received` on disk in the transaction of the message, unless the message is refused. */
  readonly receipt?: number;
}

/** What a session may ask of the hub. One per connection. */
export interface SessionHost {
  readonly limits: ProtocolLimits;
  /** Milliseconds since 1970. */
  now(): number;

  /** Who is this? Answers once, never before returning. The gateway reads no more from the socket until then. */
  identify(request: Identification, done: (result: Identified) => void): void;
  /** The session has sent its CONNACK, CONNECTED or WELCOME: queued messages and commands may follow. */
  ready(): void;

  /** A message on a topic: telemetry, event, result and free topics alike; `pending` hears what became of it. */
  publish(request: PublishRequest, pending: Pending, position?: StreamPosition): void;
  /** Readings of a protocol without topics (CBOR), of the device itself. */
  ingest(readings: readonly Reading[], pending: Pending, position?: StreamPosition): void;
  /** A message that could not be used: kept in the device's rejected list, then settled as `rejected`. Consumes its seq. */
  reject(payload: Buffer, code: RejectCode, message: string, pending: Pending, position?: StreamPosition): void;
  /** An event of a protocol without topics. */
  event(name: string, value: unknown, pending: Pending, position?: StreamPosition): void;
  /** A device's word on a command. */
  progress(commandId: string, progress: CommandProgress, pending: Pending): void;
  /** Opens a numbered stream: `nextSeq` is what the device will send next. Tells the seq at which it is to go on, after all earlier batches are settled. */
  openStream(stream: string, nextSeq: number, done: (resumeSeq: number | null) => void): void;

  /**
   * Adds subscriptions (the same id replaces); the hub keeps `state.subscriptions`. `done` hears the answers in the order of the requests: at once, or for a session that
   * lasts when they are on disk. Messages may be forwarded before that.
   */
  subscribe(requests: readonly Subscription[], done: (grants: readonly Grant[]) => void): void;
  /** The session has answered the subscriptions: retained messages of those in `withRetained` and waiting commands may follow. */
  subscribed(withRetained: readonly Subscription[]): void;
  /** `done` hears for each id whether there was such a subscription: at once, or for a session that lasts when that is on disk. */
  unsubscribe(ids: readonly string[], done: (existed: readonly boolean[]) => void): void;
  /** The window or the link has room: messages that wait may be offered by `forward`. */
  readyForMessages(): void;
  /**
   * PUBACK, PUBCOMP, STOMP ACK, or skipped for good (too large for this client, expired): the message leaves its queue.
   * `pending`, given for deliveries with a `queue` alone, hears `stored` when that is on disk.
   */
  acknowledged(delivery: Delivery, pending?: Pending): void;
  /** PUBREC: the message is finished, its packet id is not. `done` when that is on disk: then PUBREL may be sent. May be called again for the same delivery. */
  released(delivery: Delivery, done: () => void): void;

  /** PUBREL: takes the packet id out of `state.received`. `done` when that is on disk: then PUBCOMP may be sent. */
  forgetReceipt(packetId: number, done: () => void): void;
  /** The client said goodbye: its will is not published. */
  discardWill(): void;
  /** A goodbye that changes how long the session is kept (MQTT 5.0, 3.14.2.2.2). */
  changeExpiry(expiryS: number): void;
  /** How many unacknowledged QoS 1 and 2 messages the hub takes of this client: smaller while the store lags. At least 1. */
  readonly inboundWindow: number;
  /** Commands that wait may be offered again by `deliver`. */
  readyForCommands(): void;
  /** What was delivered and of which nothing was heard was perhaps lost: all of it is offered again by `deliver`, with what waits, in order. */
  takeBackCommands(): void;

  /** A whole control packet (MQTT) or any byte of the protocol (STOMP) came: resets the deadline of `liveness`. */
  heard(): void;
  /** `expectMs`: close with `reason` when `heard` was not called for so long (0: never). `sendMs`: call `beat` when nothing was sent for so long (0: never). */
  liveness(rule: { readonly expectMs: number; readonly sendMs: number; readonly reason: CloseReason }): void;
  /** Counts a message that was dropped for this client: `slow` link, `too_large` for its maximum packet size, `expired` on the way. */
  dropped(why: 'slow' | 'too_large' | 'expired'): void;

  // Queues (STOMP).

  /**
   * Becomes a consumer of a queue: its messages come by `forward` with `queue` set and this subscription as their one match, never more than
   * `prefetch` of them unacknowledged (`auto`: qos 0, the session acknowledges what it has written). One that `forward` did not take is
   * offered again after `readyForMessages`. `done` when a queue that lasts is on disk; messages may come before that.
   */
  consume(consumer: Consumer, done: (grant: Grant) => void): void;
  /**
   * The consumer ends, before this returns. What it was given and has not answered stays its own: the session says `acknowledged` or
   * `returned` for each, and the hub takes back the rest when the connection ends. `forget`: a durable subscription goes with its messages, also one
   * that this connection does not consume. `done` hears whether there was one, when that is on disk.
   */
  cancel(subscriptionId: string, forget: boolean, done: (existed: boolean) => void): void;
  /**
   * A message of a queue was not used: it goes to another consumer or to this one again, with `dup`. `refused`: NACK, which counts towards
   * the dead letters; else it was given back unread. `pending`: as in `acknowledged`.
   */
  returned(delivery: Delivery, refused: boolean, pending?: Pending): void;
  /** The topic (`$reply/…`) under which others reach this connection's temporary queue of that name. The same name gives the same topic. */
  temporaryQueue(name: string): string;
  /**
   * Throws the ProtocolError that `publish` of one of these would throw, one after the other. Asked for each message of a transaction when it comes,
   * and for all of them before the first is published, so that no COMMIT stops half-way.
   */
  checkPublish(requests: readonly PublishRequest[]): void;
}
