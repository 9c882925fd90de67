import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { ACCESS_LIMITS } from '../limits.ts';
import { FleetError } from '../port.ts';

/** What one hash costs: 128 · blockSize · 2^logN bytes of memory, and time in proportion to that and to `parallelism`. */
export interface ScryptCost {
  readonly logN: number;
  readonly blockSize: number;
  readonly parallelism: number;
}

/** 32 MiB and some tenths of a second: one of the settings that OWASP's Password Storage Cheat Sheet holds equal. */
export const SCRYPT_COST: ScryptCost = { logN: 15, blockSize: 8, parallelism: 3 };

/** At once: so that guessing leaves threads of the pool for others, and memory. */
const AT_ONCE = 2;
/** Further ones wait; past that many the next is told to come back. */
const MAX_WAITING = 32;
const BUSY_RETRY_MS = 2000;
const KEY_BYTES = 32;
const SALT_BYTES = 16;

/** The PHC string form: `$scrypt$ln=15,r=8,p=3$<salt>$<key>`, both in base64 without padding. */
const STORED = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

const derive = promisify<string, Buffer, number, object, Buffer>(scrypt);

/** Hashes and checks passwords, few at a time. */
export class Passwords {
  readonly #cost: ScryptCost;
  readonly #noSalt: Buffer;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(cost: ScryptCost) {
    this.#cost = cost;
    this.#noSalt = randomBytes(SALT_BYTES);
  }

  /** Rejects with FleetError `slow_down` when too many are asked for at once. */
  async hash(password: string): Promise<string> {
    const { logN, blockSize, parallelism } = this.#cost;
    const salt = randomBytes(SALT_BYTES);
    const key = await this.#key(password, salt, this.#cost);
    return `$scrypt$ln=${logN},r=${blockSize},p=${parallelism}$${base64(salt)}$${base64(key)}`;
  }

  /** `stored` null: as much work, and false. Rejects as `hash` does. */
  async verify(password: string, stored: string | null): Promise<boolean> {
    if (stored === null) {
      await this.#key(password, this.#noSalt, this.#cost);
      return false;
    }
    const parts = STORED.exec(stored);
    if (parts === null) throw new Error('a password hash in the store has an unknown form');
    const [logN, blockSize, parallelism] = parts.slice(1, 4).map(Number) as [number, number, number];
    const key = await this.#key(password, Buffer.from(parts[4]!, 'base64'), { logN, blockSize, parallelism });
    const expected = Buffer.from(parts[5]!, 'base64');
    return key.length === expected.length && timingSafeEqual(key, expected);
  }

  async #key(password: string, salt: Buffer, { logN, blockSize, parallelism }: ScryptCost): Promise<Buffer> {
    await this.#turn();
    try {
      const N = 2 ** logN;
      const maxmem = 256 * N * blockSize;
      // One form for what keyboards send in several (NIST SP 800-63B, 3.1.1.2).
      return await derive(password.normalize('NFKC'), salt, KEY_BYTES, { N, r: blockSize, p: parallelism, maxmem });
    } finally {
      // Its place goes straight to the next, so that nobody slips in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  async #turn(): Promise<void> {
    if (this.#running < AT_ONCE) {
      this.#running++;
      return;
    }
    if (this.#waiting.length >= MAX_WAITING) {
      throw new FleetError('slow_down', 'too many sign-ins at once: try again in a moment', BUSY_RETRY_MS);
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/** Throws FleetError `invalid` with what to do. */
export function checkPassword(password: string): void {
  const { minPasswordLength: min, maxPasswordLength: max } = ACCESS_LIMITS;
  // Characters as people count them, nearly: an emoji is one.
  const { length } = Array.from(password);
  if (length < min || length > max) {
    throw new FleetError('invalid', `a password has ${min} to ${max} characters; this one has ${length}`);
  }
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}
