/** Listeners by name. One that throws is the program's own fault, and is told to it as any uncaught error is. */
export class Emitter<Events extends { [N in keyof Events]: unknown[] }> {
  readonly #listeners = new Map<keyof Events, Set<(...args: never) => void>>();

  /** The function that it returns takes the listener away. */
  on<N extends keyof Events>(name: N, listener: (...args: Events[N]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  emit<N extends keyof Events>(name: N, ...args: Events[N]): void {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        (listener as (...args: Events[N]) => void)(...args);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
