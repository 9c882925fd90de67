import type { Clock, Timer } from '#hub/clock.js';
import type { TokenRow } from '#hub/store/port.js';
import type { Telemetry } from '#hub/telemetry/port.js';
import { writeNow } from './devices.ts';
import { ACCESS_LIMITS } from './limits.ts';
import { FleetError, type Caller, type TokenInput, type Tokens, type TokenView } from './port.ts';
import { faultOfRules, SCOPES } from './scopes.ts';
import { mintToken, type TokenBook } from './tokens.ts';

/** Node's timers fire at once past 2^31 ms; the wall clock may be set meanwhile, too. */
const MAX_TIMER_MS = 3_600_000;

/** A century: longer ones are mistakes in the unit. */
const MAX_TTL_MS = 36_500 * 24 * 3_600_000;

/** Names that anonymous mode gives: an application of that name would meet strangers in its sessions. */
const ANONYMOUS = /^anonymous(-\d+)?$/;

/** Tokens of programs. A token that ends, by revocation or in time, takes its connections with it. */
export class TokenDesk implements Tokens {
  readonly #telemetry: Telemetry;
  readonly #tokens: TokenBook;
  readonly #clock: Clock;
  /** Expired, and told so. */
  readonly #ended = new Set<string>();
  #creating = 0;
  #timer: Timer | null = null;
  /** Called after these tokens ended: connections that use them go. */
  onRevoked: (keyIds: readonly string[]) => void = () => undefined;

  constructor(telemetry: Telemetry, tokens: TokenBook, clock: Clock) {
    this.#telemetry = telemetry;
    this.#tokens = tokens;
    this.#clock = clock;
  }

  /** After the tokens are in the book. */
  restore(): void {
    this.#arm();
  }

  async create(
    input: TokenInput,
    by: string | null,
  ): Promise<{ readonly keyId: string; readonly token: string; readonly row: TokenView }> {
    const { kind, label } = input;
    const { scopes, topics, ttlMs } = checked(input);
    if (this.#rows().length + this.#creating >= ACCESS_LIMITS.maxTokens) {
      throw new FleetError('limit', `this hub takes ${ACCESS_LIMITS.maxTokens} tokens: revoke some`);
    }
    const nowUs = this.#clock.now() * 1000;
    const expiresUs = ttlMs === null ? null : nowUs + ttlMs * 1000;
    const minted = mintToken(kind, label, nowUs, { label, scopes, topics, expiresUs, createdBy: by });
    await this.#store(minted.row);
    this.#tokens.add(minted.row);
    this.#arm();
    return { keyId: minted.row.keyId, token: minted.token, row: viewOf(minted.row) };
  }

  list(): readonly TokenView[] {
    return this.#rows()
      .sort((a, b) => (a.keyId < b.keyId ? -1 : 1))
      .map(viewOf);
  }

  get(keyId: string): TokenView | undefined {
    const row = this.#tokens.get(keyId);
    return row === undefined || row.kind === 'device' ? undefined : viewOf(row);
  }

  async revoke(keyId: string): Promise<void> {
    if (this.get(keyId) === undefined) {
      throw new FleetError('not_found', `there is no token ${keyId.slice(0, 64)} of a program`);
    }
    await this.#remove([keyId]);
  }

  verifyApi(token: string): (Caller & { readonly kind: 'token' }) | null {
    const row = this.#tokens.verify(token);
    if (row?.kind !== 'api') return null;
    return { kind: 'token', keyId: row.keyId, label: row.label ?? row.subject, scopes: row.scopes ?? SCOPES };
  }

  async removeExpired(): Promise<number> {
    const expired = this.#rows().filter((row) => this.#tokens.isExpired(row));
    await this.#remove(expired.map(({ keyId }) => keyId));
    return expired.length;
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Those of programs. */
  #rows(): TokenRow[] {
    return [...this.#tokens.all()].filter(({ kind }) => kind !== 'device');
  }

  async #store(token: TokenRow): Promise<void> {
    this.#creating++;
    try {
      const result = await writeNow(this.#telemetry, { op: 'token.create', token });
      if (!result.ok) throw new FleetError('unavailable', result.message);
    } finally {
      this.#creating--;
    }
  }

  async #remove(keyIds: readonly string[]): Promise<void> {
    // One that another call has removed meanwhile is as gone.
    await Promise.all(keyIds.map((keyId) => writeNow(this.#telemetry, { op: 'token.delete', keyId })));
    for (const keyId of keyIds) {
      this.#tokens.remove(keyId);
      this.#ended.delete(keyId);
    }
    if (keyIds.length > 0) this.onRevoked(keyIds);
  }

  /** One timer, for the next that expires. */
  #arm(): void {
    this.close();
    let next = Infinity;
    for (const { keyId, expiresUs } of this.#tokens.all()) {
      if (expiresUs !== null && !this.#ended.has(keyId)) next = Math.min(next, expiresUs);
    }
    if (next === Infinity) return;
    const ms = Math.max(1, Math.ceil(next / 1000 - this.#clock.now()));
    this.#timer = this.#clock.after(Math.min(ms, MAX_TIMER_MS), () => this.#expire());
  }

  #expire(): void {
    const ended: string[] = [];
    for (const row of this.#tokens.all()) {
      if (this.#tokens.isExpired(row) && !this.#ended.has(row.keyId)) ended.push(row.keyId);
    }
    for (const keyId of ended) this.#ended.add(keyId);
    this.#arm();
    if (ended.length > 0) this.onRevoked(ended);
  }
}

/** What was asked for, with null for what is missing. Throws FleetError `invalid`. */
function checked(input: TokenInput): Pick<TokenRow, 'scopes' | 'topics'> & { readonly ttlMs: number | null } {
  const { kind, label, scopes = null, topics = null, ttlMs = null } = input;
  checkLabel(kind, label);
  if (kind === 'api' && topics !== null) throw new FleetError('invalid', 'topics are for application tokens');
  if (kind === 'application' && scopes !== null) throw new FleetError('invalid', 'scopes are for API tokens');
  if (scopes?.length === 0) throw new FleetError('invalid', 'a token without scopes is good for nothing');
  if (ttlMs !== null && !(ttlMs >= 1 && ttlMs <= MAX_TTL_MS)) {
    throw new FleetError('invalid', `a token lasts 1 to ${MAX_TTL_MS} ms; without ttlMs, until it is revoked`);
  }
  const fault = topics === null ? null : faultOfRules(topics);
  if (fault !== null) throw new FleetError('invalid', fault);
  return {
    scopes: scopes === null ? null : SCOPES.filter((scope) => scopes.includes(scope)),
    topics: topics === null ? null : { publish: [...topics.publish], subscribe: [...topics.subscribe] },
    ttlMs: ttlMs === null ? null : Math.floor(ttlMs),
  };
}

function checkLabel(kind: TokenInput['kind'], label: string): void {
  const { maxLabelLength: max } = ACCESS_LIMITS;
  if (label.length === 0 || label.length > max || label.trim() !== label || !/^\P{C}+$/u.test(label)) {
    throw new FleetError('invalid', `a label has 1 to ${max} characters, none invisible, no space at its ends`);
  }
  if (kind === 'application' && ANONYMOUS.test(label)) {
    throw new FleetError('invalid', `"${label}" is what anonymous clients are called: take another label`);
  }
}

function viewOf(row: TokenRow): TokenView {
  const { keyId, scopes, topics, createdUs, expiresUs, createdBy } = row;
  return {
    keyId,
    kind: row.kind === 'application' ? 'application' : 'api',
    label: row.label ?? row.subject,
    scopes,
    topics,
    createdMs: Math.floor(createdUs / 1000),
    expiresMs: expiresUs === null ? null : Math.floor(expiresUs / 1000),
    createdBy,
  };
}
