import { timingSafeEqual } from 'node:crypto';
import type { Request } from 'express';
import { csrfOf } from '#hub/fleet/csrf.js';
import { Problem } from './problems.ts';

/**
 * A browser sends the cookie whoever wrote the page. So a changing request that relies on it must come from a page of the
 * hub itself: by what the browser says of its origin, and by a value that only such a page can have read.
 * Throws Problem `forbidden`.
 */
export function mustBeOwnPage(req: Request, secret: string): void {
  if (req.method === 'GET' || req.method === 'HEAD' || req.method === 'OPTIONS') return;
  mustBeOwnOrigin(req);
  const shown = Buffer.from(req.get('x-csrf-token') ?? '');
  const right = Buffer.from(csrfOf(secret));
  if (shown.length !== right.length || !timingSafeEqual(shown, right)) {
    throw new Problem('forbidden', 'send the header X-CSRF-Token with the value `csrf` of GET /api/v1/me');
  }
}

/** Nothing that a browser says of the request's origin may name another site. Throws Problem `forbidden`. */
export function mustBeOwnOrigin(req: Request): void {
  const site = req.get('sec-fetch-site');
  const origin = req.get('origin');
  const foreignSite = site !== undefined && site !== 'same-origin' && site !== 'none';
  // A proxy may end TLS, so the scheme is not compared; the host and port that the browser asked for are.
  const foreignOrigin = origin !== undefined && hostOf(origin) !== req.get('host')?.toLowerCase();
  if (foreignSite || foreignOrigin) throw new Problem('forbidden', 'this is served only to pages of this hub');
}

function hostOf(origin: string): string | null {
  return URL.parse(origin)?.host ?? null;
}
