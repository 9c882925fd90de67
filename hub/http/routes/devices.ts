import * as z from 'zod';
import { deviceJson } from '../views.ts';
import type { ApiLimits } from '../limits.ts';
import { found } from '../found.ts';
import { cursor, deviceId, queryBoolean, queryInteger } from '../validate.ts';
import { route, type Route } from '../route.ts';

const name = z.string().min(1).max(256).nullable();
const protocols = z
  .array(z.enum(['mqtt', 'stomp', 'cbor']))
  .min(1, 'name at least one protocol, or null for all; to keep a device out, disable it')
  .nullable();

const newDevice = z.strictObject({ id: deviceId, name: name.optional(), protocols: protocols.optional() });
const change = z.strictObject({
  name: name.optional(),
  protocols: protocols.optional(),
  disabled: z.boolean().optional(),
});

export function deviceRoutes(limits: ApiLimits): readonly Route[] {
  const listQuery = z.strictObject({
    after: cursor.optional(),
    limit: queryInteger(1, limits.maxPageItems).optional(),
    prefix: z.string().max(128).optional(),
    online: queryBoolean.optional(),
  });
  return [
    route('POST', '/api/v1/devices', 'Register a device', { body: newDevice }, async ({ api, body }) => {
      const { device, token } = await api.devices.create(given(body));
      const location = `/api/v1/devices/${encodeURIComponent(device.id)}`;
      return { status: 201, body: { device: deviceJson(device), token }, headers: { location } };
    }),
    route('GET', '/api/v1/devices', 'List devices by id', { query: listQuery }, ({ api, query }) => {
      const { after = null, limit = limits.defaultPageItems, ...filters } = query;
      const { items, next } = api.devices.list({ after, limit, ...given(filters) });
      return { status: 200, body: { items: items.map(deviceJson), next } };
    }),
    route('GET', '/api/v1/devices/{device}', 'Show a device and its presence', {}, ({ api, path }) => {
      return { status: 200, body: deviceJson(found(api, path.device!)) };
    }),
    route('PATCH', '/api/v1/devices/{device}', 'Change name, protocols or disabled', { body: change }, async (call) => {
      return { status: 200, body: deviceJson(await call.api.devices.update(call.path.device!, given(call.body))) };
    }),
    route(
      'DELETE',
      '/api/v1/devices/{device}',
      'Delete a device and close its connection',
      {},
      async ({ api, path }) => {
        await api.devices.remove(path.device!);
        return { status: 204 };
      },
    ),
  ];
}

type Given<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Without the keys whose value is undefined: "not given" and "set to nothing" must not be mixed up. */
function given<T extends object>(object: T): Given<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Given<T>;
}
