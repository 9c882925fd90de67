import * as z from 'zod';
import type { ApiLimits } from '../limits.ts';
import { Problem } from '../problems.ts';
import { route, type Route } from '../route.ts';
import { cursor, queryInteger } from '../validate.ts';
import { connectionJson, refusedJson } from '../views.ts';

export function connectionRoutes(limits: ApiLimits): readonly Route[] {
  const limit = queryInteger(1, limits.maxPageItems).optional();
  const page = z.strictObject({ after: cursor.optional(), limit });
  return [
    route('GET', '/api/v1/connections', 'List open connections', { query: page }, ({ api, query }) => {
      const { after = null, limit = limits.defaultPageItems } = query;
      const { items, next } = api.gateway.connections({ after, limit });
      return { status: 200, body: { items: items.map(connectionJson), next } };
    }),
    route('DELETE', '/api/v1/connections/{connection}', 'Close a connection', {}, ({ api, path }) => {
      if (api.gateway.closeConnection(path.connection!, 'closed_by_operator')) return { status: 204 };
      throw new Problem('not_found', 'there is no such connection; it may have ended already');
    }),
    route(
      'GET',
      '/api/v1/refused',
      'Handshakes that were refused, newest first',
      { query: z.strictObject({ limit }) },
      ({ api, query }) => {
        const { items, counts } = api.gateway.refused(query.limit ?? limits.defaultPageItems);
        return { status: 200, body: { items: items.map(refusedJson), counts } };
      },
    ),
  ];
}
