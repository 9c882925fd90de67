import type { CloseReason } from '#protocols/close-reasons.js';
import { isDeviceId, type Credentials, type Principal } from '#protocols/principal.js';
import type { DeviceRow, TokenRow } from '#hub/store/port.js';
import type { TopicRules } from './scopes.ts';
import { keyIdOf, type TokenBook } from './tokens.ts';

/** What identity needs to know of devices. */
export interface DeviceLookup {
  row(id: string): DeviceRow | undefined;
}

export type Named =
  { readonly ok: true; readonly principal: Principal } | { readonly ok: false; readonly reason: CloseReason };

const NOTHING: TopicRules = { publish: [], subscribe: [] };

/** Whom credentials name, and whether two of them agree. Pure memory: thousands may reconnect at once. */
export class Identity {
  readonly #tokens: TokenBook;
  readonly #devices: DeviceLookup;
  readonly #allowAnonymous: boolean;
  #ephemeral = 0;

  constructor(tokens: TokenBook, devices: DeviceLookup, allowAnonymous: boolean) {
    this.#tokens = tokens;
    this.#devices = devices;
    this.#allowAnonymous = allowAnonymous;
  }

  /** The credentials of a handshake: null when it had none. */
  ofToken(token: string): Named {
    const row = this.#tokens.verify(token);
    return row === null ? { ok: false, reason: 'bad_credentials' } : this.#named(row);
  }

  /**
   * Who a client is, from the handshake's principal and the credentials that its protocol brought.
   *
   * A token may stand in the password (the user name is then a label) or, without a password, in the user name.
   * Two credentials that name different principals are refused. Without any, anonymous mode takes the client id as
   * the device's name if it is one and that device has no token.
   */
  resolve(handshake: Principal | null, credentials: Credentials | null, clientId: string | null): Named {
    const shown = tokensOf(credentials);
    let principal = handshake;
    for (const token of shown) {
      const named = this.ofToken(token);
      if (!named.ok) return named;
      if (principal !== null && (principal.kind !== named.principal.kind || principal.id !== named.principal.id)) {
        return { ok: false, reason: 'credentials_contradict' };
      }
      principal = named.principal;
    }
    if (principal !== null) return { ok: true, principal };
    if (!this.#allowAnonymous) return { ok: false, reason: 'credentials_required' };
    // A device that was given a token is never taken over by a stranger who knows its name.
    if (clientId !== null && this.#tokens.deviceHasToken(clientId))
      return { ok: false, reason: 'credentials_required' };
    return { ok: true, principal: this.#anonymous(clientId) };
  }

  /** The device's protocol policy; an application has none. */
  allows(principal: Principal, family: string): boolean {
    if (principal.kind !== 'device') return true;
    const policy = this.#devices.row(principal.id)?.protocols ?? null;
    return policy === null || policy.includes(family);
  }

  /** The rules of the token that named it; null: there are none, and it may do everything that its kind may. */
  rulesOf({ keyId }: Principal): TopicRules | null {
    if (keyId === undefined) return null;
    const row = this.#tokens.get(keyId);
    return row === undefined ? NOTHING : row.topics;
  }

  /** Key ids of the tokens among these credentials. */
  keyIdsOf(credentials: Credentials | null): string[] {
    return tokensOf(credentials).flatMap((token) => keyIdOf(token) ?? []);
  }

  /** False: a token that was shown has been revoked since. */
  stillValid(keyIds: readonly string[]): boolean {
    return keyIds.every((keyId) => this.#tokens.knows(keyId));
  }

  #named(row: TokenRow): Named {
    if (row.kind !== 'device') return applicationOf(row);
    const device = this.#devices.row(row.subject);
    if (device === undefined) return { ok: false, reason: 'device_deleted' };
    if (device.disabled) return { ok: false, reason: 'device_disabled' };
    return { ok: true, principal: { kind: 'device', id: row.subject, anonymous: false } };
  }

  #anonymous(clientId: string | null): Principal {
    if (clientId !== null && isDeviceId(clientId)) return { kind: 'device', id: clientId, anonymous: true };
    const id = clientId === null ? `anonymous-${++this.#ephemeral}` : 'anonymous';
    return { kind: 'application', id, anonymous: true };
  }
}

/**
 * An API token opens the topics only where it may do everything: its scopes say nothing of topics. For all others there are
 * application tokens.
 */
function applicationOf({ keyId, kind, subject, label, scopes }: TokenRow): Named {
  if (kind === 'api' && scopes !== null && !scopes.includes('admin')) return { ok: false, reason: 'not_authorized' };
  return { ok: true, principal: { kind: 'application', id: label ?? subject, anonymous: false, keyId } };
}

/** Secrets among user name and password. Anonymous clients may send a login that means nothing here: it is no token, yet it is a credential, and wrong. */
function tokensOf(credentials: Credentials | null): string[] {
  if (credentials === null) return [];
  const { username, password } = credentials;
  const tokens: string[] = [];
  if (username?.startsWith('mst_')) tokens.push(username);
  if (password !== null && password !== '' && password !== username) tokens.push(password);
  return tokens;
}
