import type { LatestValue, Page } from '../../api.ts';

/** A page of readings; `complete` false: the hub goes on searching when it is asked again with `next`. */
export interface ReadingPage extends Page<LatestValue> {
  readonly complete: boolean;
}

export type AskReadings = (query: { from: number; after: string | null; limit: number }) => Promise<ReadingPage>;

export interface History {
  readonly readings: readonly LatestValue[];
  /** From when on nothing is missing. Later than asked for when the device sends more than a page can hold. */
  readonly fromMs: number;
}

/** The most that the hub gives at once. */
const PAGE = 10_000;
/** Readings of one device that are worth loading: a chart has some 600 columns. */
const MOST = 60_000;
/** Requests for one span; the hub's search through a large log takes several. */
const MOST_REQUESTS = 60;
/** Shorter than this is not tried. */
const LEAST_SPAN_MS = 60_000;

/**
 * The readings of the last `spanMs` before `nowMs`, ascending in time. History comes oldest first, so a device that sends too
 * much gets a shorter span, guessed from the pages so far: what is shown must reach up to now. A log that is too long to be
 * searched gives nothing.
 */
export async function loadHistory(ask: AskReadings, nowMs: number, spanMs: number): Promise<History> {
  for (let span = spanMs; span >= LEAST_SPAN_MS;) {
    const fromMs = nowMs - span;
    const tried = await readAll(ask, fromMs, nowMs);
    if (tried.fits === 1) return { readings: tried.readings, fromMs };
    if (tried.fits === 0) break;
    span *= Math.min(0.5, tried.fits);
  }
  return { readings: [], fromMs: nowMs };
}

/** `fits`: the part of the span that can be had. 1: all of it, and here it is. */
async function readAll(
  ask: AskReadings,
  fromMs: number,
  nowMs: number,
): Promise<{ readonly readings: readonly LatestValue[]; readonly fits: number }> {
  const readings: LatestValue[] = [];
  let after: string | null = null;
  for (let requests = 0; requests < MOST_REQUESTS; requests++) {
    const page: ReadingPage = await ask({ from: Math.floor(fromMs), after, limit: PAGE });
    for (const reading of page.items) readings.push(reading);
    if (page.next === null) return { readings, fits: 1 };
    after = page.next;
    const last = readings.at(-1);
    if (last === undefined) continue;
    const seenPart = Math.max(last.timeUs / 1000 - fromMs, 1) / (nowMs - fromMs);
    const expected = readings.length / Math.min(1, seenPart);
    // Half as much again may come: the guess is rough, and a whole hour is worth a page more.
    if (expected > 1.5 * MOST || readings.length >= 1.5 * MOST) return { readings: [], fits: MOST / expected };
  }
  return { readings: [], fits: 0 };
}
