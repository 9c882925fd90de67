import type { IncomingHttpHeaders } from 'node:http';
import express, { type RequestHandler } from 'express';
import type { ApiLimits } from './limits.ts';
import { Problem } from './problems.ts';

/** Reads a JSON body of limited size into `req.body`; undefined when there is none. Compressed bodies are refused: they could grow past the limit. */
export function jsonBody(limits: ApiLimits): readonly RequestHandler[] {
  const refuseOthers: RequestHandler = (req, _res, next) => {
    if (hasBody(req.headers) && req.is('application/json') === false) {
      throw new Problem('unsupported_media_type', 'send JSON with `Content-Type: application/json`');
    }
    next();
  };
  return [refuseOthers, express.json({ limit: limits.maxBodyBytes, inflate: false, strict: false })];
}

function hasBody(headers: IncomingHttpHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
