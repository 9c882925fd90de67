import * as z from 'zod';
import { commandState } from './commands.ts';
import { instant, ms, wholeNumber } from './common.ts';
import { named } from './named.ts';

export const status = named(
  'Status',
  z.object({
    version: z.string(),
    phase: z.enum(['starting', 'running', 'stopping']),
    nowMs: ms,
    now: instant,
    startedMs: ms,
    started: instant,
    uptimeSeconds: wholeNumber,
    counts: z.object({
      devices: wholeNumber,
      online: wholeNumber,
      onlineByProtocol: z.record(z.string(), wholeNumber).readonly(),
      commands: z.record(commandState, wholeNumber).readonly(),
    }),
    store: z.object({
      facts: z.object({
        engine: z.string(),
        version: z.string(),
        synchronous: wholeNumber.describe('SQLite: 2 is FULL'),
        journalMode: z.string(),
      }),
      writable: z.boolean(),
      notWritableSinceMs: ms.nullable(),
      notWritableSince: instant.nullable(),
      error: z.string().nullable(),
      backlogRows: wholeNumber,
      backlogBytes: wholeNumber,
    }),
  }),
);

export const alive = named('Alive', z.object({ status: z.literal('alive') }));

export const notReadyReason = named(
  'NotReadyReason',
  z.object({
    code: z.enum(['starting', 'shutting_down', 'store_not_writable']),
    detail: z.string(),
    sinceMs: ms.nullable().optional(),
    since: instant.nullable().optional(),
  }),
);

export const readiness = named('Readiness', z.object({ ready: z.boolean(), reasons: z.array(notReadyReason) }));
