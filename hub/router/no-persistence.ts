/** What aedes asks of a persistence when it has no clients of its own and is given QoS 0 without RETAIN. */
export interface NoPersistence {
  setup(): Promise<void>;
  streamWill(): Iterable<never>;
}

/**
 * The persistence that keeps nothing. `Aedes.listen` calls `setup` (and insists on an async function), and a timer of
 * it asks for wills. What `publish` would ask at QoS 1 or with RETAIN is left out on purpose: a call of it must fail loudly.
 */
export const noPersistence: NoPersistence = {
  async setup() {
    await Promise.resolve();
  },
  streamWill: () => [],
};
