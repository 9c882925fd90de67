import * as z from 'zod';
import { empty, json } from '../answers.ts';
import { found } from '../found.ts';
import type { ApiLimits } from '../limits.ts';
import { pageByKey, pageQuery } from '../paging.ts';
import { route, type Route } from '../route.ts';
import { deviceTokenPage, issuedToken } from '../schemas/devices.ts';
import { tokenJson } from '../views.ts';

const nothing = z.strictObject({}).optional();
const tag = 'Devices';

export function deviceTokenRoutes(limits: ApiLimits): readonly Route[] {
  const path = '/api/v1/devices/{device}/tokens';
  return [
    route(
      'POST',
      path,
      {
        id: 'createDeviceToken',
        tag,
        summary: 'Give a device another token',
        scope: 'devices',
        body: nothing,
        answers: { 201: json(issuedToken, 'Shown this once; the older tokens stay valid') },
        problems: ['not_found'],
      },
      async ({ api, path }) => {
        found(api, path.device!);
        return { status: 201, body: await api.devices.issueToken(path.device!) };
      },
    ),
    route(
      'GET',
      path,
      {
        id: 'listDeviceTokens',
        tag,
        summary: 'List the key ids of a device',
        scope: 'read',
        query: pageQuery(limits),
        answers: { 200: json(deviceTokenPage, 'A page, ascending by key id') },
        problems: ['not_found'],
      },
      ({ api, path, query }) => {
        found(api, path.device!);
        const tokens = api.devices.tokens(path.device!).toSorted((a, b) => (a.keyId < b.keyId ? -1 : 1));
        const { items, next } = pageByKey(tokens, (token) => token.keyId, query, limits.defaultPageItems);
        return { status: 200, body: { items: items.map(tokenJson), next } };
      },
    ),
    route(
      'DELETE',
      `${path}/{key}`,
      {
        id: 'deleteDeviceToken',
        tag,
        summary: 'Revoke a token of a device',
        scope: 'devices',
        answers: { 204: empty('Nobody can use it any more') },
        problems: ['not_found'],
      },
      async ({ api, path }) => {
        found(api, path.device!);
        await api.devices.revokeToken(path.device!, path.key!);
        return { status: 204 };
      },
    ),
  ];
}
