import * as z from 'zod';
import { instant, ms, pageOf } from './common.ts';
import { named } from './named.ts';

export const jobRun = named(
  'JobRun',
  z.object({
    startedMs: ms,
    started: instant,
    durationMs: z.number().min(0),
    ok: z.boolean(),
    result: z.record(z.string(), z.number()).readonly().nullable().describe('What it counted; null when it failed'),
    error: z.string().nullable().describe('Why it failed; null when it did not'),
  }),
);

export const job = named(
  'Job',
  z.object({
    name: z.string(),
    schedule: z.string().describe('A cron pattern of five fields, in UTC'),
    description: z.string(),
    running: z.boolean(),
    lastRun: jobRun.nullable().describe('Null: none has ended since the start of the hub'),
    nextRunMs: ms.nullable().describe('Null while the hub stops'),
    nextRun: instant.nullable(),
  }),
);

export const jobPage = pageOf('JobPage', job);
