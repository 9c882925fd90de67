import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { csrfOf } from '#hub/fleet/csrf.js';
import { FakeHub, serveApi, type Answer } from './fakes.ts';

let hub: FakeHub;
let api: Awaited<ReturnType<typeof serveApi>>;

beforeEach(async () => {
  hub = new FakeHub();
  api = await serveApi(hub);
});
afterEach(() => api.close());

type Headers_ = Record<string, string>;
const post = (path: string, body: unknown, headers: Headers_ = {}): Promise<Answer> =>
  api.call('POST', path, { body, headers, token: null });
const signIn = (body: unknown, headers: Headers_ = {}): Promise<Answer> => post('/api/v1/sign-in', body, headers);
const alice = { name: 'alice', password: 'correct horse' };

/** Headers of a page of the hub on which Alice has signed in. */
async function asAlice(): Promise<{ cookie: string; 'x-csrf-token': string }> {
  const { headers, body } = await signIn(alice);
  return { cookie: headers.get('set-cookie')!.split(';')[0]!, 'x-csrf-token': body.csrf };
}

describe('signing in', () => {
  it('by name and password sets a cookie that no script can read, for as long as the sign-in lasts', async () => {
    const answer = await signIn(alice);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('set-cookie')).toMatch(
      /^muster_session=[\w-]{43}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Strict$/,
    );
    expect(answer.body).toMatchObject({
      caller: { name: 'alice', role: 'admin' },
      expires: '2026-01-01T01:00:00.000Z',
    });
    expect(hub.operators.addresses).toEqual(['127.0.0.1']);
  });

  it('never tells the secret of the cookie anywhere else', async () => {
    const answer = await signIn(alice);
    const secret = /muster_session=([^;]+)/.exec(answer.headers.get('set-cookie')!)![1]!;
    expect(answer.text).not.toContain(secret);
    expect(hub.logText).not.toContain(secret);
    expect(hub.logText).not.toContain('correct horse');
  });

  it('over TLS, at a proxy too, keeps the cookie from plain HTTP', async () => {
    const answer = await signIn(alice, { 'x-forwarded-proto': 'https' });
    expect(answer.headers.get('set-cookie')).toMatch(/; Secure$/);
  });

  it.each([
    [{ name: 'alice', password: 'wrong' }, 403, 'denied'],
    [{ name: 'nobody', password: 'wrong' }, 403, 'denied'],
    [{ link: 'unknown' }, 403, 'denied'],
    [{ name: 'alice' }, 400, 'invalid'],
    [{ name: 'alice', password: 'x', link: 'y' }, 400, 'invalid'],
    [{ link: 'x', password: 'short' }, 400, 'invalid'],
    [{ name: 'alice', password: 'x'.repeat(1025) }, 400, 'invalid'],
    [['alice'], 400, 'invalid'],
  ])('with %j is refused', async (body, status, code) => {
    const answer = await signIn(body);
    expect(answer).toMatchObject({ status, body: { code } });
    expect(answer.headers.get('set-cookie')).toBeNull();
  });

  it('too often in vain says how long to wait', async () => {
    hub.operators.slowDownMs = 2500;
    const answer = await signIn(alice);
    expect(answer).toMatchObject({ status: 429, body: { code: 'slow_down' } });
    expect(answer.headers.get('retry-after')).toBe('3');
  });

  it('with a wrong token beside it works all the same', async () => {
    expect((await signIn(alice, { authorization: 'Bearer mst_00_x' })).status).toBe(200);
  });

  it('by a link, once, may set a password without knowing the old one', async () => {
    const link = await hub.operators.issueLink('alice');
    const answer = await signIn({ link, password: 'a new password' });
    expect(answer.body.caller.name).toBe('alice');
    expect(hub.operators.passwords.get('alice')).toBe('a new password');
    expect(hub.operators.sessions.size).toBe(1);
    expect((await signIn({ link })).status).toBe(403);
  });

  it('by a link is refused, and the link stays good, while no password can be stored', async () => {
    const link = await hub.operators.issueLink('alice');
    hub.telemetry.health = { writable: false, sinceMs: 0, error: 'disk full' };
    expect((await signIn({ link, password: 'a new password' })).status).toBe(503);
    expect(hub.operators.links.has(link)).toBe(true);
    expect((await signIn({ link })).status).toBe(200);
  });

  it('leaves nobody signed in when the password cannot be set after all', async () => {
    const link = await hub.operators.issueLink('alice');
    hub.operators.setPassword = () => Promise.reject(new Error('broken'));
    expect((await signIn({ link, password: 'a new password' })).status).toBe(500);
    expect(hub.operators.sessions.size).toBe(0);
  });
});

describe('a page that is signed in', () => {
  it('reads with the cookie alone', async () => {
    const { cookie } = await asAlice();
    const me = await api.call('GET', '/api/v1/me', { token: null, headers: { cookie: `other=1; ${cookie}; x=y` } });
    expect(me.body).toEqual({
      caller: { kind: 'operator', name: 'alice', role: 'admin', scopes: ['read', 'commands', 'devices', 'admin'] },
      csrf: csrfOf(cookie.split('=')[1]!),
    });
  });

  it('changes things with the header X-CSRF-Token only', async () => {
    const headers = await asAlice();
    const create = (more: Headers_) => post('/api/v1/devices', { id: 'a' }, more);
    const { cookie } = headers;
    for (const wrong of [{ cookie }, { cookie, 'x-csrf-token': '' }, { cookie, 'x-csrf-token': csrfOf('other') }]) {
      const answer = await create(wrong);
      expect(answer).toMatchObject({ status: 403, body: { code: 'forbidden' } });
      expect(answer.body.detail).toContain('X-CSRF-Token');
    }
    expect(hub.calls).toEqual([]);
    expect((await create(headers)).status).toBe(201);
  });

  it('changes nothing when another site asks, whatever it knows', async () => {
    const headers = await asAlice();
    const host = new URL(api.url).host;
    const create = (id: string, more: Headers_) => post('/api/v1/devices', { id }, { ...headers, ...more });
    for (const more of [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: `http://${host}.evil.example` },
      { origin: 'http://127.0.0.1:1' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'cross-site', origin: `http://${host}` },
    ]) {
      expect((await create('a', more)).status, JSON.stringify(more)).toBe(403);
    }
    expect(hub.calls).toEqual([]);
    expect((await create('a', { origin: `http://${host}`, 'sec-fetch-site': 'same-origin' })).status).toBe(201);
    // A proxy that ends TLS passes the host on.
    expect((await create('b', { origin: `https://${host}` })).status).toBe(201);
  });

  it('of another site cannot sign a browser in', async () => {
    expect((await signIn(alice, { origin: 'https://evil.example' })).status).toBe(403);
    expect((await signIn(alice, { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect(hub.operators.sessions.size).toBe(0);
  });

  it('and sends a token as well, is whose token it is', async () => {
    const { cookie } = await asAlice();
    const me = await api.call('GET', '/api/v1/me', { headers: { cookie } });
    expect(me.body).toMatchObject({ caller: { kind: 'token' }, csrf: null });
    const wrong = { cookie, authorization: 'Bearer mst_00_x' };
    expect((await api.call('GET', '/api/v1/me', { token: null, headers: wrong })).status).toBe(401);
  });

  it('signs out: the cookie goes and is worth nothing any more', async () => {
    const headers = await asAlice();
    const out = await post('/api/v1/sign-out', {}, headers);
    expect(out.status).toBe(204);
    expect(out.headers.get('set-cookie')).toBe('muster_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict');
    const me = await api.call('GET', '/api/v1/me', { token: null, headers });
    expect(me).toMatchObject({ status: 401, body: { code: 'unauthorized' } });
    expect(me.body.detail).toContain('/sign-in');
  });

  it.each(['', 'x', 'x'.repeat(42), 'x'.repeat(44), `${'x'.repeat(42)}%`])(
    'with the cookie %j is nobody',
    async (value) => {
      const headers = { cookie: `muster_session=${value}` };
      expect((await api.call('GET', '/api/v1/me', { token: null, headers })).status).toBe(401);
    },
  );
});

describe('a password', () => {
  const path = '/api/v1/operators/alice/password';

  it('of one’s own is changed by whoever knows it, and all other sign-ins end', async () => {
    const elsewhere = await asAlice();
    const headers = await asAlice();
    const wrong = await post(path, { password: 'a new password', current: 'wrong' }, headers);
    expect(wrong).toMatchObject({ status: 403, body: { code: 'denied' } });
    expect((await post(path, { password: 'a new password' }, headers)).status).toBe(403);
    expect((await post(path, { password: 'a new password', current: 'correct horse' }, headers)).status).toBe(204);
    expect((await api.call('GET', '/api/v1/me', { token: null, headers })).status).toBe(200);
    expect((await api.call('GET', '/api/v1/me', { token: null, headers: elsewhere })).status).toBe(401);
  });

  it('of one’s own may be changed by every role, that of others by an administrator', async () => {
    const secret = hub.operators.signedInAs('viewer');
    hub.operators.passwords.set('viewer', 'old password');
    const headers = { cookie: `muster_session=${secret}`, 'x-csrf-token': csrfOf(secret) };
    const own = { password: 'a new password', current: 'old password' };
    expect((await post('/api/v1/operators/viewer/password', own, headers)).status).toBe(204);
    const other = await post(path, { password: 'a new password' }, headers);
    expect(other).toMatchObject({ status: 403, body: { missingScope: 'admin' } });
    expect(hub.operators.passwords.get('alice')).toBe('correct horse');

    const admin = await asAlice();
    expect((await post('/api/v1/operators/viewer/password', { password: 'another one' }, admin)).status).toBe(204);
    expect(hub.operators.passwords.get('viewer')).toBe('another one');
    expect((await post('/api/v1/operators/nobody/password', { password: 'another one' }, admin)).status).toBe(404);
  });
});
