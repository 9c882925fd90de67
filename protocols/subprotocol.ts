import type { CloseReason } from './close-reasons.ts';
import type { RejectCode } from './errors.ts';
import type { ProtocolLimits } from './limits.ts';
import type { Command, CommandProgress, Qos, RoutedMessage, Subscription } from './message.ts';
import type { Pending } from './outcome.ts';
import type { Credentials, Principal } from './principal.ts';
import type { Reading, StreamPosition } from './reading.ts';
import type { SessionState } from './session-state.ts';

/** How a device's policy and the statistics call a language, whatever its versions are named on the wire. */
export type ProtocolFamily = 'mqtt' | 'stomp' | 'cbor' | 'echo';

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
  /** A message of the router that matches `matches` (subscriptions of this session, never empty); `qos` is min(published, highest granted). Takes it, queues it or drops and counts it. */
  forward(message: RoutedMessage, matches: readonly Subscription[], qos: Qos): void;
  /** The link was congested and is not any more. */
  writable(): void;
  /** Nothing was sent for the interval given to `host.liveness`: send a heart-beat. */
  beat(): void;
  /** Say goodbye in the protocol's own words before the link closes with `reason` (STOMP ERROR, CBOR ERROR, CONNACK code, …). Only words: the gateway closes. */
  end(reason: CloseReason, detail: string, context: Readonly<Record<string, string>>): void;
  /** The link is gone. Last call on the session: publish the will where one is due, drop what is pending. */
  closed(reason: CloseReason): void;
}

export interface Identification {
  /** MQTT client id, STOMP `client-id`; null where the protocol has none or it was empty. */
  readonly clientId: string | null;
  readonly credentials: Credentials | null;
  /** Keep subscriptions and queue after the connection (MQTT clean session 0). */
  readonly persistent: boolean;
  /** For the connection list: what the client says of itself (firmware, protocol level). */
  readonly description: Readonly<Record<string, string>>;
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
    }
  | { readonly ok: false; readonly reason: CloseReason };

/** Answer to one subscription: the QoS that is granted, or why not. */
export type Grant =
  { readonly ok: true; readonly qos: Qos } | { readonly ok: false; readonly reason: 'not_authorized' | 'limit' };

export interface PublishRequest {
  /** As the client wrote it (`me` allowed), in MQTT form. Already checked to be a valid topic name. */
  readonly topic: string;
  /** A slice of the socket's buffer. */
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly contentType: string | null;
  readonly headers: readonly (readonly [string, string])[];
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

  /** Adds subscriptions (the same id replaces). Answers in the order of the requests; nothing is delivered before `subscribed`. */
  subscribe(requests: readonly Subscription[]): readonly Grant[];
  /** The session has answered the subscriptions: retained messages and waiting commands may follow. */
  subscribed(subscriptions: readonly Subscription[]): void;
  /** True if there was such a subscription. */
  unsubscribe(id: string): boolean;
  /** Commands that wait may be offered again by `deliver`. */
  readyForCommands(): void;

  /** A whole control packet (MQTT) or any byte of the protocol (STOMP) came: resets the deadline of `liveness`. */
  heard(): void;
  /** `expectMs`: close with `reason` when `heard` was not called for so long (0: never). `sendMs`: call `beat` when nothing was sent for so long (0: never). */
  liveness(rule: { readonly expectMs: number; readonly sendMs: number; readonly reason: CloseReason }): void;
  /** Counts a message that was dropped for this client: `slow` link, full `queue`. */
  dropped(why: 'slow' | 'queue'): void;
}
