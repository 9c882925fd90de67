import express, { type Express, type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import helmet from 'helmet';
import * as z from 'zod';
import { redactUrl } from '#hub/observe/redact.js';
import { identify, permit } from './auth.ts';
import { jsonBody } from './body.ts';
import { callerKey, identityOf } from './callers.ts';
import { mountDashboard } from './dashboard/dashboard.ts';
import type { HubApi } from './deps.ts';
import { atDoor } from './device/door.ts';
import { errorHandler } from './errors.ts';
import { allPages, mountPages } from './pages/pages.ts';
import { checkPath } from './path-parameters.ts';
import { Problem } from './problems.ts';
import { limitRate } from './rate-limit.ts';
import { API_PREFIX, DEVICE_PREFIX, type Method, type Route } from './route.ts';
import { httpInterface } from './routes.ts';
import { send } from './send.ts';
import { check } from './validate.ts';

const NO_QUERY = z.strictObject({});

/**
 * The HTTP side of the port: `/api/v1`, `/healthz`, `/readyz` and `/metrics` for machines, the dashboard and a few pages
 * for people. A request listener; it holds no socket of its own. Every error is a problem document (RFC 9457), and no
 * answer but the dashboard's files is cached.
 */
export function createApi(api: HubApi): Express {
  const app = express();
  app.enable('case sensitive routing');
  app.disable('etag');
  app.disable('x-powered-by');
  app.use(protectBrowsers(), logged(api), (_req, res, next) => {
    res.set('cache-control', 'no-store');
    next();
  });
  const { metricsNeedToken } = api.config;
  const { routes, document } = httpInterface(api.limits, { metricsNeedToken, version: api.version });
  mountDashboard(app, api.dashboard, api.clock);
  app.use([API_PREFIX, DEVICE_PREFIX], whenStarted(api));
  app.use(identify(api));
  app.use(API_PREFIX, limitRate(api));
  mountPages(app, allPages(document));
  mount(app, api, routes);
  // Whoever is nobody is not told what there is.
  app.use(API_PREFIX, permit({ scope: 'any' }));
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
  const methods = new Map<string, Route[]>();
  const body = jsonBody(api.limits);
  for (const route of routes) {
    const path = expressPath(route.path);
    methods.set(path, [...(methods.get(path) ?? []), route]);
    const parsed = route.scope === 'device' ? [atDoor(api, route)] : route.path.startsWith(API_PREFIX) ? body : [];
    app[verb(route.method)](path, permit(route), ...parsed, handler(api, route));
  }
  for (const [path, served] of methods) {
    const verbs = served.map((route) => route.method);
    const allow = [...verbs, ...(verbs.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ');
    const open = served.some((route) => route.scope === 'none' || route.scope === 'device');
    app.all(path, permit({ scope: open ? 'none' : 'any' }), (req, res) => {
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
    const caller = identityOf(res)?.caller ?? null;
    const path = checkPath(req.params);
    const query = check(route.query ?? NO_QUERY, req.query, 'query');
    const body = route.body === null ? null : check(route.body, req.body, 'body');
    const reply = await route.handle({ api, caller, path, query: query as never, body: body as never, req, res });
    if (reply !== null) await send(req, res, reply, api.limits);
  };
}

/** Rules for browsers, but not for devices: they are a kilobyte of every answer, and many devices pay by the byte. */
function protectBrowsers(): RequestHandler {
  const forPages = helmet();
  return (req, res, next) => {
    if (!req.path.startsWith(`${DEVICE_PREFIX}/`)) {
      forPages(req, res, next);
      return;
    }
    res.set('x-content-type-options', 'nosniff');
    next();
  };
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
      const known = identityOf(res)?.caller ?? null;
      const caller = known === null ? null : callerKey(known);
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
  const detail = `${path.slice(0, 200)} is for devices, which connect by WebSocket; the API is under ${API_PREFIX}`;
  return new Problem('upgrade_required', detail, { headers: { upgrade: 'websocket', connection: 'Upgrade' } });
}

/** `{device}` as express writes it. */
function expressPath(path: string): string {
  return path.replace(/\{(\w+)\}/g, ':$1');
}

function verb(method: Method): 'get' | 'post' | 'patch' | 'delete' {
  return method.toLowerCase() as 'get' | 'post' | 'patch' | 'delete';
}
