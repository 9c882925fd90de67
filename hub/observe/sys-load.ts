const MINUTE_S = 60;
/** Minutes over which each average is taken, as the topic names have it. */
const SPANS = [
  { name: '1min', seconds: MINUTE_S },
  { name: '5min', seconds: 5 * MINUTE_S },
  { name: '15min', seconds: 15 * MINUTE_S },
] as const;

/** How fast a counter grows, in units a minute: moving averages over 1, 5 and 15 minutes, as mosquitto computes them. */
export class Load {
  #count = 0;
  readonly #averages = SPANS.map(() => 0);

  /** The counter after `seconds` more, which are above 0. */
  update(count: number, seconds: number): void {
    const perMinute = ((count - this.#count) * MINUTE_S) / seconds;
    this.#count = count;
    for (const [i, span] of SPANS.entries()) {
      this.#averages[i] = perMinute + Math.exp(-seconds / span.seconds) * (this.#averages[i]! - perMinute);
    }
  }

  /** The end of each topic name, and what it says. */
  texts(): (readonly [name: string, text: string])[] {
    return SPANS.map(({ name }, i) => [name, this.#averages[i]!.toFixed(2)] as const);
  }
}
