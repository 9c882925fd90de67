import * as z from 'zod';
import { ROLES } from '#hub/fleet/scopes.js';
import type { Caller, OperatorView } from '#hub/fleet/port.js';
import { empty, json } from '../answers.ts';
import { cookieSecret } from '../cookie.ts';
import type { HubApi } from '../deps.ts';
import { etagOf, ifMatch, mustHold } from '../etags.ts';
import { given } from '../given.ts';
import type { ApiLimits } from '../limits.ts';
import { pageByKey, pageQuery } from '../paging.ts';
import { Problem } from '../problems.ts';
import { route, type Route } from '../route.ts';
import { createdOperator, operator, operatorPage, signInLink } from '../schemas/access.ts';
import { Turns } from '../turns.ts';
import { newPassword, operatorName, secretText } from '../validate.ts';
import { operatorJson } from '../views.ts';

const role = z.enum(ROLES);
const newOperator = z.strictObject({ name: operatorName, role });
const change = z.strictObject({ role: role.optional(), disabled: z.boolean().optional() });
const passwords = z.strictObject({
  password: newPassword,
  current: secretText.optional().describe('Needed to change one’s own password, if there is one'),
});

const tag = 'Access';
const scope = 'admin';
const all = '/api/v1/operators';
const one = `${all}/{operator}`;
const ETAG = { ETag: 'Of the operator as it is now' };

export function operatorRoutes(limits: ApiLimits): readonly Route[] {
  const turns = new Turns();
  return [
    route(
      'GET',
      all,
      {
        id: 'listOperators',
        tag,
        summary: 'List operators by name',
        scope,
        query: pageQuery(limits),
        answers: { 200: json(operatorPage, 'A page, ascending by name') },
      },
      ({ api, query }) => {
        const { items, next } = pageByKey(api.operators.list(), ({ name }) => name, query, limits.defaultPageItems);
        return { status: 200, body: { items: items.map(operatorJson), next } };
      },
    ),
    route(
      'POST',
      all,
      {
        id: 'createOperator',
        tag,
        summary: 'Add an operator, who comes in by a one-time link',
        scope,
        body: newOperator,
        answers: { 201: json(createdOperator, 'The link is good once, for a day', { Location: 'Its path', ...ETAG }) },
        problems: ['exists', 'limit'],
      },
      async ({ api, body }) => {
        const made = await api.operators.create(body);
        const link = linkOf(await api.operators.issueLink(made.name));
        const headers = { location: `${all}/${encodeURIComponent(made.name)}`, etag: etagOf(made) };
        return { status: 201, body: { operator: operatorJson(made), link }, headers };
      },
    ),
    route(
      'GET',
      one,
      {
        id: 'getOperator',
        tag,
        summary: 'Show an operator',
        scope,
        headers: { 'If-None-Match': 'An ETag: 304 when nothing has changed since' },
        answers: { 200: json(operator, 'The operator', ETAG), 304: empty('It is still as that ETag says', ETAG) },
        problems: ['not_found'],
      },
      ({ api, path }) => {
        const view = found(api, path.operator!);
        const headers = { etag: etagOf(view), 'cache-control': 'private, no-cache' };
        return { status: 200, body: operatorJson(view), headers };
      },
    ),
    route(
      'PATCH',
      one,
      {
        id: 'changeOperator',
        tag,
        summary: 'Change role or disabled',
        scope,
        body: change,
        headers: { 'If-Match': 'An ETag: change it only if it is still that' },
        answers: { 200: json(operator, 'The operator as it is now', ETAG) },
        problems: ['not_found', 'conflict', 'changed'],
      },
      ({ api, path, body, req }) => {
        const condition = ifMatch(req);
        return turns.take(path.operator!, async () => {
          mustHold(condition, found(api, path.operator!), `operator ${path.operator!}`);
          const view = await api.operators.update(path.operator!, given(body));
          return { status: 200, body: operatorJson(view), headers: { etag: etagOf(view) } };
        });
      },
    ),
    route(
      'DELETE',
      one,
      {
        id: 'deleteOperator',
        tag,
        summary: 'Remove an operator and end all sign-ins',
        scope,
        headers: { 'If-Match': 'An ETag: remove it only if it is still that' },
        answers: { 204: empty('It is gone') },
        problems: ['not_found', 'conflict', 'changed'],
      },
      ({ api, path, req }) => {
        const condition = ifMatch(req);
        return turns.take(path.operator!, async () => {
          mustHold(condition, found(api, path.operator!), `operator ${path.operator!}`);
          await api.operators.remove(path.operator!);
          return { status: 204 };
        });
      },
    ),
    route(
      'POST',
      `${one}/link`,
      {
        id: 'createSignInLink',
        tag,
        summary: 'Make a one-time link that signs an operator in',
        scope,
        body: z.strictObject({}).optional(),
        answers: { 201: json(signInLink, 'Good once, for a day; an earlier one is worth nothing any more') },
        problems: ['not_found', 'conflict'],
      },
      async ({ api, path }) => {
        found(api, path.operator!);
        return { status: 201, body: { link: linkOf(await api.operators.issueLink(path.operator!)) } };
      },
    ),
    route(
      'POST',
      `${one}/password`,
      {
        id: 'setPassword',
        tag,
        summary: 'Set a password: one’s own, or as an administrator any',
        scope: 'any',
        body: passwords,
        answers: { 204: empty('It is set; all sign-ins but this one have ended') },
        problems: ['not_found', 'denied'],
      },
      async ({ api, caller, path, body, req }) => {
        const name = path.operator!;
        const isOwn = caller?.kind === 'operator' && caller.name === name;
        if (!isOwn) mustBeAdmin(caller!);
        // Whoever finds a browser signed in must not be able to keep it: one's own password needs the old one.
        const current = isOwn ? (body.current ?? '') : undefined;
        const keep = isOwn ? (cookieSecret(req) ?? undefined) : undefined;
        await api.operators.setPassword(name, body.password, current, keep);
        return { status: 204 };
      },
    ),
  ];
}

function mustBeAdmin(caller: Caller): void {
  if (caller.scopes.includes('admin')) return;
  throw new Problem('forbidden', 'the password of another operator is set by an administrator', {
    missingScope: 'admin',
  });
}

function found(api: HubApi, name: string): OperatorView {
  const view = api.operators.get(name);
  if (view === undefined) throw new Problem('not_found', `there is no operator ${name}`);
  return view;
}

/** The secret stands behind #: browsers send that part to no server, so no log on the way can hold it. */
function linkOf(secret: string): string {
  return `/sign-in#${secret}`;
}
