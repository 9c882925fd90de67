import type { Clock, Timer } from '#hub/clock.js';

/** A clock that moves when told. `advance` runs what falls due, in order of time. */
export class FakeClock implements Clock {
  #now: number;
  #elapsed = 0;
  #entries: { at: number; run: () => void; order: number }[] = [];
  #order = 0;

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now;
  }

  now(): number {
    return this.#now + this.#elapsed;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  after(ms: number, run: () => void): Timer {
    const entry = { at: this.#elapsed + ms, run, order: this.#order++ };
    this.#entries.push(entry);
    return {
      cancel: () => {
        this.#entries = this.#entries.filter((other) => other !== entry);
      },
    };
  }

  advance(ms: number): void {
    const end = this.#elapsed + ms;
    for (;;) {
      const due = this.#entries.filter((e) => e.at <= end).sort((a, b) => a.at - b.at || a.order - b.order)[0];
      if (due === undefined) break;
      this.#entries = this.#entries.filter((e) => e !== due);
      this.#elapsed = Math.max(this.#elapsed, due.at);
      due.run();
    }
    this.#elapsed = end;
  }

  /** The wall clock steps (NTP, a person), the monotonic one does not. */
  step(ms: number): void {
    this.#now += ms;
  }
}
