import type { Request, Response } from 'express';
import type * as z from 'zod';
import type { HubApi } from './deps.ts';

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

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
  /** By name, percent-decoded and checked by `PATH_PARAMETERS`. */
  readonly path: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  readonly req: Request;
  readonly res: Response;
}

/** One operation, as the router, the documentation and the tests see it. */
export interface Route {
  readonly method: Method;
  /** The whole path with `{name}` for its parameters: `/api/v1/devices/{device}`. */
  readonly path: string;
  /** As in `docs/api.md`. */
  readonly summary: string;
  /** Null: it has no query parameters. */
  readonly query: z.ZodType | null;
  /** Null: it takes no body. */
  readonly body: z.ZodType | null;
  readonly handle: (call: Call<never, never>) => Promise<Reply | null> | Reply | null;
}

type Parsed<S extends z.ZodType | null> = S extends z.ZodType ? z.infer<S> : null;

/** Joins an operation's schemas and its handler, so that the handler sees their types. */
export function route<Query extends z.ZodType | null = null, Body extends z.ZodType | null = null>(
  method: Method,
  path: string,
  summary: string,
  schemas: { readonly query?: Query; readonly body?: Body },
  handle: (call: Call<Parsed<Query>, Parsed<Body>>) => Promise<Reply | null> | Reply | null,
): Route {
  return { method, path, summary, query: schemas.query ?? null, body: schemas.body ?? null, handle };
}
