/** Every way in which a request can fail, by the stable code that programs may rely on. */
export const PROBLEMS = {
  invalid: { status: 400, title: 'The request is not valid' },
  malformed_body: { status: 400, title: 'The body is not JSON' },
  malformed_url: { status: 400, title: 'The URL cannot be decoded' },
  unauthorized: { status: 401, title: 'An API token is needed' },
  not_found: { status: 404, title: 'There is no such thing' },
  method_not_allowed: { status: 405, title: 'This method is not served here' },
  exists: { status: 409, title: 'It exists already' },
  conflict: { status: 409, title: 'Its state does not allow this' },
  too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The body must be application/json' },
  upgrade_required: { status: 426, title: 'This path is for WebSocket' },
  limit: { status: 429, title: 'A limit is reached' },
  internal: { status: 500, title: 'A fault inside the hub' },
  unavailable: { status: 503, title: 'The hub cannot do this at present' },
} as const satisfies Record<string, { readonly status: number; readonly title: string }>;

export type ProblemCode = keyof typeof PROBLEMS;

/** Where a request was wrong, and how. */
export interface FieldError {
  /** `body.name`, `query.limit`, `path.device`. */
  readonly path: string;
  readonly message: string;
}

/** Thrown by whoever handles a request; the client gets it as `application/problem+json` (RFC 9457). */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  readonly errors: readonly FieldError[];
  readonly headers: Readonly<Record<string, string>>;

  /** `detail` is for the client: what is wrong and what to do. */
  constructor(
    code: ProblemCode,
    detail: string,
    more: { readonly errors?: readonly FieldError[]; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(detail);
    this.code = code;
    this.errors = more.errors ?? [];
    this.headers = more.headers ?? {};
  }

  get status(): number {
    return PROBLEMS[this.code].status;
  }

  /** The problem document. */
  body(): Record<string, unknown> {
    return {
      type: `urn:muster:problem:${this.code.replaceAll('_', '-')}`,
      title: PROBLEMS[this.code].title,
      status: this.status,
      code: this.code,
      detail: this.message,
      ...(this.errors.length === 0 ? {} : { errors: this.errors }),
    };
  }
}
