import * as z from 'zod';
import { closeReason, initiator, ms, next, us, value, wholeNumber } from './common.ts';
import { named } from './named.ts';

/** Without texts that a program can make itself: there are thousands of them in one answer. */
const compactPresence = named(
  'CompactPresence',
  z
    .object({
      online: z.boolean(),
      epoch: wholeNumber.describe('Number of its last connection; 0: it never connected'),
      protocol: z.string().nullable(),
      connectedMs: ms.nullable(),
      disconnectedMs: ms.nullable(),
      reason: closeReason.nullable(),
      initiator: initiator.nullable(),
    })
    .describe('As the live feed tells it'),
);

export const fleetCounts = named(
  'FleetCounts',
  z.object({
    online: wholeNumber,
    offline: wholeNumber,
    byProtocol: z.record(z.string(), wholeNumber).readonly().describe('Of those online'),
  }),
);

export const fleetRow = named(
  'FleetRow',
  z.object({
    id: z.string(),
    name: z.string().nullable(),
    disabled: z.boolean(),
    presence: compactPresence,
    latest: z
      .array(
        z.object({
          metric: z.string(),
          value,
          timeUs: us,
          cut: z.literal(true).optional().describe('The text is longer than what is shown'),
        }),
      )
      .describe('Of the first 8 metrics by name; texts of more than 64 characters are cut'),
  }),
);

export const fleetPage = named(
  'FleetPage',
  z.object({ items: z.array(fleetRow), next, counts: fleetCounts.describe('Of the whole fleet, at this moment') }),
);
