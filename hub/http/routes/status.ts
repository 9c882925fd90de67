import type * as z from 'zod';
import { json, text } from '../answers.ts';
import type { HubApi } from '../deps.ts';
import { route, type Route } from '../route.ts';
import { alive, readiness, status, type notReadyReason } from '../schemas/status.ts';
import { isoOfMs } from '../time.ts';

const tag = 'Hub';

/** How the hub is: for people and programs, for process managers, for Prometheus. */
export function statusRoutes(metricsNeedToken: boolean): readonly Route[] {
  return [
    route(
      'GET',
      '/api/v1/status',
      {
        id: 'status',
        tag,
        summary: 'Version, counts and health of the hub',
        scope: 'read',
        answers: { 200: json(status, 'As it is now') },
      },
      async ({ api }) => ({ status: 200, body: await statusOf(api) }),
    ),
    route(
      'GET',
      '/healthz',
      {
        id: 'healthz',
        tag,
        summary: 'Is the process alive? Always 200',
        scope: 'none',
        answers: { 200: json(alive, 'It is') },
      },
      () => ({ status: 200, body: { status: 'alive' } }),
    ),
    route(
      'GET',
      '/readyz',
      {
        id: 'readyz',
        tag,
        summary: 'Can the hub take work? 200, or 503 with the reasons',
        scope: 'none',
        answers: { 200: json(readiness, 'It can'), 503: json(readiness, 'It cannot') },
      },
      ({ api }) => {
        const reasons = notReady(api);
        return { status: reasons.length === 0 ? 200 : 503, body: { ready: reasons.length === 0, reasons } };
      },
    ),
    route(
      'GET',
      '/metrics',
      {
        id: 'metrics',
        tag,
        summary: 'Figures in the Prometheus text format',
        scope: metricsNeedToken ? 'read' : 'none',
        answers: { 200: text('text/plain', 'See docs/metrics.md') },
      },
      async ({ api, res }) => {
        const figures = await api.metrics.text();
        // `type` would reorder the parameters that Prometheus looks at; the header is set as it is.
        res.status(200).setHeader('content-type', api.metrics.contentType);
        res.end(figures);
        return null;
      },
    ),
  ];
}

async function statusOf(api: HubApi): Promise<z.infer<typeof status>> {
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

function notReady(api: HubApi): z.infer<typeof notReadyReason>[] {
  const reasons: z.infer<typeof notReadyReason>[] = [];
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
