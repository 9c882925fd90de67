import type { CloseReason } from '#protocols/close-reasons.js';
import type { Clock } from '#hub/clock.js';
import { Deadline, type Wheel } from './wheel.ts';

export interface LivenessOptions {
  readonly identifyTimeoutMs: number;
  readonly pingIntervalMs: number;
  readonly pongTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly pauseLimitMs: number;
  readonly slowConsumerTimeoutMs: number;
}

export interface LivenessOwner {
  /** Bytes that the socket has brought so far, of whatever kind. */
  readonly bytesRead: number;
  ping(): void;
  beat(): void;
  /** The connection is to end. Called at most once. */
  expired(reason: CloseReason): void;
}

interface Rule {
  readonly expectMs: number;
  readonly sendMs: number;
  readonly reason: CloseReason;
}

const NEVER = Infinity;
const NO_RULE: Rule = { expectMs: 0, sendMs: 0, reason: 'idle_timeout' };

/**
 * Is the peer alive? For the transport any byte counts: a WebSocket ping at each interval, a byte of any kind before
 * the time-out. Above it the rule that the session agreed on, which counts what the session calls `heard` for: a dead
 * client's library may still answer pings. Time in which the socket is paused counts for none of them, since neither
 * pongs nor messages can be seen then; it has a limit of its own.
 */
export class Liveness {
  readonly #owner: LivenessOwner;
  readonly #wheel: Wheel;
  readonly #clock: Clock;
  readonly #options: LivenessOptions;
  readonly #deadline = new Deadline(() => this.#check());
  #rule = NO_RULE;
  #identifyDueMs: number;
  #heardMs: number;
  #sentMs: number;
  #pingDueMs: number;
  #pongDueMs = NEVER;
  #bytesAtPing = 0;
  #pausedMs = -1;
  #congestedMs = -1;
  #ended = false;

  /** `pings`: the transport has them. `spread`: 0 to 1, the place of the first ping in its interval, so that pings of many connections are not in step. */
  constructor(
    owner: LivenessOwner,
    wheel: Wheel,
    clock: Clock,
    options: LivenessOptions,
    identifies: boolean,
    pings: boolean,
    spread: number,
  ) {
    this.#owner = owner;
    this.#wheel = wheel;
    this.#clock = clock;
    this.#options = options;
    const now = clock.monotonic();
    this.#heardMs = now;
    this.#sentMs = now;
    this.#identifyDueMs = identifies ? now + options.identifyTimeoutMs : NEVER;
    this.#pingDueMs = pings ? now + options.pingIntervalMs * (0.5 + spread / 2) : NEVER;
    this.#arm();
  }

  /** Hot path. */
  heard(): void {
    this.#heardMs = this.#clock.monotonic();
  }

  /** Something was written to the peer. */
  sent(): void {
    this.#sentMs = this.#clock.monotonic();
  }

  identified(): void {
    this.#identifyDueMs = NEVER;
    this.#heardMs = this.#clock.monotonic();
    this.#arm();
  }

  agree(rule: Rule): void {
    this.#rule = rule;
    this.#heardMs = this.#clock.monotonic();
    this.#sentMs = this.#heardMs;
    this.#arm();
  }

  paused(): void {
    if (this.#pausedMs >= 0) return;
    this.#pausedMs = this.#clock.monotonic();
    this.#arm();
  }

  resumed(): void {
    if (this.#pausedMs < 0) return;
    const pausedForMs = this.#clock.monotonic() - this.#pausedMs;
    this.#pausedMs = -1;
    this.#heardMs += pausedForMs;
    this.#identifyDueMs += pausedForMs;
    this.#pongDueMs += pausedForMs;
    this.#arm();
  }

  /** The peer does not read fast enough, or does again. */
  congested(is: boolean): void {
    if (is === this.#congestedMs >= 0) return;
    this.#congestedMs = is ? this.#clock.monotonic() : -1;
    this.#arm();
  }

  stop(): void {
    this.#ended = true;
    this.#wheel.cancel(this.#deadline);
  }

  #arm(): void {
    if (this.#ended) return;
    const nextMs = this.#nextMs();
    // Without pings, a session that agreed on nothing and may idle has nothing to wait for.
    if (nextMs === NEVER) this.#wheel.cancel(this.#deadline);
    else this.#wheel.schedule(this.#deadline, nextMs);
  }

  #nextMs(): number {
    const next = Math.min(this.#beatDueMs(), this.#slowDueMs(), this.#pingDueMs);
    if (this.#pausedMs >= 0) return Math.min(next, this.#pausedMs + this.#options.pauseLimitMs);
    return Math.min(next, this.#identifyDueMs, this.#pongDueMs, this.#silenceDueMs());
  }

  #beatDueMs(): number {
    return this.#rule.sendMs > 0 ? this.#sentMs + this.#rule.sendMs : NEVER;
  }

  #slowDueMs(): number {
    return this.#congestedMs < 0 ? NEVER : this.#congestedMs + this.#options.slowConsumerTimeoutMs;
  }

  #silenceDueMs(): number {
    if (this.#rule.expectMs > 0) return this.#heardMs + this.#rule.expectMs;
    const { idleTimeoutMs } = this.#options;
    return this.#identifyDueMs === NEVER && idleTimeoutMs > 0 ? this.#heardMs + idleTimeoutMs : NEVER;
  }

  #check(): void {
    const now = this.#clock.monotonic();
    const ended = this.#verdict(now);
    if (ended !== null) {
      this.#ended = true;
      this.#owner.expired(ended);
      return;
    }
    if (now >= this.#beatDueMs()) {
      this.#sentMs = now;
      this.#owner.beat();
    }
    // While paused, a pong could not have been seen: its deadline waits.
    if (this.#pausedMs < 0 && now >= this.#pongDueMs) this.#pongDueMs = NEVER;
    if (now >= this.#pingDueMs) this.#ping(now);
    this.#arm();
  }

  #verdict(now: number): CloseReason | null {
    if (now >= this.#slowDueMs()) return 'slow_consumer';
    if (this.#pausedMs >= 0) return now >= this.#pausedMs + this.#options.pauseLimitMs ? 'overloaded' : null;
    if (now >= this.#identifyDueMs) return 'identify_timeout';
    if (now >= this.#pongDueMs && this.#owner.bytesRead === this.#bytesAtPing) return 'ping_timeout';
    if (now >= this.#silenceDueMs()) return this.#rule.expectMs > 0 ? this.#rule.reason : 'idle_timeout';
    return null;
  }

  #ping(now: number): void {
    this.#pingDueMs = now + this.#options.pingIntervalMs;
    if (this.#pausedMs >= 0 || this.#pongDueMs !== NEVER) return;
    this.#bytesAtPing = this.#owner.bytesRead;
    this.#pongDueMs = now + this.#options.pongTimeoutMs;
    this.#owner.ping();
  }
}
