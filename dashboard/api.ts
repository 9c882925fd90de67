import type { CloseReason, Initiator } from '#protocols/close-reasons.js';
import type { Value } from '#protocols/reading.js';

/** The part of the HTTP interface that the dashboard uses; `docs/api.md` describes it. Times: `Ms` and `Us` since 1970. */

export type { CloseReason, Initiator, Value };

export type Role = 'viewer' | 'operator' | 'admin';
export type Scope = 'read' | 'commands' | 'devices' | 'admin';

export interface Caller {
  readonly kind: 'operator' | 'token';
  /** Of an operator. */
  readonly name?: string;
  readonly role?: Role;
  /** Of a token. */
  readonly label?: string;
  readonly scopes: readonly Scope[];
}

export interface Me {
  readonly caller: Caller;
  readonly csrf: string | null;
}

/** As the live feed tells it; the API has some more texts beside it. */
export interface Presence {
  readonly online: boolean;
  /** Number of its last connection; 0: it never connected. */
  readonly epoch: number;
  readonly protocol: string | null;
  readonly connectedMs: number | null;
  readonly disconnectedMs: number | null;
  readonly reason: CloseReason | null;
  readonly initiator: Initiator | null;
  readonly reasonText?: string | null;
}

export interface Device {
  readonly id: string;
  readonly name: string | null;
  readonly protocols: readonly string[] | null;
  readonly disabled: boolean;
  readonly createdUs: number;
  readonly presence: Presence;
}

export interface LatestValue {
  readonly metric: string;
  readonly value: Value;
  readonly timeUs: number;
  /** What the metric was last given in. */
  readonly unit?: string | null | undefined;
  /** The text is longer than what is shown here. */
  readonly cut?: boolean | undefined;
}

export interface FleetRow {
  readonly id: string;
  readonly name: string | null;
  readonly disabled: boolean;
  readonly presence: Presence;
  readonly latest: readonly LatestValue[];
}

export interface FleetCounts {
  readonly online: number;
  readonly offline: number;
  /** Of those online. */
  readonly byProtocol: Readonly<Record<string, number>>;
}

export interface FleetPage extends Page<FleetRow> {
  readonly counts: FleetCounts;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

export type CommandState =
  'queued' | 'sent' | 'received' | 'succeeded' | 'failed' | 'rejected' | 'expired' | 'cancelled' | 'timed_out';

/** What a request came to when the hub said no, or could not be reached (`status` 0, code `unreachable`). */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly code: string;
  /** The fields that were wrong. */
  readonly errors: readonly { readonly path: string; readonly message: string }[];

  constructor(status: number, problem: Partial<Problem>) {
    super(problem.detail ?? problem.title ?? `the hub answered ${status}`);
    this.status = status;
    this.code = problem.code ?? 'unknown';
    this.errors = problem.errors ?? [];
  }
}

interface Problem {
  readonly title: string;
  readonly code: string;
  readonly detail: string;
  readonly errors: readonly { readonly path: string; readonly message: string }[];
}

export type Query = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface ApiOptions {
  readonly fetch: typeof fetch;
  /** The hub knows nobody by this cookie (any more). */
  readonly onSignedOut: () => void;
}

/** Asks the hub, as the operator whose cookie the browser holds. Every method rejects with `ApiError` alone, or as aborted. */
export class Api {
  readonly #options: ApiOptions;
  #csrf: string | null = null;

  constructor(options: ApiOptions) {
    this.#options = options;
  }

  /** Who asks; brings the token that changing requests carry. */
  async me(): Promise<Me> {
    const me = await this.get<Me>('/api/v1/me');
    this.#csrf = me.csrf;
    return me;
  }

  /** `path` with its parts encoded, without query: see `path`. */
  get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
    const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
    const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
    return this.#ask<T>(search === '' ? path : `${path}?${search}`, { method: 'GET', ...(signal && { signal }) });
  }

  post<T>(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<T> {
    return this.#change<T>('POST', path, body, headers);
  }

  delete<T>(path: string): Promise<T> {
    return this.#change<T>('DELETE', path, undefined, {});
  }

  #change<T>(method: string, path: string, body: unknown, headers: Readonly<Record<string, string>>): Promise<T> {
    return this.#ask<T>(path, {
      method,
      headers: {
        ...headers,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(this.#csrf !== null && { 'x-csrf-token': this.#csrf }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  }

  async #ask<T>(url: string, init: RequestInit): Promise<T> {
    const { fetch, onSignedOut } = this.#options;
    let answer: Response;
    let text: string;
    try {
      answer = await fetch(url, { credentials: 'same-origin', ...init });
      text = await answer.text();
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') throw error;
      throw new ApiError(0, { code: 'unreachable', detail: 'The hub cannot be reached.' });
    }
    if (answer.ok) return parsed(text) as T;
    if (answer.status === 401) onSignedOut();
    throw new ApiError(answer.status, (parsed(text) as Partial<Problem> | null) ?? {});
  }
}

/** `path`/devices/${id}`` with each value percent-encoded. */
export function path(parts: TemplateStringsArray, ...values: readonly string[]): string {
  return String.raw({ raw: parts }, ...values.map(encodeURIComponent));
}

/** Null for nothing, and for what is no JSON: a proxy in between answers with pages of its own. */
function parsed(text: string): unknown {
  try {
    return text === '' ? null : (JSON.parse(text) as unknown);
  } catch {
    return null;
  }
}
