import * as z from 'zod';
import type { PageRequest } from '#hub/store/port.js';
import { found, foundOrKept } from '../found.ts';
import type { ApiLimits } from '../limits.ts';
import { route, type Route } from '../route.ts';
import { cursor, queryInteger } from '../validate.ts';
import { connectionRowJson, eventJson, gapJson, rejectedJson } from '../views.ts';

/** What a device did before: lists from the store, newest first. */
export function historyRoutes(limits: ApiLimits): readonly Route[] {
  const query = z.strictObject({
    after: cursor.optional(),
    limit: queryInteger(1, limits.maxPageItems).optional(),
  });
  const page = (asked: z.infer<typeof query>): PageRequest => ({
    after: asked.after ?? null,
    limit: asked.limit ?? limits.defaultPageItems,
  });
  return [
    route('GET', '/api/v1/devices/{device}/rejected', 'Payloads that could not be used', { query }, async (call) => {
      found(call.api, call.path.device!);
      const { items, next, evicted } = await call.api.reader.rejected(call.path.device!, page(call.query));
      return { status: 200, body: { items: items.map(rejectedJson), next, evicted } };
    }),
    route('GET', '/api/v1/devices/{device}/events', 'Events that a device sent', { query }, async (call) => {
      found(call.api, call.path.device!);
      const { items, next } = await call.api.reader.events(call.path.device!, page(call.query));
      return { status: 200, body: { items: items.map(eventJson), next } };
    }),
    route(
      'GET',
      '/api/v1/devices/{device}/connections',
      'Connections of a device and their ends',
      { query },
      async (call) => {
        const { items, next } = await call.api.reader.connections(call.path.device!, page(call.query));
        if (call.query.after === undefined) foundOrKept(call.api, call.path.device!, items);
        return { status: 200, body: { items: items.map(connectionRowJson), next } };
      },
    ),
    route(
      'GET',
      '/api/v1/devices/{device}/gaps',
      'Sequence numbers that a device skipped',
      {},
      async ({ api, path }) => {
        found(api, path.device!);
        return { status: 200, body: { items: (await api.reader.gaps(path.device!)).map(gapJson) } };
      },
    ),
  ];
}
