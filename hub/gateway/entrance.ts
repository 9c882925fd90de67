import { randomUUID } from 'node:crypto';
import type { CloseReason } from '#protocols/close-reasons.js';
import type { Subscription } from '#protocols/message.js';
import type { Principal } from '#protocols/principal.js';
import type { Identification, Identified, Will } from '#protocols/subprotocol.js';
import { resolveMe } from '#protocols/topics.js';
import type { TopicRules } from '#hub/fleet/scopes.js';
import { sessionKey } from '#hub/sessions/key.js';
import type { Holder, Session } from '#hub/sessions/session.js';
import type { Connection } from './connection.ts';
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

/** A connection that says who it is. */
export interface Newcomer extends Holder {
  /** Of the tokens that were shown: in the handshake, then in the protocol. */
  keyIds: readonly string[];
  /** It is known from now on. In one step with the end of the older connection. */
  entered(identity: Identity, session: Session, refusesSingly: boolean): void;
}

/** From what a client says of itself to its place in the hub. Made for one identification. */
export class Entrance {
  readonly #connection: Connection;
  readonly #services: Services;
  readonly #handshakePrincipal: Principal | null;
  readonly #newcomer: Newcomer;
  /** Something that was written has to be on disk before the client is told who it is. */
  #mustWait = false;
  #session: Session | null = null;

  constructor(connection: Connection, services: Services, handshakePrincipal: Principal | null, newcomer: Newcomer) {
    this.#connection = connection;
    this.#services = services;
    this.#handshakePrincipal = handshakePrincipal;
    this.#newcomer = newcomer;
  }

  async resolve(request: Identification): Promise<Identified> {
    const { identity, devices, options, presence, telemetry } = this.#services;
    const clientId = request.clientId ?? assignedClientId(request.expiryS, this.#connection.id);
    const known = request.clientId ?? (request.expiryS > 0 ? clientId : null);
    const named = identity.resolve(this.#handshakePrincipal, request.credentials, known);
    if (!named.ok) return named;
    const { principal } = named;
    const shown = identity.keyIdsOf(request.credentials);
    if (shown.length > 0) this.#newcomer.keyIds = [...this.#newcomer.keyIds, ...shown];
    // The handshake's may have been revoked since.
    if (!identity.stillValid(this.#newcomer.keyIds)) return { ok: false, reason: 'bad_credentials' };
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
    return whyBarred(this.#services, this.#connection.subprotocol.family, device, this.#newcomer.keyIds);
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
    const opened = sessions.open({
      principal,
      clientId,
      protocol,
      cleanStart,
      expiryS,
      holder: this.#newcomer,
      accept,
    });
    const { session, resumed } = opened;
    this.#session = session;
    this.#mustWait = opened.wrote;
    const who = { principal, clientId, key, epoch, rules };
    this.#newcomer.entered(who, session, refusesSingly);
    if (will !== null) this.#keepWill(will, who);
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
  #keepWill(will: Will, { principal, rules, key }: Identity): void {
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
    const { sessions } = this.#services;
    return new Promise((resolve) => sessions.onDisk(this.#session!, () => resolve(identified)));
  }
}

/** Why a device would not be let in with these tokens now; null: it would. */
export function whyBarred(
  { devices, identity }: Pick<Services, 'devices' | 'identity'>,
  family: string,
  device: string,
  keyIds: readonly string[],
): CloseReason | null {
  const row = devices.row(device);
  if (row === undefined) return 'device_deleted';
  if (row.disabled) return 'device_disabled';
  if (!identity.stillValid(keyIds)) return 'bad_credentials';
  const allowed = row.protocols === null || row.protocols.includes(family);
  return allowed ? null : 'protocol_not_allowed';
}

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
