import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { AnswerCheck, operationsOf, type OpenApi, type Shown } from '../support/openapi.ts';
import { cborConnect } from './clients/cbor.ts';
import { isOnline, newDevice, rejected } from './clients/hub-view.ts';
import { mqttDevice } from './clients/mqtt.ts';
import { stompApplication } from './clients/stomp.ts';
import { offer } from './clients/upgrade.ts';

let hub: TestHub;
let document: OpenApi & Record<string, unknown>;
let operations: Map<string, Shown>;
let answers: AnswerCheck;
/** Which statuses each operation has answered with. */
const seen = new Map<string, Set<number>>();

beforeAll(async () => {
  hub = await startTestHub();
  document = (await hub.api('GET', '/api/v1/openapi.json')).body;
  operations = new Map(operationsOf(document).map((shown) => [shown.id, shown]));
  answers = new AnswerCheck(document);
});
afterAll(() => hub.close());

interface Asked {
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Null: without one. */
  readonly token?: string | null;
}

/** Calls an operation by its name in the document, and holds the answer against the document. */
async function call(
  id: string,
  { path = {}, query = '', body, headers = {}, token = hub.token }: Asked = {},
): Promise<{ status: number; body: any; headers: Headers }> {
  const shown = operations.get(id);
  if (shown === undefined) throw new Error(`the document has no ${id}`);
  const filled = shown.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(path[name]!));
  const response = await fetch(`http://127.0.0.1:${hub.port}${filled}${query}`, {
    method: shown.method,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await textOf(response);
  answers.answer(shown, response.status, response.headers.get('content-type'), text);
  if (response.ok && body !== undefined) expect(answers.allowsBody(shown, body), `${id} takes this body`).toBe(true);
  seen.set(id, (seen.get(id) ?? new Set()).add(response.status));
  const isJson = response.headers.get('content-type')?.split(';')[0]?.endsWith('json') === true && id !== 'exportLog';
  return { status: response.status, body: isJson ? JSON.parse(text) : text, headers: response.headers };
}

/** The whole body, or the beginning of one that never ends. */
async function textOf(response: Response): Promise<string> {
  if (response.headers.get('content-type')?.startsWith('text/event-stream') !== true) return response.text();
  const reader = response.body!.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return Buffer.from(value ?? []).toString();
}

const pump = { device: 'pump' };

describe('the document', () => {
  it('is valid OpenAPI 3.1', async () => {
    const validator = new Validator();
    const result = await validator.validate(structuredClone(document));
    expect(result.errors ?? []).toEqual([]);
    expect(result.valid).toBe(true);
    expect(validator.version).toBe('3.1');
  });

  it('names each operation once, and each parameter of its path', () => {
    const shown = operationsOf(document);
    expect(operations.size).toBe(shown.length);
    for (const { path, operation, id } of shown) {
      const named = (operation.parameters ?? []).filter((one) => one.in === 'path').map((one) => one.name);
      expect(named, id).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
    }
  });

  it('says to whom each operation is open', () => {
    for (const { operation } of operations.values()) {
      const open = operation['x-muster-scope'] === 'none';
      const { security } = operation as unknown as { security: object[] };
      expect(security).toHaveLength(open ? 0 : 2);
      const ofDevices = operation['x-muster-scope'] === 'device';
      if (!open) expect(Object.keys(security[0]!)).toEqual([ofDevices ? 'device' : 'token']);
      expect('401' in operation.responses).toBe(!open);
    }
  });
});

describe('every operation answers as the document says', () => {
  it('devices, their tokens and their tags', async () => {
    const made = await call('createDevice', { body: { id: 'pump', name: 'Pump', protocols: ['mqtt', 'cbor'] } });
    expect(made.status).toBe(201);
    expect((await call('createDevice', { body: { id: 'pump' } })).status).toBe(409);
    expect((await call('createDevice', { body: { id: 'a b' } })).status).toBe(400);
    expect((await call('listDevices', { query: '?limit=1&prefix=p&online=false' })).body.items).toHaveLength(1);

    const got = await call('getDevice', { path: pump });
    const etag = got.headers.get('etag')!;
    expect((await call('getDevice', { path: pump, headers: { 'if-none-match': etag } })).status).toBe(304);
    expect(
      (await call('changeDevice', { path: pump, body: { name: 'P' }, headers: { 'if-match': etag } })).status,
    ).toBe(200);
    expect(
      (await call('changeDevice', { path: pump, body: { name: 'Q' }, headers: { 'if-match': etag } })).status,
    ).toBe(412);
    expect((await call('deleteDevice', { path: pump, headers: { 'if-match': etag } })).status).toBe(412);
    expect((await call('getDevice', { path: { device: 'nobody' } })).status).toBe(404);

    const token = await call('createDeviceToken', { path: pump, body: {} });
    expect((await call('listDeviceTokens', { path: pump, query: '?limit=1' })).body.next).not.toBeNull();
    expect((await call('deleteDeviceToken', { path: { ...pump, key: token.body.keyId } })).status).toBe(204);
    expect((await call('deleteDeviceToken', { path: { ...pump, key: token.body.keyId } })).status).toBe(404);
  });

  it('what a device sent, was sent and did', async () => {
    const token: string = (await call('createDeviceToken', { path: pump })).body.token;
    const device = await mqttDevice(hub, token);
    await device.subscribe('devices/me/commands/#');
    device.client.on('message', (topic) => {
      const [, , , id, name] = topic.split('/');
      if (name !== 'ignored')
        device.client.publish(`devices/me/commands/${id!}/result`, '{"status":"succeeded","value":{"a":[1]}}');
    });
    await device.publish('devices/me/telemetry', { temp: 21.5, open: true, mode: 'eco' });
    await device.publish('devices/me/telemetry', 'no JSON');
    await device.publish('devices/me/events/door', { open: 1 });
    await until('a rejected payload', async () => (await rejected(hub, 'pump')).length === 1);

    const fleet = (await call('listFleet')).body;
    expect(fleet.items).toMatchObject([{ id: 'pump', presence: { online: true }, latest: [{}, {}, {}] }]);
    expect(fleet.counts).toEqual({ online: 1, offline: 0, byProtocol: { mqtt: 1 } });
    expect((await call('listFleet', { query: '?limit=5001' })).status).toBe(400);
    expect((await call('latestReadings', { path: pump })).body.items).toHaveLength(3);
    expect((await call('latestReadings', { path: pump, query: '?limit=1' })).body.next).toBe('mode');
    expect((await call('listReadings', { path: pump, query: '?limit=2&from=0' })).body.items).toHaveLength(2);
    expect((await call('listReadings', { path: pump, query: '?from=tomorrow' })).status).toBe(400);
    expect((await call('exportLog')).body).toContain('"end":true');
    expect((await call('listRejected', { path: pump })).body.items).toHaveLength(1);
    expect((await call('listEvents', { path: pump })).body.items).toHaveLength(1);
    expect((await call('listDeviceConnections', { path: pump })).body.items).toHaveLength(1);

    const key = { 'idempotency-key': 'a' };
    const send = { path: pump, query: '?wait=5', body: { name: 'reboot', params: { in: 5 } }, headers: key };
    const sent = await call('sendCommand', send);
    expect(sent.body.command).toMatchObject({ state: 'succeeded' });
    const again = await call('sendCommand', send);
    expect(again.body).toEqual(sent.body);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect((await call('sendCommand', { ...send, body: { name: 'stop' } })).status).toBe(422);
    expect((await call('sendCommand', { ...send, body: { name: 'result' } })).status).toBe(400);
    expect((await call('listCommands', { path: pump, query: '?state=succeeded' })).body.items).toHaveLength(1);
    expect((await call('getCommand', { path: { command: sent.body.command.id } })).body.history.length).toBeGreaterThan(
      1,
    );
    expect((await call('cancelCommand', { path: { command: sent.body.command.id }, body: {} })).status).toBe(409);

    const { body: sessions } = await call('listSessions');
    expect(sessions.items[0]).toMatchObject({ principal: { kind: 'device', id: 'pump' }, connected: true });
    const worker = await stompApplication(hub, 'worker');
    await worker.send('/queue/jobs/new', 'x');
    await worker.subscribe('/topic/news', 'auto', () => undefined, { id: 'news', durable: 'true' });
    expect((await call('listQueues')).body.items).toMatchObject([
      { kind: 'queue', name: 'jobs/new', messages: 1, subscription: null },
      { kind: 'subscription', name: 'news', subscription: { clientId: 'worker', detached: null } },
    ]);
    expect((await call('listQueues', { query: '?after=x' })).status).toBe(400);
    const consuming = await worker.subscribe('/queue/jobs/new', 'client-individual');
    expect((await call('deleteQueue', { path: { queue: 'jobs/new' } })).status).toBe(409);
    await worker.unsubscribe(consuming);
    expect((await call('deleteQueue', { path: { queue: 'jobs/new' } })).status).toBe(204);
    expect((await call('deleteQueue', { path: { queue: 'jobs/new' } })).status).toBe(404);
    await worker.client.deactivate();
    const { body: open } = await call('listConnections');
    expect(open.items[0].principal).toMatchObject({ kind: 'device', id: 'pump' });
    expect((await call('closeConnection', { path: { connection: open.items[0].id } })).status).toBe(204);
    await until('it is offline', async () => !(await isOnline(hub, 'pump')));
    expect((await call('closeConnection', { path: { connection: open.items[0].id } })).status).toBe(404);
    const waiting = await call('sendCommand', { path: pump, body: { name: 'later' } });
    expect((await call('cancelCommand', { path: { command: waiting.body.command.id } })).status).toBe(200);
  });

  it('gaps and refused handshakes', async () => {
    const token = await newDevice(hub, 'gappy');
    const { peer } = await cborConnect(hub, { token, stream: 's', next: 1 });
    peer.webSocket.close();
    await cborConnect(hub, { token, stream: 's', next: 9 });
    expect((await call('listGaps', { path: { device: 'gappy' } })).body.items.length).toBeGreaterThan(0);
    for (const name of ['a', 'b', 'c']) await offer(hub.port, name);
    const first = await call('listRefused', { query: '?limit=2' });
    expect(first.body.items.map((item: { offered: string }) => item.offered)).toEqual(['c', 'b']);
    await offer(hub.port, 'd');
    const rest = await call('listRefused', { query: `?limit=2&after=${first.body.next}` });
    expect(rest.body).toMatchObject({ items: [{ offered: 'a' }], next: null });
    expect((await call('listRefused', { query: '?after=x' })).status).toBe(400);
  });

  it('signing in by link, then by password, and out again', async () => {
    const link = hub.hub.signInLink!.split('#')[1]!;
    const first = await call('signIn', { body: { link, password: 'a long password' }, token: null });
    expect(first.body.caller).toMatchObject({ kind: 'operator', name: 'admin', role: 'admin' });
    expect((await call('signIn', { body: { link }, token: null })).status).toBe(403);

    const made = await call('signIn', { body: { name: 'admin', password: 'a long password' }, token: null });
    const cookie = made.headers.get('set-cookie')!;
    expect(cookie).toMatch(/; HttpOnly; SameSite=Strict$/);
    const headers = { cookie: cookie.split(';')[0]! };
    const me = await call('whoAmI', { headers, token: null });
    expect(me.body.csrf).toBe(made.body.csrf);
    expect((await call('whoAmI')).body).toMatchObject({ caller: { kind: 'token' }, csrf: null });
    const csrf = { ...headers, 'x-csrf-token': me.body.csrf as string };
    const path = { operator: 'admin' };
    const passwords = { password: 'another password', current: 'a long password' };
    expect(
      (await call('setPassword', { path, body: { ...passwords, current: '' }, headers: csrf, token: null })).status,
    ).toBe(403);
    expect((await call('setPassword', { path, body: passwords, headers, token: null })).status).toBe(403);
    expect((await call('setPassword', { path, body: passwords, headers: csrf, token: null })).status).toBe(204);
    expect((await call('signOut', { headers, token: null })).status).toBe(403);
    expect((await call('signOut', { headers: csrf, body: {}, token: null })).status).toBe(204);
    expect((await call('whoAmI', { headers, token: null })).status).toBe(401);
  });

  it('operators', async () => {
    const made = await call('createOperator', { body: { name: 'eve', role: 'viewer' } });
    expect(made.body.link).toMatch(/^\/sign-in#[\w-]{20,}$/);
    expect((await call('createOperator', { body: { name: 'eve', role: 'viewer' } })).status).toBe(409);
    expect((await call('listOperators', { query: '?limit=1' })).body).toMatchObject({ next: 'admin' });
    const path = { operator: 'eve' };
    const got = await call('getOperator', { path });
    const etag = got.headers.get('etag')!;
    expect((await call('getOperator', { path, headers: { 'if-none-match': etag } })).status).toBe(304);
    const change = { path, body: { role: 'operator' }, headers: { 'if-match': etag } };
    expect((await call('changeOperator', change)).status).toBe(200);
    expect((await call('changeOperator', change)).status).toBe(412);
    expect((await call('createSignInLink', { path, body: {} })).status).toBe(201);
    expect((await call('setPassword', { path, body: { password: 'short' } })).status).toBe(400);
    expect((await call('changeOperator', { path: { operator: 'admin' }, body: { disabled: true } })).status).toBe(409);
    expect((await call('deleteOperator', { path: { operator: 'admin' } })).status).toBe(409);
    expect((await call('deleteOperator', { path })).status).toBe(204);
    expect((await call('deleteOperator', { path })).status).toBe(404);
  });

  it('tokens of programs', async () => {
    const made = await call('createToken', { body: { kind: 'api', label: 'reader', scopes: ['read'], ttlMs: 60_000 } });
    expect((await call('listDevices', { token: made.body.token })).status).toBe(200);
    const forbidden = await call('createDevice', { body: { id: 'x' }, token: made.body.token });
    expect(forbidden).toMatchObject({ status: 403, body: { missingScope: 'devices' } });
    const topics = { publish: ['a/#'], subscribe: ['b/+'] };
    expect((await call('createToken', { body: { kind: 'application', label: 'app', topics } })).status).toBe(201);
    const wrong = { publish: ['a/#/b'], subscribe: [] };
    expect((await call('createToken', { body: { kind: 'application', label: 'app', topics: wrong } })).status).toBe(
      400,
    );
    expect((await call('listTokens')).body.items.length).toBeGreaterThan(2);
    expect((await call('deleteToken', { path: { key: made.body.keyId } })).status).toBe(204);
    expect((await call('deleteToken', { path: { key: made.body.keyId } })).status).toBe(404);
    expect((await call('listDevices', { token: made.body.token })).status).toBe(401);
  });

  it('what devices ask for', async () => {
    const token = await newDevice(hub, 'poller');
    const numbered = { 'muster-stream': 's', 'muster-seq': '1' };
    const first = await call('postTelemetry', { token, body: { t: 1 }, headers: numbered });
    expect(first.body).toEqual({ readings: 1, duplicate: false, ack: 1 });
    expect((await call('postTelemetry', { token, body: { t: 1 } })).body).toEqual({ readings: 1, duplicate: false });
    const gap = { ...numbered, 'muster-seq': '9' };
    expect((await call('postTelemetry', { token, body: { t: 1 }, headers: gap })).body).toMatchObject({ expected: 2 });
    expect((await call('postTelemetry', { token, body: { t: [1] } })).body).toMatchObject({ recorded: true });
    expect((await call('postTelemetry', { token, headers: { 'content-type': 'a/b' } })).status).toBe(415);
    expect((await call('postTelemetry', { token, body: 'x'.repeat(300_000) })).status).toBe(413);
    expect((await call('postTelemetryAs', { token, path: { format: 'json' }, body: { t: 2 } })).status).toBe(200);
    expect((await call('postTelemetry', { body: { t: 2 } })).status).toBe(403);
    expect((await call('postEvent', { token, path: { event: 'boot' }, body: [1] })).body).toEqual({ duplicate: false });
    const stream = { path: { stream: 's' } };
    expect((await call('openStream', { token, ...stream, body: { next: 5 } })).body).toMatchObject({ resume: 5 });
    expect((await call('openStream', { token, ...stream, body: { next: 'x' } })).status).toBe(400);

    const sent = await call('sendCommand', { path: { device: 'poller' }, body: { name: 'reboot' } });
    const polled = await call('pollCommands', { token, query: '?wait=5' });
    const command = { command: sent.body.command.id as string };
    expect(polled.body.commands).toMatchObject([{ id: command.command, name: 'reboot' }]);
    const hanging = call('pollCommands', { token, query: `?wait=30&cursor=${polled.body.cursor as string}` });
    expect((await call('postReceived', { token, path: command })).status).toBe(204);
    const result = { token, path: command, body: { status: 'succeeded', value: { a: [1] } } };
    expect((await call('postResult', result)).body).toEqual({ taken: true });
    expect((await call('postResult', { ...result, path: { command: 'nope' } })).status).toBe(404);
    expect((await call('sayGoodbye', { token })).status).toBe(204);
    expect((await hanging).body.commands).toEqual([]);
  });

  it('the hub itself', async () => {
    expect((await call('live')).status).toBe(200);
    expect((await call('listJobs')).body.items.length).toBeGreaterThan(3);
    expect((await call('runJob', { path: { job: 'checkpoint' } })).body.lastRun).toMatchObject({ ok: true });
    expect((await call('runJob', { path: { job: 'no-such-job' } })).status).toBe(404);
    for (const id of ['openapi', 'status', 'healthz', 'readyz', 'metrics']) {
      expect((await call(id)).status, id).toBe(200);
    }
    expect((await call('deleteDevice', { path: pump })).status).toBe(204);
  });

  it('and none was left out', () => {
    const well = [...seen].filter(([, statuses]) => [...statuses].some((status) => status < 300)).map(([id]) => id);
    expect(well.sort()).toEqual([...operations.keys()].sort());
  });

  it('nobody is answered 401 as declared', async () => {
    for (const [id, { operation, path }] of operations) {
      if (operation['x-muster-scope'] === 'none') continue;
      const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name!, 'a']);
      expect((await call(id, { token: null, path: Object.fromEntries(names) })).status, id).toBe(401);
    }
  });
});

describe('a hub with a low rate', () => {
  it('answers as declared when there are too many requests', async () => {
    const slow = await startTestHub({ apiRequestsPerMinute: 2 });
    try {
      const shown = operations.get('status')!;
      const statuses: number[] = [];
      for (let i = 0; i < 3; i++) {
        const { status, body, headers } = await slow.api('GET', '/api/v1/status');
        statuses.push(status);
        answers.answer(shown, status, headers.get('content-type'), JSON.stringify(body));
      }
      expect(statuses).toEqual([200, 200, 429]);
    } finally {
      await slow.close();
    }
  });
});
