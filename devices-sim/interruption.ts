/** Ends a run early: the caller's signal, or else Ctrl-C. `dispose` takes the handlers away again. */
export interface Interruption {
  readonly signal: AbortSignal;
  dispose(): void;
}

/** Without a signal of the caller: the first SIGINT or SIGTERM ends the run in order, the second one ends the process. */
export function interruption(given: AbortSignal | undefined): Interruption {
  if (given !== undefined) return { signal: given, dispose: () => undefined };
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    dispose: () => {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}

/** Timers take at most 2^31 − 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Resolves after `ms` (Infinity: never by itself) or when the signal is aborted, whichever comes first. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  let left = ms;
  while (left > 0 && !signal.aborted) {
    const part = Math.min(left, MAX_TIMER_MS);
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, part);
      signal.addEventListener('abort', done);
    });
    left -= part;
  }
}
