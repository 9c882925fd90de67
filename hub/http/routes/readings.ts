import * as z from 'zod';
import { json } from '../answers.ts';
import { found, foundOrKept } from '../found.ts';
import type { ApiLimits } from '../limits.ts';
import { pageByKey } from '../paging.ts';
import { Problem } from '../problems.ts';
import { route, type Route } from '../route.ts';
import { latestPage, readingPage } from '../schemas/readings.ts';
import { cursor, queryInstant, queryInteger } from '../validate.ts';
import { latestJson, readingJson } from '../views.ts';

const tag = 'Readings';

export function readingRoutes(limits: ApiLimits): readonly Route[] {
  const limit = queryInteger(1, limits.maxPageReadings).optional();
  // A cursor is the last metric, whose name may be long.
  const latestQuery = z.strictObject({ after: z.string().min(1).max(4096).optional(), limit });
  const rangeQuery = z.strictObject({
    metric: z.string().min(1).max(1024).optional(),
    from: queryInstant.optional(),
    to: queryInstant.optional(),
    limit,
    after: cursor.optional(),
  });
  return [
    route(
      'GET',
      '/api/v1/devices/{device}/latest',
      {
        id: 'latestReadings',
        tag,
        summary: 'Latest value of each metric',
        scope: 'read',
        query: latestQuery,
        answers: { 200: json(latestPage, 'A page, ascending by metric') },
        problems: ['not_found'],
      },
      ({ api, path, query }) => {
        found(api, path.device!);
        const latest = api.telemetry.latest(path.device!).toSorted((a, b) => (a.metric < b.metric ? -1 : 1));
        const { items, next } = pageByKey(latest, (value) => value.metric, query, limits.defaultPageReadings);
        return { status: 200, body: { items: items.map(latestJson), next } };
      },
    ),
    route(
      'GET',
      '/api/v1/devices/{device}/readings',
      {
        id: 'listReadings',
        tag,
        summary: 'Readings in a span of time',
        scope: 'read',
        query: rangeQuery,
        answers: { 200: json(readingPage, 'A page, ascending in time; `from` included, `to` not') },
        problems: ['not_found'],
      },
      async ({ api, path, query }) => {
        const { metric = null, from = 0, to = Number.MAX_SAFE_INTEGER, after = null } = query;
        if (from >= to) throw new Problem('invalid', 'query.from: must be before `to`, which is not included');
        const { items, next, complete } = await api.reader.range({
          device: path.device!,
          metric,
          fromUs: from,
          toUs: to,
          limit: query.limit ?? limits.defaultPageReadings,
          after,
          budgetMs: api.config.rangeBudgetMs,
        });
        if (complete && after === null) foundOrKept(api, path.device!, items);
        return { status: 200, body: { items: items.map(readingJson), next, complete } };
      },
    ),
  ];
}
