import type { Request, RequestHandler, Response } from 'express';
import type { Visit } from '#hub/gateway/http/port.js';
import type { HubApi } from '../deps.ts';
import { Problem } from '../problems.ts';
import type { Route } from '../route.ts';
import { readBody } from './body.ts';

interface Locals {
  visit?: Visit;
}

/** The device that makes this request. */
export function visitOf(res: Response): Visit {
  const { visit } = res.locals as Locals;
  if (visit === undefined) throw new Error('nobody has asked who this is');
  return visit;
}

/**
 * Lets a device in: who it is, whether there is room, and only then its body, when the hub can take it. The body is in `req.body`: parsed where
 * the operation describes it, else as it came.
 */
export function atDoor(api: HubApi, route: Route): RequestHandler {
  return async (req: Request, res: Response, next) => {
    if (api.phase() === 'stopping') {
      const headers = { 'retry-after': String(api.limits.retryAfterSeconds) };
      throw new Problem('shutting_down', 'come back in a moment', { headers });
    }
    const visit = api.httpDevices.visit(req);
    (res.locals as Locals).visit = visit;
    res.once('close', () => visit.end());
    if (route.method === 'POST') {
      await visit.turn();
      const body = await readBody(req, visit.maxBytes);
      visit.review();
      req.body = route.body === null ? body : parsed(body);
    }
    next();
  };
}

function parsed(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch {
    throw new Problem('malformed_body', 'the body cannot be read as JSON');
  }
}
