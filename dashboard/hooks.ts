import { useEffect } from 'preact/hooks';
import type { LiveKinds } from './live.ts';
import { live } from './session.ts';

/** Listens to the live feed while the part is shown. `listener` must not change with each rendering, or be told in `inputs`. */
export function useLive<K extends keyof LiveKinds>(
  kind: K,
  listener: (data: LiveKinds[K]) => void,
  inputs: readonly unknown[],
): void {
  useEffect(() => live.on(kind, listener), inputs);
}

/** What the page shows of the fleet: ids of devices, or null for all. Stands before `useLoad`. */
export function useWatch(devices: readonly string[] | null): void {
  useEffect(() => live.watch(devices), [devices?.join(',')]);
}

/**
 * Runs `load` when the part is first shown, and whenever changes are missing. The first time waits for the feed to stand, so
 * that nothing falls between the state and its changes. `load` gets a signal that aborts it when it is out of date.
 */
export function useLoad(load: (signal: AbortSignal) => Promise<void>, inputs: readonly unknown[]): void {
  useEffect(() => {
    let current: AbortController | null = null;
    const run = (): void => {
      current?.abort();
      const mine = (current = new AbortController());
      load(mine.signal).catch((error: unknown) => {
        if (!mine.signal.aborted) console.error(error);
      });
    };
    const off = live.on('reload', run);
    if (live.status.value.state !== 'connecting') run();
    return () => {
      off();
      current?.abort();
    };
  }, inputs);
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Muster`;
  }, [title]);
}
