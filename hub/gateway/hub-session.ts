import type { CloseReason } from '#protocols/close-reasons.js';
import { REJECT_CODES, type RejectCode } from '#protocols/errors.js';
import type { ProtocolLimits } from '#protocols/limits.js';
import type { Command, CommandProgress, Delivery, Subscription } from '#protocols/message.js';
import type { Pending } from '#protocols/outcome.js';
import type { Principal } from '#protocols/principal.js';
import type { Reading, StreamPosition } from '#protocols/reading.js';
import { isQueueTopic } from '#protocols/queues.js';
import type {
  Consumer,
  Grant,
  Identification,
  Identified,
  PublishRequest,
  SessionHost,
} from '#protocols/subprotocol.js';
import { levelCount } from '#protocols/topics.js';
import type { CommandSink } from '#hub/fleet/commands.js';
import { Handed } from '#hub/queues/consumer.js';
import type { Session } from '#hub/sessions/session.js';
import type { Connection } from './connection.ts';
import { Consumption } from './consumption.ts';
import { Entrance, whyBarred, type Identity, type Newcomer } from './entrance.ts';
import { Inbound } from './inbound.ts';
import type { Services } from './services.ts';

/** What one connection's session asks of the hub. See `SessionHost`. */
export class HubSession implements SessionHost, CommandSink, Newcomer {
  readonly #connection: Connection;
  readonly #services: Services;
  readonly #handshakePrincipal: Principal | null;
  /** Of the tokens that were shown: in the handshake, then in the protocol. */
  keyIds: readonly string[];
  #asked = false;
  #identity: Identity | null = null;
  /** Made by the first message: most connections of a large fleet are idle. */
  #inbound: Inbound | null = null;
  /** Made by the first queue that it consumes. */
  #consumption: Consumption | null = null;
  #refusesSingly = false;
  #kept: Session | null = null;
  #attached = false;
  /** What its session's queue had dropped before this connection. */
  #droppedBefore = 0;

  constructor(
    connection: Connection,
    services: Services,
    handshakePrincipal: Principal | null,
    handshakeKeyIds: readonly string[],
  ) {
    this.#connection = connection;
    this.#services = services;
    this.#handshakePrincipal = handshakePrincipal;
    this.keyIds = handshakeKeyIds;
  }

  get limits(): ProtocolLimits {
    return this.#services.limits;
  }

  get identity(): Identity | null {
    return this.#identity;
  }

  now(): number {
    return this.#services.clock.now();
  }

  identify(request: Identification, done: (result: Identified) => void): void {
    if (this.#asked) throw new Error('a session identifies itself once');
    this.#asked = true;
    this.#connection.pause('identify');
    new Entrance(this.#connection, this.#services, this.#handshakePrincipal, this)
      .resolve(request)
      .catch((error: unknown): Identified => {
        this.#services.log.warn({ connection: this.#connection.id, err: error }, 'identification failed');
        return { ok: false, reason: 'store_unavailable' };
      })
      .then((result) => {
        if (!this.#connection.open) return;
        this.#connection.run(() => done(result));
        this.#connection.resume('identify');
      })
      .catch((error: unknown) => this.#connection.fault(error));
  }

  /** From its entrance. */
  entered(identity: Identity, session: Session, refusesSingly: boolean): void {
    this.#kept = session;
    this.#droppedBefore = session.queue.dropped;
    this.#identity = identity;
    this.#refusesSingly = refusesSingly;
  }

  ready(): void {
    const { principal } = this.#mustBeKnown();
    const { sessions, commands } = this.#services;
    this.#attached = true;
    sessions.attach(this.#session, this);
    if (principal.kind === 'device') {
      commands.attach(principal.id, this);
      commands.offer(principal.id);
    }
  }

  publish(request: PublishRequest, pending: Pending, position?: StreamPosition): void {
    this.#services.counters.publishesReceived++;
    const { receipt } = request;
    if (receipt === undefined) this.#known().publish(request, pending, position);
    else this.#known().publishOnce(request, receipt, this.#session, pending);
    this.#connection.accepted();
  }

  ingest(readings: readonly Reading[], pending: Pending, position?: StreamPosition): void {
    this.#services.counters.publishesReceived++;
    this.#known().ingest(readings, pending, position);
    this.#connection.accepted();
  }

  reject(payload: Buffer, code: RejectCode, message: string, pending: Pending, position?: StreamPosition): void {
    this.#known().reject('', null, payload, code, message, pending, position);
    this.#connection.accepted();
  }

  event(name: string, value: unknown, pending: Pending, position?: StreamPosition): void {
    this.#services.counters.publishesReceived++;
    this.#known().event(name, value, pending, position);
    this.#connection.accepted();
  }

  progress(commandId: string, progress: CommandProgress, pending: Pending): void {
    this.#known().progress(commandId, progress, pending, () => {
      const payload = Buffer.from(JSON.stringify({ commandId, ...progress }));
      this.reject(payload, 'unknown_command', REJECT_CODES.unknown_command, pending);
    });
  }

  openStream(stream: string, nextSeq: number, done: (resumeSeq: number | null) => void): void {
    const { telemetry, clock, options } = this.#services;
    const device = this.#mustBeKnown().principal.id;
    const timeUs = clock.now() * 1000;
    telemetry
      .write({ op: 'stream.open', device, stream, nextSeq, maxStreams: options.maxStreamsPerDevice, timeUs })
      .then(
        (result) => (result.ok ? (result.resumeSeq ?? null) : null),
        () => null,
      )
      .then((resumeSeq) => {
        if (this.#connection.open) this.#connection.run(() => done(resumeSeq));
      })
      .catch((error: unknown) => this.#connection.fault(error));
  }

  subscribe(requests: readonly Subscription[], done: (grants: readonly Grant[]) => void): void {
    const grants = requests.map((subscription) => this.#grant(subscription));
    this.#whenKept(() => done(grants));
  }

  subscribed(withRetained: readonly Subscription[]): void {
    const { principal } = this.#mustBeKnown();
    this.#services.sessions.subscribed(this.#session, withRetained);
    if (principal.kind === 'device') this.#services.commands.offer(principal.id);
  }

  unsubscribe(ids: readonly string[], done: (existed: readonly boolean[]) => void): void {
    const existed = ids.map((id) => this.#session.unsubscribe(id));
    this.#whenKept(() => done(existed));
  }

  readyForMessages(): void {
    this.#session.queue.pump();
    this.#consumption?.ready();
  }

  acknowledged(delivery: Delivery, pending?: Pending): void {
    if (!(delivery instanceof Handed)) {
      this.#session.queue.acknowledged(delivery);
      return;
    }
    delivery.queue.acknowledged(delivery, pending);
    // With `auto` the client has sent nothing that could wait.
    if (delivery.qos > 0) this.#connection.wrote();
  }

  returned(delivery: Delivery, refused: boolean, pending?: Pending): void {
    if (!(delivery instanceof Handed)) return;
    delivery.queue.returned(delivery, refused, pending);
    // A message may be refused again and again, and each time is written.
    if (refused) this.#connection.wrote();
  }

  consume(consumer: Consumer, done: (grant: Grant) => void): void {
    const grant = this.#consuming().consume(consumer);
    if (consumer.queue.kind === 'temporary') done(grant);
    else this.#whenWritten(() => done(grant));
  }

  cancel(subscriptionId: string, forget: boolean, done: (existed: boolean) => void): void {
    const existed = this.#consuming().cancel(subscriptionId, forget);
    this.#whenWritten(() => done(existed));
  }

  temporaryQueue(name: string): string {
    return this.#consuming().temporaryTopic(name);
  }

  checkPublish(requests: readonly PublishRequest[]): void {
    this.#known().check(requests);
  }

  released(delivery: Delivery, done: () => void): void {
    this.#session.queue.released(delivery, this.#inTime(done));
  }

  forgetReceipt(packetId: number, done: () => void): void {
    this.#session.forgetReceipt(packetId, this.#inTime(done));
  }

  discardWill(): void {
    this.#services.wills.withdraw(this.#mustBeKnown().key);
  }

  changeExpiry(expiryS: number): void {
    this.#services.sessions.changeExpiry(this.#session, expiryS);
  }

  get inboundWindow(): number {
    const { telemetry, limits } = this.#services;
    const { high, low } = telemetry.backlog;
    const times = high ? 1 : low ? FREE_WINDOW : FILLING_WINDOW;
    return Math.min(65_535, limits.maxInFlight * times);
  }

  readyForCommands(): void {
    const { principal } = this.#mustBeKnown();
    if (this.#attached && principal.kind === 'device') this.#services.commands.offer(principal.id);
  }

  takeBackCommands(): void {
    const { principal } = this.#mustBeKnown();
    if (!this.#attached || principal.kind !== 'device') return;
    this.#services.commands.takeBack(principal.id, this);
    this.#services.commands.offer(principal.id);
  }

  heard(): void {
    this.#services.counters.unitsReceived++;
    this.#connection.liveness.heard();
  }

  liveness(rule: { readonly expectMs: number; readonly sendMs: number; readonly reason: CloseReason }): void {
    this.#connection.liveness.agree(rule);
  }

  dropped(why: 'slow' | 'too_large' | 'expired'): void {
    this.#connection.countDropped(why);
  }

  /** From the command desk. */
  deliver(command: Command): boolean {
    return this.#connection.open && this.#connection.session.deliver(command);
  }

  /** From the session's queue. A fault of ours ends this connection; the message stays where it is. */
  forward(delivery: Delivery): boolean {
    if (!this.#connection.open) return false;
    try {
      return this.#connection.session.forward(delivery);
    } catch (error) {
      this.#connection.fault(error);
      return false;
    }
  }

  /** Messages that the session's queue had to drop since this connection began. */
  get droppedByQueue(): number {
    return this.#kept === null ? 0 : this.#kept.queue.dropped - this.#droppedBefore;
  }

  /** Why this client would not be let in now; null: it would. */
  barred(): CloseReason | null {
    const { principal } = this.#mustBeKnown();
    const { family } = this.#connection.subprotocol;
    if (principal.kind === 'device') return whyBarred(this.#services, family, principal.id, this.keyIds);
    return this.#services.identity.stillValid(this.keyIds) ? null : 'bad_credentials';
  }

  /** The connection is over: the session says its last, then lets go of everything here. */
  finish(reason: CloseReason, detail: string): void {
    try {
      this.#connection.session.closed(reason);
    } finally {
      this.#letGo(reason, detail);
    }
  }

  #letGo(reason: CloseReason, detail: string): void {
    const identity = this.#identity;
    if (identity === null) return;
    const { principal, epoch } = identity;
    const { commands, sessions, presence } = this.#services;
    this.#consumption?.end();
    sessions.release(this.#session, this);
    if (principal.kind !== 'device') return;
    commands.detach(principal.id, this);
    presence.end(principal.id, epoch, reason, detail);
  }

  get #session(): Session {
    if (this.#kept === null) throw new Error('the session is not identified');
    return this.#kept;
  }

  #grant(subscription: Subscription): Grant {
    const { principal, rules } = this.#mustBeKnown();
    const { limits, access } = this.#services;
    const session = this.#session;
    const filter = session.realFilter(subscription);
    // A queue gives each message to one of those who consume it, and needs to hear what became of it: that is STOMP's to offer.
    const isQueue = isQueueTopic(filter);
    if (isQueue || !access.subscribe(principal, filter, rules).allowed) return { ok: false, reason: 'not_authorized' };
    if (levelCount(filter) > limits.maxTopicLevels) return { ok: false, reason: 'limit', limit: 'maxTopicLevels' };
    const { subscriptions } = session.state;
    const existed = subscriptions.has(subscription.id);
    if (!existed && subscriptions.size >= limits.maxSubscriptions) {
      return { ok: false, reason: 'limit', limit: 'maxSubscriptions' };
    }
    session.subscribe(subscription);
    return { ok: true, qos: subscription.qos, existed };
  }

  /** Runs `done` when what the session wrote is on disk; at once, where nothing of it is kept there. */
  #whenKept(done: () => void): void {
    if (!this.#session.lasts) {
      done();
      return;
    }
    this.#whenWritten(done);
  }

  /** Runs `done` when everything that was written so far is on disk. */
  #whenWritten(done: () => void): void {
    this.#services.journal.afterCommit(this.#inTime(done));
    this.#connection.wrote();
  }

  /** For answers that come later: not to a connection that has ended. */
  #inTime(done: () => void): () => void {
    return () => {
      if (this.#connection.open) this.#connection.run(done);
    };
  }

  #known(): Inbound {
    return (this.#inbound ??= this.#newInbound());
  }

  #newInbound(): Inbound {
    const { principal, rules, key } = this.#mustBeKnown();
    const connection = this.#connection;
    const protocol = connection.subprotocol.family;
    const sender = { principal, rules, protocol, origin: key, refusesSingly: this.#refusesSingly };
    return new Inbound(this.#services.inbound, sender, (piece) => connection.run(piece));
  }

  #consuming(): Consumption {
    return (this.#consumption ??= new Consumption(
      this.#services,
      this.#mustBeKnown(),
      this.#connection.subprotocol.family,
      this,
    ));
  }

  #mustBeKnown(): Identity {
    if (this.#identity === null) throw new Error('the session is not identified');
    return this.#identity;
  }
}

/**
 * The inbound window in windows of the other direction, while the store's backlog is low, and while it is between its marks. Wide, as long as nothing
 * lags: widespread clients (MQTT.js) do not look at it, and would be cut off in the middle of a burst.
 */
const FREE_WINDOW = 16;
const FILLING_WINDOW = 4;
