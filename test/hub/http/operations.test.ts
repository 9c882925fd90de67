import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeHub, logRows, NOW_MS, serveApi } from './fakes.ts';

let hub: FakeHub;
let api: Awaited<ReturnType<typeof serveApi>>;

beforeEach(async () => {
  hub = new FakeHub();
  api = await serveApi(hub);
});
afterEach(() => api.close());

describe('devices', () => {
  it('are created with a first token and a Location', async () => {
    const answer = await api.call('POST', '/api/v1/devices', { body: { id: 'a:b', name: 'A', protocols: ['mqtt'] } });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('location')).toBe('/api/v1/devices/a%3Ab');
    expect(answer.body.token).toBe('mst_aa_bb');
    expect(answer.body.device).toMatchObject({
      id: 'a:b',
      created: '2026-01-01T00:00:00.000005Z',
      presence: { online: false },
    });
    expect(hub.calls).toEqual([['create', { id: 'a:b', name: 'A', protocols: ['mqtt'] }]]);
  });

  it('are found under their percent-encoded id', async () => {
    await api.call('POST', '/api/v1/devices', { body: { id: 'a:b' } });
    expect((await api.call('GET', '/api/v1/devices/a%3Ab')).body.id).toBe('a:b');
  });

  it('are listed with cursor, prefix and online', async () => {
    const answer = await api.call('GET', '/api/v1/devices?after=a&limit=5&prefix=p&online=false');
    expect(answer.body).toMatchObject({ items: [{ id: 'pump' }], next: 'pump' });
    expect(hub.calls).toEqual([['list', { after: 'a', limit: 5, prefix: 'p', online: false }]]);
    await api.call('GET', '/api/v1/devices');
    expect(hub.calls[1]).toEqual(['list', { after: null, limit: 100 }]);
  });

  it('are changed only where something is given, null included', async () => {
    await api.call('PATCH', '/api/v1/devices/pump', { body: { name: null } });
    await api.call('PATCH', '/api/v1/devices/pump', { body: { disabled: true } });
    expect(hub.calls).toEqual([
      ['update', { name: null }],
      ['update', { disabled: true }],
    ]);
  });

  it('are deleted once', async () => {
    expect((await api.call('DELETE', '/api/v1/devices/pump')).status).toBe(204);
    expect((await api.call('DELETE', '/api/v1/devices/pump')).status).toBe(404);
  });

  it('show when and why the last connection ended', async () => {
    const presence = {
      ...hub.stored.get('pump')!.presence,
      connectedMs: NOW_MS,
      disconnectedMs: NOW_MS + 1000,
      reason: 'ping_timeout' as const,
    };
    hub.stored.set('pump', { ...hub.stored.get('pump')!, presence });
    expect((await api.call('GET', '/api/v1/devices/pump')).body.presence).toMatchObject({
      connected: '2026-01-01T00:00:00.000Z',
      disconnected: '2026-01-01T00:00:01.000Z',
      reason: 'ping_timeout',
      reasonText: 'no pong and no other byte within the ping time-out',
    });
  });

  it('have tokens: issued with or without an empty body, listed by key id, revoked', async () => {
    const path = '/api/v1/devices/pump/tokens';
    expect((await api.call('POST', path)).body).toEqual({ keyId: '0a', token: 'mst_0a_x' });
    expect((await api.call('POST', path, { body: {} })).status).toBe(201);
    expect((await api.call('GET', path)).body.items).toEqual([
      { keyId: '0a', createdMs: NOW_MS, created: '2026-01-01T00:00:00.000Z' },
    ]);
    expect((await api.call('DELETE', `${path}/0a`)).status).toBe(204);
    expect((await api.call('DELETE', `${path}/0b`)).status).toBe(404);
    expect((await api.call('POST', '/api/v1/devices/nobody/tokens')).status).toBe(404);
  });
});

describe('readings', () => {
  it('latest: value, unit, raw time and ISO time', async () => {
    expect((await api.call('GET', '/api/v1/devices/pump/latest')).body.items).toEqual([
      { metric: 'temp', value: 21.5, timeUs: NOW_MS * 1000 + 1, time: '2026-01-01T00:00:00.000001Z', unit: 'Cel' },
    ]);
  });

  it('latest: no unit, where the device gave none', async () => {
    hub.telemetry.latest = () => [{ metric: 'temp', value: 21.5, timeUs: 1 }];
    expect((await api.call('GET', '/api/v1/devices/pump/latest')).body.items).toMatchObject([{ unit: null }]);
  });

  it('are asked for with RFC 3339 or milliseconds, and the time budget of the configuration', async () => {
    hub.log_ = logRows(2);
    const path =
      '/api/v1/devices/pump/readings?metric=temp&from=2026-01-01T00:00:00.0000015Z&to=1767225601000&limit=2&after=x';
    const answer = await api.call('GET', path);
    expect(hub.calls).toEqual([
      [
        'range',
        {
          device: 'pump',
          metric: 'temp',
          fromUs: NOW_MS * 1000 + 1,
          toUs: NOW_MS * 1000 + 1_000_000,
          limit: 2,
          after: 'x',
          budgetMs: 2000,
        },
      ],
    ]);
    expect(answer.body).toMatchObject({
      next: null,
      complete: true,
      items: [{ metric: 'temp', value: 0 }, { value: 1 }],
    });
  });

  it('say when the budget ended before the search did', async () => {
    hub.reader.range = async () => ({ items: [], next: 'go-on', complete: false });
    const answer = await api.call('GET', '/api/v1/devices/gone/readings');
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ items: [], next: 'go-on', complete: false });
  });

  it('of a deleted device are still there; a device that never was is not found', async () => {
    expect((await api.call('GET', '/api/v1/devices/gone/readings')).status).toBe(404);
    hub.log_ = logRows(1);
    expect((await api.call('GET', '/api/v1/devices/gone/readings')).body.items).toHaveLength(1);
  });
});

describe('what a device did', () => {
  it('rejected payloads: bytes as base64, text where they are UTF-8, evictions counted', async () => {
    const { body } = await api.call('GET', '/api/v1/devices/pump/rejected?limit=2&after=9');
    expect(body).toMatchObject({ next: '1', evicted: 4 });
    expect(body.items.map((item: { payload: unknown }) => item.payload)).toEqual([
      { base64: '/wA=', text: null },
      { base64: 'eyJhIjo=', text: '{"a":' },
    ]);
    expect(hub.calls).toEqual([['rejected', { after: '9', limit: 2 }]]);
  });

  it('events, connections and gaps, with times as text', async () => {
    const events = await api.call('GET', '/api/v1/devices/pump/events');
    expect(events.body.items[0]).toMatchObject({
      name: 'door',
      time: '2026-01-01T00:00:00.000000Z',
      payload: { text: 'open' },
    });
    const connections = await api.call('GET', '/api/v1/devices/pump/connections');
    expect(connections.body.items[0]).toMatchObject({
      epoch: 3,
      disconnected: '2026-01-01T00:00:01.500000Z',
      reasonText: 'a newer connection of the same device took over',
    });
    const gaps = await api.call('GET', '/api/v1/devices/pump/gaps');
    expect(gaps.body.items).toMatchObject([{ stream: 's', fromSeq: 5, toSeq: 9 }]);
  });
});

describe('commands', () => {
  it('are answered once stored, with JSON where the table has text', async () => {
    const body = { name: 'reboot', params: { delay: 5 }, ttlMs: 1000, responseTimeoutMs: 2000 };
    const answer = await api.call('POST', '/api/v1/devices/pump/commands', { body });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('location')).toBe('/api/v1/commands/c-1');
    expect(answer.body.command).toMatchObject({ state: 'queued', params: { delay: 5 }, result: null, sent: null });
    expect(hub.calls).toEqual([['command', { device: 'pump', ...body }]]);
  });

  it('can be waited for', async () => {
    const answer = await api.call('POST', '/api/v1/devices/pump/commands?wait=60', { body: { name: 'reboot' } });
    expect(answer.status).toBe(201);
    expect(answer.body.command).toMatchObject({ state: 'succeeded', result: { ok: true } });
    expect(hub.calls[1]).toEqual(['wait', { id: 'c-1', waitMs: 60_000 }]);
  });

  it('are listed by state, shown with their history, and cancelled', async () => {
    await api.call('GET', '/api/v1/devices/pump/commands?state=timed_out&limit=3');
    expect(hub.calls).toEqual([['commands', { state: 'timed_out', after: null, limit: 3 }]]);
    const shown = await api.call('GET', '/api/v1/commands/c-1');
    expect(shown.body.history).toEqual([
      { state: 'queued', timeUs: NOW_MS * 1000, detail: null, time: '2026-01-01T00:00:00.000000Z' },
    ]);
    expect((await api.call('POST', '/api/v1/commands/c-1/cancel')).body.command.state).toBe('cancelled');
    expect((await api.call('GET', '/api/v1/commands/c-2')).status).toBe(404);
  });
});

describe('the hub', () => {
  it('closes a connection on request', async () => {
    expect((await api.call('DELETE', '/api/v1/connections/k1')).status).toBe(204);
    expect((await api.call('DELETE', '/api/v1/connections/k2')).status).toBe(404);
    expect(hub.calls[0]).toEqual(['closeConnection', 'closed_by_operator']);
    expect((await api.call('GET', '/api/v1/connections?limit=7')).body).toEqual({ items: [], next: null });
  });

  it('shows sessions, those without a connection too', async () => {
    const { body } = await api.call('GET', '/api/v1/sessions?limit=3&after=2');
    expect(hub.calls[0]).toEqual(['sessions', { after: '2', limit: 3 }]);
    expect(body).toMatchObject({ items: [{ clientId: 'pump-1', queuedMessages: 2, dropped: 5 }], next: '7' });
    expect(body.items[0]).toMatchObject({ created: '2026-01-01T00:00:00.000Z', detached: '2026-01-01T00:00:01.000Z' });
    expect((await api.call('GET', '/api/v1/sessions?after=x')).status).toBe(400);
  });

  it('shows queues and durable subscriptions', async () => {
    const { body } = await api.call('GET', '/api/v1/queues?limit=3&after=q2');
    expect(hub.calls[0]).toEqual(['queues', { after: 'q2', limit: 3 }]);
    expect(body).toMatchObject({ items: [{ name: 'jobs/new', messages: 3 }, { name: 'news' }], next: 'q7' });
    expect(body.items[0]).toMatchObject({ created: '2026-01-01T00:00:00.000Z', subscription: null });
    expect(body.items[1].subscription).toMatchObject({ filter: 'news/#', detached: '2026-01-01T00:00:00.000Z' });
    expect((await api.call('GET', '/api/v1/queues?after=x')).status).toBe(400);
  });

  it('deletes a queue by its name, as long as nobody consumes it', async () => {
    expect((await api.call('DELETE', '/api/v1/queues/jobs%2Fnew')).status).toBe(204);
    expect(hub.calls[0]).toEqual(['deleteQueue', 'jobs/new']);
    expect((await api.call('DELETE', '/api/v1/queues/busy')).status).toBe(409);
    expect((await api.call('DELETE', '/api/v1/queues/none')).status).toBe(404);
  });

  it('shows refused handshakes and their counts', async () => {
    const { body } = await api.call('GET', '/api/v1/refused');
    expect(body.counts).toEqual({ unknown_subprotocol: 7 });
    expect(body.items[0]).toMatchObject({ offered: 'mqttv5', time: '2026-01-01T00:00:00.000Z' });
    expect(body.items[0].title).toBe('No offered subprotocol is served');
    expect(body.items[0].advice).toContain('Offer `mqtt`');
  });

  it('shows its status', async () => {
    const { body } = await api.call('GET', '/api/v1/status');
    expect(body).toMatchObject({
      version: '0.1.0',
      uptimeSeconds: 90,
      counts: { devices: 1, commands: { queued: 1 } },
      store: { facts: { synchronous: 2 }, writable: true, backlogRows: 3 },
    });
  });

  it('is alive whatever happens, and ready only when it can store', async () => {
    expect((await api.call('GET', '/readyz', { token: null })).body).toEqual({ ready: true, reasons: [] });
    hub.telemetry.health = { writable: false, sinceMs: NOW_MS, error: 'database or disk is full' };
    hub.currentPhase = 'stopping';
    const answer = await api.call('GET', '/readyz', { token: null });
    expect(answer.status).toBe(503);
    expect(answer.body.reasons).toMatchObject([
      { code: 'shutting_down' },
      {
        code: 'store_not_writable',
        detail: 'the store cannot write: database or disk is full',
        since: '2026-01-01T00:00:00.000Z',
      },
    ]);
    expect((await api.call('GET', '/healthz', { token: null })).status).toBe(200);
  });

  it('is not ready, and lets nobody in, before its state is loaded', async () => {
    hub.currentPhase = 'starting';
    expect((await api.call('GET', '/readyz', { token: null })).body.reasons).toMatchObject([{ code: 'starting' }]);
    const answer = await api.call('GET', '/api/v1/status');
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('5');
  });

  it('gives its metrics to everybody, unless told otherwise', async () => {
    const open = await api.call('GET', '/metrics', { token: null });
    expect(open.text).toBe('up 1\n');
    expect(open.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    hub.config = { ...hub.config, metricsNeedToken: true };
    const closed = await serveApi(hub);
    expect((await closed.call('GET', '/metrics', { token: null })).status).toBe(401);
    expect((await closed.call('GET', '/metrics')).status).toBe(200);
    await closed.close();
  });
});
