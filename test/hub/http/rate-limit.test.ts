import { afterEach, beforeEach, expect, it } from 'vitest';
import { csrfOf } from '#hub/fleet/csrf.js';
import { tokenOfScope } from './fake-access.ts';
import { FakeHub, serveApi, type Answer } from './fakes.ts';

let hub: FakeHub;
let api: Awaited<ReturnType<typeof serveApi>>;

beforeEach(async () => {
  hub = new FakeHub();
  hub.config = { ...hub.config, apiRequestsPerMinute: 3 };
  hub.limits = { ...hub.limits, maxCountedCallers: 3 };
  api = await serveApi(hub);
});
afterEach(() => api.close());

const list = (token?: string | null): Promise<Answer> =>
  api.call('GET', '/api/v1/devices', token === undefined ? {} : { token });

async function statuses(count: number, token?: string | null): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < count; i++) found.push((await list(token)).status);
  return found;
}

it('a caller may make so many requests a minute, and is told how many are left', async () => {
  const first = await list();
  expect(first.headers.get('ratelimit-policy')).toContain('q=3; w=60');
  expect(first.headers.get('ratelimit')).toMatch(/r=2; t=(60|59)/);
  expect(await statuses(2)).toEqual([200, 200]);
  const over = await list();
  expect(over).toMatchObject({ status: 429, body: { code: 'slow_down' } });
  expect(over.headers.get('retry-after')).toMatch(/^(60|59)$/);
  expect(over.headers.get('ratelimit')).toMatch(/r=0/);
  clockMinute();
  expect((await list()).status).toBe(200);
});

function clockMinute(): void {
  hub.clock.advance(60_000);
}

it('each caller has his own', async () => {
  await statuses(4);
  expect(await statuses(1, tokenOfScope('read'))).toEqual([200]);
  const secret = hub.operators.signedInAs('viewer');
  const headers = { cookie: `muster_session=${secret}`, 'x-csrf-token': csrfOf(secret) };
  expect((await api.call('GET', '/api/v1/me', { token: null, headers })).status).toBe(200);
});

it('who is nobody is counted by address, refused or not', async () => {
  expect(await statuses(4, null)).toEqual([401, 401, 401, 429]);
  expect((await api.call('GET', '/api/v1/openapi.json', { token: 'mst_00_x' })).status).toBe(429);
  expect(await statuses(1)).toEqual([200]);
});

it('machines that look after the hub are not counted', async () => {
  for (let i = 0; i < 5; i++) {
    for (const path of ['/healthz', '/readyz', '/metrics', '/sign-in']) {
      expect((await api.call('GET', path, { token: null })).status).toBe(200);
    }
  }
});

it('only so many callers are remembered', async () => {
  await statuses(4);
  for (const token of [tokenOfScope('read'), tokenOfScope('admin'), null]) await list(token);
  expect(await statuses(1)).toEqual([200]);
});
