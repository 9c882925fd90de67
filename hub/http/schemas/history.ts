import * as z from 'zod';
import { REJECT_CODES, type RejectCode } from '#protocols/errors.js';
import { closeReason, initiator, instant, next, pageOf, payload, us, wholeNumber } from './common.ts';
import { named } from './named.ts';

export const rejected = named(
  'RejectedPayload',
  z.object({
    id: wholeNumber,
    device: z.string(),
    timeUs: us,
    time: instant,
    protocol: z.string(),
    topic: z.string(),
    contentType: z.string().nullable(),
    payload,
    code: z.enum(Object.keys(REJECT_CODES) as [RejectCode, ...RejectCode[]]),
    message: z.string(),
  }),
);

export const rejectedPage = named(
  'RejectedPage',
  z.object({ items: z.array(rejected), next, evicted: wholeNumber.describe('How many of this device were let go') }),
);

export const event = named(
  'DeviceEvent',
  z.object({
    id: wholeNumber,
    device: z.string(),
    timeUs: us,
    time: instant,
    name: z.string(),
    contentType: z.string().nullable(),
    payload,
  }),
);

export const eventPage = pageOf('EventPage', event);

export const pastConnection = named(
  'PastConnection',
  z.object({
    device: z.string(),
    epoch: wholeNumber,
    protocol: z.string(),
    address: z.string(),
    clientId: z.string(),
    connectedUs: us,
    connected: instant,
    disconnectedUs: us.nullable().describe('Null while it is open'),
    disconnected: instant.nullable(),
    reason: closeReason.nullable(),
    reasonText: z.string().nullable(),
    initiator: initiator.nullable(),
    detail: z.string().nullable(),
  }),
);

export const pastConnectionPage = pageOf('PastConnectionPage', pastConnection);

export const gap = named(
  'Gap',
  z.object({ stream: z.string(), fromSeq: wholeNumber, toSeq: wholeNumber, timeUs: us, time: instant }),
);

export const gapPage = pageOf('GapPage', gap);
