import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { csrfOf } from '#hub/fleet/csrf.js';
import { ROLES, SCOPES, scopesOf, type Scope } from '#hub/fleet/scopes.js';
import { API_LIMITS } from '#hub/http/limits.js';
import type { Route, RouteScope } from '#hub/http/route.js';
import { httpInterface } from '#hub/http/routes.js';
import { tokenOfScope } from './fake-access.ts';
import { DEVICE_TOKEN, FakeHub, serveApi, type Answer } from './fakes.ts';

const { routes } = httpInterface(API_LIMITS, { metricsNeedToken: true, version: '0.1.0' });

/** What each operation needs. Written down here once more: a change of who may do what must be meant. */
const NEEDS: Readonly<Record<string, RouteScope>> = {
  createDevice: 'devices',
  listDevices: 'read',
  getDevice: 'read',
  changeDevice: 'devices',
  deleteDevice: 'devices',
  createDeviceToken: 'devices',
  listDeviceTokens: 'read',
  deleteDeviceToken: 'devices',
  listFleet: 'read',
  latestReadings: 'read',
  listReadings: 'read',
  exportLog: 'read',
  listRejected: 'read',
  listEvents: 'read',
  listDeviceConnections: 'read',
  listGaps: 'read',
  sendCommand: 'commands',
  listCommands: 'read',
  getCommand: 'read',
  cancelCommand: 'commands',
  listConnections: 'read',
  closeConnection: 'devices',
  listRefused: 'read',
  listSessions: 'read',
  listQueues: 'read',
  deleteQueue: 'admin',
  live: 'read',
  signIn: 'none',
  signOut: 'any',
  whoAmI: 'any',
  listOperators: 'admin',
  createOperator: 'admin',
  getOperator: 'admin',
  changeOperator: 'admin',
  deleteOperator: 'admin',
  createSignInLink: 'admin',
  // Besides one's own: sign-in.test.ts.
  setPassword: 'admin',
  listTokens: 'admin',
  createToken: 'admin',
  deleteToken: 'admin',
  listJobs: 'read',
  runJob: 'admin',
  postTelemetry: 'device',
  postTelemetryAs: 'device',
  postEvent: 'device',
  openStream: 'device',
  pollCommands: 'device',
  postReceived: 'device',
  postResult: 'device',
  sayGoodbye: 'device',
  openapi: 'none',
  status: 'read',
  healthz: 'none',
  readyz: 'none',
  metrics: 'read',
};

let hub: FakeHub;
let api: Awaited<ReturnType<typeof serveApi>>;

beforeAll(async () => {
  hub = new FakeHub();
  hub.config = { ...hub.config, metricsNeedToken: true };
  api = await serveApi(hub);
});
beforeEach(() => {
  hub.calls.length = 0;
});
afterAll(() => api.close());

interface Who {
  readonly name: string;
  /** Null: nobody. */
  readonly scopes: readonly Scope[] | null;
  readonly ask: (method: string, path: string, body?: object) => Promise<Answer>;
}

const CALLERS: readonly Who[] = [
  { name: 'nobody', scopes: null, ask: (method, path, body) => api.call(method, path, { token: null, body }) },
  ...ROLES.map((role) => ({
    name: `the role ${role}`,
    scopes: scopesOf(role),
    ask: (method: string, path: string, body?: object) => {
      const secret = hub.operators.signedInAs(role);
      const headers = { cookie: `muster_session=${secret}`, 'x-csrf-token': csrfOf(secret) };
      return api.call(method, path, { token: null, headers, body });
    },
  })),
  ...SCOPES.map((scope) => ({
    name: `a token with the scope ${scope} alone`,
    scopes: [scope],
    ask: (method: string, path: string, body?: object) => api.call(method, path, { token: tokenOfScope(scope), body }),
  })),
];

/** 401 or 403, or null where the request gets past the question of who asks. */
function refusal(needs: RouteScope, scopes: readonly Scope[] | null): 401 | 403 | null {
  if (needs === 'none') return null;
  // To the door of devices, people and programs are nobody.
  if (needs === 'device') return 401;
  if (scopes === null) return 401;
  return needs === 'any' || scopes.includes(needs) ? null : 403;
}

const filled = ({ path }: Route): string => path.replace('{key}', '0a').replace(/\{\w+\}/g, 'a');

it('the table names every operation', () => {
  expect(routes.map(({ id }) => id).sort()).toEqual(Object.keys(NEEDS).sort());
});

describe.each(CALLERS)('$name', ({ scopes, ask }) => {
  it.each(routes.map((route) => [route.id, route] as const))('%s', async (id, route) => {
    const answer = await ask(
      route.method,
      filled(route),
      id === 'setPassword' ? { password: 'a long password' } : undefined,
    );
    const expected = refusal(NEEDS[id]!, scopes);
    if (expected === null) expect([401, 403]).not.toContain(answer.status);
    else expect(answer.status).toBe(expected);
    if (expected === 403) expect(answer.body).toMatchObject({ code: 'forbidden', missingScope: NEEDS[id] });
    if (expected !== null) expect(hub.calls).toEqual([]);
  });
});

describe('a device with its own token', () => {
  const body = (id: string): object => (id === 'openStream' ? { next: 1 } : { status: 'succeeded' });

  it.each(routes.map((route) => [route.id, route] as const))('%s', async (id, route) => {
    const given = route.method === 'POST' ? { body: body(id) } : {};
    const answer = await api.call(route.method, filled(route), { token: DEVICE_TOKEN, ...given });
    if (NEEDS[id] === 'device') expect([200, 204]).toContain(answer.status);
    else if (NEEDS[id] === 'none') expect([401, 403]).not.toContain(answer.status);
    else expect(answer.status).toBe(401);
  });
});
