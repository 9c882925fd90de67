import type { IncomingMessage } from 'node:http';
import type { PollTerms } from '#protocols/http/session.js';
import type { CloseReason } from '#protocols/close-reasons.js';
import type { CommandProgress } from '#protocols/message.js';
import type { Outcome } from '#protocols/outcome.js';
import type { StreamPosition } from '#protocols/reading.js';
import type { RefusalCode } from '../port.ts';

/** Why a request of a device is not served: words that handshakes and connections have too, and what only requests meet. */
export type DeviceRefusalCode = RefusalCode | CloseReason | 'slow_down';

/** Thrown to whoever answers the request. */
export class DeviceRefusal extends Error {
  override readonly name = 'DeviceRefusal';
  readonly code: DeviceRefusalCode;
  /** When to come back, where waiting helps and it is known. */
  readonly retryAfterMs: number | null;

  /** `detail` is for the device's maker: what is wrong, and what to do. */
  constructor(code: DeviceRefusalCode, detail: string, retryAfterMs: number | null = null) {
    super(detail);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Devices that can only make requests. What they send means the same as over every protocol. */
export interface HttpDevices {
  /** Who asks, by the rules of the WebSocket handshake. Throws DeviceRefusal. Whoever gets a visit calls its `end`. */
  visit(request: IncomingMessage): Visit;
}

export interface Sent {
  readonly outcome: Outcome;
  /** That the payload held. */
  readonly readings: number;
}

/** What a device sends in one request, besides `position`: its place in a numbered stream. */
export interface Message {
  readonly payload: Buffer;
  readonly contentType: string | null;
  readonly position: StreamPosition | undefined;
}

/** One request of one device. Each call may reject with DeviceRefusal; none resolves before the disk has what it tells of. */
export interface Visit {
  readonly device: string;
  /** Largest body. */
  readonly maxBytes: number;
  /** Resolves when the hub can take a message: who sends while others wait for the disk waits too. Called before the body is read. */
  turn(): Promise<void>;
  /** Throws when what the device was let in by does not hold any more: its body may have taken minutes. */
  review(): void;
  /** `format`: last level of the path, null: there is none. */
  telemetry(message: Message, format: string | null): Promise<Sent>;
  /** `name`: `[A-Za-z0-9._-]{1,64}`; the payload is JSON, or is refused. */
  event(name: string, message: Message): Promise<Sent>;
  /** Resolves with the seq at which the device goes on. */
  openStream(stream: string, nextSeq: number): Promise<StreamOpened>;
  /** Resolves with what became of the device's word on a command. */
  progress(commandId: string, progress: CommandProgress): Promise<Outcome>;
  /** The device's connection gets a poll, and is opened for it if there is none. `answer` hears the rest. */
  poll(terms: PollTerms, answer: PollAnswer): OpenPoll;
  /** The goodbye. */
  leave(): void;
  /** The request is over, however it ended. */
  end(): void;
}

export interface StreamOpened {
  readonly resume: number;
  /** Messages that may be under way at once. */
  readonly window: number;
}

/** Where a poll's answer goes. Nothing is called after `done`, `refuse` or `destroy`. */
export interface PollAnswer {
  /** Bytes that the socket has not taken yet. */
  readonly bufferedBytes: number;
  /** A command as JSON, and the cursor that covers it and those before it. */
  command(json: string, cursor: string): void;
  /** An event stream has begun, or is still alive. */
  beat(): void;
  done(cursor: string): void;
  /** The connection has ended, or never began. */
  refuse(reason: CloseReason, detail: string): void;
  /** The device does not read: the socket is cut. */
  destroy(): void;
}

/** What whoever holds the socket tells of it. */
export interface OpenPoll {
  /** The event stream has lasted long enough: it ends as if another poll had come. */
  finish(): void;
  /** Everything written was taken by the socket. */
  drained(): void;
  /** The answer has been given to its end, or the device has gone away. Once. */
  closed(): void;
}
