import * as z from 'zod';
import { EVENT_NAME, STREAM_NAME } from '#protocols/names.js';
import { check, deviceId, operatorName } from './validate.ts';

/** What may stand for each `{name}` in a path. */
export const PATH_PARAMETERS: Readonly<Record<string, z.ZodType<string>>> = {
  device: deviceId,
  command: z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'a command id is 1 to 64 of A-Z a-z 0-9 -'),
  key: z.string().regex(/^[0-9a-f]{1,64}$/, 'a key id is hexadecimal: the part between the underscores of mst_…_…'),
  stream: z.string().regex(STREAM_NAME, 'a stream name is 1 to 64 of A-Z a-z 0-9 . _ -'),
  event: z.string().regex(EVENT_NAME, 'an event name is 1 to 64 of A-Z a-z 0-9 . _ -'),
  format: z.string().regex(/^[a-z0-9.+-]{1,64}$/, 'a format is a name such as json or senml+cbor'),
  connection: z.string().min(1).max(128),
  queue: z.string().min(1).max(1024),
  operator: operatorName,
  job: z.string().regex(/^[a-zA-Z0-9._-]{1,64}$/, 'a job name is 1 to 64 of A-Z a-z 0-9 . _ -'),
};

/** The parameters of a path, percent-decoded by the router. Throws Problem `invalid`. */
export function checkPath(params: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const shape = Object.fromEntries(Object.keys(params).map((name) => [name, PATH_PARAMETERS[name] ?? z.never()]));
  return check(z.strictObject(shape), params, 'path');
}
