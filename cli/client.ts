import { CliError, type CliIo } from './io.ts';
import { resolveTarget, type Target, type TargetOptions } from './target.ts';

const TIMEOUT_MS = 30_000;

interface RequestParts {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** The hub answered, and not with what was asked for. */
export class Refused extends CliError {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Calls to a hub's `/api/v1`. Every failure is a CliError that says what to do. */
export class Client {
  readonly #options: TargetOptions;
  readonly #io: CliIo;
  #target: Promise<Target> | null = null;

  constructor(options: TargetOptions, io: CliIo) {
    this.#options = options;
    this.#io = io;
  }

  /** The parsed body; null where there is none. `waitMs`: how much longer than usual the answer may take. */
  async call<T>(method: string, path: string, body?: unknown, waitMs = 0): Promise<T> {
    const signal = AbortSignal.timeout(TIMEOUT_MS + waitMs);
    const response = await this.#request(method, path, { body, signal });
    const { base } = await this.#resolved();
    let text: string;
    try {
      text = await response.text();
    } catch (error) {
      throw unreachable(base, error);
    }
    if (!response.ok) throw refusal(response, text);
    try {
      return (text === '' ? null : JSON.parse(text)) as T;
    } catch {
      throw new CliError(`${base} did not answer as a hub does: is it the address of one?`);
    }
  }

  /**
   * A GET whose body is read as it comes (an export, the live feed); no time limit but the caller's signal, whose abort
   * rejects with the signal's reason. Throws CliError unless the answer is 2xx.
   */
  async open(path: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Response> {
    const response = await this.#request('GET', path, { headers, signal });
    if (!response.ok) throw new Refused(response.status, refusal(response, await response.text()).message);
    return response;
  }

  /** All items of a list, page by page, at most `most`. */
  async all<T>(path: string, query: Readonly<Record<string, string>>, most: number): Promise<T[]> {
    const items: T[] = [];
    let after: string | null = null;
    do {
      const limit = String(Math.min(1000, most - items.length));
      const search = new URLSearchParams({ ...query, limit, ...(after === null ? {} : { after }) });
      const page: { items: T[]; next: string | null } = await this.call('GET', `${path}?${search.toString()}`);
      items.push(...page.items);
      after = page.next;
    } while (after !== null && items.length < most);
    return items;
  }

  /** A path of this hub as a whole address; an address stays as it is. */
  async urlOf(path: string): Promise<string> {
    return new URL(path, (await this.#resolved()).base).href;
  }

  #resolved(): Promise<Target> {
    return (this.#target ??= resolveTarget(this.#options, this.#io));
  }

  async #request(method: string, path: string, { body, headers, signal }: RequestParts): Promise<Response> {
    const { base, token } = await this.#resolved();
    if (token === null) {
      throw new CliError(
        `no API token for ${base}: give --token or set MUSTER_TOKEN, or keep it with \`muster profile add\`; ` +
          'the hub printed one at its first start',
      );
    }
    try {
      return await fetch(`${base}/api/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal,
      });
    } catch (error) {
      if (signal.aborted && !isTimeout(error)) throw error;
      throw unreachable(base, error);
    }
  }
}

/** What the hub's refusal means for whoever typed the command. */
function refusal(response: Response, text: string): CliError {
  const detail = detailOf(text);
  switch (response.status) {
    case 401:
      return new CliError(
        'the hub does not accept this token: give an API token by --token or MUSTER_TOKEN (a device token is none)',
      );
    case 403:
      return new CliError(
        `${detail ?? 'this token may not do that'}; ask for a token with more scopes (\`muster token create --scopes …\`)`,
      );
    case 429:
      return new CliError(`${detail ?? 'too many requests'}${tryAgain(response)}`);
    case 503:
      return new CliError(`${detail ?? 'the hub cannot do this at present'}${tryAgain(response)}`);
  }
  return new CliError(detail ?? `the answer was HTTP ${response.status}: is this the address of a hub?`);
}

function tryAgain(response: Response): string {
  const seconds = response.headers.get('retry-after');
  return seconds !== null && /^\d+$/.test(seconds) ? `; try again in ${seconds} s` : '';
}

/** Null: no problem document; what answered is no hub, or something stands before it. */
function detailOf(text: string): string | null {
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown };
    return typeof detail === 'string' ? detail : null;
  } catch {
    return null;
  }
}

function unreachable(base: string, error: unknown): CliError {
  if (isTimeout(error)) {
    return new CliError(`the hub at ${base} did not answer in time; ${base}/readyz tells how it is`);
  }
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (/CERT|SELF_SIGNED/.test(code)) {
    return new CliError(`the certificate of ${base} is not trusted (${code}): name its CA file in NODE_EXTRA_CA_CERTS`);
  }
  const why = code === '' && cause instanceof Error ? cause.message : code;
  return new CliError(
    `no hub answers at ${base} (${why}): start one with \`muster serve\`, or give its address by --url`,
  );
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError';
}
