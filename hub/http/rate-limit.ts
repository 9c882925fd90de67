import type { RequestHandler } from 'express';
import { ipKeyGenerator, rateLimit, type ClientRateLimitInfo, type Store } from 'express-rate-limit';
import type { Clock } from '#hub/clock.js';
import { callerKey, identityOf } from './callers.ts';
import type { HubApi } from './deps.ts';
import { Problem } from './problems.ts';

const WINDOW_MS = 60_000;

/**
 * Bounds the requests a minute of each caller; of those who are nobody, of each address (IPv6: each /56 network, which one
 * customer of a provider has). Answers carry `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-08).
 * Throws Problem `slow_down`.
 */
export function limitRate(api: HubApi): RequestHandler {
  return rateLimit({
    windowMs: WINDOW_MS,
    limit: api.config.apiRequestsPerMinute,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    identifier: 'requests',
    store: new CountedWindows(api.clock, api.limits.maxCountedCallers),
    keyGenerator: (req, res) => {
      const caller = identityOf(res)?.caller ?? null;
      return caller === null ? `address:${ipKeyGenerator(req.ip ?? '')}` : callerKey(caller);
    },
    handler: (_req, res) => {
      const limit = api.config.apiRequestsPerMinute;
      throw new Problem(
        'slow_down',
        `more than ${limit} requests within a minute (apiRequestsPerMinute): wait, then go on`,
        {
          headers: { 'retry-after': String(res.getHeader('retry-after') ?? WINDOW_MS / 1000) },
        },
      );
    },
    // Its checks are for proxies and stores that are not used here, and speak to the console.
    validate: false,
  });
}

interface Window {
  hits: number;
  readonly endsMs: number;
}

/** Counts in windows of a minute that begin with a caller's first request. Bounded: the window that began first goes first. */
class CountedWindows implements Store {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #windows = new Map<string, Window>();

  constructor(clock: Clock, most: number) {
    this.#clock = clock;
    this.#most = most;
  }

  increment(key: string): ClientRateLimitInfo {
    const nowMs = this.#clock.monotonic();
    let window = this.#windows.get(key);
    if (window === undefined || window.endsMs <= nowMs) {
      // Deleted first, so that the order of the map is the order in which windows began.
      this.#windows.delete(key);
      if (this.#windows.size >= this.#most) this.#windows.delete(this.#windows.keys().next().value!);
      window = { hits: 0, endsMs: nowMs + WINDOW_MS };
      this.#windows.set(key, window);
    }
    window.hits++;
    return this.#info(window, nowMs);
  }

  decrement(key: string): void {
    const window = this.#windows.get(key);
    if (window !== undefined && window.hits > 0) window.hits--;
  }

  resetKey(key: string): void {
    this.#windows.delete(key);
  }

  /** The library wants a date and looks at the system's clock itself. */
  #info({ hits, endsMs }: Window, nowMs: number): ClientRateLimitInfo {
    return { totalHits: hits, resetTime: new Date(Date.now() + endsMs - nowMs) };
  }
}
