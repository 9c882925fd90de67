import { CliError, type CliIo } from './io.ts';

export const DEFAULT_URL = 'http://127.0.0.1:8080';
const TIMEOUT_MS = 30_000;

export interface ClientOptions {
  readonly url?: string;
  readonly token?: string;
}

/** Calls to a hub's `/api/v1`. Every failure is a CliError that says what to do. */
export class Client {
  readonly #base: string;
  readonly #token: string;

  constructor(options: ClientOptions, io: CliIo) {
    this.#base = apiBase(options.url ?? nonEmpty(io.env.MUSTER_URL) ?? DEFAULT_URL);
    const token = options.token ?? nonEmpty(io.env.MUSTER_TOKEN);
    if (token === undefined) {
      throw new CliError('no API token: give --token or set MUSTER_TOKEN; the hub printed one at its first start');
    }
    this.#token = token;
  }

  /** The parsed body; null where there is none. `waitMs`: how much longer than usual the answer may take. */
  async call<T>(method: string, path: string, body?: unknown, waitMs = 0): Promise<T> {
    const response = await this.#fetch(method, path, body, waitMs);
    const text = await response.text();
    if (!response.ok) throw refusal(response.status, text);
    try {
      return (text === '' ? null : JSON.parse(text)) as T;
    } catch {
      throw new CliError(`${this.#base} did not answer as a hub does: is it the address of one?`);
    }
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

  async #fetch(method: string, path: string, body: unknown, waitMs: number): Promise<Response> {
    try {
      return await fetch(`${this.#base}/api/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${this.#token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(TIMEOUT_MS + waitMs),
      });
    } catch (error) {
      throw unreachable(this.#base, error);
    }
  }
}

/** A ws address is as good as an http one: it is the same port. */
function apiBase(text: string): string {
  const url = URL.parse(text.replace(/^ws(s?):/, 'http$1:'));
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new CliError(`"${text}" is no address of a hub: give one such as ${DEFAULT_URL}`);
  }
  return url.origin;
}

function refusal(status: number, text: string): CliError {
  if (status === 401) {
    return new CliError(
      'the hub does not accept this token: give an API token by --token or MUSTER_TOKEN (a device token is none)',
    );
  }
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown };
    if (typeof detail === 'string') return new CliError(detail);
  } catch {
    // No problem document: what answered is no hub, or something stands before it.
  }
  return new CliError(`the answer was HTTP ${status}: is this the address of a hub?`);
}

function unreachable(base: string, error: unknown): CliError {
  if (error instanceof Error && error.name === 'TimeoutError') {
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

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
