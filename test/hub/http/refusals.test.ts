import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FleetError } from '#hub/fleet/port.js';
import { API_LIMITS } from '#hub/http/limits.js';
import { PROBLEMS } from '#hub/http/problems.js';
import { StoreError, type StoreErrorCode } from '#hub/store/port.js';
import { API_TOKEN, FakeHub, serveApi, type Answer } from './fakes.ts';

let hub: FakeHub;
let api: Awaited<ReturnType<typeof serveApi>>;

beforeEach(async () => {
  hub = new FakeHub();
  api = await serveApi(hub);
});
afterEach(() => api.close());

/** A problem document, whole and honest about its status. */
function expectProblem(answer: Answer, status: number, code: keyof typeof PROBLEMS): void {
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(answer.body).toMatchObject({
    type: `urn:muster:problem:${code.replaceAll('_', '-')}`,
    title: PROBLEMS[code].title,
    status,
    code,
  });
  expect(answer.body.detail.length).toBeGreaterThan(10);
  expect(answer.status).toBe(status);
  expect(answer.text).not.toMatch(/node_modules|\.ts:\d|at \w+ \(/);
}

describe('without a valid API token', () => {
  it.each([
    ['none', {}, 'Bearer realm="muster"'],
    ['an unknown one', { authorization: 'Bearer mst_00_x' }, 'Bearer realm="muster", error="invalid_token"'],
    ['Basic', { authorization: 'Basic dXNlcjpwYXNz' }, 'Bearer realm="muster", error="invalid_request"'],
    ['two', { authorization: `Bearer ${API_TOKEN} ${API_TOKEN}` }, 'Bearer realm="muster", error="invalid_request"'],
  ])('(%s) nothing is answered but 401', async (_, headers, challenge) => {
    for (const path of ['/api/v1/devices', '/api/v1/export/log', '/api/v1/no-such-thing', '/api/v1']) {
      const answer = await api.call('GET', path, { token: null, headers });
      expectProblem(answer, 401, 'unauthorized');
      expect(answer.headers.get('www-authenticate')).toBe(challenge);
    }
    expect(hub.calls).toEqual([]);
  });

  it('spelling the path in another way lets nobody in', async () => {
    for (const path of [
      '/API/v1/devices',
      '/api%2Fv1/devices',
      '//api/v1/devices',
      '/api/v1//devices',
      '/%61pi/v1/devices',
    ]) {
      const answer = await api.call('GET', path, { token: null });
      expect([401, 404], path).toContain(answer.status);
    }
    expect(hub.calls).toEqual([]);
  });

  it('no body is read', async () => {
    const body = 'x'.repeat(API_LIMITS.maxBodyBytes + 1);
    expectProblem(await api.call('POST', '/api/v1/devices', { body, token: null }), 401, 'unauthorized');
  });

  it('a token never reaches the log', async () => {
    await api.call('GET', `/api/v1/devices?access_token=${API_TOKEN}`);
    expect(hub.logText).toContain('/api/v1/devices');
    expect(hub.logText).not.toContain('c2VjcmV0');
  });
});

describe('a request that is wrong in form', () => {
  it('unknown route', async () => {
    expectProblem(await api.call('GET', '/api/v1/gadgets'), 404, 'not_found');
    expectProblem(await api.call('GET', '/favicon.ico', { token: null }), 404, 'not_found');
  });

  it('a method that is not served: 405 with Allow, and OPTIONS tells the same', async () => {
    const answer = await api.call('PUT', '/api/v1/devices/pump', { body: {} });
    expectProblem(answer, 405, 'method_not_allowed');
    expect(answer.headers.get('allow')).toBe('GET, PATCH, DELETE, HEAD, OPTIONS');
    const options = await api.call('OPTIONS', '/api/v1/devices');
    expect(options.status).toBe(204);
    expect(options.headers.get('allow')).toBe('POST, GET, HEAD, OPTIONS');
    expectProblem(await api.call('POST', '/healthz', { token: null }), 405, 'method_not_allowed');
  });

  it('a body of another type, compressed, or in another charset', async () => {
    const post = (headers: Record<string, string>) =>
      api.call('POST', '/api/v1/devices', {
        body: '{"id":"a"}',
        headers: { 'content-type': 'application/json', ...headers },
      });
    expectProblem(await post({ 'content-type': 'text/plain' }), 415, 'unsupported_media_type');
    expectProblem(await post({ 'content-encoding': 'gzip' }), 415, 'unsupported_media_type');
    expectProblem(await post({ 'content-type': 'application/json; charset=koi8-r' }), 415, 'unsupported_media_type');
    expect(hub.calls).toEqual([]);
  });

  it.each(['{"id":', '{"id":"a",}', '\u0000', 'nonsense'])('a body that is no JSON: %j', async (body) => {
    expectProblem(await api.call('POST', '/api/v1/devices', { body }), 400, 'malformed_body');
  });

  it('a body at the limit passes, one byte more does not', async () => {
    const frame = '{"name":"reboot","params":""}';
    const fill = (bytes: number) => frame.replace('""', `"${'x'.repeat(bytes - frame.length)}"`);
    const path = '/api/v1/devices/pump/commands';
    expect((await api.call('POST', path, { body: fill(API_LIMITS.maxBodyBytes) })).status).toBe(201);
    expectProblem(await api.call('POST', path, { body: fill(API_LIMITS.maxBodyBytes + 1) }), 413, 'too_large');
  });

  it('a path that cannot be decoded', async () => {
    expectProblem(await api.call('GET', '/api/v1/devices/%zz'), 400, 'malformed_url');
    expectProblem(await api.call('GET', '/api/v1/devices/%ff'), 400, 'malformed_url');
  });

  it('a WebSocket path asked for by a browser: 426 and where the API is', async () => {
    const answer = await api.call('GET', '/mqtt', { token: null });
    expectProblem(answer, 426, 'upgrade_required');
    expect(answer.headers.get('upgrade')).toBe('websocket');
    expect(answer.body.detail).toContain('/api/v1');
  });
});

describe('a request that is wrong in content', () => {
  it.each<[string, string, unknown, string, string]>([
    ['/api/v1/devices', 'no body', undefined, 'body', 'missing'],
    ['/api/v1/devices', 'no object', [], 'body', 'expected object'],
    ['/api/v1/devices', 'no id', {}, 'body.id', 'missing'],
    ['/api/v1/devices', 'bad id', { id: 'a b' }, 'body.id', 'device id'],
    ['/api/v1/devices', 'reserved id', { id: 'me' }, 'body.id', 'device id'],
    ['/api/v1/devices', 'unknown field', { id: 'a', colour: 'red' }, 'body.colour', 'unknown field'],
    ['/api/v1/devices', '__proto__', '{"id":"a","__proto__":{"x":1}}', 'body.__proto__', 'unknown field'],
    ['/api/v1/devices', 'no protocol', { id: 'a', protocols: [] }, 'body.protocols', 'at least one'],
    ['/api/v1/devices', 'echo', { id: 'a', protocols: ['echo'] }, 'body.protocols.0', 'mqtt'],
    ['/api/v1/devices/pump/commands', 'name', { name: 'a/b' }, 'body.name', 'command name'],
    ['/api/v1/devices/pump/commands', 'result', { name: 'result' }, 'body.name', 'result'],
    ['/api/v1/devices/pump/commands', 'ttl', { name: 'a', ttlMs: 0 }, 'body.ttlMs', '>=1'],
    ['/api/v1/devices/pump/commands', 'ttl', { name: 'a', ttlMs: '5' }, 'body.ttlMs', 'number'],
    ['/api/v1/devices/pump/commands?wait=61', 'wait', { name: 'a' }, 'query.wait', '60'],
    ['/api/v1/devices/pump/commands?wait=-1', 'wait', { name: 'a' }, 'query.wait', '60'],
    ['/api/v1/devices/pump/commands?wait=1&wait=2', 'wait twice', { name: 'a' }, 'query.wait', 'string'],
    ['/api/v1/devices/pump/tokens', 'body of tokens', { label: 'x' }, 'body.label', 'unknown field'],
    ['/api/v1/devices/a%20b/tokens', 'device in path', {}, 'path.device', 'device id'],
    ['/api/v1/devices/me/commands', 'me', { name: 'a' }, 'path.device', 'device id'],
  ])('POST %s (%s)', async (path, _, body, field, words) => {
    const answer = await api.call('POST', path, body === undefined ? {} : { body });
    expectProblem(answer, 400, 'invalid');
    expect(answer.body.errors).toHaveLength(1);
    expect(answer.body.errors[0].path).toBe(field);
    expect(answer.body.errors[0].message).toContain(words);
    expect(hub.calls).toEqual([]);
  });

  it.each([
    ['/api/v1/devices?limit=0', 'query.limit'],
    ['/api/v1/devices?limit=1001', 'query.limit'],
    ['/api/v1/devices?limit=1e2', 'query.limit'],
    ['/api/v1/devices?online=yes', 'query.online'],
    ['/api/v1/devices?ofset=3', 'query.ofset'],
    ['/api/v1/devices/pump?x=1', 'query.x'],
    ['/api/v1/devices/pump/readings?limit=10001', 'query.limit'],
    ['/api/v1/devices/pump/readings?from=yesterday', 'query.from'],
    ['/api/v1/devices/pump/readings?from=2026-02-30T00:00:00Z', 'query.from'],
    ['/api/v1/devices/pump/readings?to=2026-01-01T00:00:00+02:00', 'query.to'],
    ['/api/v1/devices/pump/commands?state=done', 'query.state'],
    ['/api/v1/export/log?afterId=-1', 'query.afterId'],
    ['/api/v1/commands/a_b', 'path.command'],
  ])('GET %s', async (path, field) => {
    const answer = await api.call('GET', path);
    expectProblem(answer, 400, 'invalid');
    expect(answer.body.errors[0].path).toBe(field);
    expect(hub.calls).toEqual([]);
  });

  it('every mistake is named at once', async () => {
    const answer = await api.call('POST', '/api/v1/devices', { body: { id: '', nam: 'x', name: 5 } });
    expect(answer.body.errors.map((error: { path: string }) => error.path).sort()).toEqual([
      'body.id',
      'body.nam',
      'body.name',
    ]);
  });

  it('a span that ends before it begins', async () => {
    expectProblem(await api.call('GET', '/api/v1/devices/pump/readings?from=2000&to=2000'), 400, 'invalid');
  });

  it('parameters nested as deep as the limit pass, one level more and thousands do not', async () => {
    const nested = (levels: number) => `{"name":"a","params":${'['.repeat(levels)}${']'.repeat(levels)}}`;
    const post = (levels: number) => api.call('POST', '/api/v1/devices/pump/commands', { body: nested(levels) });
    expect((await post(API_LIMITS.maxParamsDepth)).status).toBe(201);
    expectProblem(await post(API_LIMITS.maxParamsDepth + 1), 400, 'invalid');
    expectProblem(await post(100_000), 400, 'invalid');
  });
});

describe('what the hub cannot do', () => {
  it.each([
    ['not_found', 404],
    ['exists', 409],
    ['conflict', 409],
    ['invalid', 400],
    ['limit', 429],
    ['unavailable', 503],
  ] as const)('the fleet says %s: %i, with its words', async (code, status) => {
    hub.commands = { ...hub.commands, cancel: async () => Promise.reject(new FleetError(code, 'the reason in words')) };
    const answer = await api.call('POST', '/api/v1/commands/c-1/cancel');
    expectProblem(answer, status, code);
    expect(answer.body.detail).toBe('the reason in words');
    expect(answer.headers.get('retry-after')).toBe(status === 503 ? '5' : null);
  });

  it.each<[StoreErrorCode, number, keyof typeof PROBLEMS]>([
    ['invalid', 400, 'invalid'],
    ['full', 503, 'unavailable'],
    ['io', 503, 'unavailable'],
    ['busy', 503, 'unavailable'],
    ['locked', 503, 'unavailable'],
    ['closed', 503, 'unavailable'],
    ['corrupt', 500, 'internal'],
    ['version', 500, 'internal'],
    ['internal', 500, 'internal'],
  ])('the store says %s: %i, without its words', async (code, status, problem) => {
    hub.reader.events = async () => Promise.reject(new StoreError(code, '/var/lib/muster/muster.db is broken'));
    const answer = await api.call('GET', '/api/v1/devices/pump/events');
    expectProblem(answer, status, problem);
    expect(answer.text).not.toContain('/var/lib');
  });

  it('a fault of its own: 500 without a stack for the client, with one in the log', async () => {
    hub.reader.gaps = async () => Promise.reject(new TypeError('secret inside'));
    const answer = await api.call('GET', '/api/v1/devices/pump/gaps');
    expectProblem(answer, 500, 'internal');
    expect(answer.text).not.toContain('secret inside');
    expect(hub.logText).toContain('secret inside');
  });
});

describe('every answer', () => {
  it('has the headers of helmet, is not cached and does not say what serves it', async () => {
    for (const path of ['/healthz', '/api/v1/status', '/nowhere']) {
      const { headers } = await api.call('GET', path);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toContain("default-src 'self'");
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-powered-by')).toBeNull();
      expect(headers.get('etag')).toBeNull();
    }
  });

  it('HEAD is GET without a body', async () => {
    const answer = await api.call('HEAD', '/api/v1/devices/pump');
    expect(answer.status).toBe(200);
    expect(answer.text).toBe('');
  });

  it('a client that leaves in the middle of its body harms nobody', async () => {
    const { port } = new URL(api.url);
    const socket = connect(Number(port), '127.0.0.1');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(
      `POST /api/v1/devices HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${API_TOKEN}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"id":`,
      () => socket.destroy(),
    );
    await closed;
    expect((await api.call('GET', '/healthz')).status).toBe(200);
    expect(hub.calls).toEqual([]);
  });
});
