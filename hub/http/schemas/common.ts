import * as z from 'zod';
import { CLOSE_REASONS, type CloseReason } from '#protocols/close-reasons.js';
import { named } from './named.ts';

/** Integer microseconds since 1970. */
export const us = z.int().min(0).describe('Microseconds since 1970');

/** Milliseconds since 1970. */
export const ms = z.number().min(0).describe('Milliseconds since 1970');

/** The same instant as text. */
export const instant = z.string().meta({ format: 'date-time', description: 'RFC 3339, UTC' });

export const wholeNumber = z.int().min(0);

export const value = named(
  'Value',
  z.union([z.number(), z.boolean(), z.string()]).describe('A value of a reading: number, boolean or text'),
);

export const closeReason = named(
  'CloseReason',
  z.enum(Object.keys(CLOSE_REASONS) as [CloseReason, ...CloseReason[]]).describe('Why a connection ended'),
);

export const initiator = named('Initiator', z.enum(['device', 'hub', 'network']).describe('Who ended it'));

export const payload = named(
  'Payload',
  z
    .object({
      base64: z.string().meta({ contentEncoding: 'base64' }),
      text: z.string().nullable().describe('The same as text; null unless the bytes are UTF-8'),
    })
    .describe('Bytes as a device sent them'),
);

/** `next` of a page. */
export const next = z.string().nullable().describe('Give it back as `after` for the next page; null: there is no more');

/** A page of a list. */
export function pageOf<S extends z.ZodType>(id: string, item: S) {
  return named(id, z.object({ items: z.array(item), next }));
}
