import type { Principal } from '#protocols/principal.js';
import type { Will } from '#protocols/subprotocol.js';
import type { Clock, Timer } from '#hub/clock.js';
import type { WillRow } from '#hub/store/port.js';
import type { SessionJournal } from './journal.ts';
import { afterLong } from './long-timer.ts';
import { fromStored, messageBytes, toStored } from './stored-message.ts';

/** A will, and whose it is. */
export interface HeldWill {
  readonly key: string;
  readonly principal: Principal;
  readonly protocol: string;
  readonly will: Will;
}

interface Waiting {
  readonly held: HeldWill;
  /** Null: its connection is open. */
  dueMs: number | null;
  timer: Timer | null;
}

/**
 * Publishes a will. `gone` is called where the message is written, so that both are in one transaction, or as soon as it was refused: until
 * then the will is on disk, after it the message is. Must not throw.
 */
export type PublishWill = (held: HeldWill, gone: () => void) => void;

/**
 * Wills [MQTT-3.1.2-8; MQTT 5.0, 3.1.2.5]: on disk before the CONNACK, published when the connection ends without a goodbye, at
 * once or after the delay, never after a goodbye. The end of the session publishes it at once; the session's next connection before that
 * withdraws it. One for each session key.
 */
export class WillBook {
  readonly #clock: Clock;
  readonly #journal: SessionJournal;
  readonly #publish: PublishWill;
  readonly #waiting = new Map<string, Waiting>();

  constructor(clock: Clock, journal: SessionJournal, publish: PublishWill) {
    this.#clock = clock;
    this.#journal = journal;
    this.#publish = publish;
  }

  /** Wills on disk. */
  get size(): number {
    return this.#waiting.size;
  }

  /** A connection begins with this will. An earlier one of the same key was published or withdrawn before. */
  put(held: HeldWill): void {
    const waiting: Waiting = { held, dueMs: null, timer: null };
    this.#forget(held.key);
    this.#waiting.set(held.key, waiting);
    this.#write(waiting);
  }

  /** A goodbye, or a new connection of the session in time: it is not published. */
  withdraw(key: string): void {
    if (this.#forget(key)) this.#journal.write({ op: 'will.delete', key });
  }

  /** The connection has ended, the session goes on. */
  connectionEnded(key: string): void {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    const { delayS } = waiting.held.will;
    if (delayS === 0) {
      this.sessionEnded(key);
      return;
    }
    waiting.dueMs = this.#clock.now() + delayS * 1000;
    this.#write(waiting);
    this.#wait(waiting, delayS * 1000);
  }

  /** The session is over, and with it the wait. */
  sessionEnded(key: string): void {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    this.#forget(key);
    this.#publish(waiting.held, () => {
      // A newer one has taken its place on disk.
      if (!this.#waiting.has(key)) this.#journal.write({ op: 'will.delete', key });
    });
  }

  /**
   * Wills of an earlier run. Where the connection was open when the hub died, it has ended now. `goesOn`: is there such a session
   * still? Call it when messages can be published.
   */
  restore(rows: readonly WillRow[], goesOn: (key: string) => boolean): void {
    for (const row of rows) {
      const waiting: Waiting = { held: heldOf(row), dueMs: null, timer: null };
      this.#waiting.set(row.key, waiting);
      if (!goesOn(row.key)) this.sessionEnded(row.key);
      else if (row.dueUs === null) this.connectionEnded(row.key);
      else {
        waiting.dueMs = row.dueUs / 1000;
        this.#wait(waiting, waiting.dueMs - this.#clock.now());
      }
    }
  }

  /** Those that wait stay on disk. */
  close(): void {
    for (const key of [...this.#waiting.keys()]) this.#forget(key);
  }

  #wait(waiting: Waiting, ms: number): void {
    waiting.timer = afterLong(this.#clock, Math.max(0, ms), () => this.sessionEnded(waiting.held.key));
  }

  #forget(key: string): boolean {
    this.#waiting.get(key)?.timer?.cancel();
    return this.#waiting.delete(key);
  }

  #write({ held, dueMs }: Waiting): void {
    const { key, principal, protocol, will } = held;
    const message = { ...will.request };
    const row: WillRow = {
      key,
      principalKind: principal.kind,
      principalId: principal.id,
      anonymous: principal.anonymous,
      protocol,
      message: toStored(message, false),
      delayS: will.delayS,
      expiryS: will.expiryS,
      dueUs: dueMs === null ? null : Math.round(dueMs * 1000),
    };
    this.#journal.write({ op: 'will.put', will: row }, messageBytes(message));
  }
}

function heldOf({ key, principalKind, principalId, anonymous, protocol, message, delayS, expiryS }: WillRow): HeldWill {
  const request = fromStored(message);
  const principal = { kind: principalKind, id: principalId, anonymous };
  return { key, principal, protocol, will: { request, delayS, expiryS } };
}
