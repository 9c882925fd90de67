import * as z from 'zod';
import { fleetCounts } from '#hub/fleet/counts.js';
import type { DeviceView } from '#hub/fleet/port.js';
import type { LatestValue } from '#hub/telemetry/port.js';
import { json } from '../answers.ts';
import type { ApiLimits } from '../limits.ts';
import { route, type Route } from '../route.ts';
import { fleetPage, type fleetRow } from '../schemas/fleet.ts';
import { cursor, queryInteger } from '../validate.ts';

type Row = z.infer<typeof fleetRow>;

/** The whole fleet at a glance: one request for what a table of all devices shows, made of what is in memory. */
export function fleetRoutes(limits: ApiLimits): readonly Route[] {
  const most = limits.maxPageFleet;
  const query = z.strictObject({ after: cursor.optional(), limit: queryInteger(1, most).optional() });
  return [
    route(
      'GET',
      '/api/v1/fleet',
      {
        id: 'listFleet',
        tag: 'Devices',
        summary: 'All devices with presence and latest values, in short',
        scope: 'read',
        query,
        answers: { 200: json(fleetPage, 'A page, ascending by id') },
      },
      ({ api, query: { after = null, limit = most } }) => {
        const { items, next } = api.devices.list({ after, limit });
        const rows = items.map((device) => rowOf(device, api.telemetry.latest(device.id), limits));
        return { status: 200, body: { items: rows, next, counts: fleetCounts(api.devices.counts()) } };
      },
    ),
  ];
}

function rowOf({ id, name, disabled, presence }: DeviceView, latest: readonly LatestValue[], limits: ApiLimits): Row {
  const values = latest.slice(0, limits.fleetRowMetrics).map((one) => shown(one, limits.fleetTextCharacters));
  return { id, name, disabled, presence, latest: values };
}

function shown({ metric, value, timeUs }: LatestValue, most: number): Row['latest'][number] {
  if (typeof value !== 'string' || value.length <= most) return { metric, value, timeUs };
  return { metric, value: value.slice(0, most).toWellFormed(), timeUs, cut: true };
}
