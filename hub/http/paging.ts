import * as z from 'zod';
import type { ApiLimits } from './limits.ts';
import { cursor, queryInteger } from './validate.ts';

/** Query of a list: where to go on, and how many items at most. */
export function pageQuery(limits: ApiLimits) {
  return z.strictObject({
    after: cursor.optional(),
    limit: queryInteger(1, limits.maxPageItems).optional(),
  });
}

export interface Asked {
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

/** A page of a list that is whole in memory and ascending by `keyOf`, whose values are unique. The cursor is the key of the last item. */
export function pageByKey<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  asked: Asked,
  defaultLimit: number,
): { items: T[]; next: string | null } {
  const { after, limit = defaultLimit } = asked;
  const rest = after === undefined ? items : items.filter((item) => keyOf(item) > after);
  const page = rest.slice(0, limit);
  return { items: page, next: rest.length > limit ? keyOf(page.at(-1)!) : null };
}
