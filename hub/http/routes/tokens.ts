import * as z from 'zod';
import { found } from '../found.ts';
import { route, type Route } from '../route.ts';
import { tokenJson } from '../views.ts';

const nothing = z.strictObject({}).optional();

export function tokenRoutes(): readonly Route[] {
  const path = '/api/v1/devices/{device}/tokens';
  return [
    route('POST', path, 'Give a device another token', { body: nothing }, async (call) => {
      found(call.api, call.path.device!);
      return { status: 201, body: await call.api.devices.issueToken(call.path.device!) };
    }),
    route('GET', path, 'List the key ids of a device', {}, (call) => {
      found(call.api, call.path.device!);
      return { status: 200, body: { items: call.api.devices.tokens(call.path.device!).map(tokenJson) } };
    }),
    route('DELETE', `${path}/{key}`, 'Revoke a token', {}, async (call) => {
      found(call.api, call.path.device!);
      await call.api.devices.revokeToken(call.path.device!, call.path.key!);
      return { status: 204 };
    }),
  ];
}
