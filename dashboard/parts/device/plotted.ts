import { firstAtOrAfter, type Series } from './series.ts';

/** What a chart draws, and what its caption says. */
export interface Plotted {
  readonly times: number[];
  /** Null: the line is broken here. */
  readonly values: (number | null)[];
  /** Of the points within the window; null: there is none. */
  readonly least: number | null;
  readonly greatest: number | null;
  readonly count: number;
}

/** A pause this many times the usual one is a hole, not a line. */
const GAP_FACTOR = 5;
/** Shorter pauses are never a hole. */
const SHORTEST_GAP_MS = 10_000;
/** Pauses that are looked at to know the usual one. */
const SAMPLE = 200;

/**
 * The points from `fromMs` to `toMs` for a chart of `width` columns. Of more points than two a column, each column keeps its
 * least and its greatest, in their order, so that no spike is lost. Where a device was silent for long the line is broken: it
 * says nothing of a time in which nothing was measured.
 */
export function plotted(
  series: Series,
  { fromMs, toMs, width }: { fromMs: number; toMs: number; width: number },
): Plotted {
  const { times, values } = series;
  const first = firstAtOrAfter(times, fromMs);
  const end = firstAtOrAfter(times, toMs + 1);
  const bounds = boundsOf(values, first, end);
  // One more on the left: the line comes in from there.
  const begin = Math.max(0, first - 1);
  const gapMs = longestPause(times, begin, end);
  const drawn: Drawn = { times: [], values: [], gapMs };
  if (end - begin <= 2 * width) for (let i = begin; i < end; i++) draw(drawn, times[i]!, values[i]!);
  else drawColumns(drawn, series, { begin, end, fromMs, columnMs: (toMs - fromMs) / width });
  return { times: drawn.times, values: drawn.values, ...bounds, count: end - first };
}

interface Drawn {
  readonly times: number[];
  readonly values: (number | null)[];
  readonly gapMs: number;
}

function draw({ times, values, gapMs }: Drawn, timeMs: number, value: number): void {
  const lastMs = times.at(-1);
  if (lastMs !== undefined && timeMs - lastMs > gapMs) {
    times.push((lastMs + timeMs) / 2);
    values.push(null);
  }
  times.push(timeMs);
  values.push(value);
}

function drawColumns(
  drawn: Drawn,
  { times, values }: Series,
  { begin, end, fromMs, columnMs }: { begin: number; end: number; fromMs: number; columnMs: number },
): void {
  const columnOf = (i: number): number => Math.floor((times[i]! - fromMs) / columnMs);
  for (let i = begin; i < end;) {
    const column = columnOf(i);
    let [least, greatest] = [i, i];
    for (i++; i < end && columnOf(i) === column; i++) {
      if (values[i]! < values[least]!) least = i;
      if (values[i]! > values[greatest]!) greatest = i;
    }
    const [one, other] = least < greatest ? [least, greatest] : [greatest, least];
    draw(drawn, times[one]!, values[one]!);
    if (other !== one) draw(drawn, times[other]!, values[other]!);
  }
}

/** Longer than this is a hole. Judged by the median of the newest pauses. */
function longestPause(times: readonly number[], begin: number, end: number): number {
  const pauses: number[] = [];
  for (let i = end - 1; i > begin && pauses.length < SAMPLE; i--) pauses.push(times[i]! - times[i - 1]!);
  pauses.sort((a, b) => a - b);
  const usualMs = pauses[pauses.length >>> 1] ?? 0;
  return Math.max(SHORTEST_GAP_MS, GAP_FACTOR * usualMs);
}

function boundsOf(
  values: readonly number[],
  first: number,
  end: number,
): { least: number | null; greatest: number | null } {
  if (first >= end) return { least: null, greatest: null };
  let [least, greatest] = [values[first]!, values[first]!];
  for (let i = first + 1; i < end; i++) {
    if (values[i]! < least) least = values[i]!;
    if (values[i]! > greatest) greatest = values[i]!;
  }
  return { least, greatest };
}
