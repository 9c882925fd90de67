import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { TokenRow } from '#hub/store/port.js';

/** `mst_<keyId>_<secret>`: key id 16 hex digits, secret 32 random bytes in base64url. Only the secret's SHA-256 is kept. */
const TOKEN = /^mst_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;

export interface Minted {
  /** The whole token: shown once, then known to its holder alone. */
  readonly token: string;
  readonly row: TokenRow;
}

export function mintToken(kind: TokenRow['kind'], subject: string, createdUs: number): Minted {
  const keyId = randomBytes(8).toString('hex');
  const secret = randomBytes(32).toString('base64url');
  return {
    token: `mst_${keyId}_${secret}`,
    row: { keyId, hash: hashSecret(secret), kind, subject, createdUs },
  };
}

/** Random 32-byte secrets need no slow hash; thousands of devices reconnect at once. */
function hashSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** All valid tokens, by key id. */
export class TokenBook {
  readonly #rows = new Map<string, TokenRow>();

  add(row: TokenRow): void {
    this.#rows.set(row.keyId, row);
  }

  remove(keyId: string): boolean {
    return this.#rows.delete(keyId);
  }

  removeOf(kind: TokenRow['kind'], subject: string): void {
    for (const row of this.of(kind, subject)) this.#rows.delete(row.keyId);
  }

  of(kind: TokenRow['kind'], subject: string): TokenRow[] {
    return [...this.#rows.values()].filter((row) => row.kind === kind && row.subject === subject);
  }

  has(kind: TokenRow['kind']): boolean {
    for (const row of this.#rows.values()) if (row.kind === kind) return true;
    return false;
  }

  /** Whose token this is; null: no token of ours, unknown, or revoked. */
  verify(text: string): TokenRow | null {
    const parts = TOKEN.exec(text);
    if (parts === null) return null;
    const row = this.#rows.get(parts[1]!);
    if (row === undefined) return null;
    return timingSafeEqual(hashSecret(parts[2]!), row.hash) ? row : null;
  }
}
