import type { CloseReason } from '#protocols/close-reasons.js';
import type { RejectCode } from '#protocols/errors.js';
import { ProtocolError } from '#protocols/errors.js';
import { DEFAULT_LIMITS, type ProtocolLimits } from '#protocols/limits.js';
import type { CommandProgress, Delivery, RoutedMessage, Subscription } from '#protocols/message.js';
import { ROUTED, STORED, type Outcome, type Pending } from '#protocols/outcome.js';
import type { Reading, StreamPosition } from '#protocols/reading.js';
import { SessionState } from '#protocols/session-state.js';
import type {
  Consumer,
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

/**
 * A hub that answers as told: by default it identifies everybody as device `d1`, grants what is asked and holds outcomes until `settle`.
 *
 * It has the queue of the session as well: `offer` gives a message to the session, what it does not take waits and is offered again after
 * `readyForMessages`. With `lasting` set, what has to be on disk first is answered by `commit`.
 */
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
  /** The session's state as the default `identity` hands it over; one that hands over another sets it here too. */
  state = new SessionState();
  grant: (subscription: Subscription) => Grant = (s) => ({
    ok: true,
    qos: s.qos,
    existed: this.state.subscriptions.has(s.id),
  });
  calls: string[] = [];
  /** The session lasts beyond its connection: subscribe, unsubscribe, released and forgetReceipt are answered by `commit`. */
  lasting = false;
  /** Set by the bench. */
  session: DeviceSession | null = null;
  /** Messages that the session did not take yet, in order. */
  waiting: Delivery[] = [];
  readyForMessagesCount = 0;
  acknowledgements: Delivery[] = [];
  /** Of messages of queues: who waits to hear that it is on disk, in order. `lasting` or not: settled by the test. */
  answered: { delivery: Delivery; how: 'acknowledged' | 'refused' | 'given back'; pending: Pending | undefined }[] = [];
  consumers = new Map<string, Consumer>();
  /** Durable subscriptions that exist without a consumer, by id. */
  durable = new Set<string>();
  cancelled: { id: string; forget: boolean }[] = [];
  consumeGrant: (consumer: Consumer) => Grant = ({ subscription }) => ({
    ok: true,
    qos: subscription.qos,
    existed: false,
  });
  /** Topics that `checkPublish` refuses, and `publish` too. */
  forbidden = new Set<string>();
  /** What `publish` throws of what only it can tell. */
  unusable: ProtocolError | null = null;
  releases: Delivery[] = [];
  forgotten: number[] = [];
  willDiscarded = false;
  /** What the client asked for in `changeExpiry`. */
  changedExpiryS: number | null = null;
  inboundWindow = 64;
  livenessRule: { expectMs: number; sendMs: number; reason: CloseReason } | null = null;
  heardCount = 0;
  droppedCount = { slow: 0, too_large: 0, expired: 0 };
  /** Outcomes are given at once instead of by `settle`. */
  immediate = false;
  #identifyDone: ((result: Identified) => void) | null = null;
  #uncommitted: (() => void)[] = [];

  constructor(limits: Partial<ProtocolLimits> = {}) {
    this.limits = { ...DEFAULT_LIMITS, ...limits };
    this.identity = (request) => ({
      ok: true,
      principal: { kind: 'device', id: 'd1', anonymous: false },
      clientId: request.clientId ?? 'generated',
      state: this.state,
      resumed: false,
      epoch: 1,
      expiryS: request.expiryS,
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

  /** A QoS 2 message is in `state.received` from here on, unless it is rejected. */
  publish(request: PublishRequest, pending: Pending, position?: StreamPosition): void {
    this.checkPublish([request]);
    if (this.unusable !== null) throw this.unusable;
    const { receipt } = request;
    const kept = { ...request, payload: Buffer.from(request.payload) };
    const told: Pending =
      receipt === undefined
        ? pending
        : {
            settle: (outcome) => {
              if (outcome.kind === 'rejected') this.state.received.delete(receipt);
              pending.settle(outcome);
            },
          };
    if (receipt !== undefined) this.state.received.add(receipt);
    this.published.push({ request: kept, pending: told, position });
    if (this.immediate) told.settle(ROUTED);
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

  get subscriptions(): ReadonlyMap<string, Subscription> {
    return this.state.subscriptions;
  }

  subscribe(requests: readonly Subscription[], done: (grants: readonly Grant[]) => void): void {
    const grants = requests.map((request) => {
      const grant = this.grant(request);
      if (grant.ok) this.state.subscriptions.set(request.id, request);
      return grant;
    });
    this.#onDisk(() => done(grants));
  }

  subscribed(withRetained: readonly Subscription[]): void {
    this.calls.push(`subscribed ${withRetained.map((s) => s.id).join(' ')}`);
  }

  unsubscribe(ids: readonly string[], done: (existed: readonly boolean[]) => void): void {
    const existed = ids.map((id) => this.state.subscriptions.delete(id));
    this.#onDisk(() => done(existed));
  }

  /** A message for the session, behind those that wait. QoS 0 overtakes. */
  offer(delivery: Delivery): void {
    if (delivery.qos > 0 && this.waiting.length > 0) this.waiting.push(delivery);
    else if (!this.session!.forward(delivery)) {
      if (delivery.qos === 0) throw new Error('a QoS 0 message is always taken');
      this.waiting.push(delivery);
    }
  }

  readyForMessages(): void {
    this.readyForMessagesCount++;
    // Taken out first: `forward` may call this again from within.
    while (this.waiting.length > 0) {
      const [delivery] = this.waiting.splice(0, 1);
      if (this.session!.forward(delivery!)) continue;
      this.waiting.unshift(delivery!);
      return;
    }
  }

  acknowledged(delivery: Delivery, pending?: Pending): void {
    this.acknowledgements.push(delivery);
    if (delivery.queue !== undefined) this.answered.push({ delivery, how: 'acknowledged', pending });
  }

  consume(consumer: Consumer, done: (grant: Grant) => void): void {
    const grant = this.consumeGrant(consumer);
    if (grant.ok) this.consumers.set(consumer.subscription.id, consumer);
    this.#onDisk(() => done(grant));
  }

  cancel(subscriptionId: string, forget: boolean, done: (existed: boolean) => void): void {
    this.cancelled.push({ id: subscriptionId, forget });
    const existed = this.consumers.delete(subscriptionId) || this.durable.has(subscriptionId);
    this.#onDisk(() => done(existed));
  }

  returned(delivery: Delivery, refused: boolean, pending?: Pending): void {
    this.answered.push({ delivery, how: refused ? 'refused' : 'given back', pending });
  }

  temporaryQueue(name: string): string {
    return `$reply/c1-${name}`;
  }

  checkPublish(requests: readonly PublishRequest[]): void {
    for (const { topic } of requests) {
      if (this.forbidden.has(topic)) throw new ProtocolError('not_authorized', `not allowed (topic ${topic})`);
    }
  }

  released(delivery: Delivery, done: () => void): void {
    this.releases.push(delivery);
    this.#onDisk(done);
  }

  forgetReceipt(packetId: number, done: () => void): void {
    this.forgotten.push(packetId);
    this.state.received.delete(packetId);
    this.#onDisk(done);
  }

  discardWill(): void {
    this.willDiscarded = true;
  }

  changeExpiry(expiryS: number): void {
    this.changedExpiryS = expiryS;
  }

  /** What waits for the disk is on it. */
  commit(): void {
    for (const done of this.#uncommitted.splice(0)) done();
  }

  #onDisk(done: () => void): void {
    if (this.lasting) this.#uncommitted.push(done);
    else done();
  }

  readyForCommands(): void {
    this.calls.push('readyForCommands');
  }

  takeBackCommands(): void {
    this.calls.push('takeBackCommands');
  }

  heard(): void {
    this.heardCount++;
  }

  liveness(rule: { expectMs: number; sendMs: number; reason: CloseReason }): void {
    this.livenessRule = rule;
  }

  dropped(why: 'slow' | 'too_large' | 'expired'): void {
    this.droppedCount[why]++;
  }

  /** Settles the oldest `count` submissions of `list`. */
  static settle(list: { pending: Pending }[], outcome: Outcome, count = list.length): void {
    for (const entry of list.splice(0, count)) entry.pending.settle(outcome);
  }
}

/** A message on its way to a session, at min(its QoS, highest of `matches`), from memory unless `fields` say otherwise. */
export function delivery(
  message: RoutedMessage,
  matches: readonly Subscription[],
  fields: Partial<Omit<Delivery, 'message' | 'matches'>> = {},
): Delivery {
  const granted = matches.reduce<Delivery['qos']>((highest, s) => (s.qos > highest ? s.qos : highest), 0);
  const qos = message.qos < granted ? message.qos : granted;
  return { message, matches, qos, retain: false, place: 0, dup: false, ...fields };
}

/** A message of a queue, for the consumer with this subscription. */
export function queued(message: RoutedMessage, consumer: Consumer, dup = false): Delivery {
  return { ...delivery(message, [consumer.subscription], { dup }), queue: {} };
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
    this.host.session = this.session;
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
