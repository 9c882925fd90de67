/** What was scheduled; `cancel` keeps it from running. */
export interface Due {
  cancel(): void;
}

interface Entry {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | null;
}

/**
 * Everything the fleet does later, in one heap that one timer drives: 5,000 devices cost no 5,000 timers.
 * Knows no clock: whoever drives it says what time it is, in milliseconds from any start, never going back.
 */
export class Schedule {
  readonly #heap: Entry[] = [];
  #order = 0;

  /** Runs at the first `advance` with `nowMs` ≥ `atMs`; equal times in the order of the calls. */
  at(atMs: number, run: () => void): Due {
    const entry: Entry = { atMs, order: this.#order++, run };
    this.#push(entry);
    return {
      cancel: () => {
        entry.run = null;
      },
    };
  }

  /** Runs what is due. What it schedules for the same time or earlier runs as well. */
  advance(nowMs: number): void {
    while (this.#heap.length > 0 && this.#heap[0]!.atMs <= nowMs) {
      const run = this.#pop().run;
      run?.();
    }
  }

  get size(): number {
    return this.#heap.length;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(entry, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = entry;
  }

  #pop(): Entry {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return first;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
