import type { CliIo } from './io.ts';

/** npm forwards Ctrl-C to a program that has heard it from the terminal already; so close together they are one. */
const SAME_SIGNAL_MS = 500;

/** `signal` is aborted at the first SIGINT or SIGTERM; a further one ends the process at once with 130. */
export function stopSignal(io: CliIo): { readonly signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  let firstMs = 0;
  const heard = (): void => {
    if (!controller.signal.aborted) {
      firstMs = io.monotonic();
      controller.abort();
    } else if (io.monotonic() - firstMs > SAME_SIGNAL_MS) {
      io.exit(130);
    }
  };
  io.signals.on('SIGINT', heard);
  io.signals.on('SIGTERM', heard);
  return {
    signal: controller.signal,
    dispose() {
      io.signals.off('SIGINT', heard);
      io.signals.off('SIGTERM', heard);
    },
  };
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
