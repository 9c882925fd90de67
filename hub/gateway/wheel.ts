import type { Clock, Timer } from '#hub/clock.js';

/** Lists of the wheel; a deadline further ahead than these many ticks is passed over once each turn. A power of two. */
const SLOTS = 512;
/** A turn that comes later than this: the event loop stood still, the machine perhaps too. Well below every time-out of the hub. */
const BLOCKED_MS = 1000;
/** Long enough for one round of the event loop: it reads all sockets that have something. */
const READ_FIRST_MS = 1;

/** A deadline that a wheel can hold: one object for as long as its owner lives, scheduled and cancelled as often as needed. */
export class Deadline {
  /** @internal Neighbours in the list of its slot; null: not scheduled. */
  before: Deadline | null = null;
  /** @internal */
  after: Deadline | null = null;
  /** @internal */
  tick = 0;
  /** @internal */
  readonly run: () => void;

  constructor(run: () => void) {
    this.run = run;
  }

  get scheduled(): boolean {
    return this.before !== null;
  }
}

/**
 * One timer for the deadlines of all connections: lists by tick, so that scheduling and cancelling cost the same
 * however many there are.
 *
 * A deadline never runs early and at most one tick late. Later when the event loop was blocked, then once: after a long
 * block the sockets are read first, since what living peers have sent waits there, and may put the deadline off.
 * Time is `Clock.monotonic`: steps of the wall clock change nothing. While nothing is scheduled there is no timer.
 */
export class Wheel {
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #onError: (error: unknown) => void;
  /** Each is a ring around a deadline that never runs. */
  readonly #slots: readonly Deadline[] = Array.from({ length: SLOTS }, ring);
  /** Taken from the slots and about to run. */
  readonly #due = ring();
  #lastTick = 0;
  #size = 0;
  #readingFirst = false;
  #timer: Timer | null = null;

  /** `onError`: a deadline threw; the others run all the same. */
  constructor(clock: Clock, tickMs: number, onError: (error: unknown) => void) {
    if (!(tickMs > 0)) throw new RangeError('tickMs must be above 0');
    this.#clock = clock;
    this.#tickMs = tickMs;
    this.#onError = onError;
  }

  /** Deadlines that are scheduled. */
  get size(): number {
    return this.#size;
  }

  /** Runs `deadline` at `dueMs` (in `Clock.monotonic` time), in place of an earlier time. What is past runs at the next tick. */
  schedule(deadline: Deadline, dueMs: number): void {
    if (!Number.isFinite(dueMs)) throw new RangeError('a deadline needs a finite time');
    this.cancel(deadline);
    // Nothing was looked at while there was nothing to look at.
    if (this.#timer === null) this.#lastTick = this.#currentTick();
    deadline.tick = Math.max(Math.ceil(dueMs / this.#tickMs), this.#lastTick + 1);
    append(this.#slots[deadline.tick & (SLOTS - 1)]!, deadline);
    this.#size++;
    this.#arm();
  }

  /** Does nothing when it is not scheduled. */
  cancel(deadline: Deadline): void {
    if (deadline.before === null) return;
    unlink(deadline);
    this.#size--;
  }

  /** Cancels everything. */
  close(): void {
    for (const slot of [...this.#slots, this.#due]) {
      while (slot.after !== slot) this.cancel(slot.after!);
    }
    this.#timer?.cancel();
    this.#timer = null;
    this.#readingFirst = false;
  }

  #currentTick(): number {
    return Math.floor(this.#clock.monotonic() / this.#tickMs);
  }

  #arm(): void {
    if (this.#timer !== null) return;
    const nextMs = (this.#lastTick + 1) * this.#tickMs;
    // Timers may come a little early; then nothing is due yet and the rest is waited for.
    this.#timer = this.#clock.after(Math.max(1, nextMs - this.#clock.monotonic()), () => this.#turn());
  }

  #turn(): void {
    const current = this.#currentTick();
    if (!this.#readingFirst && (current - this.#lastTick) * this.#tickMs > BLOCKED_MS) {
      this.#readingFirst = true;
      this.#timer = this.#clock.after(READ_FIRST_MS, () => this.#turn());
      return;
    }
    this.#readingFirst = false;
    this.#collect(current);
    this.#lastTick = Math.max(this.#lastTick, current);
    for (let next = this.#due.after!; next !== this.#due; next = this.#due.after!) {
      this.cancel(next);
      try {
        next.run();
      } catch (error) {
        this.#onError(error);
      }
    }
    this.#timer = null;
    if (this.#size > 0) this.#arm();
  }

  /** Moves what is due into `#due`, in order of time (after a block of more than a turn of the wheel: each slot once). */
  #collect(current: number): void {
    const end = Math.min(current, this.#lastTick + SLOTS);
    for (let tick = this.#lastTick + 1; tick <= end; tick++) {
      const slot = this.#slots[tick & (SLOTS - 1)]!;
      for (let deadline = slot.after!; deadline !== slot;) {
        const following = deadline.after!;
        if (deadline.tick <= current) {
          unlink(deadline);
          append(this.#due, deadline);
        }
        deadline = following;
      }
    }
  }
}

function ring(): Deadline {
  const head = new Deadline(() => undefined);
  head.before = head;
  head.after = head;
  return head;
}

function append(head: Deadline, deadline: Deadline): void {
  const last = head.before!;
  deadline.before = last;
  deadline.after = head;
  last.after = deadline;
  head.before = deadline;
}

function unlink(deadline: Deadline): void {
  deadline.before!.after = deadline.after;
  deadline.after!.before = deadline.before;
  deadline.before = null;
  deadline.after = null;
}
