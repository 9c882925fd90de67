import { StoreError, type Page } from './port.ts';
import { MAX_PAGE_ROWS } from './options.ts';

/** How many rows a list gives for the `limit` that was asked for: at least one, at most `most`. */
export function pageLimit(limit: number, most = MAX_PAGE_ROWS): number {
  return Math.max(1, Math.min(Math.trunc(limit) || 1, most));
}

/** The row number in a cursor; `after` null: `start`. Throws StoreError `invalid`. */
export function parseNumberCursor(after: string | null, start: number): number {
  if (after === null) return start;
  if (!/^\d{1,16}$/.test(after) || !Number.isSafeInteger(Number(after))) throw badCursor();
  return Number(after);
}

/** A page from `limit + 1` rows that were looked up: the row too many says that there is more. */
export function pageOf<T>(found: readonly T[], limit: number, numberOf: (row: T) => number): Page<T> {
  if (found.length <= limit) return { items: found, next: null };
  const items = found.slice(0, limit);
  return { items, next: String(numberOf(items[limit - 1]!)) };
}

/** A place in the order (time, commit order), and the number of the unfinished scan that goes on from it, or null. */
export interface RangeCursor {
  readonly timeUs: number;
  readonly id: number;
  readonly scan: string | null;
}

/** Before every reading. */
export const RANGE_START: RangeCursor = { timeUs: Number.MIN_SAFE_INTEGER, id: 0, scan: null };

export function formatRangeCursor(cursor: RangeCursor): string {
  return `${cursor.timeUs}.${cursor.id}${cursor.scan === null ? '' : `.${cursor.scan}`}`;
}

/** Throws StoreError `invalid`. */
export function parseRangeCursor(after: string | null): RangeCursor {
  if (after === null) return RANGE_START;
  const match = /^(-?\d{1,16})\.(\d{1,16})(?:\.([0-9a-z-]{1,64}))?$/.exec(after);
  const timeUs = Number(match?.[1]);
  const id = Number(match?.[2]);
  if (!Number.isSafeInteger(timeUs) || !Number.isSafeInteger(id)) throw badCursor();
  return { timeUs, id, scan: match?.[3] ?? null };
}

function badCursor(): StoreError {
  return new StoreError('invalid', 'This cursor was not given out by the store: start again without one.');
}
