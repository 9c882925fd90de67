import * as z from 'zod';
import { instant, ms, pageOf, wholeNumber } from './common.ts';
import { named } from './named.ts';

export const session = named(
  'Session',
  z
    .object({
      principal: z.object({
        kind: z.enum(['device', 'application']),
        id: z.string(),
        anonymous: z.boolean(),
      }),
      clientId: z.string(),
      protocol: z.string().describe('Protocol family'),
      connected: z.boolean(),
      lasts: z.boolean().describe('It is kept on disk and outlives its connection'),
      expiryS: wholeNumber.describe('How long it is kept without a connection, in seconds'),
      createdMs: ms,
      created: instant,
      detachedMs: ms.nullable().describe('Since when it has no connection; null: it has one'),
      detached: instant.nullable(),
      subscriptions: wholeNumber,
      queuedMessages: wholeNumber.describe('Messages of QoS 1 and 2 that wait to be sent'),
      queuedBytes: wholeNumber,
      inFlight: wholeNumber.describe('Sent and not acknowledged'),
      dropped: wholeNumber.describe('Messages that its full queue had to drop since it began'),
    })
    .describe('What the hub keeps for a client'),
);

export const sessionPage = pageOf('SessionPage', session);
