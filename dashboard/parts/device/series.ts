/**
 * The points of one metric in the order of time, one an instant: the last hour from history, and what the live feed adds.
 * Times are milliseconds since 1970, fractions allowed.
 */
export class Series {
  #times: number[] = [];
  #values: number[] = [];

  get times(): readonly number[] {
    return this.#times;
  }

  get values(): readonly number[] {
    return this.#values;
  }

  /** A value of the feed. Older than the last one: it was told already, and false. The same instant: the later word counts. */
  append(timeMs: number, value: number): boolean {
    const last = this.#times.length - 1;
    const lastMs = this.#times[last];
    if (lastMs !== undefined && timeMs < lastMs) return false;
    if (timeMs === lastMs) {
      if (this.#values[last] === value) return false;
      this.#values[last] = value;
      return true;
    }
    this.#times.push(timeMs);
    this.#values.push(value);
    return true;
  }

  /** Takes history, ascending in time, in the place of what is here up to its end; what came live after that stays. */
  replaceWith(times: readonly number[], values: readonly number[]): void {
    const endMs = times.at(-1);
    if (endMs === undefined) return;
    const keptFrom = firstAfter(this.#times, endMs);
    const [liveTimes, liveValues] = [this.#times.slice(keptFrom), this.#values.slice(keptFrom)];
    this.#times = [];
    this.#values = [];
    for (let i = 0; i < times.length; i++) this.append(times[i]!, values[i]!);
    for (let i = 0; i < liveTimes.length; i++) this.append(liveTimes[i]!, liveValues[i]!);
  }

  /** Forgets what is older, save the last such point: the line comes in from there. Only now and then, as it moves the rest. */
  trim(beforeMs: number): void {
    const old = firstAtOrAfter(this.#times, beforeMs) - 1;
    if (old < 64 || old * 4 < this.#times.length) return;
    this.#times.splice(0, old);
    this.#values.splice(0, old);
  }
}

/** Index of the first time ≥ `ms`; the length when there is none. */
export function firstAtOrAfter(times: readonly number[], ms: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

function firstAfter(times: readonly number[], ms: number): number {
  let at = firstAtOrAfter(times, ms);
  while (times[at] === ms) at++;
  return at;
}
