import express, { type Express, type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import helmet from 'helmet';
import * as z from 'zod';
import { redactUrl } from '#hub/observe/redact.js';
import { requireApiToken } from './auth.ts';
import { jsonBody } from './body.ts';
import type { HubApi } from './deps.ts';
import { errorHandler } from './errors.ts';
import { checkPath } from './path-parameters.ts';
import { Problem } from './problems.ts';
import type { Method, Reply, Route } from './route.ts';
import { allRoutes } from './routes.ts';
import { check } from './validate.ts';

const PREFIX = '/api/v1';
const NO_QUERY = z.strictObject({});

/**
 * The HTTP side of the port: `/api/v1` behind an API token, `/healthz`, `/readyz` and `/metrics` for machines. A request
 * listener; it holds no state and no socket of its own. Every error is a problem document (RFC 9457), and no answer is cached.
 */
export function createApi(api: HubApi): Express {
  const app = express();
  app.enable('case sensitive routing');
  app.disable('etag');
  app.use(helmet(), logged(api), (_req, res, next) => {
    res.set('cache-control', 'no-store');
    next();
  });
  const token = requireApiToken(api);
  app.use(PREFIX, whenStarted(api), token, ...jsonBody(api.limits));
  if (api.config.metricsNeedToken) app.use('/metrics', token);
  mount(app, api, allRoutes(api.limits));
  app.all([...api.config.paths], (req) => {
    throw upgradeRequired(req.path);
  });
  app.use((req) => {
    throw new Problem('not_found', `${req.path.slice(0, 200)} is not served; docs/api.md lists what is`);
  });
  app.use(errorHandler(api));
  return app;
}

/** Each path with its methods; every other method on it gets 405 with what is allowed (RFC 9110, 15.5.6). */
function mount(app: Express, api: HubApi, routes: readonly Route[]): void {
  const methods = new Map<string, Method[]>();
  for (const route of routes) {
    const path = expressPath(route.path);
    methods.set(path, [...(methods.get(path) ?? []), route.method]);
    app[verb(route.method)](path, handler(api, route));
  }
  for (const [path, served] of methods) {
    const allow = [...served, ...(served.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ');
    app.all(path, (req, res) => {
      if (req.method !== 'OPTIONS') {
        throw new Problem('method_not_allowed', `${req.method} is not served here, but ${allow}`, {
          headers: { allow },
        });
      }
      res.set('allow', allow).status(204).end();
    });
  }
}

function handler(api: HubApi, route: Route): RequestHandler {
  return async (req: Request, res: Response) => {
    const path = checkPath(req.params);
    const query = check(route.query ?? NO_QUERY, req.query, 'query');
    const body = route.body === null ? null : check(route.body, req.body, 'body');
    const reply = await route.handle({ api, path, query: query as never, body: body as never, req, res });
    if (reply !== null) send(res, reply);
  };
}

function send(res: Response, { status, body, headers = {} }: Reply): void {
  res.status(status).set(headers);
  if (body === undefined) res.end();
  else res.json(body);
}

/** Before the tokens are loaded nobody could be let in, and every one would look wrong. */
function whenStarted(api: HubApi): RequestHandler {
  return (_req, _res, next) => {
    if (api.phase() === 'starting') {
      const headers = { 'retry-after': String(api.limits.retryAfterSeconds) };
      throw new Problem('unavailable', 'the hub is starting; /readyz says when it is ready', { headers });
    }
    next();
  };
}

function logged(api: HubApi): RequestHandler {
  return (req: Request, res: Response, next: NextFunction) => {
    const begun = api.clock.monotonic();
    res.once('close', () => {
      const caller = (res.locals as { caller?: string }).caller ?? null;
      const ms = Math.round(api.clock.monotonic() - begun);
      api.log.debug(
        { method: req.method, url: redactUrl(req.originalUrl), status: res.statusCode, ms, caller },
        'http',
      );
    });
    next();
  };
}

function upgradeRequired(path: string): Problem {
  const detail = `${path.slice(0, 200)} is for devices, which connect by WebSocket; the API is under ${PREFIX}`;
  return new Problem('upgrade_required', detail, { headers: { upgrade: 'websocket', connection: 'Upgrade' } });
}

/** `{device}` as express writes it. */
function expressPath(path: string): string {
  return path.replace(/\{(\w+)\}/g, ':$1');
}

function verb(method: Method): 'get' | 'post' | 'patch' | 'delete' {
  return method.toLowerCase() as 'get' | 'post' | 'patch' | 'delete';
}
