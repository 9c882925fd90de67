import * as z from 'zod';
import { found, foundOrKept } from '../found.ts';
import type { ApiLimits } from '../limits.ts';
import { Problem } from '../problems.ts';
import { route, type Route } from '../route.ts';
import { cursor, queryInstant, queryInteger } from '../validate.ts';
import { readingJson } from '../views.ts';

export function readingRoutes(limits: ApiLimits): readonly Route[] {
  const rangeQuery = z.strictObject({
    metric: z.string().min(1).max(1024).optional(),
    from: queryInstant.optional(),
    to: queryInstant.optional(),
    limit: queryInteger(1, limits.maxPageReadings).optional(),
    after: cursor.optional(),
  });
  return [
    route('GET', '/api/v1/devices/{device}/latest', 'Latest value of each metric', {}, ({ api, path }) => {
      found(api, path.device!);
      return { status: 200, body: { items: api.telemetry.latest(path.device!).map(readingJson) } };
    }),
    route(
      'GET',
      '/api/v1/devices/{device}/readings',
      'Readings in a span of time',
      { query: rangeQuery },
      async (call) => {
        const { metric = null, from = 0, to = Number.MAX_SAFE_INTEGER, after = null } = call.query;
        if (from >= to) throw new Problem('invalid', 'query.from: must be before `to`, which is not included');
        const { items, next, complete } = await call.api.reader.range({
          device: call.path.device!,
          metric,
          fromUs: from,
          toUs: to,
          limit: call.query.limit ?? limits.defaultPageReadings,
          after,
          budgetMs: call.api.config.rangeBudgetMs,
        });
        if (complete && after === null) foundOrKept(call.api, call.path.device!, items);
        return { status: 200, body: { items: items.map(readingJson), next, complete } };
      },
    ),
  ];
}
