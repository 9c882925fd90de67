import * as z from 'zod';
import { instant, ms, pageOf, wholeNumber } from './common.ts';
import { named } from './named.ts';

export const queue = named(
  'Queue',
  z
    .object({
      kind: z.enum(['queue', 'subscription']),
      name: z.string().describe('Of a durable subscription, the id that its client gave it'),
      subscription: z
        .object({
          principal: z.object({
            kind: z.enum(['device', 'application']),
            id: z.string(),
            anonymous: z.boolean(),
          }),
          clientId: z.string(),
          filter: z.string(),
          detachedMs: ms.nullable().describe('Since when it has no consumer; null: it has one'),
          detached: instant.nullable(),
        })
        .nullable()
        .describe('Whose durable subscription it is; null: a queue'),
      createdMs: ms,
      created: instant,
      messages: wholeNumber.describe('Messages that wait; those that consumers have and have not answered aside'),
      bytes: wholeNumber.describe('Bytes of all messages, in the hands of consumers or not'),
      consumers: wholeNumber,
      unacknowledged: wholeNumber.describe('Given to a consumer, and not answered'),
      deadLetters: wholeNumber.describe('Messages in the queue of its dead letters'),
      dropped: wholeNumber.describe('Messages that a durable subscription had to drop because it was full'),
    })
    .describe('A queue on disk: shared by its consumers, or of a durable subscription'),
);

export const queuePage = pageOf('QueuePage', queue);
