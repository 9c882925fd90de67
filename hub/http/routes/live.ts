import type { Response } from 'express';
import * as z from 'zod';
import type { Clock, Timer } from '#hub/clock.js';
import { encodeBeat, encodeEvent, encodeRetry } from '#hub/live/event-stream.js';
import { LIVE_LIMITS } from '#hub/live/limits.js';
import type { LiveEvent, LiveFeed, LiveSelection, Viewer, ViewerSink } from '#hub/live/port.js';
import { isDeviceId } from '#protocols/principal.js';
import { text } from '../answers.ts';
import { isStillPermitted } from '../auth.ts';
import { Problem } from '../problems.ts';
import { route, type Route } from '../route.ts';

/** Proxies cut silent answers at 60 s, some at 30 s. */
const BEAT_MS = 15_000;
/** A client that takes nothing for so long is cut off: it comes back with its last id, or is gone. */
const STUCK_MS = 60_000;
/** How long a client waits before it comes back. */
const RETRY_MS = 2000;

const list = z.union([z.string(), z.array(z.string())]);
const query = z.strictObject({
  devices: list
    .transform((given, context) => {
      const ids = [given].flat().flatMap((text) => text.split(','));
      const wrong = ids.find((id) => !isDeviceId(id));
      if (wrong === undefined && ids.length <= LIVE_LIMITS.maxSelectedDevices) return [...new Set(ids)];
      const message =
        wrong === undefined
          ? `at most ${LIVE_LIMITS.maxSelectedDevices} devices; leave it out for all`
          : `"${wrong.slice(0, 64)}" is no device id; give ids separated by commas`;
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    })
    .optional(),
});

const DEFINITION = {
  id: 'live',
  tag: 'Live',
  summary: 'What happens, as server-sent events',
  scope: 'read',
  query,
  headers: { 'Last-Event-ID': 'Id of the last event that came: the stream goes on there if the hub still can' },
  answers: {
    200: text(
      'text/event-stream',
      'Events of the kinds hello, presence, latest, command, alarm, figures and resync, without an end',
    ),
  },
  problems: ['limit'],
} as const;

/** `GET /api/v1/live`: what happens, as server-sent events. The events are described in `docs/live.md`. */
export function liveRoutes(): readonly Route[] {
  return [
    route('GET', '/api/v1/live', DEFINITION, ({ api, query, req, res }) => {
      if (api.phase() === 'stopping') throw new Problem('unavailable', 'the hub is stopping; come back in a moment');
      if (req.method === 'HEAD') return { status: 200, headers: HEADERS };
      const stream = new EventStream(res, api.clock, () => isStillPermitted(api, req, DEFINITION));
      const selection = { devices: query.devices ?? null };
      if (!stream.begin(api.live, selection, req.get('last-event-id') ?? null)) {
        throw new Problem('limit', 'this hub has as many viewers of the live feed as it takes (liveViewers)');
      }
      return null;
    }),
  ];
}

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store, no-transform',
  // nginx would gather events until its buffer is full.
  'x-accel-buffering': 'no',
};

/**
 * One viewer's answer. What it has not read waits in the socket's buffer: at most 64 KiB and what belongs to one place in
 * the feed, as nothing is added while that is full; the feed goes on when it is empty, with the newest state of what
 * changed meanwhile.
 */
class EventStream implements ViewerSink {
  readonly #res: Response;
  readonly #clock: Clock;
  readonly #mayGoOn: () => boolean;
  #viewer: Viewer | null = null;
  #begun = false;
  #beat: Timer | null = null;
  /** Since when the client has taken nothing while something waits; null: nothing waits. */
  #fullMs: number | null = null;

  /** `mayGoOn` is asked at each beat: a token that was revoked, a sign-in that has ended shows nothing any more. */
  constructor(res: Response, clock: Clock, mayGoOn: () => boolean) {
    this.#res = res;
    this.#clock = clock;
    this.#mayGoOn = mayGoOn;
  }

  /** False: there are too many viewers, and nothing was written. */
  begin(feed: LiveFeed, selection: LiveSelection, lastEventId: string | null): boolean {
    const res = this.#res;
    const viewer = feed.open(this, selection, lastEventId);
    if (viewer === null) return false;
    this.#viewer = viewer;
    res.on('drain', () => {
      this.#fullMs = null;
      viewer.drained();
    });
    res.once('close', () => {
      this.#beat?.cancel();
      viewer.close();
    });
    if (res.destroyed) viewer.close();
    else this.#scheduleBeat();
    return true;
  }

  send(event: LiveEvent): boolean {
    if (!this.#begun) this.#writeHead();
    return this.#write(encodeEvent(event));
  }

  close(): void {
    this.#res.end();
  }

  /** Only now: a viewer that is not taken gets a problem document. */
  #writeHead(): void {
    this.#begun = true;
    this.#res.socket?.setNoDelay(true);
    this.#res.writeHead(200, HEADERS);
    this.#res.write(encodeRetry(RETRY_MS));
  }

  #write(bytes: Buffer | string): boolean {
    if (this.#res.destroyed) return false;
    const hasRoom = this.#res.write(bytes);
    if (!hasRoom) this.#fullMs ??= this.#clock.monotonic();
    return hasRoom;
  }

  #scheduleBeat(): void {
    this.#beat = this.#clock.after(BEAT_MS, () => {
      if (this.#fullMs !== null && this.#clock.monotonic() - this.#fullMs >= STUCK_MS) {
        this.#res.destroy();
      } else if (!this.#mayGoOn()) {
        this.#viewer!.close();
        this.#res.end();
      } else {
        if (this.#fullMs === null) this.#write(encodeBeat(this.#viewer!.position));
        this.#scheduleBeat();
      }
    });
  }
}
