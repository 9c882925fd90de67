import type { CloseReason, Initiator } from '#protocols/close-reasons.js';
import type { CommandRow, CommandState, DeviceRow } from '#hub/store/port.js';
import type { Role, Scope, TopicRules } from './scopes.ts';

/** What people and programs may ask of the fleet (REST, command line, later the dashboard). Times are milliseconds since 1970 here. */

export class FleetError extends Error {
  override readonly name = 'FleetError';
  readonly code: 'not_found' | 'exists' | 'invalid' | 'limit' | 'conflict' | 'unavailable' | 'denied' | 'slow_down';
  /** With `slow_down`: how long to wait before the next try; else null. */
  readonly retryAfterMs: number | null;
  constructor(code: FleetError['code'], message: string, retryAfterMs: number | null = null) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface PresenceView {
  readonly online: boolean;
  /** Of its last connection; 0: it never connected. */
  readonly epoch: number;
  readonly protocol: string | null;
  readonly connectedMs: number | null;
  readonly disconnectedMs: number | null;
  readonly reason: CloseReason | null;
  readonly initiator: Initiator | null;
}

export interface DeviceView extends DeviceRow {
  readonly presence: PresenceView;
}

export interface Devices {
  /** Rejects with FleetError `exists` or `invalid`. Resolves after the commit, with a first token. */
  create(input: {
    id: string;
    name?: string | null;
    protocols?: readonly string[] | null;
  }): Promise<{ device: DeviceView; token: string }>;
  get(id: string): DeviceView | undefined;
  /** By id, ascending. `prefix` filters ids. */
  list(query: { after: string | null; limit: number; prefix?: string; online?: boolean }): {
    items: readonly DeviceView[];
    next: string | null;
  };
  update(
    id: string,
    change: { name?: string | null; protocols?: readonly string[] | null; disabled?: boolean },
  ): Promise<DeviceView>;
  /** Closes its connection with `device_deleted`, revokes its tokens. */
  remove(id: string): Promise<void>;
  /** A new token; the older ones stay valid until revoked. */
  issueToken(id: string): Promise<{ keyId: string; token: string }>;
  tokens(id: string): readonly { keyId: string; createdMs: number }[];
  revokeToken(id: string, keyId: string): Promise<void>;
  counts(): { devices: number; online: number; onlineByProtocol: Readonly<Record<string, number>> };
}

export interface CommandInput {
  readonly device: string;
  readonly name: string;
  readonly params: unknown;
  /** Time to live while no device has received it. */
  readonly ttlMs?: number;
  /** How long a device that received it may take. */
  readonly responseTimeoutMs?: number;
}

export interface Commands {
  /** Stored before it returns. Rejects with FleetError `not_found`, `invalid`, `limit` (too many unfinished), `unavailable` (the store cannot write). */
  create(input: CommandInput): Promise<CommandRow>;
  /** Resolves when the command has ended or after `waitMs`, with the row as it is then. */
  wait(id: string, waitMs: number): Promise<CommandRow>;
  /** Only `queued` and `sent` can be cancelled; else `conflict`. */
  cancel(id: string): Promise<CommandRow>;
  counts(): Readonly<Record<CommandState, number>>;
}

/** Who asks for something through the API. */
export type Caller =
  | { readonly kind: 'operator'; readonly name: string; readonly role: Role; readonly scopes: readonly Scope[] }
  | { readonly kind: 'token'; readonly keyId: string; readonly label: string; readonly scopes: readonly Scope[] };

export interface OperatorView {
  readonly name: string;
  readonly role: Role;
  readonly disabled: boolean;
  /** False: signs in by one-time link alone. */
  readonly hasPassword: boolean;
  readonly createdMs: number;
  readonly updatedMs: number;
}

/** A sign-in that has just been made. The secret is known to its holder alone: the hub keeps its hash. */
export interface SignedIn {
  /** For the cookie: 32 random bytes in base64url. */
  readonly secret: string;
  readonly caller: Caller;
  readonly expiresMs: number;
  /** What a changing request must carry beside the cookie; `csrfOf(secret)` makes it again. */
  readonly csrf: string;
}

/**
 * The people who may use the hub. Passwords are kept as scrypt hashes, sign-ins and links as hashes of random secrets. All that changes
 * is on disk before it is told; rejects with FleetError `unavailable` while the store cannot write.
 */
export interface Operators {
  /**
   * At the first start: makes the operator `admin` without a password. The secret of a one-time link for an administrator as long
   * as no enabled one has a password or is signed in, else null.
   */
  bootstrapLink(): Promise<string | null>;
  /** The secret of a one-time link that signs this operator in, for a day; an earlier one ends. Links end with the process. Rejects `not_found`, `conflict` (disabled). */
  issueLink(name: string): Promise<string>;
  /** Rejects `denied`: unknown, used, expired, or the operator is disabled. */
  signInByLink(secret: string): Promise<SignedIn>;
  /** `address`: of the client, without a port. Rejects `denied`, or `slow_down` after failed tries, by name and by address. */
  signIn(name: string, password: string, address: string): Promise<SignedIn>;
  /** Who holds this cookie; null: nobody who is signed in. Synchronous: asked for every request. */
  session(secret: string): (Caller & { readonly kind: 'operator' }) | null;
  /** Does nothing when nobody holds it. */
  signOut(secret: string): Promise<void>;
  /**
   * Ends all sign-ins of the operator but that of the cookie `keep`, and the operator's link. Rejects `invalid` (too short, too long),
   * `not_found`, and, when `current` is given and the operator has a password: `denied`, `slow_down`.
   */
  setPassword(name: string, password: string, current?: string, keep?: string): Promise<void>;
  /** Without a password: `issueLink` lets the new operator in. Rejects `exists`, `invalid`, `limit`. */
  create(input: { readonly name: string; readonly role: Role }): Promise<OperatorView>;
  /** Rejects `not_found`, and `conflict` when no enabled administrator would be left. */
  update(name: string, change: { readonly role?: Role; readonly disabled?: boolean }): Promise<OperatorView>;
  /** Rejects `not_found`, and `conflict` for the last enabled administrator. */
  remove(name: string): Promise<void>;
  get(name: string): OperatorView | undefined;
  /** By name, ascending. */
  list(): readonly OperatorView[];
  /** For the job: removes sign-ins and links that have expired; resolves with how many. */
  removeExpired(): Promise<number>;
}

export interface TokenView {
  readonly keyId: string;
  readonly kind: 'api' | 'application';
  readonly label: string;
  readonly scopes: readonly Scope[] | null;
  readonly topics: TopicRules | null;
  readonly createdMs: number;
  readonly expiresMs: number | null;
  readonly createdBy: string | null;
}

export interface TokenInput {
  readonly kind: 'api' | 'application';
  /** What people call it. Applications are known by it: several tokens may name one application. */
  readonly label: string;
  /** API tokens; missing or null: all. */
  readonly scopes?: readonly Scope[] | null;
  /** Applications; missing or null: everything an application may. */
  readonly topics?: TopicRules | null;
  /** Missing or null: until revoked. */
  readonly ttlMs?: number | null;
}

/** Tokens of programs: for the API, and for clients that are no devices. Tokens of devices are with `Devices`. */
export interface Tokens {
  /** `by`: who asked, for the record. `token` is shown once. Rejects `invalid`, `limit`, `unavailable`. */
  create(
    input: TokenInput,
    by: string | null,
  ): Promise<{ readonly keyId: string; readonly token: string; readonly row: TokenView }>;
  /** By key id, ascending; expired ones too, until they are removed. */
  list(): readonly TokenView[];
  get(keyId: string): TokenView | undefined;
  /** Ends the connections that use it. Rejects `not_found`, `unavailable`. */
  revoke(keyId: string): Promise<void>;
  /** Whose API token this is; null: unknown, revoked, expired, or a token of another kind. Constant time in the secret. */
  verifyApi(token: string): (Caller & { readonly kind: 'token' }) | null;
  /** For the job: removes tokens that have expired; resolves with how many. */
  removeExpired(): Promise<number>;
}
