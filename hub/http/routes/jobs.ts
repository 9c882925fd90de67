import * as z from 'zod';
import { json } from '../answers.ts';
import type { ApiLimits } from '../limits.ts';
import { pageByKey, pageQuery } from '../paging.ts';
import { route, type Route } from '../route.ts';
import { job, jobPage } from '../schemas/jobs.ts';
import { jobJson } from '../views.ts';

const tag = 'Hub';

/** What the hub does by itself, at its times. */
export function jobRoutes(limits: ApiLimits): readonly Route[] {
  return [
    route(
      'GET',
      '/api/v1/jobs',
      {
        id: 'listJobs',
        tag,
        summary: 'What the hub does by itself, and how it went',
        scope: 'read',
        query: pageQuery(limits),
        answers: { 200: json(jobPage, 'A page, ascending by name') },
      },
      ({ api, query }) => {
        const jobs = api.jobs.list().toSorted((a, b) => (a.name < b.name ? -1 : 1));
        const { items, next } = pageByKey(jobs, ({ name }) => name, query, limits.defaultPageItems);
        return { status: 200, body: { items: items.map(jobJson), next } };
      },
    ),
    route(
      'POST',
      '/api/v1/jobs/{job}/run',
      {
        id: 'runJob',
        tag,
        summary: 'Run a job now',
        scope: 'admin',
        body: z.strictObject({}).optional(),
        answers: { 200: json(job, 'It has run: `lastRun` says how it went') },
        problems: ['not_found', 'conflict'],
      },
      async ({ api, path }) => ({ status: 200, body: jobJson(await api.jobs.run(path.job!)) }),
    ),
  ];
}
