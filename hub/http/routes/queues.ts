import { empty, json } from '../answers.ts';
import type { ApiLimits } from '../limits.ts';
import { pageQuery } from '../paging.ts';
import { Problem } from '../problems.ts';
import { route, type Route } from '../route.ts';
import { queuePage } from '../schemas/queues.ts';
import { queueJson } from '../views.ts';

export function queueRoutes(limits: ApiLimits): readonly Route[] {
  const all = '/api/v1/queues';
  const tag = 'Connections';
  return [
    route(
      'GET',
      all,
      {
        id: 'listQueues',
        tag,
        summary: 'List queues and durable subscriptions, and what waits in them',
        scope: 'read',
        query: pageQuery(limits),
        answers: { 200: json(queuePage, 'A page') },
      },
      ({ api, query }) => {
        const { after = null, limit = limits.defaultPageItems } = query;
        try {
          const { items, next } = api.queues.list({ after, limit });
          return { status: 200, body: { items: items.map(queueJson), next } };
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          throw new Problem('invalid', `query.after: ${error.message}: start again without it`);
        }
      },
    ),
    route(
      'DELETE',
      `${all}/{queue}`,
      {
        id: 'deleteQueue',
        tag,
        summary: 'Delete a queue with its messages, when nobody consumes it',
        scope: 'admin',
        answers: { 204: empty('It is gone, on disk too') },
        problems: ['not_found', 'conflict'],
      },
      async ({ api, path }) => {
        switch (await api.queues.delete(path.queue!)) {
          case 'deleted':
            return { status: 204 };
          case 'not_found':
            throw new Problem('not_found', `there is no queue ${path.queue!}`);
          case 'consumed':
            throw new Problem('conflict', 'it has consumers: they have to leave first');
        }
      },
    ),
  ];
}
