import { json } from '../answers.ts';
import type { ApiLimits } from '../limits.ts';
import { pageQuery } from '../paging.ts';
import { Problem } from '../problems.ts';
import { route, type Route } from '../route.ts';
import { sessionPage } from '../schemas/sessions.ts';
import { sessionJson } from '../views.ts';

export function sessionRoutes(limits: ApiLimits): readonly Route[] {
  return [
    route(
      'GET',
      '/api/v1/sessions',
      {
        id: 'listSessions',
        tag: 'Connections',
        summary: 'List sessions, with a connection or without, and what waits for them',
        scope: 'read',
        query: pageQuery(limits),
        answers: { 200: json(sessionPage, 'A page') },
      },
      ({ api, query }) => {
        const { after = null, limit = limits.defaultPageItems } = query;
        try {
          const { items, next } = api.sessions.list({ after, limit });
          return { status: 200, body: { items: items.map(sessionJson), next } };
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          throw new Problem('invalid', `query.after: ${error.message}: start again without it`);
        }
      },
    ),
  ];
}
