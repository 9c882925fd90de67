import { createHash } from 'node:crypto';
import type { Request } from 'express';
import type { Clock } from '#hub/clock.js';
import { Problem } from './problems.ts';
import type { Reply } from './route.ts';

export interface IdempotencyLimits {
  /** How long an answer is remembered. */
  readonly idempotencyMs: number;
  /** Keys of one caller; the oldest goes first. */
  readonly idempotencyKeysPerCaller: number;
  /** Text of all remembered answers together; the oldest go first. */
  readonly idempotencyBytes: number;
}

interface Remembered {
  readonly caller: string;
  readonly fingerprint: string;
  readonly reply: Promise<Reply>;
  readonly untilMs: number;
  bytes: number;
}

/** What an entry costs beside the text of its answer, roughly. */
const ENTRY_BYTES = 512;

/**
 * `Idempotency-Key`: a request that is sent again, because its answer was lost, gets the answer of the first time, and
 * nothing is done twice. In memory: after a restart of the hub, a key is new again. Failures are not remembered, for they
 * changed nothing.
 */
export class IdempotentReplies {
  readonly #clock: Clock;
  readonly #limits: IdempotencyLimits;
  /** By caller and key, oldest first. */
  readonly #entries = new Map<string, Remembered>();
  readonly #perCaller = new Map<string, number>();
  #bytes = 0;

  constructor(clock: Clock, limits: IdempotencyLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /**
   * The answer of `run`, or the one that an equal request of this caller had, with the header `Idempotency-Replayed: true`.
   * A request that comes while the first is under way waits for it. Rejects with Problem `key_reused` when the key stands
   * for another `request`, and as `run` does.
   */
  async once(caller: string, key: string, request: unknown, run: () => Promise<Reply>): Promise<Reply> {
    this.#forgetOld();
    const fingerprint = createHash('sha256').update(JSON.stringify(request)).digest('base64');
    const id = `${caller}\n${key}`;
    const known = this.#entries.get(id);
    if (known !== undefined) {
      if (known.fingerprint !== fingerprint) {
        throw new Problem(
          'key_reused',
          'this Idempotency-Key came with another request: make a new key for each command',
        );
      }
      const reply = await known.reply;
      return { ...reply, headers: { ...reply.headers, 'idempotency-replayed': 'true' } };
    }
    const entry = this.#add(id, caller, fingerprint, run());
    try {
      const reply = await entry.reply;
      if (this.#entries.get(id) === entry) this.#resize(entry, JSON.stringify(reply).length);
      return reply;
    } catch (error) {
      if (this.#entries.get(id) === entry) this.#remove(id, entry);
      throw error;
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  #add(id: string, caller: string, fingerprint: string, reply: Promise<Reply>): Remembered {
    const untilMs = this.#clock.monotonic() + this.#limits.idempotencyMs;
    const entry: Remembered = { caller, fingerprint, reply, untilMs, bytes: 0 };
    const count = this.#perCaller.get(caller) ?? 0;
    if (count >= this.#limits.idempotencyKeysPerCaller) this.#removeOldestOf(caller);
    this.#entries.set(id, entry);
    this.#perCaller.set(caller, (this.#perCaller.get(caller) ?? 0) + 1);
    this.#resize(entry, 0);
    return entry;
  }

  #resize(entry: Remembered, textBytes: number): void {
    const bytes = ENTRY_BYTES + textBytes;
    this.#bytes += bytes - entry.bytes;
    entry.bytes = bytes;
    for (const [id, oldest] of this.#entries) {
      if (this.#bytes <= this.#limits.idempotencyBytes) return;
      this.#remove(id, oldest);
    }
  }

  #forgetOld(): void {
    const nowMs = this.#clock.monotonic();
    for (const [id, oldest] of this.#entries) {
      if (oldest.untilMs > nowMs) return;
      this.#remove(id, oldest);
    }
  }

  #removeOldestOf(caller: string): void {
    for (const [id, entry] of this.#entries) {
      if (entry.caller !== caller) continue;
      this.#remove(id, entry);
      return;
    }
  }

  #remove(id: string, entry: Remembered): void {
    this.#entries.delete(id);
    this.#bytes -= entry.bytes;
    const left = this.#perCaller.get(entry.caller)! - 1;
    if (left === 0) this.#perCaller.delete(entry.caller);
    else this.#perCaller.set(entry.caller, left);
  }
}

/** The key of a request; null: it has none. Throws Problem `invalid`. */
export function idempotencyKey(req: Request): string | null {
  const key = req.get('idempotency-key');
  if (key === undefined) return null;
  if (/^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw new Problem('invalid', 'the Idempotency-Key header has 1 to 255 printable characters, such as a UUID');
}
