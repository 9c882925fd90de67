import * as z from 'zod';
import { instant, next, pageOf, us, value, wholeNumber } from './common.ts';
import { named } from './named.ts';

export const reading = named('Reading', z.object({ metric: z.string(), value, timeUs: us, time: instant }));

export const latestReading = named(
  'LatestReading',
  reading.extend({
    unit: z
      .string()
      .nullable()
      .describe('What the device last gave the metric in (SenML, Protobuf); null: no unit ever'),
  }),
);

export const latestPage = pageOf('LatestPage', latestReading);

export const readingPage = named(
  'ReadingPage',
  z.object({
    items: z.array(reading),
    next,
    complete: z.boolean().describe('False: the search goes on with `next`; `items` is empty'),
  }),
);

export const exportLine = named(
  'ExportLine',
  z
    .union([
      z.object({ id: wholeNumber, device: z.string(), metric: z.string(), timeUs: us, value }),
      z.object({ end: z.literal(true), rows: wholeNumber }),
    ])
    .describe('One line of the export; the last one says how many rows there were'),
);
