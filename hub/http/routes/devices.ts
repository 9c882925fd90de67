import * as z from 'zod';
import type { DeviceView } from '#hub/fleet/port.js';
import { empty, json } from '../answers.ts';
import { etagOf, ifMatch, mustHold } from '../etags.ts';
import { found } from '../found.ts';
import { given } from '../given.ts';
import type { ApiLimits } from '../limits.ts';
import { pageQuery } from '../paging.ts';
import { route, type Route } from '../route.ts';
import { createdDevice, device, devicePage } from '../schemas/devices.ts';
import { Turns } from '../turns.ts';
import { deviceId, queryBoolean } from '../validate.ts';
import { deviceJson } from '../views.ts';

const name = z.string().min(1).max(256).nullable();
const protocols = z
  .array(z.enum(['mqtt', 'stomp', 'cbor', 'http']))
  .min(1, 'name at least one protocol, or null for all; to keep a device out, disable it')
  .nullable();

const newDevice = z.strictObject({ id: deviceId, name: name.optional(), protocols: protocols.optional() });
const change = z.strictObject({
  name: name.optional(),
  protocols: protocols.optional(),
  disabled: z.boolean().optional(),
});

const tag = 'Devices';
const one = '/api/v1/devices/{device}';
const ETAG = { ETag: 'Of the device as it is now; `If-Match` looks only at what can be changed here' };

export function deviceRoutes(limits: ApiLimits): readonly Route[] {
  const listQuery = pageQuery(limits).extend({
    prefix: z.string().max(128).optional().describe('Only ids that begin so'),
    online: queryBoolean.optional(),
  });
  // Between looking and changing lies a commit: without turns, two clients with the same tag would both be right.
  const turns = new Turns();
  return [
    route(
      'POST',
      '/api/v1/devices',
      {
        id: 'createDevice',
        tag,
        summary: 'Register a device',
        scope: 'devices',
        body: newDevice,
        answers: {
          201: json(createdDevice, 'It exists, and may connect with this token', {
            Location: 'Its path',
            ...ETAG,
          }),
        },
        problems: ['exists', 'limit'],
      },
      async ({ api, body }) => {
        const { device, token } = await api.devices.create(given(body));
        const headers = { location: `/api/v1/devices/${encodeURIComponent(device.id)}`, etag: deviceEtag(device) };
        return { status: 201, body: { device: deviceJson(device), token }, headers };
      },
    ),
    route(
      'GET',
      '/api/v1/devices',
      {
        id: 'listDevices',
        tag,
        summary: 'List devices by id',
        scope: 'read',
        query: listQuery,
        answers: { 200: json(devicePage, 'A page, ascending by id') },
      },
      ({ api, query }) => {
        const { after = null, limit = limits.defaultPageItems, ...filters } = query;
        const { items, next } = api.devices.list({ after, limit, ...given(filters) });
        return { status: 200, body: { items: items.map(deviceJson), next } };
      },
    ),
    route(
      'GET',
      one,
      {
        id: 'getDevice',
        tag,
        summary: 'Show a device and its presence',
        scope: 'read',
        headers: { 'If-None-Match': 'An ETag: 304 when nothing has changed since' },
        answers: { 200: json(device, 'The device', ETAG), 304: empty('It is still as that ETag says', ETAG) },
        problems: ['not_found'],
      },
      ({ api, path }) => {
        const device = found(api, path.device!);
        // Clients may keep it, if they ask each time whether it still holds.
        const headers = { etag: deviceEtag(device), 'cache-control': 'private, no-cache' };
        return { status: 200, body: deviceJson(device), headers };
      },
    ),
    route(
      'PATCH',
      one,
      {
        id: 'changeDevice',
        tag,
        summary: 'Change name, protocols or disabled',
        scope: 'devices',
        body: change,
        headers: { 'If-Match': 'An ETag: change it only if name, protocols and disabled are still those' },
        answers: { 200: json(device, 'The device as it is now', ETAG) },
        problems: ['not_found', 'changed'],
      },
      ({ api, path, body, req }) => {
        const condition = ifMatch(req);
        return turns.take(path.device!, async () => {
          mustHold(condition, settings(found(api, path.device!)), `device ${path.device!}`);
          const device = await api.devices.update(path.device!, given(body));
          return { status: 200, body: deviceJson(device), headers: { etag: deviceEtag(device) } };
        });
      },
    ),
    route(
      'DELETE',
      one,
      {
        id: 'deleteDevice',
        tag,
        summary: 'Delete a device and close its connection',
        scope: 'devices',
        headers: { 'If-Match': 'An ETag: delete it only if name, protocols and disabled are still those' },
        answers: { 204: empty('It is gone; its readings are kept') },
        problems: ['not_found', 'changed'],
      },
      ({ api, path, req }) => {
        const condition = ifMatch(req);
        return turns.take(path.device!, async () => {
          mustHold(condition, settings(found(api, path.device!)), `device ${path.device!}`);
          await api.devices.remove(path.device!);
          return { status: 204 };
        });
      },
    ),
  ];
}

/** What a request can change. */
function settings({ presence: _, ...row }: DeviceView): object {
  return row;
}

function deviceEtag(device: DeviceView): string {
  return etagOf(settings(device), device.presence);
}
