import { signal, type ReadonlySignal } from '@preact/signals';
import type { FleetDevice } from '../../fleet-state.ts';

/** Between two orders that nobody asked for. */
export const ORDER_MS = 1000;

export interface OrderOptions {
  /** The devices as they should stand now. */
  readonly make: () => FleetDevice[];
  /** Runs once after `ms`; the answer takes it back. */
  readonly after: (ms: number, run: () => void) => () => void;
}

/**
 * In which order the table stands. What the reader asks for (filter, sort) counts at once; what the fleet does by itself is
 * gathered and changes the order at most once a second, and not while the table is held: no row leaves from under a pointer.
 */
export class Order {
  readonly #options: OrderOptions;
  readonly #devices = signal<readonly FleetDevice[]>([]);
  readonly #isStale = signal(false);
  #isHeld = false;
  #cancel: (() => void) | null = null;

  constructor(options: OrderOptions) {
    this.#options = options;
  }

  get devices(): ReadonlySignal<readonly FleetDevice[]> {
    return this.#devices;
  }

  /** A newer order waits, as the table is held. */
  get isWaiting(): ReadonlySignal<boolean> {
    return this.#isStale;
  }

  /** The reader asked for it. */
  renew(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#isStale.value = false;
    this.#devices.value = this.#options.make();
  }

  /** The fleet has changed. */
  changed(): void {
    this.#cancel ??= this.#options.after(ORDER_MS, () => {
      this.#cancel = null;
      this.#settle();
    });
  }

  /** Nothing moves until `hold(false)`. */
  hold(isHeld: boolean): void {
    if (this.#isHeld === isHeld) return;
    this.#isHeld = isHeld;
    if (!isHeld && this.#isStale.value) this.renew();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  #settle(): void {
    const next = this.#options.make();
    const isSame = same(next, this.#devices.value);
    this.#isStale.value = this.#isHeld && !isSame;
    if (!this.#isHeld && !isSame) this.#devices.value = next;
  }
}

function same(a: readonly FleetDevice[], b: readonly FleetDevice[]): boolean {
  return a.length === b.length && a.every((device, i) => device === b[i]);
}
