import { MessageRate } from '../rate.ts';

/** How often each device comes. Requests, unlike what a socket brings, can be refused and sent again later. */
export class DeviceRates {
  readonly #perSecond: number;
  readonly #most: number;
  readonly #rates = new Map<string, MessageRate>();

  /** `perSecond` 0: no limit. */
  constructor(perSecond: number, most: number) {
    this.#perSecond = perSecond;
    this.#most = most;
  }

  /** Counts a request of this device if it is within its rate, and then says 0; else the milliseconds until one would be. */
  ask(device: string, nowMs: number): number {
    if (this.#perSecond === 0) return 0;
    let rate = this.#rates.get(device);
    if (rate === undefined) {
      if (this.#rates.size >= this.#most) this.#rates.delete(this.#rates.keys().next().value!);
      rate = new MessageRate(this.#perSecond, nowMs);
      this.#rates.set(device, rate);
    }
    return rate.ask(nowMs);
  }
}
