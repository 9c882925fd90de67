import type { Request, Response } from 'express';
import type * as z from 'zod';
import type { Caller } from '#hub/fleet/port.js';
import type { Scope } from '#hub/fleet/scopes.js';
import { failures, type Answers } from './answers.ts';
import type { HubApi } from './deps.ts';
import type { ProblemCode } from './problems.ts';

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

export const API_PREFIX = '/api/v1';

/** What a handler answers; null: it has written the answer itself. */
export interface Reply {
  readonly status: number;
  /** Left out: no body. */
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request whose parts have been checked. */
export interface Call<Query, Body> {
  readonly api: HubApi;
  /** Who asks; null only where the operation's scope is `none`. */
  readonly caller: Caller | null;
  /** By name, percent-decoded and checked by `PATH_PARAMETERS`. */
  readonly path: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  readonly req: Request;
  readonly res: Response;
}

export const DEVICE_PREFIX = '/device/v1';

/** `none`: open to everybody; `any`: whoever is known, whatever his scopes; `device`: devices, with their own credentials, and nobody else. */
export type RouteScope = Scope | 'any' | 'none' | 'device';

type Handler<Query, Body> = (call: Call<Query, Body>) => Promise<Reply | null> | Reply | null;

/** One operation, as the router, the documentation and the tests see it. */
export interface Route {
  readonly method: Method;
  /** The whole path with `{name}` for its parameters: `/api/v1/devices/{device}`. */
  readonly path: string;
  /** Its name for programs, unique: `listDevices`. */
  readonly id: string;
  /** What it is about, for grouping. */
  readonly tag: string;
  /** As in `docs/api.md`. */
  readonly summary: string;
  readonly scope: RouteScope;
  /** Null: it has no query parameters. */
  readonly query: z.ZodType | null;
  /** Null: it takes no body. */
  readonly body: z.ZodType | null;
  /** Media types of a body that is not read as JSON, with what stands in it; null: there is no such body. */
  readonly payload: PayloadBody | null;
  /** Request headers that it honours, with what they do. */
  readonly headers: Readonly<Record<string, string>>;
  /** Everything it may answer, failures included. */
  readonly answers: Answers;
  readonly handle: Handler<never, never>;
}

export interface PayloadBody {
  readonly types: readonly string[];
  readonly description: string;
}

interface Definition<Query extends z.ZodType | null, Body extends z.ZodType | null> {
  readonly id: string;
  readonly tag: string;
  readonly summary: string;
  readonly scope: RouteScope;
  readonly query?: Query;
  readonly body?: Body;
  readonly payload?: PayloadBody;
  readonly headers?: Readonly<Record<string, string>>;
  /** When it succeeds. */
  readonly answers: Answers;
  /** Failures that are this operation's own; those that follow from its form are added. */
  readonly problems?: readonly ProblemCode[];
}

type Parsed<S extends z.ZodType | null> = S extends z.ZodType ? z.infer<S> : null;

/** Joins an operation's description and its handler, so that the handler sees the types of its schemas. */
export function route<Query extends z.ZodType | null = null, Body extends z.ZodType | null = null>(
  method: Method,
  path: string,
  definition: Definition<Query, Body>,
  handle: Handler<Parsed<Query>, Parsed<Body>>,
): Route {
  const { query = null, body = null, payload = null, headers = {}, answers, problems = [], ...named } = definition;
  const codes = [...failuresOfForm(method, path, definition.scope, body !== null), ...problems];
  return { method, path, ...named, query, body, payload, headers, answers: { ...failures(codes), ...answers }, handle };
}

/** How a request can fail before its handler sees it. */
function failuresOfForm(method: Method, path: string, scope: RouteScope, hasBody: boolean): ProblemCode[] {
  const codes: ProblemCode[] = ['invalid'];
  if (path.includes('{')) codes.push('malformed_url');
  if (scope !== 'none') codes.push('unauthorized');
  if (scope !== 'none' && (scope !== 'any' || method !== 'GET')) codes.push('forbidden');
  if (hasBody) codes.push('malformed_body', 'too_large', 'unsupported_media_type');
  if (path.startsWith(`${API_PREFIX}/`)) codes.push('slow_down', 'internal', 'unavailable');
  return codes;
}
