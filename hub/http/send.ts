import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import type { Request, Response } from 'express';
import { alreadyHas } from './etags.ts';
import type { ApiLimits } from './limits.ts';
import type { Reply } from './route.ts';

const compress = promisify(gzip);

/**
 * Writes an answer. A large one is compressed, off the event loop, for clients that take it: the whole fleet has megabytes.
 * Small ones are not: they would gain little, and among them are those that hold secrets.
 */
export async function send(req: Request, res: Response, reply: Reply, limits: ApiLimits): Promise<void> {
  const { status, body, headers = {} } = reply;
  const { etag } = headers;
  const unchanged = etag !== undefined && alreadyHas(req, etag);
  res.status(unchanged ? 304 : status).set(headers);
  if (body === undefined || unchanged) {
    res.end();
    return;
  }
  const text = JSON.stringify(body);
  if (text.length < limits.compressCharacters) {
    res.type('json').send(text);
    return;
  }
  res.vary('accept-encoding');
  if (!req.acceptsEncodings().includes('gzip')) {
    res.type('json').send(text);
    return;
  }
  const bytes = await compress(text, { level: constants.Z_BEST_SPEED });
  res.type('json').set('content-encoding', 'gzip').send(bytes);
}
