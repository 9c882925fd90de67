import type { ErrorRequestHandler, Response } from 'express';
import { FleetError } from '#hub/fleet/port.js';
import { DeviceRefusal } from '#hub/gateway/http/port.js';
import { redactUrl } from '#hub/observe/redact.js';
import { StoreError, type StoreErrorCode } from '#hub/store/port.js';
import type { HubApi } from './deps.ts';
import { fromDevice } from './device/refused.ts';
import type { ApiLimits } from './limits.ts';
import { Problem } from './problems.ts';

/** The last handler: every error becomes a problem document; what is the hub's own fault goes into the log, not to the client. */
export function errorHandler(api: HubApi): ErrorRequestHandler {
  return (error: unknown, req, res, _next) => {
    const problem = toProblem(error, api.limits);
    if (problem.code === 'internal') {
      api.log.error({ err: error, method: req.method, url: redactUrl(req.originalUrl) }, 'a request failed');
    }
    // An answer that has begun can only be cut off: the client must not take it for whole.
    if (res.headersSent) res.destroy();
    else sendProblem(res, problem);
  };
}

export function sendProblem(res: Response, problem: Problem): void {
  res.status(problem.status).set(problem.headers).type('application/problem+json').send(JSON.stringify(problem.body()));
}

/** Any thrown value as what the client may know of it. */
export function toProblem(error: unknown, limits: ApiLimits): Problem {
  if (error instanceof Problem) return error;
  const retry = { headers: { 'retry-after': String(limits.retryAfterSeconds) } };
  if (error instanceof DeviceRefusal) return fromDevice(error, limits);
  if (error instanceof FleetError) return fromFleet(error, retry);
  if (error instanceof StoreError) return fromStore(error.code, retry);
  const type = bodyParserType(error);
  if (type === 'entity.too.large') {
    return new Problem('too_large', `the body may have at most ${limits.maxBodyBytes} bytes`);
  }
  if (type === 'entity.parse.failed') return new Problem('malformed_body', 'the body cannot be read as JSON');
  if (type === 'encoding.unsupported' || type === 'charset.unsupported') {
    return new Problem('unsupported_media_type', 'send the body as UTF-8 and not compressed');
  }
  if (type !== null) return new Problem('malformed_body', 'the body did not come as announced');
  if (error instanceof URIError)
    return new Problem('malformed_url', 'a % in the path is not followed by two hex digits of UTF-8');
  return new Problem('internal', 'the request failed for a reason that is in the log of the hub');
}

function fromFleet(error: FleetError, retry: { readonly headers: Record<string, string> }): Problem {
  const { code, message, retryAfterMs } = error;
  if (retryAfterMs !== null) {
    return new Problem(code, message, {
      headers: { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) },
    });
  }
  return new Problem(code, message, code === 'unavailable' ? retry : {});
}

function fromStore(code: StoreErrorCode, retry: { readonly headers: Record<string, string> }): Problem {
  switch (code) {
    case 'invalid':
      return new Problem('invalid', 'this cursor was not given out here: start again without `after`');
    case 'full':
    case 'io':
    case 'busy':
    case 'locked':
    case 'closed':
      return new Problem('unavailable', 'the store cannot answer at present; /readyz says more', retry);
    case 'corrupt':
    case 'version':
    case 'internal':
      return new Problem('internal', 'the store failed for a reason that is in the log of the hub');
  }
}

/** The `type` that body-parser and raw-body give their errors, or null. */
function bodyParserType(error: unknown): string | null {
  if (!(error instanceof Error) || !('type' in error) || !('status' in error)) return null;
  return typeof error.type === 'string' ? error.type : null;
}
