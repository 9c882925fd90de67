import * as z from 'zod';
import { isDeviceId } from '#protocols/principal.js';
import { ACCESS_LIMITS } from '#hub/fleet/limits.js';
import { Problem, type FieldError } from './problems.ts';
import { parseInstantUs } from './time.ts';

/** Checks one part of a request. Throws Problem `invalid` with a line for each mistake. */
export function check<T>(schema: z.ZodType<T>, value: unknown, part: 'path' | 'query' | 'body'): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const errors = result.error.issues.flatMap((issue) => describeIssue(issue, part));
  throw new Problem('invalid', errors.map((error) => `${error.path}: ${error.message}`).join('; '), { errors });
}

function describeIssue(issue: z.core.$ZodIssue, part: string): FieldError[] {
  const path = [part, ...issue.path.map(String)].join('.');
  if (issue.code === 'unrecognized_keys') {
    const what = part === 'query' ? 'unknown parameter' : 'unknown field';
    return issue.keys.map((key) => ({ path: `${path}.${key.slice(0, 64)}`, message: what }));
  }
  if (issue.code === 'invalid_type' && issue.input === undefined) {
    return [{ path, message: issue.message.replace(/, received undefined$/, ', but it is missing') }];
  }
  return [{ path, message: issue.message }];
}

/** A whole number in a query. */
export function queryInteger(min: number, max: number) {
  return z
    .string()
    .regex(/^\d{1,16}$/, `expected a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `expected a whole number from ${min} to ${max}`)
    .meta({ type: 'integer', minimum: min, maximum: max, pattern: undefined });
}

export const queryBoolean = z
  .enum(['true', 'false'])
  .transform((text) => text === 'true')
  .meta({ type: 'boolean', enum: undefined });

/** An opaque cursor, as `next` of the page before gave it. */
export const cursor = z.string().min(1).max(256).describe('`next` of the page before');

/** A time in a query: RFC 3339, or milliseconds since 1970. Comes out in microseconds. */
export const queryInstant = z
  .string()
  .transform((text, context) => {
    const timeUs = parseInstantUs(text);
    if (timeUs !== null) return timeUs;
    context.addIssue({
      code: 'custom',
      message: 'expected RFC 3339 such as 2026-01-31T12:00:00Z (a + is written %2B), or milliseconds since 1970',
    });
    return z.NEVER;
  })
  .meta({ description: 'RFC 3339, or milliseconds since 1970', examples: ['2026-01-31T12:00:00Z'] });

export const deviceId = z
  .string()
  .refine(isDeviceId, 'a device id is 1 to 128 of A-Z a-z 0-9 . _ : - and never "me", "." or ".."')
  .meta({ pattern: '^[A-Za-z0-9._:-]{1,128}$', not: { enum: ['me', '.', '..'] } });

export const operatorName = z
  .string()
  .regex(/^[A-Za-z0-9._@-]{1,64}$/, 'a name is 1 to 64 of A-Z a-z 0-9 . _ @ -')
  .refine((name) => name !== '.' && name !== '..', 'a name is not "." or ".."');

/** What is shown to prove something: any text of bounded length. */
export const secretText = z.string().max(1024);

export const newPassword = z.string().min(ACCESS_LIMITS.minPasswordLength).max(ACCESS_LIMITS.maxPasswordLength);

/** Deeper than `most` levels of arrays and objects? Looks no deeper than that. */
export function deeperThan(value: unknown, most: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (most === 0) return true;
  return Object.values(value).some((inner) => deeperThan(inner, most - 1));
}
