import type { Clock, Timer } from '#hub/clock.js';

interface Deadline<T> {
  readonly dueMs: number;
  readonly item: T;
}

/** Node clamps longer timers to 1 ms; a day is near enough to look again. */
const LONGEST_MS = 24 * 3600_000;

/** Many far deadlines on one timer: a binary heap by due time. An item that no longer needs its deadline is simply ignored when it comes. */
export class Deadlines<T> {
  readonly #clock: Clock;
  readonly #due: (item: T) => void;
  readonly #heap: Deadline<T>[] = [];
  #timer: Timer | null = null;

  constructor(clock: Clock, due: (item: T) => void) {
    this.#clock = clock;
    this.#due = due;
  }

  /** Never early; `inMs` at or below 0 comes with the next timer. */
  add(inMs: number, item: T): void {
    const entry = { dueMs: this.#clock.monotonic() + Math.max(0, inMs), item };
    this.#heap.push(entry);
    this.#up(this.#heap.length - 1);
    if (this.#heap[0] === entry) this.#arm();
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#heap.length = 0;
  }

  #arm(): void {
    this.#timer?.cancel();
    const first = this.#heap[0];
    if (first === undefined) return;
    const inMs = Math.min(Math.max(0, Math.ceil(first.dueMs - this.#clock.monotonic())), LONGEST_MS);
    this.#timer = this.#clock.after(inMs, () => this.#run());
  }

  #run(): void {
    const now = this.#clock.monotonic();
    for (let first = this.#heap[0]; first !== undefined && first.dueMs <= now; first = this.#heap[0]) {
      const last = this.#heap.pop()!;
      if (this.#heap.length > 0) {
        this.#heap[0] = last;
        this.#down(0);
      }
      this.#due(first.item);
    }
    this.#arm();
  }

  #up(index: number): void {
    for (let i = index; i > 0;) {
      const parent = (i - 1) >>> 1;
      if (this.#heap[parent]!.dueMs <= this.#heap[i]!.dueMs) return;
      this.#swap(i, parent);
      i = parent;
    }
  }

  #down(index: number): void {
    for (let i = index; ;) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < this.#heap.length && this.#heap[child]!.dueMs < this.#heap[least]!.dueMs) least = child;
      }
      if (least === i) return;
      this.#swap(i, least);
      i = least;
    }
  }

  #swap(a: number, b: number): void {
    const held = this.#heap[a]!;
    this.#heap[a] = this.#heap[b]!;
    this.#heap[b] = held;
  }
}
