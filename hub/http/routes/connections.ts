import type { HubApi } from '../deps.ts';
import { empty, json } from '../answers.ts';
import type { ApiLimits } from '../limits.ts';
import { pageQuery, type Asked } from '../paging.ts';
import { Problem } from '../problems.ts';
import { route, type Route } from '../route.ts';
import { connectionPage, refusedPage } from '../schemas/connections.ts';
import { connectionJson, refusedJson } from '../views.ts';

const tag = 'Connections';

export function connectionRoutes(limits: ApiLimits): readonly Route[] {
  const query = pageQuery(limits);
  return [
    route(
      'GET',
      '/api/v1/connections',
      {
        id: 'listConnections',
        tag,
        summary: 'List open connections',
        scope: 'read',
        query,
        answers: { 200: json(connectionPage, 'A page') },
      },
      ({ api, query }) => {
        const { after = null, limit = limits.defaultPageItems } = query;
        const { items, next } = api.gateway.connections({ after, limit });
        return { status: 200, body: { items: items.map(connectionJson), next } };
      },
    ),
    route(
      'DELETE',
      '/api/v1/connections/{connection}',
      {
        id: 'closeConnection',
        tag,
        summary: 'Close a connection',
        scope: 'devices',
        answers: { 204: empty('It was told, and is being closed') },
        problems: ['not_found'],
      },
      ({ api, path }) => {
        if (api.gateway.closeConnection(path.connection!, 'closed_by_operator')) return { status: 204 };
        throw new Problem('not_found', 'there is no such connection; it may have ended already');
      },
    ),
    route(
      'GET',
      '/api/v1/refused',
      {
        id: 'listRefused',
        tag,
        summary: 'Handshakes that were refused, newest first',
        scope: 'read',
        query,
        answers: { 200: json(refusedPage, 'A page of those that are kept, newest first') },
      },
      ({ api, query }) => ({ status: 200, body: refused(api, query, limits.defaultPageItems) }),
    ),
  ];
}

/** The cursor is the number of a handshake: how many had been refused when it was. So a page stays where it is while new ones come. */
function refused(api: HubApi, { after, limit }: Asked, defaultLimit: number): object {
  if (after !== undefined && !/^\d{1,15}$/.test(after)) {
    throw new Problem('invalid', 'query.after: this cursor was not given out here: start again without it');
  }
  const total = Object.values(api.gateway.refused(0).counts).reduce((sum, count) => sum + count, 0);
  const skip = after === undefined ? 0 : Math.max(0, total - Number(after) + 1);
  const end = skip + (limit ?? defaultLimit);
  // One more than asked for tells whether there is more.
  const { items, counts } = api.gateway.refused(end + 1);
  return {
    items: items.slice(skip, end).map(refusedJson),
    next: items.length > end ? String(total - end + 1) : null,
    counts,
  };
}
