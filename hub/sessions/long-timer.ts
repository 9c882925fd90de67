import type { Clock, Timer } from '#hub/clock.js';

/** Node fires timers past 2^31 ms at once: a long wait is made of hours. */
const LONGEST_MS = 3_600_000;

/** As `clock.after`, for any length of time. */
export function afterLong(clock: Clock, ms: number, run: () => void): Timer {
  const endMs = clock.monotonic() + ms;
  let timer: Timer;
  const wait = (): void => {
    const leftMs = endMs - clock.monotonic();
    timer = clock.after(Math.max(0, Math.min(leftMs, LONGEST_MS)), leftMs <= LONGEST_MS ? run : wait);
  };
  wait();
  return { cancel: () => timer.cancel() };
}
