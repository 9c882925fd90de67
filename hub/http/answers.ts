import type * as z from 'zod';
import { PROBLEMS, type ProblemCode } from './problems.ts';
import { problem } from './schemas/problem.ts';

/** One way in which an operation answers, as the OpenAPI document and the tests see it. */
export interface Answer {
  /** Of the body; null: there is none, or it is no JSON. */
  readonly schema: z.ZodType | null;
  readonly description: string;
  /** Media type of the body; null: there is no body. */
  readonly type: string | null;
  /** Headers worth knowing, with what they say. */
  readonly headers: Readonly<Record<string, string>>;
}

/** By status. */
export type Answers = Readonly<Record<number, Answer>>;

/** A JSON body, or with `type` a body of that kind, of which `schema` describes one line or event. */
export function json(
  schema: z.ZodType,
  description: string,
  headers: Readonly<Record<string, string>> = {},
  type = 'application/json',
): Answer {
  return { schema, description, type, headers };
}

/** No body. */
export function empty(description: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return { schema: null, description, type: null, headers };
}

/** A body that is no JSON. */
export function text(type: string, description: string): Answer {
  return { schema: null, description, type, headers: {} };
}

/** The answers of these failures: those with the same status share one. */
export function failures(codes: readonly ProblemCode[]): Answers {
  const byStatus = new Map<number, string[]>();
  for (const code of new Set(codes)) {
    const { status, title } = PROBLEMS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), `\`${code}\`: ${title}`]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, lines]) => [
      status,
      json(problem, lines.join('; '), FAILURE_HEADERS[status], 'application/problem+json'),
    ]),
  );
}

const RETRY = { 'Retry-After': 'Seconds to wait' };
const FAILURE_HEADERS: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  401: { 'WWW-Authenticate': 'How to authenticate (RFC 6750)' },
  429: RETRY,
  503: RETRY,
};
