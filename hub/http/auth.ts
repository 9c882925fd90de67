import type { RequestHandler } from 'express';
import type { HubApi } from './deps.ts';
import { Problem } from './problems.ts';

/** Lets a request pass that carries a valid API token (RFC 6750, `Authorization: Bearer mst_…`). The label goes into `res.locals.caller`. */
export function requireApiToken(api: HubApi): RequestHandler {
  return (req, res, next) => {
    const header = req.get('authorization');
    if (header === undefined) throw unauthorized('send `Authorization: Bearer mst_…` with an API token', '');
    const token = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i.exec(header)?.[1];
    if (token === undefined) {
      throw unauthorized('the Authorization header must read `Bearer mst_…`', ', error="invalid_request"');
    }
    const caller = api.verifyApiToken(token);
    if (caller === null)
      throw unauthorized('this is no API token of this hub, or it was revoked', ', error="invalid_token"');
    res.locals.caller = caller.label;
    next();
  };
}

function unauthorized(detail: string, error: string): Problem {
  return new Problem('unauthorized', detail, { headers: { 'www-authenticate': `Bearer realm="muster"${error}` } });
}
