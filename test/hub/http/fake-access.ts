import { csrfOf } from '#hub/fleet/csrf.js';
import {
  FleetError,
  type Caller,
  type Operators,
  type OperatorView,
  type SignedIn,
  type Tokens,
  type TokenView,
} from '#hub/fleet/port.js';
import { scopesOf, SCOPES, type Role, type Scope } from '#hub/fleet/scopes.js';
import type { HubApi } from '#hub/http/deps.js';
import type { JobView } from '#hub/jobs/port.js';

export const API_TOKEN = 'mst_00ff_c2VjcmV0';
export const NOW_MS = Date.UTC(2026, 0, 1);

/** The token that has just this scope. */
export const tokenOfScope = (scope: Scope): string => `mst_5c_${scope}`;

type OperatorCaller = Caller & { readonly kind: 'operator' };

/** Operators by name with passwords in the clear; `alice` is an administrator. */
export class FakeOperators implements Operators {
  readonly views = new Map<string, OperatorView>();
  readonly passwords = new Map<string, string>();
  readonly links = new Map<string, string>();
  readonly sessions = new Map<string, string>();
  readonly addresses: string[] = [];
  /** What the next try to sign in is answered with. */
  slowDownMs: number | null = null;
  #made = 0;

  constructor() {
    this.add('alice', 'admin');
    this.passwords.set('alice', 'correct horse');
  }

  add(name: string, role: Role): OperatorView {
    const hasPassword = this.passwords.has(name);
    const view = { name, role, disabled: false, hasPassword, createdMs: NOW_MS, updatedMs: NOW_MS };
    this.views.set(name, view);
    return view;
  }

  /** The cookie's secret of somebody who has just signed in with this role. */
  signedInAs(role: Role): string {
    this.add(role, role);
    return this.#signedIn(role).secret;
  }

  #signedIn(name: string): SignedIn {
    const secret = String(++this.#made).padStart(43, 'x');
    this.sessions.set(secret, name);
    return { secret, caller: this.#caller(name), expiresMs: NOW_MS + 3_600_000, csrf: csrfOf(secret) };
  }

  #caller(name: string): OperatorCaller {
    const { role } = this.views.get(name)!;
    return { kind: 'operator', name, role, scopes: scopesOf(role) };
  }

  bootstrapLink = async () => null;
  issueLink = async (name: string) => {
    const secret = `link-of-${name}`;
    this.links.set(secret, name);
    return secret;
  };
  signInByLink = async (secret: string) => {
    const name = this.links.get(secret);
    if (name === undefined) throw new FleetError('denied', 'this link is unknown, used or has expired');
    this.links.delete(secret);
    return this.#signedIn(name);
  };
  signIn = async (name: string, password: string, address: string) => {
    this.addresses.push(address);
    if (this.slowDownMs !== null) throw new FleetError('slow_down', 'too many failed tries', this.slowDownMs);
    if (this.passwords.get(name) !== password) throw new FleetError('denied', 'name or password is wrong');
    return this.#signedIn(name);
  };
  session = (secret: string) => {
    const name = this.sessions.get(secret);
    return name === undefined ? null : this.#caller(name);
  };
  signOut = async (secret: string) => void this.sessions.delete(secret);
  setPassword = async (name: string, password: string, current?: string, keep?: string) => {
    if (!this.views.has(name)) throw new FleetError('not_found', `there is no operator ${name}`);
    const old = this.passwords.get(name);
    if (current !== undefined && old !== undefined && current !== old) {
      throw new FleetError('denied', 'that is not the password');
    }
    this.passwords.set(name, password);
    for (const [secret, of] of this.sessions) if (of === name && secret !== keep) this.sessions.delete(secret);
  };
  create = async ({ name, role }: { name: string; role: Role }) => {
    if (this.views.has(name)) throw new FleetError('exists', `there is an operator ${name} already`);
    return this.add(name, role);
  };
  update = async (name: string, change: { role?: Role; disabled?: boolean }) => {
    const view = this.views.get(name);
    if (view === undefined) throw new FleetError('not_found', `there is no operator ${name}`);
    if (name === 'alice') throw new FleetError('conflict', 'no enabled administrator would be left');
    const changed = { ...view, ...change };
    this.views.set(name, changed);
    return changed;
  };
  remove = async (name: string) => {
    if (name === 'alice') throw new FleetError('conflict', 'no enabled administrator would be left');
    if (!this.views.delete(name)) throw new FleetError('not_found', `there is no operator ${name}`);
  };
  get = (name: string) => this.views.get(name);
  list = () => [...this.views.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  removeExpired = async () => 0;
}

/** `API_TOKEN` may do everything; `tokenOfScope` one thing each. */
export class FakeTokens implements Tokens {
  readonly rows = new Map<string, TokenView>();
  readonly created: unknown[] = [];

  create: Tokens['create'] = async (input, by) => {
    this.created.push([input, by]);
    const keyId = `0${this.rows.size}`;
    const row: TokenView = {
      keyId,
      kind: input.kind,
      label: input.label,
      scopes: input.scopes ?? null,
      topics: input.topics ?? null,
      createdMs: NOW_MS,
      expiresMs: typeof input.ttlMs === 'number' ? NOW_MS + input.ttlMs : null,
      createdBy: by,
    };
    this.rows.set(keyId, row);
    return { keyId, token: `mst_${keyId}_secret`, row };
  };
  list = () => [...this.rows.values()];
  get = (keyId: string) => this.rows.get(keyId);
  revoke = async (keyId: string) => {
    if (!this.rows.delete(keyId)) throw new FleetError('not_found', `there is no token ${keyId}`);
  };
  verifyApi = (token: string) => {
    const [, keyId = '', secret] = token.split('_');
    if (token === API_TOKEN) return { kind: 'token' as const, keyId, label: 'bootstrap', scopes: SCOPES };
    const scope = SCOPES.find((one) => tokenOfScope(one) === token);
    if (scope === undefined) return null;
    return { kind: 'token' as const, keyId: `${keyId}${secret ?? ''}`, label: scope, scopes: [scope] };
  };
  removeExpired = async () => 0;
}

export class FakeJobs {
  readonly ran: string[] = [];

  list: HubApi['jobs']['list'] = () => [this.#job()];
  run = async (name: string) => {
    if (name !== 'checkpoint') throw new FleetError('not_found', `there is no job ${name}`);
    this.ran.push(name);
    return this.#job();
  };

  #job(): JobView {
    const lastRun = { startedMs: NOW_MS, durationMs: 12, ok: true, result: { walBytes: 0 }, error: null };
    return {
      name: 'checkpoint',
      schedule: '*/5 * * * *',
      description: 'Moves the write-ahead log into the database',
      running: false,
      lastRun: this.ran.length === 0 ? null : lastRun,
      nextRunMs: NOW_MS + 60_000,
    };
  }
}
