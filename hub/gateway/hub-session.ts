import type { CloseReason } from '#protocols/close-reasons.js';
import { PayloadError, REJECT_CODES, type RejectCode } from '#protocols/errors.js';
import type { ProtocolLimits } from '#protocols/limits.js';
import type { Command, CommandProgress, Subscription } from '#protocols/message.js';
import type { Pending } from '#protocols/outcome.js';
import type { Principal } from '#protocols/principal.js';
import type { Reading, StreamPosition } from '#protocols/reading.js';
import type {
  DeviceSession,
  Grant,
  Identification,
  Identified,
  PublishRequest,
  SessionHost,
} from '#protocols/subprotocol.js';
import { levelCount, resolveMe } from '#protocols/topics.js';
import { maySubscribe } from '#hub/fleet/access.js';
import type { CommandSink } from '#hub/fleet/commands.js';
import type { TopicRules } from '#hub/fleet/scopes.js';
import { sessionKey } from '#hub/router/sessions.js';
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
export class HubSession implements SessionHost, CommandSink {
  readonly #connection: Connection;
  readonly #services: Services;
  readonly #handshakePrincipal: Principal | null;
  /** Of the tokens that were shown: in the handshake, then in the protocol. */
  #keyIds: readonly string[];
  #asked = false;
  #identity: Identity | null = null;
  #inbound: Inbound | null = null;
  #attached = false;

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
    const identity = this.#mustBeKnown();
    const { sessions, commands } = this.#services;
    const { principal, key } = identity;
    this.#attached = true;
    sessions.attach(key, this.#session, principal.kind === 'device' ? principal.id : null);
    if (principal.kind === 'device') {
      commands.attach(principal.id, this);
      commands.offer(principal.id);
    }
  }

  publish(request: PublishRequest, pending: Pending, position?: StreamPosition): void {
    this.#known().publish(request, pending, position);
    this.#connection.accepted();
  }

  ingest(readings: readonly Reading[], pending: Pending, position?: StreamPosition): void {
    try {
      this.#known().ingest(readings, pending, position);
    } catch (error) {
      if (!(error instanceof PayloadError)) throw error;
      // Too many series: the message is kept as JSON, since its bytes were read already.
      const payload = Buffer.from(JSON.stringify(readings));
      this.reject(payload, error.code, error.message, pending, position);
    }
    this.#connection.accepted();
  }

  reject(payload: Buffer, code: RejectCode, message: string, pending: Pending, position?: StreamPosition): void {
    this.#known().reject('', null, payload, code, message, pending, position);
    this.#connection.accepted();
  }

  event(name: string, value: unknown, pending: Pending, position?: StreamPosition): void {
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

  subscribe(requests: readonly Subscription[]): readonly Grant[] {
    const { principal, key, rules } = this.#mustBeKnown();
    const { sessions, limits } = this.#services;
    return requests.map((subscription): Grant => {
      const filter = principal.kind === 'device' ? resolveMe(subscription.filter, principal.id) : subscription.filter;
      if (!maySubscribe(principal, filter, rules)) return { ok: false, reason: 'not_authorized' };
      if (levelCount(filter) > limits.maxTopicLevels) return { ok: false, reason: 'limit' };
      sessions.subscribe(key, subscription);
      return { ok: true, qos: subscription.qos };
    });
  }

  subscribed(subscriptions: readonly Subscription[]): void {
    const { principal, key } = this.#mustBeKnown();
    this.#services.sessions.subscribed(key, subscriptions);
    if (principal.kind === 'device') this.#services.commands.offer(principal.id);
  }

  unsubscribe(id: string): boolean {
    return this.#services.sessions.unsubscribe(this.#mustBeKnown().key, id);
  }

  readyForCommands(): void {
    const { principal } = this.#mustBeKnown();
    if (this.#attached && principal.kind === 'device') this.#services.commands.offer(principal.id);
  }

  heard(): void {
    this.#connection.liveness.heard();
  }

  liveness(rule: { readonly expectMs: number; readonly sendMs: number; readonly reason: CloseReason }): void {
    this.#connection.liveness.agree(rule);
  }

  dropped(why: 'slow' | 'queue'): void {
    this.#connection.countDropped(why);
  }

  /** From the command desk. */
  deliver(command: Command): boolean {
    return this.#connection.open && this.#session.deliver(command);
  }

  /** Key ids of the tokens that were shown. */
  get keyIds(): readonly string[] {
    return this.#keyIds;
  }

  /** Why this client would not be let in now; null: it would. */
  barred(): CloseReason | null {
    const { principal } = this.#mustBeKnown();
    if (principal.kind === 'device') return this.#barred(principal.id);
    return this.#services.identity.stillValid(this.#keyIds) ? null : 'bad_credentials';
  }

  /** The connection is over: the session says its last (a will), then lets go of everything here. */
  finish(reason: CloseReason, detail: string): void {
    try {
      this.#session.closed(reason);
    } finally {
      this.#letGo(reason, detail);
    }
  }

  #letGo(reason: CloseReason, detail: string): void {
    const identity = this.#identity;
    if (identity === null) return;
    const { principal, key, epoch } = identity;
    const { commands, sessions, presence } = this.#services;
    const device = principal.kind === 'device' ? principal.id : null;
    // One that ended before it was ready lets go in the same way.
    if (!this.#attached) sessions.attach(key, this.#session, device);
    sessions.detach(key, this.#session);
    if (device === null) return;
    commands.detach(device, this);
    presence.end(device, epoch, reason, detail);
  }

  get #session(): DeviceSession {
    return this.#connection.session;
  }

  async #resolve(request: Identification): Promise<Identified> {
    const { identity, devices, options, presence, telemetry } = this.#services;
    const named = identity.resolve(this.#handshakePrincipal, request.credentials, request.clientId);
    if (!named.ok) return named;
    const { principal } = named;
    this.#keyIds = [...this.#keyIds, ...identity.keyIdsOf(request.credentials)];
    // The handshake's may have been revoked since.
    if (!identity.stillValid(this.#keyIds)) return { ok: false, reason: 'bad_credentials' };
    if (!identity.allows(principal, this.#connection.subprotocol.family)) {
      return { ok: false, reason: 'protocol_not_allowed' };
    }
    const clientId = request.clientId ?? `auto-${this.#connection.id}`;
    this.#connection.description = request.description;
    if (principal.kind === 'application') return this.#enter(request, principal, clientId, 0);
    // Its epoch could not be committed: better told at once than kept waiting with everybody else who comes.
    if (!telemetry.health.writable) return { ok: false, reason: 'store_unavailable' };

    if (principal.anonymous && options.allowAnonymous && !(await devices.register(principal.id))) {
      return { ok: false, reason: 'registration_limit' };
    }
    const barred = this.#barred(principal.id);
    if (barred !== null) return { ok: false, reason: barred };
    const { subprotocol, address } = this.#connection;
    const epoch = await presence.open(principal.id, subprotocol.family, address, clientId);
    return this.#enterWithEpoch(request, principal, clientId, epoch);
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
    const { identity, presence, connections } = this.#services;
    const key = sessionKey(principal, clientId);
    const holder = principal.kind === 'device' ? holderOf(principal.id) : key;
    connections.holderOf(holder)?.takenOver();
    const rules = identity.rulesOf(principal);
    const { state, resumed } = this.#openSession(principal, rules, key, request.persistent);
    this.#identity = { principal, clientId, key, epoch, rules };
    const connection = this.#connection;
    this.#inbound = new Inbound(this.#services.inbound, principal, rules, connection.subprotocol.family, (piece) =>
      connection.run(piece),
    );
    connections.hold(holder, this.#connection);
    if (principal.kind === 'device') presence.begin(principal.id, epoch, this.#connection.subprotocol.family);
    this.#connection.identified();
    return { ok: true, principal, clientId, state, resumed, epoch };
  }

  /** A kept session goes whole when its token does not allow all of its subscriptions (another token of the same application made it). */
  #openSession(principal: Principal, rules: TopicRules | null, key: string, persistent: boolean): Opened {
    const { sessions } = this.#services;
    const opened = sessions.open(key, persistent);
    if (rules === null) return opened;
    const kept = [...opened.state.subscriptions.values()];
    if (kept.every(({ filter }) => maySubscribe(principal, filter, rules))) return opened;
    sessions.open(key, false);
    return sessions.open(key, persistent);
  }

  #known(): Inbound {
    if (this.#inbound === null) throw new Error('the session is not identified');
    return this.#inbound;
  }

  #mustBeKnown(): Identity {
    if (this.#identity === null) throw new Error('the session is not identified');
    return this.#identity;
  }
}

type Opened = ReturnType<Services['sessions']['open']>;

/** The place of a device's one connection, see `Connections.hold`. */
function holderOf(device: string): string {
  return `device:${device}`;
}
