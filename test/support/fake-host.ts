import type { CloseReason } from '#protocols/close-reasons.js';
import type { RejectCode } from '#protocols/errors.js';
import { ProtocolError } from '#protocols/errors.js';
import { DEFAULT_LIMITS, type ProtocolLimits } from '#protocols/limits.js';
import type { CommandProgress, Subscription } from '#protocols/message.js';
import { ROUTED, STORED, type Outcome, type Pending } from '#protocols/outcome.js';
import type { Reading, StreamPosition } from '#protocols/reading.js';
import { SessionState } from '#protocols/session-state.js';
import type {
  DeviceSession,
  Grant,
  HandshakeContext,
  Identification,
  Identified,
  Link,
  PublishRequest,
  SessionHost,
  Subprotocol,
} from '#protocols/subprotocol.js';

/** Records what a session sends. */
export class FakeLink implements Link {
  readonly sent: (Buffer | string)[] = [];
  queuedBytes = 0;
  congested = false;
  closedWith: { reason: CloseReason; detail: string } | null = null;

  send(unit: Uint8Array | string): void {
    if (this.closedWith !== null) return;
    this.sent.push(typeof unit === 'string' ? unit : Buffer.from(unit));
  }

  close(reason: CloseReason, detail = ''): void {
    this.closedWith ??= { reason, detail };
  }

  /** Everything sent since the last call, as one buffer. */
  takeBytes(): Buffer {
    return Buffer.concat(this.sent.splice(0).map((unit) => Buffer.from(unit)));
  }

  take(): (Buffer | string)[] {
    return this.sent.splice(0);
  }
}

export interface Submitted<T> {
  readonly request: T;
  readonly pending: Pending;
  readonly position: StreamPosition | undefined;
}

/** A hub that answers as told: by default it identifies everybody as device `d1`, grants what is asked and holds outcomes until `settle`. */
export class FakeHost implements SessionHost {
  readonly limits: ProtocolLimits;
  clock = Date.UTC(2026, 0, 1);
  identifications: Identification[] = [];
  /** What `identify` answers; null: it stays open until `answerIdentify`. */
  identity: ((request: Identification) => Identified) | null;
  published: Submitted<PublishRequest>[] = [];
  ingested: Submitted<readonly Reading[]>[] = [];
  rejections: Submitted<{ payload: Buffer; code: RejectCode; message: string }>[] = [];
  events: Submitted<{ name: string; value: unknown }>[] = [];
  progressed: Submitted<{ commandId: string; progress: CommandProgress }>[] = [];
  streams: { stream: string; nextSeq: number }[] = [];
  resumeSeq: number | null = 1;
  subscriptions = new Map<string, Subscription>();
  grant: (subscription: Subscription) => Grant = (s) => ({ ok: true, qos: s.qos });
  calls: string[] = [];
  livenessRule: { expectMs: number; sendMs: number; reason: CloseReason } | null = null;
  heardCount = 0;
  droppedCount = { slow: 0, queue: 0 };
  /** Outcomes are given at once instead of by `settle`. */
  immediate = false;
  #identifyDone: ((result: Identified) => void) | null = null;

  constructor(limits: Partial<ProtocolLimits> = {}) {
    this.limits = { ...DEFAULT_LIMITS, ...limits };
    const state = new SessionState(this.limits.maxQueuedMessages, this.limits.maxQueuedBytes);
    this.identity = (request) => ({
      ok: true,
      principal: { kind: 'device', id: 'd1', anonymous: false },
      clientId: request.clientId ?? 'generated',
      state,
      resumed: false,
      epoch: 1,
    });
  }

  now(): number {
    return this.clock;
  }

  identify(request: Identification, done: (result: Identified) => void): void {
    this.identifications.push(request);
    if (this.identity === null) this.#identifyDone = done;
    else {
      const result = this.identity(request);
      queueMicrotask(() => done(result));
    }
  }

  answerIdentify(result: Identified): void {
    this.#identifyDone?.(result);
    this.#identifyDone = null;
  }

  ready(): void {
    this.calls.push('ready');
  }

  publish(request: PublishRequest, pending: Pending, position?: StreamPosition): void {
    this.published.push({ request: { ...request, payload: Buffer.from(request.payload) }, pending, position });
    if (this.immediate) pending.settle(ROUTED);
  }

  ingest(readings: readonly Reading[], pending: Pending, position?: StreamPosition): void {
    this.ingested.push({ request: readings, pending, position });
    if (this.immediate) pending.settle(STORED);
  }

  reject(payload: Buffer, code: RejectCode, message: string, pending: Pending, position?: StreamPosition): void {
    this.rejections.push({ request: { payload: Buffer.from(payload), code, message }, pending, position });
    if (this.immediate) pending.settle({ kind: 'rejected', code, message, recorded: true });
  }

  event(name: string, value: unknown, pending: Pending, position?: StreamPosition): void {
    this.events.push({ request: { name, value }, pending, position });
    if (this.immediate) pending.settle(STORED);
  }

  progress(commandId: string, progress: CommandProgress, pending: Pending): void {
    this.progressed.push({ request: { commandId, progress }, pending, position: undefined });
    if (this.immediate) pending.settle(STORED);
  }

  openStream(stream: string, nextSeq: number, done: (resumeSeq: number | null) => void): void {
    this.streams.push({ stream, nextSeq });
    const answer = this.resumeSeq;
    queueMicrotask(() => done(answer));
  }

  subscribe(requests: readonly Subscription[]): readonly Grant[] {
    return requests.map((request) => {
      const grant = this.grant(request);
      if (grant.ok) this.subscriptions.set(request.id, request);
      return grant;
    });
  }

  subscribed(subscriptions: readonly Subscription[]): void {
    this.calls.push(`subscribed ${subscriptions.map((s) => s.id).join(' ')}`);
  }

  unsubscribe(id: string): boolean {
    return this.subscriptions.delete(id);
  }

  readyForCommands(): void {
    this.calls.push('readyForCommands');
  }

  heard(): void {
    this.heardCount++;
  }

  liveness(rule: { expectMs: number; sendMs: number; reason: CloseReason }): void {
    this.livenessRule = rule;
  }

  dropped(why: 'slow' | 'queue'): void {
    this.droppedCount[why]++;
  }

  /** Settles the oldest `count` submissions of `list`. */
  static settle(list: { pending: Pending }[], outcome: Outcome, count = list.length): void {
    for (const entry of list.splice(0, count)) entry.pending.settle(outcome);
  }
}

/** A session with its fakes, behaving as the gateway does on a ProtocolError. */
export class Bench {
  readonly link = new FakeLink();
  readonly host: FakeHost;
  readonly session: DeviceSession;
  error: ProtocolError | null = null;

  constructor(subprotocol: Subprotocol, limits: Partial<ProtocolLimits> = {}, context: Partial<HandshakeContext> = {}) {
    this.host = new FakeHost(limits);
    this.session = subprotocol.open(this.link, this.host, {
      connectionId: 'c1',
      subprotocol: subprotocol.names[0]!,
      principal: null,
      ...context,
    });
  }

  /** Feeds bytes; a ProtocolError ends the session as the gateway would. Anything else is thrown on: sessions throw nothing else. */
  receive(data: Uint8Array | string, isText = typeof data === 'string'): void {
    if (this.link.closedWith !== null) return;
    try {
      this.session.receive(Buffer.from(data), isText);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.error = error;
      this.session.end(error.reason, error.message, error.context);
      this.link.close(error.reason, error.message);
      this.session.closed(error.reason);
    }
  }

  /** Lets identification and other answers arrive. */
  async settle(): Promise<void> {
    for (let i = 0; i < 5; i++) await Promise.resolve();
  }
}
