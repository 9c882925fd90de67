import { DEVICE_PROBLEMS, type DeviceProblemCode } from './device/problems.ts';

/** Every way in which a request can fail, by the stable code that programs may rely on. */
export const PROBLEMS = {
  invalid: { status: 400, title: 'The request is not valid' },
  malformed_body: { status: 400, title: 'The body is not JSON' },
  malformed_url: { status: 400, title: 'The URL cannot be decoded' },
  unauthorized: { status: 401, title: 'Sign in, or send an API token' },
  denied: { status: 403, title: 'Name, password or link is not right' },
  forbidden: { status: 403, title: 'This caller may not do this' },
  not_found: { status: 404, title: 'There is no such thing' },
  method_not_allowed: { status: 405, title: 'This method is not served here' },
  exists: { status: 409, title: 'It exists already' },
  conflict: { status: 409, title: 'Its state does not allow this' },
  changed: { status: 412, title: 'It has changed since it was read' },
  too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The body must be application/json' },
  key_reused: { status: 422, title: 'This Idempotency-Key was used for another request' },
  upgrade_required: { status: 426, title: 'This path is for WebSocket' },
  limit: { status: 429, title: 'A limit is reached' },
  slow_down: { status: 429, title: 'Too many requests, or failed tries' },
  internal: { status: 500, title: 'A fault inside the hub' },
  unavailable: { status: 503, title: 'The hub cannot do this at present' },
} as const satisfies Record<string, { readonly status: number; readonly title: string }>;

export type ProblemCode = keyof typeof PROBLEMS;

/** Codes of the API, and of what devices ask for over HTTP. */
export type AnyProblemCode = ProblemCode | DeviceProblemCode;

const ALL: Readonly<Record<AnyProblemCode, { readonly status: number; readonly title: string }>> = {
  ...DEVICE_PROBLEMS,
  ...PROBLEMS,
};

/** Where a request was wrong, and how. */
export interface FieldError {
  /** `body.name`, `query.limit`, `path.device`. */
  readonly path: string;
  readonly message: string;
}

export interface ProblemMore {
  readonly errors?: readonly FieldError[];
  readonly headers?: Readonly<Record<string, string>>;
  /** With `forbidden`: what the caller would need. */
  readonly missingScope?: string;
  /** Further members of the document (RFC 9457, 3.2). */
  readonly members?: Readonly<Record<string, unknown>>;
}

/** Thrown by whoever handles a request; the client gets it as `application/problem+json` (RFC 9457). */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: AnyProblemCode;
  readonly headers: Readonly<Record<string, string>>;
  readonly #more: ProblemMore;

  /** `detail` is for the client: what is wrong and what to do. */
  constructor(code: AnyProblemCode, detail: string, more: ProblemMore = {}) {
    super(detail);
    this.code = code;
    this.headers = more.headers ?? {};
    this.#more = more;
  }

  get status(): number {
    return ALL[this.code].status;
  }

  /** The problem document. */
  body(): Record<string, unknown> {
    const { errors = [], missingScope, members = {} } = this.#more;
    return {
      type: `urn:muster:problem:${this.code.replaceAll('_', '-')}`,
      title: ALL[this.code].title,
      status: this.status,
      code: this.code,
      detail: this.message,
      ...(errors.length === 0 ? {} : { errors }),
      ...(missingScope === undefined ? {} : { missingScope }),
      ...members,
    };
  }
}
