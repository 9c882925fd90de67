import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '#hub/clock.js';
import type { TokenRow } from '#hub/store/port.js';

/** `mst_<keyId>_<secret>`: key id 16 hex digits, secret 32 random bytes in base64url. Only the secret's SHA-256 is kept. */
const TOKEN = /^mst_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;

/** What a token allows, to whom and for how long, beyond whose it is. */
type Grant = Pick<TokenRow, 'label' | 'scopes' | 'topics' | 'expiresUs' | 'createdBy'>;

export interface Minted {
  /** The whole token: shown once, then known to its holder alone. */
  readonly token: string;
  readonly row: TokenRow;
}

export function mintToken(
  kind: TokenRow['kind'],
  subject: string,
  createdUs: number,
  more: Partial<Grant> = {},
): Minted {
  const keyId = randomBytes(8).toString('hex');
  const secret = randomBytes(32).toString('base64url');
  return {
    token: `mst_${keyId}_${secret}`,
    row: {
      ...{ keyId, hash: hashSecret(secret), kind, subject, createdUs },
      ...{ label: null, scopes: null, topics: null, expiresUs: null, createdBy: null },
      ...more,
    },
  };
}

/** The key id that a text in the form of a token names; null: it has no such form. */
export function keyIdOf(text: string): string | null {
  return TOKEN.exec(text)?.[1] ?? null;
}

/** Random 32-byte secrets need no slow hash; thousands of devices reconnect at once. */
function hashSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** All tokens that were not revoked, by key id. */
export class TokenBook {
  readonly #rows = new Map<string, TokenRow>();
  /** Key ids of each device's tokens. */
  readonly #ofDevice = new Map<string, Set<string>>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(row: TokenRow): void {
    this.#rows.set(row.keyId, row);
    if (row.kind !== 'device') return;
    const keyIds = this.#ofDevice.get(row.subject);
    if (keyIds === undefined) this.#ofDevice.set(row.subject, new Set([row.keyId]));
    else keyIds.add(row.keyId);
  }

  remove(keyId: string): boolean {
    const row = this.#rows.get(keyId);
    if (row?.kind === 'device') {
      const keyIds = this.#ofDevice.get(row.subject);
      keyIds?.delete(keyId);
      if (keyIds?.size === 0) this.#ofDevice.delete(row.subject);
    }
    return this.#rows.delete(keyId);
  }

  /** Does the device have a token of its own, so that nobody may be it without one? */
  deviceHasToken(device: string): boolean {
    return this.#ofDevice.has(device);
  }

  get(keyId: string): TokenRow | undefined {
    return this.#rows.get(keyId);
  }

  all(): IterableIterator<TokenRow> {
    return this.#rows.values();
  }

  /** Is the token with this key id still good? */
  knows(keyId: string): boolean {
    const row = this.#rows.get(keyId);
    return row !== undefined && !this.isExpired(row);
  }

  isExpired({ expiresUs }: TokenRow): boolean {
    return expiresUs !== null && expiresUs <= this.#clock.now() * 1000;
  }

  removeOf(kind: TokenRow['kind'], subject: string): void {
    for (const row of this.of(kind, subject)) this.remove(row.keyId);
  }

  of(kind: TokenRow['kind'], subject: string): TokenRow[] {
    if (kind === 'device') return [...(this.#ofDevice.get(subject) ?? [])].map((keyId) => this.#rows.get(keyId)!);
    return [...this.#rows.values()].filter((row) => row.kind === kind && row.subject === subject);
  }

  has(kind: TokenRow['kind']): boolean {
    for (const row of this.#rows.values()) if (row.kind === kind) return true;
    return false;
  }

  /** Whose token this is; null: no token of ours, unknown, revoked, or expired. */
  verify(text: string): TokenRow | null {
    const parts = TOKEN.exec(text);
    if (parts === null) return null;
    const row = this.#rows.get(parts[1]!);
    if (row === undefined || this.isExpired(row)) return null;
    return timingSafeEqual(hashSecret(parts[2]!), row.hash) ? row : null;
  }
}
