import type { Request, RequestHandler } from 'express';
import type { Caller } from '#hub/fleet/port.js';
import { callerKey, identityOf, setIdentity, type Identity } from './callers.ts';
import { cookieSecret } from './cookie.ts';
import type { HubApi } from './deps.ts';
import { mustBeOwnPage } from './origin.ts';
import { Problem } from './problems.ts';
import type { Route } from './route.ts';

/**
 * Finds out who asks: an API token (RFC 6750, `Authorization: Bearer mst_…`), else the cookie of an operator who is signed in.
 * Refuses nobody: that is `permit`'s to do, for some operations are open to all.
 */
export function identify(api: HubApi): RequestHandler {
  return (req, res, next) => {
    setIdentity(res, identity(api, req));
    next();
  };
}

/** Lets a request pass if its caller may use this operation. Throws Problem `unauthorized` or `forbidden`. */
export function permit({ scope }: Pick<Route, 'scope'>): RequestHandler {
  return (_req, res, next) => {
    // Devices are asked at their own door.
    if (scope !== 'none' && scope !== 'device') {
      const caller = mustBeKnown(identityOf(res));
      if (scope !== 'any' && !caller.scopes.includes(scope)) throw missing(scope, caller);
    }
    next();
  };
}

/** Whether who asked may still use this operation: for an answer that lasts longer than a token or a sign-in may. */
export function isStillPermitted(api: HubApi, req: Request, { scope }: Pick<Route, 'scope'>): boolean {
  if (scope === 'none' || scope === 'device') return true;
  const { caller } = identity(api, req);
  return caller !== null && (scope === 'any' || caller.scopes.includes(scope));
}

function mustBeKnown(identity: Identity | null): Caller {
  if (identity === null) throw unauthorized('say who you are', '');
  if (identity.caller === null) throw identity.refusal;
  return identity.caller;
}

/** Throws Problem `forbidden`, which names what is missing. */
function missing(scope: string, caller: Caller): Problem {
  const has = caller.scopes.length === 0 ? 'none' : caller.scopes.join(', ');
  const remedy = caller.kind === 'operator' ? `the role ${caller.role} does not have it` : 'make a token that has it';
  return new Problem('forbidden', `this needs the scope ${scope} (${callerKey(caller)} has ${has}): ${remedy}`, {
    missingScope: scope,
  });
}

function identity(api: HubApi, req: Request): Identity {
  try {
    return { caller: callerOf(api, req), refusal: null };
  } catch (error) {
    if (error instanceof Problem) return { caller: null, refusal: error };
    throw error;
  }
}

function callerOf(api: HubApi, req: Request): Caller {
  const header = req.get('authorization');
  if (header !== undefined) return ofToken(api, header);
  const secret = cookieSecret(req);
  if (secret === null) {
    throw unauthorized('send `Authorization: Bearer mst_…` with an API token, or sign in at /sign-in', '');
  }
  const caller = api.operators.session(secret);
  if (caller === null) throw unauthorized('this sign-in has ended: sign in again at /sign-in', '');
  mustBeOwnPage(req, secret);
  return caller;
}

function ofToken(api: HubApi, header: string): Caller {
  const token = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i.exec(header)?.[1];
  if (token === undefined) {
    throw unauthorized('the Authorization header must read `Bearer mst_…`', ', error="invalid_request"');
  }
  const caller = api.tokens.verifyApi(token);
  if (caller !== null) return caller;
  throw unauthorized('this is no API token of this hub, or it was revoked or has expired', ', error="invalid_token"');
}

function unauthorized(detail: string, error: string): Problem {
  return new Problem('unauthorized', detail, { headers: { 'www-authenticate': `Bearer realm="muster"${error}` } });
}
