import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { setTimeout as later } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { cborConnect } from './clients/cbor.ts';
import { connectionsOf, exported, isOnline, latest, newDevice, rejected } from './clients/hub-view.ts';
import { HttpDevice, type HttpCommand } from './clients/http.ts';
import { mqttConnect, mqttDevice } from './clients/mqtt.ts';
import { connectionOf } from './faults/hub-view.ts';

const GRACE_MS = 1000;

function hasCurl(): boolean {
  return spawnSync('curl', ['--version']).status === 0;
}

let hub: TestHub;
let device: HttpDevice;
let token: string;
let id: string;
let count = 0;

beforeAll(async () => {
  hub = await startTestHub({ httpGraceMs: GRACE_MS, maxStreamsPerDevice: 2 });
});
afterAll(() => hub.close());

async function fresh(protocols?: readonly string[]): Promise<void> {
  id = `d${++count}`;
  token = await newDevice(hub, id, protocols);
  device = new HttpDevice(hub.port, { token });
}

afterEach(async () => {
  if (id !== '') await hub.api('DELETE', `/api/v1/devices/${id}`);
  id = '';
});

const presence = async () => (await hub.api('GET', `/api/v1/devices/${id}`)).body.presence;
const command = async (name: string, params: unknown = {}): Promise<string> =>
  (await hub.api('POST', `/api/v1/devices/${id}/commands`, { name, params })).body.command.id as string;
const stateOf = async (one: string): Promise<string> =>
  (await hub.api('GET', `/api/v1/commands/${one}`)).body.command.state as string;
/** The API reads what is on disk. */
const becomes = (one: string, state: string): Promise<void> =>
  until(`the command is ${state}`, async () => (await stateOf(one)) === state);
const names = (answer: { body: { commands: HttpCommand[] } }): string[] => answer.body.commands.map(({ name }) => name);
const online = () => until('it is online', () => isOnline(hub, id));
const offline = () => until('it is offline', async () => !(await isOnline(hub, id)));

describe('readings', () => {
  it('are stored, and told in number', async () => {
    await fresh();
    const answer = await device.telemetry({ t: 21.5, on: true });
    expect(answer).toMatchObject({ status: 200, body: { readings: 2, duplicate: false } });
    expect(answer.body).not.toHaveProperty('ack');
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(await latest(hub, id)).toEqual({ t: 21.5, on: true });
  });

  it('are JSON unless something else is said', async () => {
    await fresh();
    const headers = { 'content-type': '' };
    const { status } = await device.ask('POST', '/telemetry', { body: Buffer.from('{"a":1}'), headers });
    expect(status).toBe(415);
    const plain = await fetch(`http://127.0.0.1:${hub.port}/device/v1/telemetry`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: new Blob(['{"a":2}']),
    });
    expect(plain.status).toBe(200);
    expect((await device.ask('POST', '/telemetry/json', { body: { b: 3 } })).status).toBe(200);
    expect(await latest(hub, id)).toEqual({ a: 2, b: 3 });
  });

  it('may be in any format that payloads have, by content type or by path', async () => {
    await fresh();
    const senml = '[{"n":"a","v":1}]';
    expect((await device.telemetry(senml, { headers: { 'content-type': 'application/senml+json' } })).status).toBe(200);
    const typed = { 'content-type': 'application/senml+cbor' };
    const cbor = Buffer.from('81a200616202f5', 'hex');
    const named = await device.ask('POST', '/telemetry/senml+cbor', { body: cbor, headers: typed });
    expect(named.body).toMatchObject({ code: 'malformed_payload', recorded: true });
    const good = Buffer.from('81a200616202fb4008000000000000', 'hex');
    expect((await device.ask('POST', '/telemetry/senml+cbor', { body: good, headers: typed })).body).toMatchObject({
      readings: 1,
    });
    expect(await latest(hub, id)).toEqual({ a: 1, b: 3 });
  });

  it('of a numbered queue are stored once', async () => {
    await fresh();
    expect((await device.telemetry({ n: 1 }, { seq: 1 })).body).toEqual({ readings: 1, duplicate: false, ack: 1 });
    expect((await device.telemetry({ n: 1 }, { seq: 1 })).body).toEqual({ readings: 1, duplicate: true, ack: 1 });
    expect((await exported(hub, id)).map(({ value }) => value)).toEqual([1]);
  });

  it('sent at once in any order are stored in the order of their numbers, and each is told what fits', async () => {
    await fresh();
    const agent = new Agent({ keepAlive: true, maxSockets: 10 });
    const waiting = new Set(Array.from({ length: 10 }, (_, i) => i + 1));
    for (let round = 0; round < 20 && waiting.size > 0; round++) {
      const seqs = [...waiting].reverse();
      const answers = await Promise.all(seqs.map((seq) => device.telemetry({ n: seq }, { seq, agent })));
      answers.forEach(({ status, body }, i) => {
        if (status === 200) waiting.delete(seqs[i]!);
        else expect({ status, body }).toMatchObject({ status: 409, body: { code: 'gap' } });
        if (status === 409) expect(body.expected).toBeLessThan(seqs[i]!);
      });
    }
    agent.destroy();
    expect(waiting.size).toBe(0);
    expect((await exported(hub, id)).map(({ value }) => value)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it.each<[string, string, Record<string, string>, number, string]>([
    ['no JSON', '{"a":', {}, 400, 'malformed_payload'],
    ['nothing', '', {}, 422, 'empty'],
    ['an array as value', '{"a":[1]}', {}, 422, 'value_not_allowed'],
    ['no reading', '{}', {}, 422, 'empty'],
    ['a time in the future', '{"ts":"2199-01-01T00:00:00Z","a":1}', {}, 422, 'time_in_future'],
    ['too much nesting', `${'{"a":'.repeat(20)}1${'}'.repeat(20)}`, {}, 422, 'too_deep'],
    ['another content type', 'a=1', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'unsupported_format'],
  ])(
    'that cannot be read are refused, recorded, and use up their number: %s',
    async (_, body, headers, status, code) => {
      await fresh();
      const answer = await device.telemetry(body, { seq: 1, headers });
      expect(answer).toMatchObject({ status, body: { status, code, recorded: true } });
      expect(answer.headers['content-type']).toContain('application/problem+json');
      expect(await rejected(hub, id)).toMatchObject([{ code, protocol: 'http', topic: `devices/${id}/telemetry` }]);
      expect((await device.telemetry({ n: 2 }, { seq: 2 })).body.ack).toBe(2);
    },
  );

  it('in a format that nobody serves are refused by the name of the format', async () => {
    await fresh();
    const answer = await device.ask('POST', '/telemetry/xml', {
      body: '<a/>',
      headers: { 'content-type': 'text/xml' },
    });
    expect(answer).toMatchObject({ status: 415, body: { code: 'unsupported_format', recorded: true } });
  });

  it('may be as large as the largest message, and no larger', async () => {
    await fresh();
    const max = 256 * 1024;
    const padded = (bytes: number): string => `{"a":1${' '.repeat(bytes - 7)}}`;
    expect((await device.telemetry(padded(max), { seq: 1 })).status).toBe(200);
    const over = await device.telemetry(padded(max + 1), { seq: 2 });
    expect(over).toMatchObject({ status: 413, body: { code: 'too_large', recorded: false } });
    expect((await device.telemetry({ a: 2 }, { seq: 2 })).status).toBe(200);
  });

  it('that are announced far too large are not read at all', async () => {
    await fresh();
    const socket = connect(hub.port, '127.0.0.1');
    socket.write(
      `POST /device/v1/telemetry HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${token}\r\nContent-Length: 100000000\r\n\r\n{`,
    );
    let text = '';
    socket.on('data', (data) => (text += String(data)));
    await until('it was answered and cut off', () => text.includes('too_large') && socket.closed);
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('in chunks without a length are bounded too', async () => {
    await fresh();
    expect(await chunked(31)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await chunked(40)).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('that are compressed are refused: they could grow past the limit', async () => {
    await fresh();
    const answer = await device.telemetry('xx', { headers: { 'content-encoding': 'gzip' } });
    expect(answer).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } });
  });

  it('are sent on to those who subscribe', async () => {
    await fresh();
    const label = 'app';
    const made = (await hub.api('POST', '/api/v1/tokens', { kind: 'application', label })).body.token as string;
    const app = await mqttConnect(hub.wsUrl, { username: 'x', password: made });
    await app.subscribe('devices/+/telemetry');
    await app.subscribe('devices/+/events/+');
    await device.telemetry({ n: 1 });
    await device.ask('POST', '/events/door', { body: { open: true } });
    const heard = (await app.gets(2)).map(({ topic, payload }) => `${topic} ${payload}`);
    expect(heard.sort()).toEqual([`devices/${id}/events/door {"open":true}`, `devices/${id}/telemetry {"n":1}`]);
  });

  /** So many times 8 KiB of spaces behind a reading. */
  async function chunked(times: number): Promise<string> {
    const socket = connect(hub.port, '127.0.0.1');
    let text = '';
    socket.on('data', (data) => (text += String(data)));
    socket.on('error', () => undefined);
    socket.write(
      `POST /device/v1/telemetry HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${token}\r\n` +
        'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{"a":1}\r\n',
    );
    for (let i = 0; i < times; i++) socket.write(`2000\r\n${' '.repeat(8192)}\r\n`);
    socket.write('0\r\n\r\n');
    await until('it was answered', () => text.includes('\r\n\r\n'));
    socket.destroy();
    return text;
  }
});

describe('the examples in docs/http-devices.md', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/http-devices.md'), 'utf8');
  const lines = [...text.matchAll(/```sh\n([^`]*)```/g)]
    .map(([, block]) => block!)
    .join('')
    .replaceAll('\\\n', '')
    .split('\n');
  const examples = lines.flatMap((line, i) =>
    line.startsWith('curl ') ? [[line, lines[i + 1]!.slice(2)] as const] : [],
  );

  it.skipIf(!hasCurl())('do what they say', async () => {
    await fresh();
    expect(examples.length).toBeGreaterThan(5);
    const made = await command('reboot', { delay: 5 });
    const env = { ...process.env, HUB: `http://127.0.0.1:${hub.port}`, TOKEN: token };
    for (const [line, shown] of examples) {
      const { stdout } = await promisify(execFile)('bash', ['-c', line.replaceAll('3fd4…', made)], { env });
      const [said, expected] = [JSON.parse(stdout), JSON.parse(shown.replaceAll('3fd4…', made))] as Record<
        string,
        any
      >[];
      expect(Object.keys(said!), line).toEqual(Object.keys(expected!));
      for (const volatile of ['time', 'device']) if (volatile in expected!) expected![volatile] = said![volatile];
      if (expected!.commands !== undefined) expected!.commands[0].deadline = said!.commands[0].deadline;
      expect(said, line).toEqual(expected);
    }
  });
});

describe('headers', () => {
  it('of an answer are few: devices pay by the byte', async () => {
    await fresh();
    const { headers } = await device.telemetry({ a: 1 });
    expect(headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    expect(headers).not.toHaveProperty('content-security-policy');
    expect(headers).not.toHaveProperty('x-powered-by');
    expect(Object.keys(headers).length).toBeLessThan(10);
  });

  it.each<[string, Record<string, string>]>([
    ['a stream without a number', { 'muster-stream': 's' }],
    ['a number without a stream', { 'muster-seq': '1' }],
    ['number 0', { 'muster-stream': 's', 'muster-seq': '0' }],
    ['a fraction', { 'muster-stream': 's', 'muster-seq': '1.5' }],
    ['a number past 2^53', { 'muster-stream': 's', 'muster-seq': '9007199254740993' }],
    ['a name with a slash', { 'muster-stream': 'a/b', 'muster-seq': '1' }],
    ['a name of 65 characters', { 'muster-stream': 'x'.repeat(65), 'muster-seq': '1' }],
    ['an empty name', { 'muster-stream': '', 'muster-seq': '1' }],
  ])('%s: 400, and nothing is stored', async (_, headers) => {
    await fresh();
    expect(await device.telemetry({ a: 1 }, { headers })).toMatchObject({ status: 400, body: { code: 'invalid' } });
    expect(await latest(hub, id)).toEqual({});
  });

  it('2^53 - 1 is a number, and the first in its stream is 1', async () => {
    await fresh();
    const answer = await device.telemetry({ a: 1 }, { seq: Number.MAX_SAFE_INTEGER, stream: 'x'.repeat(64) });
    expect(answer).toMatchObject({ status: 409, body: { code: 'gap', expected: 1 } });
  });

  it('a query is refused, and a token in it is none', async () => {
    await fresh();
    const url = `http://127.0.0.1:${hub.port}/device/v1/commands?access_token=${token}`;
    expect((await fetch(url)).status).toBe(401);
    expect((await device.poll('?wait=61')).status).toBe(400);
    expect((await device.poll('?wait=-1')).status).toBe(400);
    expect((await device.poll('?x=1')).status).toBe(400);
    expect((await device.poll('?cursor=a%20b')).status).toBe(400);
    expect(await isOnline(hub, id)).toBe(false);
  });

  it('other methods and paths are refused in words', async () => {
    await fresh();
    expect((await device.ask('PUT', '/telemetry', { body: {} })).status).toBe(405);
    expect((await device.ask('GET', '/telemetry')).headers.allow).toBe('POST, OPTIONS');
    expect((await device.ask('GET', '/nothing')).status).toBe(404);
    expect((await device.ask('POST', '/events/a%20b', { body: {} })).body.code).toBe('invalid');
    expect((await device.ask('POST', '/streams/s', { body: { next: 0 } })).body.code).toBe('invalid');
    expect((await device.ask('HEAD', '/commands')).status).toBe(200);
    expect(await isOnline(hub, id)).toBe(false);
  });
});

describe('who asks', () => {
  const ask = (headers: Record<string, string>): Promise<Response> =>
    fetch(`http://127.0.0.1:${hub.port}/device/v1/telemetry`, { method: 'POST', headers, body: '{"a":1}' });
  const json = { 'content-type': 'application/json' };

  it('is a device, by Bearer or Basic', async () => {
    await fresh();
    const basic = Buffer.from(`anything:${token}`).toString('base64');
    expect((await ask({ ...json, authorization: `Basic ${basic}` })).status).toBe(200);
    expect((await ask({ ...json, authorization: `bearer ${token}` })).status).toBe(200);
    expect((await ask({ ...json, authorization: `Bearer ${token}`, 'muster-device': id })).status).toBe(200);
  });

  it.each<[string, () => Record<string, string>, number, string]>([
    ['nobody', () => ({}), 401, 'credentials_required'],
    ['a name alone, where names are no proof', () => ({ 'muster-device': 'd1' }), 401, 'credentials_required'],
    ['an unknown token', () => ({ authorization: 'Bearer mst_aa_bb' }), 401, 'bad_credentials'],
    ['no token', () => ({ authorization: 'Negotiate x' }), 401, 'bad_credentials'],
    ['a program', () => ({ authorization: `Bearer ${hub.token}` }), 403, 'not_authorized'],
    [
      'another device',
      () => ({ authorization: `Bearer ${token}`, 'muster-device': 'x' }),
      400,
      'credentials_contradict',
    ],
    [
      'a page of another site',
      () => ({ authorization: `Bearer ${token}`, origin: 'http://x.example' }),
      403,
      'origin_not_allowed',
    ],
  ])('%s', async (_, headers, status, code) => {
    await fresh();
    const answer = await ask({ ...json, ...headers() });
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ code });
    if (status === 401)
      expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="muster", Basic realm="muster"');
    expect(await latest(hub, id)).toEqual({});
  });

  it('an application is refused', async () => {
    await fresh();
    const made = await hub.api('POST', '/api/v1/tokens', { kind: 'application', label: 'app' });
    const answer = await ask({ ...json, authorization: `Bearer ${made.body.token}` });
    expect(answer.status).toBe(403);
    expect(await answer.json()).toMatchObject({ code: 'not_authorized' });
  });

  it('is refused when its policy does not allow HTTP, or it is disabled', async () => {
    await fresh(['mqtt']);
    expect(await device.telemetry({ a: 1 })).toMatchObject({ status: 403, body: { code: 'protocol_not_allowed' } });
    await hub.api('PATCH', `/api/v1/devices/${id}`, { protocols: ['http'] });
    expect((await device.telemetry({ a: 1 })).status).toBe(200);
    await hub.api('PATCH', `/api/v1/devices/${id}`, { disabled: true });
    expect(await device.poll()).toMatchObject({ status: 403, body: { code: 'device_disabled' } });
  });

  it('is listed for operators when it is refused', async () => {
    await fresh();
    await ask({ ...json, authorization: 'Bearer mst_aa_bb', 'user-agent': 'firmware/1' });
    const { items } = (await hub.api('GET', '/api/v1/refused')).body;
    expect(items[0]).toMatchObject({ path: '/device/v1/telemetry', code: 'bad_credentials', userAgent: 'firmware/1' });
  });
});

describe('events', () => {
  it('are kept, any JSON value', async () => {
    await fresh();
    expect((await device.ask('POST', '/events/boot', { body: 'null', seq: 1 })).body).toEqual({
      duplicate: false,
      ack: 1,
    });
    expect((await device.ask('POST', '/events/boot', { body: 'null', seq: 1 })).body).toEqual({
      duplicate: true,
      ack: 1,
    });
    const { items } = (await hub.api('GET', `/api/v1/devices/${id}/events`)).body;
    expect(items).toMatchObject([{ name: 'boot', payload: { text: 'null' } }]);
  });

  it.each([
    ['{"a":', 400, 'malformed_payload'],
    [Buffer.from([0x22, 0xff, 0x22]), 400, 'malformed_payload'],
    ['['.repeat(9) + ']'.repeat(9), 422, 'too_deep'],
  ])('that cannot be read are refused, recorded, and use up their number', async (body, status, code) => {
    await fresh();
    expect(await device.ask('POST', '/events/boot', { body, seq: 1 })).toMatchObject({
      status,
      body: { code, recorded: true },
    });
    expect(await rejected(hub, id)).toMatchObject([{ code, topic: `devices/${id}/events/boot` }]);
    expect((await device.ask('POST', '/events/boot', { body: '['.repeat(8) + ']'.repeat(8), seq: 2 })).status).toBe(
      200,
    );
  });
});

describe('numbered queues', () => {
  it('open a gap when asked to, and it is recorded', async () => {
    await fresh();
    await device.telemetry({ n: 1 }, { seq: 1 });
    const opened = await device.ask('POST', '/streams/s', { body: { next: 5 } });
    expect(opened).toMatchObject({ status: 200, body: { resume: 5, window: 64, max: 262_144, device: id } });
    expect(Math.abs(opened.body.time - Date.now())).toBeLessThan(5000);
    expect((await device.telemetry({ n: 5 }, { seq: 5 })).status).toBe(200);
    expect((await hub.api('GET', `/api/v1/devices/${id}/gaps`)).body.items).toMatchObject([
      { stream: 's', fromSeq: 2, toSeq: 4 },
    ]);
  });

  it('never go back', async () => {
    await fresh();
    await device.telemetry({ n: 1 }, { seq: 1 });
    expect((await device.ask('POST', '/streams/s', { body: { next: 1 } })).body.resume).toBe(2);
  });

  it('begun over CBOR go on over HTTP, and back', async () => {
    await fresh();
    const first = await cborConnect(hub, { stream: 's', next: 1, token });
    first.peer.data(1, [{ metric: 'n', timeUs: null, value: 1 }]);
    await first.peer.acknowledged(1);
    expect((await device.ask('POST', '/streams/s', { body: { next: 1 } })).body.resume).toBe(2);
    expect((await device.telemetry({ n: 2 }, { seq: 2 })).body.ack).toBe(2);
    const second = await cborConnect(hub, { stream: 's', next: 2, token });
    expect(second.welcome.resumeSeq).toBe(3);
    expect((await exported(hub, id)).map(({ value }) => value)).toEqual([1, 2]);
  });
});

describe('presence', () => {
  it('is online while a poll hangs, for the time of grace after it, and then is not', async () => {
    await fresh();
    const poll = device.poll('?wait=2');
    await online();
    expect(await presence()).toMatchObject({ protocol: 'http', epoch: 1 });
    expect(await connectionOf(hub, id)).toMatchObject({ subprotocol: 'http', epoch: 1 });
    await later(1500);
    expect(await isOnline(hub, id), 'longer than the grace').toBe(true);
    expect((await poll).body.commands).toEqual([]);
    expect(await isOnline(hub, id)).toBe(true);
    const answered = performance.now();
    await offline();
    expect(performance.now() - answered).toBeGreaterThan(GRACE_MS * 0.9);
    expect(await presence()).toMatchObject({ reason: 'idle_timeout', initiator: 'hub' });
    expect(await connectionOf(hub, id)).toBeUndefined();
  });

  it('counts what the device posts meanwhile', async () => {
    await fresh();
    await device.poll();
    await device.telemetry('{"a":1}');
    expect(await connectionOf(hub, id)).toMatchObject({ messagesIn: 2, bytesIn: 7 });
  });

  it('is one connection for all polls that come in time', async () => {
    await fresh();
    for (let i = 0; i < 5; i++) await device.poll();
    expect(await connectionsOf(hub, id)).toHaveLength(1);
    expect(await presence()).toMatchObject({ online: true, epoch: 1 });
  });

  it('is nothing that a post changes', async () => {
    await fresh();
    await device.telemetry({ a: 1 });
    await device.ask('POST', '/streams/s', { body: { next: 1 } });
    expect(await presence()).toMatchObject({ online: false, epoch: 0 });
    await device.poll();
    await later(700);
    await device.telemetry({ a: 2 });
    await later(700);
    expect(await isOnline(hub, id)).toBe(false);
  });

  it('ends at once with a goodbye, which answers the poll', async () => {
    await fresh();
    const poll = device.poll('?wait=30');
    await online();
    expect((await device.ask('DELETE', '/connection')).status).toBe(204);
    expect((await poll).body.commands).toEqual([]);
    expect(await presence()).toMatchObject({ online: false, reason: 'client_disconnect', initiator: 'device' });
    expect((await device.ask('DELETE', '/connection')).status).toBe(204);
  });

  it('goes on for the time of grace when the device vanishes in the middle of a poll', async () => {
    await fresh();
    let cut = (): void => undefined;
    const poll = device.poll('?wait=30', { cut: (abort) => (cut = abort) });
    await online();
    cut();
    await expect(poll).rejects.toThrow();
    const waiting = await command('wait');
    expect(await stateOf(waiting), 'nobody is there to take it').toBe('queued');
    await offline();
    expect(await presence()).toMatchObject({ reason: 'idle_timeout' });
    expect(names(await device.poll())).toEqual(['wait']);
  });
});

describe('commands', () => {
  it('come to a poll that waits, and are answered', async () => {
    await fresh();
    const poll = device.poll('?wait=30');
    await online();
    const made = await command('reboot', { delay: 5 });
    const { body } = await poll;
    expect(body.commands).toMatchObject([{ id: made, name: 'reboot', params: { delay: 5 } }]);
    expect(body.commands[0].deadline).toBeGreaterThan(Date.now());
    expect(Math.abs(body.time - Date.now())).toBeLessThan(5000);
    await becomes(made, 'sent');
    expect((await device.result(made, { ok: 1 })).body).toEqual({ taken: true });
    expect((await hub.api('GET', `/api/v1/commands/${made}`)).body.command).toMatchObject({
      state: 'succeeded',
      result: { ok: 1 },
    });
    expect((await device.result(made)).body, 'a repeat').toEqual({ taken: true });
    expect(names(await device.poll())).toEqual([]);
  });

  it('are received by the cursor of their answer', async () => {
    await fresh();
    const first = await command('one');
    const { body } = await device.poll();
    await command('two');
    const second = await device.poll(`?cursor=${body.cursor}`);
    expect(names(second)).toEqual(['two']);
    await becomes(first, 'received');
  });

  it('are received by a cursor after the connection has ended', async () => {
    await fresh();
    const made = await command('one');
    const { body } = await device.poll();
    await device.ask('DELETE', '/connection');
    expect(names(await device.poll(`?cursor=${body.cursor}`))).toEqual([]);
    await becomes(made, 'received');
  });

  it('whose answer was lost come again, first', async () => {
    await fresh();
    await command('one');
    await device.poll();
    await command('two');
    const again = await device.poll('?wait=10');
    expect(names(again)).toEqual(['one', 'two']);
    expect(names(await device.poll(`?cursor=${again.body.cursor}`))).toEqual([]);
  });

  it('that were cancelled meanwhile do not come again', async () => {
    await fresh();
    const made = await command('one');
    await device.poll();
    await hub.api('POST', `/api/v1/commands/${made}/cancel`);
    expect(names(await device.poll())).toEqual([]);
  });

  it('come to a device, or a proxy, that asks for what it has not seen yet', async () => {
    await fresh();
    await command('one');
    const answer = await device.poll('', { headers: { 'if-none-match': '*' } });
    expect(answer.status).toBe(200);
    expect(names(answer)).toEqual(['one']);
  });

  it('are not taken by the poll that was replaced', async () => {
    await fresh();
    const first = device.poll('?wait=30');
    await online();
    const second = device.poll('?wait=30');
    expect(names(await first)).toEqual([]);
    await command('one');
    expect(names(await second)).toEqual(['one']);
    expect(await connectionsOf(hub, id)).toHaveLength(1);
  });

  it('are received or answered by themselves, and unknown ones are refused', async () => {
    await fresh();
    const made = await command('one');
    await device.poll();
    expect((await device.ask('POST', `/commands/${made}/received`)).status).toBe(204);
    await becomes(made, 'received');
    for (const path of ['received', 'result']) {
      const answer = await device.ask('POST', `/commands/nope/${path}`, { body: { status: 'failed' } });
      expect(answer).toMatchObject({ status: 404, body: { code: 'unknown_command' } });
    }
    const wrong = await device.ask('POST', `/commands/${made}/result`, { body: { status: 'done' } });
    expect(wrong).toMatchObject({ status: 400, body: { code: 'invalid' } });
    await becomes(made, 'received');
  });

  it('answered with a value that is nested too deeply are refused, and can be answered again', async () => {
    await fresh();
    const made = await command('one');
    const nested = (levels: number): string =>
      `{"status":"succeeded","value":${'['.repeat(levels)}${']'.repeat(levels)}}`;
    const answer = (body: string) => device.ask('POST', `/commands/${made}/result`, { body });
    for (const levels of [9, 100_000]) {
      const refused = await answer(nested(levels));
      expect(refused, String(levels)).toMatchObject({ status: 422, body: { code: 'too_deep', recorded: false } });
    }
    expect((await answer(nested(8))).body).toEqual({ taken: true });
    await becomes(made, 'succeeded');
  });

  it('of another device are unknown', async () => {
    await fresh();
    const made = await command('one');
    const other = await newDevice(hub, 'other');
    const stranger = new HttpDevice(hub.port, { token: other });
    expect((await stranger.result(made)).status).toBe(404);
    expect(names(await stranger.poll(`?cursor=${made}`))).toEqual([]);
    await hub.api('DELETE', '/api/v1/devices/other');
    expect(await stateOf(made)).toBe('queued');
  });

  it('more than an answer holds follow in the next', async () => {
    await fresh();
    for (let i = 0; i < 20; i++) await command(`c${i}`);
    const first = await device.poll();
    expect(names(first)).toHaveLength(16);
    const second = await device.poll(`?cursor=${first.body.cursor}`);
    expect(names(second)).toEqual(['c16', 'c17', 'c18', 'c19']);
  });

  it('of a megabyte in all come, in several answers', async () => {
    await fresh();
    const large = 'ä'.repeat(60_000);
    for (let i = 0; i < 8; i++) await command(`c${i}`, large);
    const got: string[] = [];
    for (let cursor = ''; got.length < 8;) {
      const { status, body } = await device.poll(`?wait=5&cursor=${cursor}`);
      expect(status).toBe(200);
      expect(body.commands.every(({ params }: HttpCommand) => params === large)).toBe(true);
      got.push(...body.commands.map(({ name }: HttpCommand) => name));
      cursor = body.cursor;
    }
    expect(got).toEqual(['c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7']);
    expect(await isOnline(hub, id)).toBe(true);
  });
});

describe('server-sent events', () => {
  it('tell each command as it comes, and are received by Last-Event-ID', async () => {
    await fresh();
    const events = device.events();
    expect((await events.headers)['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(events.status).toBe(200);
    const one = await command('one', { text: 'line\nbreak' });
    const two = await command('two');
    await until('both came', () => events.events.length === 2);
    expect(events.events).toMatchObject([
      { event: 'command', id: one, data: { id: one, params: { text: 'line\nbreak' } } },
      { event: 'command', id: `${one}.${two}`, data: { id: two } },
    ]);
    expect(events.retryMs).toBe(1000);
    expect(events.comments).toBeGreaterThan(0);
    events.close();
    const next = device.events({ 'last-event-id': one });
    await until('the second comes again', () => next.events.length === 1);
    expect(next.events[0]).toMatchObject({ id: two, data: { id: two } });
    await becomes(one, 'received');
    await becomes(two, 'sent');
    next.close();
  });

  it('end for a poll, and with a goodbye', async () => {
    await fresh();
    const events = device.events();
    await online();
    expect(names(await device.poll())).toEqual([]);
    await until('it has ended', () => events.ended);
    const next = device.events();
    await next.headers;
    await hub.api('PATCH', `/api/v1/devices/${id}`, { disabled: true });
    await until('it has ended', () => next.ended);
    expect(next.events).toMatchObject([{ event: 'goodbye', data: { code: 'device_disabled', status: 403 } }]);
  });

  it('are event streams even when another poll comes before they have begun', async () => {
    await fresh();
    const streams = Array.from({ length: 4 }, () => device.events());
    for (const { headers } of streams) expect((await headers)['content-type']).toMatch('text/event-stream');
    for (const { close } of streams) close();
  });

  it('are refused like every poll', async () => {
    await fresh();
    const events = device.events({ 'last-event-id': 'a b' });
    await until('it has ended', () => events.ended);
    expect(events.status).toBe(400);
  });
});

describe('a body that comes slowly is not taken of a device that may not send any more:', () => {
  const policy = (patch: object) => hub.api('PATCH', `/api/v1/devices/${id}`, patch);

  it.each<[string, () => Promise<unknown>, number, string]>([
    ['it was deleted', () => hub.api('DELETE', `/api/v1/devices/${id}`), 401, 'device_deleted'],
    ['it was disabled', () => policy({ disabled: true }), 403, 'device_disabled'],
    ['its policy was changed', () => policy({ protocols: ['mqtt'] }), 403, 'protocol_not_allowed'],
    [
      'its token was revoked',
      () => hub.api('DELETE', `/api/v1/devices/${id}/tokens/${token.split('_')[1]!}`),
      401,
      'bad_credentials',
    ],
  ])('%s', async (_, bar, status, code) => {
    await fresh();
    const socket = connect(hub.port, '127.0.0.1');
    let text = '';
    socket.on('data', (data: Buffer) => (text += data.toString()));
    const head = `POST /device/v1/telemetry HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n`;
    // The hub has looked who it is when it asks for the body.
    socket.write(`${head}Expect: 100-continue\r\nContent-Length: 8\r\n\r\n`);
    await until('it goes on', () => text.includes('100 Continue'));
    await later(50);
    await bar();
    socket.write('{"t":21}');
    await until('the answer', () => text.includes('"code"'));
    socket.destroy();
    expect(text).toContain(`HTTP/1.1 ${status} `);
    expect(text).toContain(`"code":"${code}"`);
    if (code !== 'device_deleted') expect(await latest(hub, id)).toEqual({});
  });
});

describe('one connection', () => {
  it('a WebSocket takes over from a poll, which is told so', async () => {
    await fresh();
    const poll = device.poll('?wait=30');
    await online();
    await mqttDevice(hub, token);
    expect(await poll).toMatchObject({ status: 409, body: { code: 'taken_over' } });
    expect(await presence()).toMatchObject({ online: true, protocol: 'mqtt', epoch: 2 });
    expect((await connectionsOf(hub, id))[1]).toMatchObject({ protocol: 'http', reason: 'taken_over' });
  });

  it('a poll takes over from a WebSocket, which is told so', async () => {
    await fresh();
    const mqtt = await mqttDevice(hub, token);
    expect((await device.poll()).status).toBe(200);
    await until('the WebSocket is closed', () => mqtt.closed);
    expect(await presence()).toMatchObject({ online: true, protocol: 'http', epoch: 2 });
  });

  it('a WebSocket takes over in the time of grace, and nothing of the polls changes that later', async () => {
    await fresh();
    await device.poll();
    await mqttDevice(hub, token);
    await later(GRACE_MS + 500);
    expect(await presence()).toMatchObject({ online: true, protocol: 'mqtt', epoch: 2 });
  });

  it('a command that a poll was handed goes to the WebSocket when it was not received', async () => {
    await fresh();
    const made = await command('one');
    await device.poll();
    const mqtt = await mqttDevice(hub, token);
    await mqtt.subscribe('devices/me/commands/#');
    expect(await mqtt.gets(1)).toMatchObject([{ topic: `devices/me/commands/${made}/one` }]);
  });

  it.each<[string, () => Promise<unknown>, number, string]>([
    [
      'the device is disabled',
      () => hub.api('PATCH', `/api/v1/devices/${id}`, { disabled: true }),
      403,
      'device_disabled',
    ],
    ['the device is deleted', () => hub.api('DELETE', `/api/v1/devices/${id}`), 401, 'device_deleted'],
    [
      'its token is revoked',
      () => hub.api('DELETE', `/api/v1/devices/${id}/tokens/${token.split('_')[1]!}`),
      401,
      'bad_credentials',
    ],
    [
      'its policy forbids it',
      () => hub.api('PATCH', `/api/v1/devices/${id}`, { protocols: ['cbor'] }),
      403,
      'protocol_not_allowed',
    ],
    [
      'an operator closes it',
      async () => hub.api('DELETE', `/api/v1/connections/${(await connectionOf(hub, id))!.id}`),
      503,
      'closed_by_operator',
    ],
  ])('ends while a poll hangs: %s', async (_, end, status, code) => {
    await fresh();
    const poll = device.poll('?wait=30');
    await online();
    await end();
    const answer = await poll;
    expect(answer).toMatchObject({ status, body: { code } });
    if (status === 503) expect(answer.headers['retry-after']).toBe('5');
  });

  it('goes with the token that opened it, and not with another', async () => {
    await fresh();
    const other = (await hub.api('POST', `/api/v1/devices/${id}/tokens`)).body;
    const second = new HttpDevice(hub.port, { token: other.token });
    const first = device.poll('?wait=30');
    await online();
    const poll = second.poll('?wait=30');
    expect(await first).toMatchObject({ status: 409, body: { code: 'taken_over' } });
    await hub.api('DELETE', `/api/v1/devices/${id}/tokens/${token.split('_')[1]!}`);
    expect(await isOnline(hub, id)).toBe(true);
    await hub.api('DELETE', `/api/v1/devices/${id}/tokens/${other.keyId as string}`);
    expect(await poll).toMatchObject({ status: 401, body: { code: 'bad_credentials' } });
  });
});
