/** Time as the hub sees it; tests use `test/support/fake-clock.ts`. */
export interface Clock {
  /** Milliseconds since 1970, as the machine's wall clock has it: it may step. */
  now(): number;
  /** Milliseconds from an arbitrary start, never going back: for every deadline and interval. */
  monotonic(): number;
  /** Calls `run` after `ms` milliseconds at the earliest. Does not keep the process alive. */
  after(ms: number, run: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
