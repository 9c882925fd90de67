import { isUtf8 } from 'node:buffer';
import { closeReason } from '#protocols/close-reasons.js';
import { ProtocolError, type RejectCode } from '#protocols/errors.js';
import type { PollTerms } from '#protocols/http/session.js';
import type { CommandProgress } from '#protocols/message.js';
import type { Outcome, Pending } from '#protocols/outcome.js';
import { sessionKey } from '#hub/sessions/key.js';
import { StoreError } from '#hub/store/port.js';
import type { BacklogGate } from '../backlog-gate.ts';
import { deeperThan } from '../depth.ts';
import { whyBarred } from '../entrance.ts';
import type { Handshake } from '../handshake.ts';
import { Inbound } from '../inbound.ts';
import type { Services } from '../services.ts';
import { throughGate, within } from './held.ts';
import type { DeviceConnections } from './http-devices.ts';
import {
  DeviceRefusal,
  type Message,
  type OpenPoll,
  type PollAnswer,
  type Sent,
  type StreamOpened,
  type Visit,
} from './port.ts';
import type { Asking } from './who.ts';

export interface VisitParts {
  readonly services: Services;
  readonly gate: BacklogGate;
  /** How long a request is held back while the backlog is high, and how long an answer waits for the disk. */
  readonly waitMs: number;
  readonly connections: DeviceConnections;
}

/** One request of one device: no connection, and yet what it sends goes the way of everything that devices send. */
export class DeviceVisit implements Visit {
  readonly #parts: VisitParts;
  readonly #asking: Asking;
  readonly #handshake: Handshake;
  #release: (() => void) | null;

  /** `release`: gives the place of the request back. */
  constructor(parts: VisitParts, asking: Asking, handshake: Handshake, release: () => void) {
    this.#parts = parts;
    this.#asking = asking;
    this.#handshake = handshake;
    this.#release = release;
  }

  get device(): string {
    return this.#asking.principal.id;
  }

  get maxBytes(): number {
    return this.#parts.services.limits.maxMessageBytes;
  }

  async turn(): Promise<void> {
    const { gate, services, waitMs } = this.#parts;
    this.#mustBeWritable();
    await throughGate(gate, services.clock, waitMs);
    await this.#registered();
  }

  review(): void {
    const barred = whyBarred(this.#parts.services, 'http', this.device, this.#asking.keyIds);
    if (barred !== null) throw new DeviceRefusal(barred, closeReason(barred).text);
  }

  telemetry(message: Message, format: string | null): Promise<Sent> {
    const topic = format === null ? 'devices/me/telemetry' : `devices/me/telemetry/${format}`;
    return this.#send(topic, message);
  }

  event(name: string, message: Message): Promise<Sent> {
    const topic = `devices/me/events/${name}`;
    const refused = whyNoEvent(message.payload, this.#parts.services.limits.maxDepth);
    if (refused === null) return this.#send(topic, { ...message, contentType: 'application/json' });
    const [code, words] = refused;
    return this.#decided(message.payload.length, (inbound, pending) => {
      const { payload, contentType, position } = message;
      inbound.reject(`devices/${this.device}/events/${name}`, contentType, payload, code, words, pending, position);
      return 0;
    });
  }

  async openStream(stream: string, nextSeq: number): Promise<StreamOpened> {
    const { telemetry, clock, options, limits } = this.#parts.services;
    const { maxStreamsPerDevice: maxStreams } = options;
    const timeUs = clock.now() * 1000;
    const written = telemetry.write({ op: 'stream.open', device: this.device, stream, nextSeq, maxStreams, timeUs });
    const result = await within(written.catch(unavailable), clock, this.#parts.waitMs);
    if (!result.ok || result.resumeSeq === undefined) throw unwritable();
    return { resume: result.resumeSeq, window: limits.windowMessages };
  }

  async progress(commandId: string, progress: CommandProgress): Promise<Outcome> {
    const { maxDepth } = this.#parts.services.limits;
    if (progress.kind === 'result' && deeperThan(progress.value, maxDepth)) {
      const message = `the value is nested deeper than ${maxDepth} levels`;
      return { kind: 'rejected', code: 'too_deep', message, recorded: false };
    }
    const settled = this.#parts.connections.of(this.device)?.session.answered(commandId);
    const payload = Buffer.from(JSON.stringify({ commandId, ...progress }));
    try {
      const sent = await this.#decided(payload.length, (inbound, pending) => {
        inbound.progress(commandId, progress, pending, () => {
          const words = `this device has no command ${commandId}`;
          inbound.reject('', null, payload, 'unknown_command', words, pending, undefined);
        });
        return 0;
      });
      return sent.outcome;
    } finally {
      settled?.();
    }
  }

  poll(terms: PollTerms, answer: PollAnswer): OpenPoll {
    const open = this.#parts.connections.poll(this.#asking, this.#handshake, terms, answer);
    // From here on the connection takes the place.
    this.end();
    return open;
  }

  leave(): void {
    const polling = this.#parts.connections.of(this.device);
    polling?.connection.run(() => polling.session.goodbye());
  }

  end(): void {
    this.#release?.();
    this.#release = null;
  }

  #send(topic: string, message: Message): Promise<Sent> {
    const { payload, contentType, position } = message;
    this.#parts.services.counters.publishesReceived++;
    const request = { topic, payload, qos: 1, retain: false, contentType, headers: [] } as const;
    return this.#decided(message.payload.length, (inbound, pending) => inbound.publish(request, pending, position));
  }

  /** Hands the message over; resolves when it is decided on disk. */
  #decided(bytes: number, hand: (inbound: Inbound, pending: Pending) => number): Promise<Sent> {
    const { services, waitMs } = this.#parts;
    this.#count(bytes);
    const decided = new Promise<Sent>((resolve, reject) => {
      let readings = 0;
      const run = (piece: () => void): void => {
        try {
          piece();
        } catch (error) {
          reject(error instanceof ProtocolError ? new DeviceRefusal(error.reason, error.message) : asError(error));
        }
      };
      const inbound = new Inbound(services.inbound, this.#sender(), run);
      const pending: Pending = {
        settle: (outcome) => {
          if (outcome.kind === 'abandoned') reject(unwritable());
          else resolve({ outcome, readings });
        },
      };
      run(() => {
        readings = hand(inbound, pending);
      });
    });
    return within(decided, services.clock, waitMs);
  }

  #sender(): ConstructorParameters<typeof Inbound>[1] {
    const { principal } = this.#asking;
    const origin = sessionKey(principal, 'http');
    return { principal, rules: null, protocol: 'http', origin, refusesSingly: true };
  }

  #count(bytes: number): void {
    const polling = this.#parts.connections.of(this.device);
    const { counters } = this.#parts.services;
    counters.unitsReceived++;
    if (polling !== null) {
      polling.connection.count(bytes);
      polling.transport.bytesRead += bytes;
      return;
    }
    counters.messagesReceived.http = (counters.messagesReceived.http ?? 0) + 1;
    counters.bytesReceived += bytes;
  }

  /** In anonymous mode a device registers by what it sends first. */
  async #registered(): Promise<void> {
    const { devices, options } = this.#parts.services;
    const { principal } = this.#asking;
    if (principal.anonymous && options.allowAnonymous && !(await devices.register(principal.id))) {
      throw new DeviceRefusal('registration_limit', closeReason('registration_limit').text);
    }
    if (devices.row(principal.id) === undefined) throw new DeviceRefusal('device_deleted', 'the device was deleted');
  }

  #mustBeWritable(): void {
    if (!this.#parts.services.telemetry.health.writable) throw unwritable();
  }
}

/** Why these bytes are no event; null: they are one. */
function whyNoEvent(payload: Buffer, maxDepth: number): readonly [RejectCode, string] | null {
  if (!isUtf8(payload)) return ['malformed_payload', 'the event is not UTF-8'];
  let value: unknown;
  try {
    value = JSON.parse(payload.toString('utf8'));
  } catch {
    return ['malformed_payload', 'the event is not JSON'];
  }
  return deeperThan(value, maxDepth) ? ['too_deep', `the event is nested deeper than ${maxDepth} levels`] : null;
}

function unwritable(): DeviceRefusal {
  return new DeviceRefusal('store_unavailable', 'the hub cannot write to its disk at present; send it again later');
}

function unavailable(error: unknown): never {
  throw error instanceof StoreError ? unwritable() : asError(error);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
