import type { SessionState } from '../session-state.ts';
import type { Wire } from './wire.ts';

/**
 * How much may be under way to a client: the smaller of its receive maximum [MQTT-3.3.4-9] and the hub's own bound. What
 * was released (PUBREL) counts until its PUBCOMP.
 */
export class Window {
  readonly #wire: Wire;
  readonly #state: SessionState;
  readonly #size: number;
  /** Entries of `inFlight` from an earlier connection that were not sent on this one. */
  carried = 0;

  constructor(wire: Wire, state: SessionState, maxInFlight: number) {
    this.#wire = wire;
    this.#state = state;
    this.#size = Math.min(wire.peer.receiveMaximum, maxInFlight);
  }

  get hasRoom(): boolean {
    return !this.#wire.stopped && this.#state.flying - this.carried < this.#size && !this.#wire.congested;
  }
}
