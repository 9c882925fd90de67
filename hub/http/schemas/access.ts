import * as z from 'zod';
import { ROLES, SCOPES } from '#hub/fleet/scopes.js';
import { instant, ms, pageOf } from './common.ts';
import { named } from './named.ts';

export const role = named('Role', z.enum(ROLES));

export const scope = named('Scope', z.enum(SCOPES).describe('None contains another'));

export const caller = named(
  'Caller',
  z.union([
    z.object({ kind: z.literal('operator'), name: z.string(), role, scopes: z.array(scope).readonly() }),
    z.object({ kind: z.literal('token'), keyId: z.string(), label: z.string(), scopes: z.array(scope).readonly() }),
  ]),
);

const csrf = z.string().describe('For the header X-CSRF-Token of changing requests that rely on the cookie');

export const me = named('Me', z.object({ caller, csrf: csrf.nullable().describe('Null without a cookie') }));

export const signedIn = named('SignedIn', z.object({ caller, csrf, expiresMs: ms, expires: instant }));

export const operator = named(
  'Operator',
  z.object({
    name: z.string(),
    role,
    disabled: z.boolean(),
    hasPassword: z.boolean().describe('False: signs in by one-time link alone'),
    createdMs: ms,
    created: instant,
    updatedMs: ms,
    updated: instant,
  }),
);

export const operatorPage = pageOf('OperatorPage', operator);

const link = z.string().describe('Path of the page with the secret behind #: put the address of the hub in front');

export const createdOperator = named('CreatedOperator', z.object({ operator, link }));

export const signInLink = named('SignInLink', z.object({ link }));

const filters = z.array(z.string()).readonly();

export const topicRules = named(
  'TopicRules',
  z
    .object({ publish: filters, subscribe: filters })
    .describe('MQTT topic filters; what none of them allows is refused'),
);

export const token = named(
  'Token',
  z.object({
    keyId: z.string(),
    kind: z.enum(['api', 'application']),
    label: z.string(),
    scopes: z.array(scope).readonly().nullable().describe('Of an API token; null: all'),
    topics: topicRules.nullable().describe('Of an application; null: everything an application may'),
    createdMs: ms,
    created: instant,
    expiresMs: ms.nullable().describe('Null: never'),
    expires: instant.nullable(),
    createdBy: z.string().nullable(),
  }),
);

export const tokenPage = pageOf('TokenPage', token);

export const createdToken = named(
  'CreatedToken',
  z.object({ keyId: z.string(), token: z.string().describe('Shown this once'), row: token }),
);
