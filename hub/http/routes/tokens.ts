import * as z from 'zod';
import { SCOPES } from '#hub/fleet/scopes.js';
import { empty, json } from '../answers.ts';
import { callerKey } from '../callers.ts';
import { given } from '../given.ts';
import type { ApiLimits } from '../limits.ts';
import { pageByKey, pageQuery } from '../paging.ts';
import { route, type Route } from '../route.ts';
import { createdToken, tokenPage } from '../schemas/access.ts';
import { tokenRowJson } from '../views.ts';

const filters = z.array(z.string()).max(64).describe('MQTT topic filters');
const common = {
  label: z.string().min(1).max(128).describe('What people call it; an application is known by it'),
  ttlMs: z.int().min(1000).nullable().optional().describe('How long it is good; null or left out: until revoked'),
};
const newToken = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('api'),
    ...common,
    scopes: z.array(z.enum(SCOPES)).nullable().optional().describe('Null or left out: all'),
  }),
  z.strictObject({
    kind: z.literal('application'),
    ...common,
    topics: z
      .strictObject({ publish: filters, subscribe: filters })
      .nullable()
      .optional()
      .describe('Null or left out: everything an application may'),
  }),
]);

const tag = 'Access';
const scope = 'admin';
const all = '/api/v1/tokens';

/** Tokens of programs; those of devices are with their devices. */
export function tokenRoutes(limits: ApiLimits): readonly Route[] {
  return [
    route(
      'GET',
      all,
      {
        id: 'listTokens',
        tag,
        summary: 'List the tokens of programs',
        scope,
        query: pageQuery(limits),
        answers: { 200: json(tokenPage, 'A page, ascending by key id; expired ones too') },
      },
      ({ api, query }) => {
        const { items, next } = pageByKey(api.tokens.list(), ({ keyId }) => keyId, query, limits.defaultPageItems);
        return { status: 200, body: { items: items.map(tokenRowJson), next } };
      },
    ),
    route(
      'POST',
      all,
      {
        id: 'createToken',
        tag,
        summary: 'Make a token for the API, or for an application',
        scope,
        body: newToken,
        answers: { 201: json(createdToken, 'The token is shown this once') },
        problems: ['limit'],
      },
      async ({ api, caller, body }) => {
        const { keyId, token, row } = await api.tokens.create(given(body), callerKey(caller!));
        return { status: 201, body: { keyId, token, row: tokenRowJson(row) } };
      },
    ),
    route(
      'DELETE',
      `${all}/{key}`,
      {
        id: 'deleteToken',
        tag,
        summary: 'Revoke a token, and close the connections that use it',
        scope,
        answers: { 204: empty('Nobody can use it any more') },
        problems: ['not_found'],
      },
      async ({ api, path }) => {
        await api.tokens.revoke(path.key!);
        return { status: 204 };
      },
    ),
  ];
}
