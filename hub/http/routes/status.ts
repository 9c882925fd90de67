import type { HubApi } from '../deps.ts';
import { route, type Route } from '../route.ts';
import { isoOfMs } from '../time.ts';

/** How the hub is: for people and programs, for process managers, for Prometheus. */
export function statusRoutes(): readonly Route[] {
  return [
    route('GET', '/api/v1/status', 'Version, counts and health of the hub', {}, async ({ api }) => {
      return { status: 200, body: await status(api) };
    }),
    route('GET', '/healthz', 'Is the process alive? Always 200', {}, () => {
      return { status: 200, body: { status: 'alive' } };
    }),
    route('GET', '/readyz', 'Can the hub take work? 200, or 503 with the reasons', {}, ({ api }) => {
      const reasons = notReady(api);
      return { status: reasons.length === 0 ? 200 : 503, body: { ready: reasons.length === 0, reasons } };
    }),
    route('GET', '/metrics', 'Figures in the Prometheus text format', {}, async ({ api, res }) => {
      const text = await api.metrics.text();
      // `type` would reorder the parameters that Prometheus looks at; the header is set as it is.
      res.status(200).setHeader('content-type', api.metrics.contentType);
      res.end(text);
      return null;
    }),
  ];
}

async function status(api: HubApi): Promise<object> {
  const { writable, sinceMs, error } = api.telemetry.health;
  const { rows, bytes } = api.telemetry.backlog;
  const nowMs = api.clock.now();
  return {
    version: api.version,
    phase: api.phase(),
    nowMs,
    now: isoOfMs(nowMs),
    startedMs: api.startedMs,
    started: isoOfMs(api.startedMs),
    uptimeSeconds: Math.max(0, Math.round((nowMs - api.startedMs) / 1000)),
    counts: { ...api.devices.counts(), commands: api.commands.counts() },
    store: {
      facts: await api.reader.facts(),
      writable,
      notWritableSinceMs: sinceMs,
      notWritableSince: sinceMs === null ? null : isoOfMs(sinceMs),
      error,
      backlogRows: rows,
      backlogBytes: bytes,
    },
  };
}

function notReady(api: HubApi): object[] {
  const reasons: object[] = [];
  const phase = api.phase();
  if (phase === 'starting') reasons.push({ code: 'starting', detail: 'the hub is loading its state' });
  if (phase === 'stopping') reasons.push({ code: 'shutting_down', detail: 'the hub is shutting down' });
  const { writable, sinceMs, error } = api.telemetry.health;
  if (!writable) {
    const detail = `the store cannot write${error === null ? '' : `: ${error}`}`;
    reasons.push({ code: 'store_not_writable', detail, sinceMs, since: sinceMs === null ? null : isoOfMs(sinceMs) });
  }
  return reasons;
}
