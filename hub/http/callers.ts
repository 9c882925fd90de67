import type { Response } from 'express';
import type { Caller } from '#hub/fleet/port.js';
import type { Problem } from './problems.ts';

/** Who a request comes from: a caller, or why there is none. */
export type Identity =
  { readonly caller: Caller; readonly refusal: null } | { readonly caller: null; readonly refusal: Problem };

interface Locals {
  identity?: Identity;
}

export function setIdentity(res: Response, identity: Identity): void {
  (res.locals as Locals).identity = identity;
}

/** Null where nobody has looked: outside of the API. */
export function identityOf(res: Response): Identity | null {
  return (res.locals as Locals).identity ?? null;
}

/** Names a caller for counting, records and the log; holds no secret. */
export function callerKey(caller: Caller): string {
  return caller.kind === 'operator' ? `operator:${caller.name}` : `token:${caller.keyId}`;
}
