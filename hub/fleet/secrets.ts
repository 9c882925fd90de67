import { createHash, randomBytes } from 'node:crypto';

/** 32 random bytes in base64url. */
const SECRET = /^[A-Za-z0-9_-]{43}$/;

export function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** Random 32-byte secrets need no slow hash, and a look-up by their hash tells nothing by its time. Null: it has not the form of one. */
export function hashOfSecret(secret: string): Buffer | null {
  return SECRET.test(secret) ? createHash('sha256').update(secret).digest() : null;
}
