import { randomUUID } from 'node:crypto';
import type { CloseReason } from '#protocols/close-reasons.js';
import { REJECT_CODES, type RejectCode } from '#protocols/errors.js';
import type { ProtocolLimits } from '#protocols/limits.js';
import type { Command, CommandProgress, Delivery, Subscription } from '#protocols/message.js';
import type { Pending } from '#protocols/outcome.js';
import type { Principal } from '#protocols/principal.js';
import type { Reading, StreamPosition } from '#protocols/reading.js';
import type { Grant, Identification, Identified, PublishRequest, SessionHost, Will } from '#protocols/subprotocol.js';
import { levelCount, resolveMe } from '#protocols/topics.js';
import type { CommandSink } from '#hub/fleet/commands.js';
import type { TopicRules } from '#hub/fleet/scopes.js';
import { sessionKey } from '#hub/sessions/key.js';
import type { Holder, Session } from '#hub/sessions/session.js';
import type { Connection } from './connection.ts';
import { Inbound } from './inbound.ts';
import type { Services } from './services.ts';

/** Who a connection turned out to be. */
export interface Identity {
  readonly principal: Principal;
  readonly clientId: string;
  /** Of the session registry, and of takeovers between an application's connections. */
  readonly key: string;
  readonly epoch: number;
  /** Of an application's token; null: none. */
  readonly rules: TopicRules | null;
}

/** What one connection's session asks of the hub. See `SessionHost`. */
export class HubSession implements SessionHost, CommandSink, Holder {
  readonly #connection: Connection;
  readonly #services: Services;
  readonly #handshakePrincipal: Principal | null;
  /** Of the tokens that were shown: in the handshake, then in the protocol. */
  #keyIds: readonly string[];
  #asked = false;
  #identity: Identity | null = null;
  /** Made by the first message: most connections of a large fleet are idle. */
  #inbound: Inbound | null = null;
  #refusesSingly = false;
  #kept: Session | null = null;
  #attached = false;
  /** What its session's queue had dropped before this connection. */
  #droppedBefore = 0;
  /** Something that was written has to be on disk before the client is told who it is. */
  #mustWait = false;

  constructor(
    connection: Connection,
    services: Services,
    handshakePrincipal: Principal | null,
    handshakeKeyIds: readonly string[],
  ) {
    this.#connection = connection;
    this.#services = services;
    this.#handshakePrincipal = handshakePrincipal;
    this.#keyIds = handshakeKeyIds;
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
    this.#resolve(request)
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
  }

  acknowledged(delivery: Delivery): void {
    this.#session.queue.acknowledged(delivery);
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

  /** Key ids of the tokens that were shown. */
  get keyIds(): readonly string[] {
    return this.#keyIds;
  }

  /** Messages that the session's queue had to drop since this connection began. */
  get droppedByQueue(): number {
    return this.#kept === null ? 0 : this.#kept.queue.dropped - this.#droppedBefore;
  }

  /** Why this client would not be let in now; null: it would. */
  barred(): CloseReason | null {
    const { principal } = this.#mustBeKnown();
    if (principal.kind === 'device') return this.#barred(principal.id);
    return this.#services.identity.stillValid(this.#keyIds) ? null : 'bad_credentials';
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
    if (!access.subscribe(principal, filter, rules).allowed) return { ok: false, reason: 'not_authorized' };
    if (levelCount(filter) > limits.maxTopicLevels) return { ok: false, reason: 'limit' };
    const { subscriptions } = session.state;
    const existed = subscriptions.has(subscription.id);
    if (!existed && subscriptions.size >= limits.maxSubscriptions) return { ok: false, reason: 'limit' };
    session.subscribe(subscription);
    return { ok: true, qos: subscription.qos, existed };
  }

  /** Runs `done` when what the session wrote is on disk; at once, where nothing of it is kept there. */
  #whenKept(done: () => void): void {
    if (!this.#session.lasts) {
      done();
      return;
    }
    this.#services.journal.afterCommit(this.#inTime(done));
    this.#connection.wrote();
  }

  /** For answers that come later: not to a connection that has ended. */
  #inTime(done: () => void): () => void {
    return () => {
      if (this.#connection.open) this.#connection.run(done);
    };
  }

  async #resolve(request: Identification): Promise<Identified> {
    const { identity, devices, options, presence, telemetry } = this.#services;
    const clientId = request.clientId ?? assignedClientId(request.expiryS, this.#connection.id);
    const known = request.clientId ?? (request.expiryS > 0 ? clientId : null);
    const named = identity.resolve(this.#handshakePrincipal, request.credentials, known);
    if (!named.ok) return named;
    const { principal } = named;
    const shown = identity.keyIdsOf(request.credentials);
    if (shown.length > 0) this.#keyIds = [...this.#keyIds, ...shown];
    // The handshake's may have been revoked since.
    if (!identity.stillValid(this.#keyIds)) return { ok: false, reason: 'bad_credentials' };
    if (!identity.allows(principal, this.#connection.subprotocol.family)) {
      return { ok: false, reason: 'protocol_not_allowed' };
    }
    this.#connection.description = request.description;
    // What it wants written could not be: better told at once than kept waiting with everybody else who comes.
    const writes = principal.kind === 'device' || request.expiryS > 0 || request.will !== null;
    if (writes && !telemetry.health.writable) return { ok: false, reason: 'store_unavailable' };
    if (principal.kind === 'application') return this.#onDisk(this.#enter(request, principal, clientId, 0));

    if (principal.anonymous && options.allowAnonymous && !(await devices.register(principal.id))) {
      return { ok: false, reason: 'registration_limit' };
    }
    const barred = this.#barred(principal.id);
    if (barred !== null) return { ok: false, reason: barred };
    const { subprotocol, address } = this.#connection;
    const epoch = await presence.open(principal.id, subprotocol.family, address, clientId);
    return this.#onDisk(this.#enterWithEpoch(request, principal, clientId, epoch));
  }

  /** With nothing awaited between this look and `#enter`: epochs come in order, and so must what they change. */
  #enterWithEpoch(request: Identification, principal: Principal, clientId: string, epoch: number): Identified {
    const { presence, connections } = this.#services;
    const device = principal.id;
    if (epoch < presence.of(device).epoch) {
      presence.end(device, epoch, 'taken_over', '');
      return { ok: false, reason: 'taken_over' };
    }
    // The socket may have gone, and an operator may have changed the device, while the epoch was written.
    const over =
      this.#barred(device) ?? (this.#connection.open ? null : (this.#connection.reason ?? 'connection_lost'));
    if (over !== null) {
      // On disk the older connection ended when this epoch began: so it does here, or the two would tell different stories.
      connections.holderOf(holderOf(device))?.takenOver();
      presence.passed(device, epoch, this.#connection.subprotocol.family, over);
      return { ok: false, reason: over };
    }
    return this.#enter(request, principal, clientId, epoch);
  }

  #barred(device: string): CloseReason | null {
    const { devices, identity } = this.#services;
    const row = devices.row(device);
    if (row === undefined) return 'device_deleted';
    if (row.disabled) return 'device_disabled';
    if (!identity.stillValid(this.#keyIds)) return 'bad_credentials';
    const allowed = row.protocols === null || row.protocols.includes(this.#connection.subprotocol.family);
    return allowed ? null : 'protocol_not_allowed';
  }

  /** Everything that must happen in one step: the older connection goes, this one counts. */
  #enter(request: Identification, principal: Principal, clientId: string, epoch: number): Identified {
    if (!this.#connection.open) return { ok: false, reason: 'connection_lost' };
    const { identity, presence, connections, sessions } = this.#services;
    const { refusesSingly, cleanStart, expiryS, will } = request;
    const protocol = this.#connection.subprotocol.family;
    const key = sessionKey(principal, clientId);
    const holder = principal.kind === 'device' ? holderOf(principal.id) : key;
    connections.holderOf(holder)?.takenOver();
    const rules = identity.rulesOf(principal);
    const accept = (kept: Iterable<Subscription>): boolean => this.#mayKeep(principal, rules, kept);
    const opened = sessions.open({ principal, clientId, protocol, cleanStart, expiryS, holder: this, accept });
    const { session, resumed } = opened;
    this.#kept = session;
    this.#droppedBefore = session.queue.dropped;
    this.#mustWait = opened.wrote;
    this.#identity = { principal, clientId, key, epoch, rules };
    this.#refusesSingly = refusesSingly;
    if (will !== null) this.#keepWill(will);
    connections.hold(holder, this.#connection);
    if (principal.kind === 'device') presence.begin(principal.id, epoch, protocol);
    this.#connection.identified();
    return { ok: true, principal, clientId, state: session.state, resumed, epoch, expiryS: session.expiryS };
  }

  /** A kept session goes whole when not all of its subscriptions are allowed now: another token of the same application made it, or the policy has changed. */
  #mayKeep(principal: Principal, rules: TopicRules | null, kept: Iterable<Subscription>): boolean {
    const { access } = this.#services;
    for (const { filter } of kept) {
      const real = principal.kind === 'device' ? resolveMe(filter, principal.id) : filter;
      if (!access.subscribe(principal, real, rules).allowed) return false;
    }
    return true;
  }

  /** What an application may not publish is not kept for later, when its rules are not at hand. A device's stands in its rejected list then. */
  #keepWill(will: Will): void {
    const { principal, rules, key } = this.#mustBeKnown();
    const { access, wills, log } = this.#services;
    const { topic } = will.request;
    if (principal.kind === 'application' && !access.publish(principal, topic, rules).allowed) {
      log.warn({ connection: this.#connection.id, topic }, 'a will on a topic that its client may not use is ignored');
      return;
    }
    this.#mustWait = true;
    wills.put({ key, principal, protocol: this.#connection.subprotocol.family, will });
  }

  /** The client is told when what its session and its will are is on disk: until then a crash would take it back. */
  #onDisk(identified: Identified): Identified | Promise<Identified> {
    if (!identified.ok || !this.#mustWait) return identified;
    return new Promise((resolve) => this.#services.sessions.onDisk(this.#session, () => resolve(identified)));
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

/** The place of a device's one connection, see `Connections.hold`. */
function holderOf(device: string): string {
  return `device:${device}`;
}

/**
 * For a client that gave none. One whose session lasts may come back under it, after a restart too, so it is never given
 * twice [MQTT-3.2.2-16]; with `~` in it, it never names a device.
 */
function assignedClientId(expiryS: number, connection: string): string {
  return expiryS > 0 ? `auto~${randomUUID()}` : `auto~${connection}`;
}
