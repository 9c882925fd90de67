import type { Clock } from '#hub/clock.js';

/** A connection, as far as pausing goes. */
export interface Pausable {
  pause(why: 'backlog'): void;
  resume(why: 'backlog'): void;
}

export interface Pressure {
  /** True: who sends now has to wait. */
  readonly high: boolean;
  /** True: they may go on. Between the two nothing changes. */
  readonly low: boolean;
}

const LOOK_MS = 10;

/** Pauses the sockets that fill the store's or the router's backlog, and resumes them all when it has fallen. */
export class BacklogGate {
  readonly #clock: Clock;
  readonly #pressure: Pressure;
  readonly #held = new Set<Pausable>();
  #looking = false;

  constructor(clock: Clock, pressure: Pressure) {
    this.#clock = clock;
    this.#pressure = pressure;
  }

  /** Called after each message: cheap while nothing is wrong. Tells whether the connection is held now. */
  check(connection: Pausable): boolean {
    if (this.#held.has(connection)) return true;
    if (!this.#pressure.high) return false;
    this.#held.add(connection);
    connection.pause('backlog');
    if (!this.#looking) this.#lookLater();
    return true;
  }

  forget(connection: Pausable): void {
    this.#held.delete(connection);
  }

  get held(): number {
    return this.#held.size;
  }

  #lookLater(): void {
    this.#looking = true;
    this.#clock.after(LOOK_MS, () => this.#look());
  }

  #look(): void {
    this.#looking = false;
    if (this.#held.size === 0) return;
    if (this.#pressure.low) {
      const held = [...this.#held];
      this.#held.clear();
      for (const connection of held) connection.resume('backlog');
      return;
    }
    this.#lookLater();
  }
}
