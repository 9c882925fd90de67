import * as z from 'zod';
import type { CommandState } from '#hub/store/port.js';
import { instant, pageOf, us, wholeNumber } from './common.ts';
import { named } from './named.ts';

export const COMMAND_STATES = [
  'queued',
  'sent',
  'received',
  'succeeded',
  'failed',
  'rejected',
  'expired',
  'cancelled',
  'timed_out',
] as const satisfies readonly CommandState[];

export const commandState = named('CommandState', z.enum(COMMAND_STATES));

export const command = named(
  'Command',
  z.object({
    id: z.string(),
    device: z.string(),
    name: z.string(),
    params: z.unknown(),
    state: commandState,
    createdUs: us,
    created: instant,
    expiresUs: us,
    expires: instant,
    responseTimeoutMs: wholeNumber,
    sentUs: us.nullable(),
    sent: instant.nullable(),
    receivedUs: us.nullable(),
    received: instant.nullable(),
    finishedUs: us.nullable(),
    finished: instant.nullable(),
    attempts: wholeNumber.describe('How often it was handed to a connection'),
    result: z.unknown().describe('What the device answered, or null'),
    lateStatus: z.enum(['succeeded', 'failed', 'rejected']).nullable(),
    lateResult: z.unknown().describe('A result that came after the end, or null'),
  }),
);

export const commandAnswer = named('CommandAnswer', z.object({ command }));

export const commandPage = pageOf('CommandPage', command);

export const commandEvent = named(
  'CommandEvent',
  z.object({ state: commandState, timeUs: us, time: instant, detail: z.string().nullable() }),
);

export const commandWithHistory = named(
  'CommandWithHistory',
  z.object({ command, history: z.array(commandEvent).describe('Oldest first') }),
);
