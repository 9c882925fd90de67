import { createHash } from 'node:crypto';
import type { Request } from 'express';
import { Problem } from './problems.ts';

/**
 * Entity tags (RFC 9110, 8.8.3) of things that can be changed. A tag has two parts, `"settings.state"`: what a request can
 * change, and what else the answer shows. `If-None-Match` compares both. `If-Match` compares the settings alone: a device
 * that has come online since is no reason to refuse a change of its name.
 */
export function etagOf(settings: unknown, state: unknown = null): string {
  return `"${settingsTag(settings)}.${digest(state)}"`;
}

/** The first part of `etagOf`. */
export function settingsTag(settings: unknown): string {
  return digest(settings);
}

/** What `If-Match` asks for. */
export interface Condition {
  /** Whether something with these settings may be changed. */
  allows(settings: unknown): boolean;
}

const ANYTHING: Condition = { allows: () => true };
const TAG_LIST = /^\s*(?:W\/)?"[\x21\x23-\x7e]*"(?:\s*,\s*(?:W\/)?"[\x21\x23-\x7e]*")*\s*$/;

/** The condition of a request; without `If-Match` there is none. Weak tags match nothing (RFC 9110, 13.1.1). Throws Problem `invalid`. */
export function ifMatch(req: Request): Condition {
  const header = req.get('if-match');
  if (header === undefined || header.trim() === '*') return ANYTHING;
  if (!TAG_LIST.test(header)) {
    throw new Problem(
      'invalid',
      'the If-Match header must be * or quoted tags: `If-Match: "…"`, as the ETag header gave it',
    );
  }
  const wanted = [...header.matchAll(/(W\/)?"([^"]*)"/g)]
    .filter(([, weak]) => weak === undefined)
    .map(([, , tag]) => tag!.split('.')[0]!);
  return { allows: (settings) => wanted.includes(settingsTag(settings)) };
}

/**
 * Does the client have this already (RFC 9110, 13.1.2)? The framework would not look when the request says
 * `Cache-Control: no-cache`, which every `fetch` with an `If-None-Match` of its own does.
 */
export function alreadyHas(req: Request, etag: string): boolean {
  const header = req.get('if-none-match');
  if (header === undefined || (req.method !== 'GET' && req.method !== 'HEAD')) return false;
  return header.trim() === '*' || header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}

/** Problem `changed` unless the condition holds. */
export function mustHold(condition: Condition, settings: unknown, what: string): void {
  if (condition.allows(settings)) return;
  throw new Problem('changed', `${what} is not as If-Match says: read it again, and decide anew`);
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 16);
}
