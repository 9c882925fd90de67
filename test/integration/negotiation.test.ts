import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { latest, newDevice } from './clients/hub-view.ts';
import { mqttDevice } from './clients/mqtt.ts';
import { afterThisTest } from './clients/opened.ts';
import { stompDevice } from './clients/stomp.ts';
import { offer, upgrade, type Upgraded } from './clients/upgrade.ts';

const SERVED = ['mqtt', 'mqttv3.1', 'v12.stomp', 'v11.stomp', 'v10.stomp', 'v1.cbor.muster'];

interface Refused {
  readonly code: string;
  readonly path: string;
}

async function refusedBy(hub: TestHub): Promise<{ newest: Refused; counts: Record<string, number> }> {
  const { body } = await hub.api('GET', '/api/v1/refused');
  return { newest: body.items[0], counts: body.counts };
}

describe('the handshake', () => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await startTestHub();
  });
  afterAll(() => hub.close());

  function expectProblem({ status, headers, body }: Upgraded, expected: { status: number; code: string }): void {
    expect({ status, code: body.code }).toEqual(expected);
    expect(headers['content-type']).toBe('application/problem+json');
    expect(body).toMatchObject({
      type: `urn:muster:problem:${expected.code.replaceAll('_', '-')}`,
      status: expected.status,
      title: expect.any(String),
      detail: expect.any(String),
      served: SERVED,
    });
  }

  describe('chooses by the offer alone', () => {
    it.each([
      ['mqtt', 'mqtt'],
      ['mqttv3.1', 'mqttv3.1'],
      ['v12.stomp', 'v12.stomp'],
      ['v1.cbor.muster', 'v1.cbor.muster'],
      ['mqtt, mqttv3.1', 'mqtt'],
      ['mqttv3.1,mqtt', 'mqttv3.1'],
      ['v12.stomp, v11.stomp, v10.stomp', 'v12.stomp'],
      ['v10.stomp, v11.stomp, v12.stomp', 'v10.stomp'],
      ['mqttv5.0 ,\tunknown,v1.cbor.muster , mqtt', 'v1.cbor.muster'],
      [['soap', 'v12.stomp'], 'v12.stomp'],
    ])('%j: answers with exactly %s', async (offered, chosen) => {
      const answer = await offer(hub.port, offered);
      expect(answer.status).toBe(101);
      expect(answer.headers['sec-websocket-protocol']).toBe(chosen);
      expect(answer.headers['sec-websocket-accept']).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    });

    it.each(['/', '/mqtt', '/stomp', '/ws', '/cbor', '/device', '/mqtt?x=y'])(
      'on %s, whatever the path says',
      async (path) => {
        for (const name of SERVED) {
          const answer = await offer(hub.port, name, { path });
          expect([answer.status, answer.headers['sec-websocket-protocol']]).toEqual([101, name]);
        }
      },
    );

    it('with the path in absolute form, as proxies write it (RFC 6455, 4.2.1)', async () => {
      for (const path of ['http://hub.example/mqtt', 'HTTP://hub.example:80/ws?x=y', 'http://hub.example']) {
        expect((await offer(hub.port, 'mqtt', { path })).status, path).toBe(101);
      }
      expect((await offer(hub.port, 'mqtt', { path: 'http://hub.example/elsewhere' })).status).toBe(404);
    });

    it('and loses nothing of what came in one packet with the handshake', async () => {
      const token = await newDevice(hub, 'eager');
      const socket = connect(hub.port, '127.0.0.1');
      afterThisTest(() => socket.destroy());
      const lines = [
        'GET / HTTP/1.1',
        'Host: hub',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Protocol: v12.stomp',
      ];
      const frames = [
        `CONNECT\naccept-version:1.2\nhost:h\npasscode:${token}\n\n\0`,
        'SEND\ndestination:/devices/me/telemetry\nreceipt:r\n\n{"n":1}\0',
      ];
      const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
      socket.write(Buffer.concat([head, ...frames.map(maskedText)]));
      let answer = '';
      socket.on('data', (data) => (answer += data.toString('latin1')));
      await until('the receipt', () => answer.includes('receipt-id:r'));
      expect(await latest(hub, 'eager')).toEqual({ n: 1 });
    });

    it('as the WebSocket of Node sees it, which is as strict as a browser', async () => {
      const client = new globalThis.WebSocket(`${hub.wsUrl}/ws`, ['unknown', 'mqtt', 'v12.stomp']);
      afterThisTest(() => client.close());
      await once(client, 'open');
      expect([client.protocol, client.extensions]).toEqual(['mqtt', '']);
    });

    it('and compresses only when the hub was told to', async () => {
      const asking = { headers: { 'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits' } };
      expect((await offer(hub.port, 'mqtt', asking)).headers['sec-websocket-extensions']).toBeUndefined();
      const compressing = await startTestHub({ perMessageDeflate: true });
      afterThisTest(() => compressing.close());
      const { headers } = await offer(compressing.port, 'mqtt', asking);
      expect(headers['sec-websocket-extensions']).toMatch(/^permessage-deflate/);
      const device = await mqttDevice(compressing, await newDevice(compressing, 'd'));
      await device.publish('devices/me/telemetry', { text: 'compressible '.repeat(500) });
    });
  });

  describe('refuses in words, counts and lists', () => {
    it.each([
      ['an unknown name', 'mqttv5.0', 'unknown_subprotocol', ['mqttv5.0']],
      ['another case', 'MQTT', 'unknown_subprotocol', ['MQTT']],
      ['a list of unknown names', 'graphql-ws, soap', 'unknown_subprotocol', ['graphql-ws', 'soap']],
      ['the echo, which is off', 'v1.echo.muster', 'unknown_subprotocol', ['v1.echo.muster']],
      ['no offer', undefined, 'no_subprotocol', []],
      ['an empty element', 'mqtt,,v12.stomp', 'malformed_subprotocol', ['mqtt', '', 'v12.stomp']],
      ['a name twice', 'mqtt, mqtt', 'malformed_subprotocol', ['mqtt', 'mqtt']],
      ['what is no token', 'mq tt', 'malformed_subprotocol', ['mq tt']],
    ])('%s: 400', async (_what, offered, code, names) => {
      const before = (await refusedBy(hub)).counts[code] ?? 0;
      const answer = await offer(hub.port, offered, { headers: { 'user-agent': 'a test' } });
      expectProblem(answer, { status: 400, code });
      expect(answer.body.offered).toEqual(names);
      const { newest, counts } = await refusedBy(hub);
      expect(newest).toMatchObject({
        code,
        status: 400,
        offered: offered ?? null,
        address: '127.0.0.1',
        path: '/',
        userAgent: 'a test',
      });
      expect(counts[code]).toBe(before + 1);
    });

    it('a path that is not served: 404 with the paths that are', async () => {
      const answer = await offer(hub.port, 'mqtt', { path: '/mqtt/' });
      expectProblem(answer, { status: 404, code: 'unknown_path' });
      expect(answer.body.detail).toContain('/device');
    });

    it.each([
      ['a Bearer token', { headers: { authorization: 'Bearer mst_0123456789abcdef_wrong' } }, 401, 'bad_credentials'],
      ['a Basic password', { headers: { authorization: 'Basic eDp5' } }, 401, 'bad_credentials'],
      ['a Basic header with nothing in it', { headers: { authorization: 'Basic Og==' } }, 401, 'bad_credentials'],
      ['an Authorization that cannot be read', { headers: { authorization: 'Digest x' } }, 401, 'bad_credentials'],
      ['an access_token', { path: '/?access_token=mst_0123456789abcdef_wrong' }, 401, 'bad_credentials'],
    ])('wrong credentials by %s', async (_what, options, status, code) => {
      const answer = await offer(hub.port, 'mqtt', options);
      expectProblem(answer, { status, code });
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="muster"');
      const { newest } = await refusedBy(hub);
      expect(newest.path).toBe('/');
      expect(JSON.stringify(newest)).not.toContain('mst_');
    });

    it('tokens that contradict each other', async () => {
      const one = await newDevice(hub, 'header-device');
      const other = await newDevice(hub, 'query-device');
      const headers = { authorization: `Bearer ${one}` };
      const answer = await offer(hub.port, 'mqtt', { path: `/?access_token=${other}`, headers });
      expectProblem(answer, { status: 400, code: 'credentials_contradict' });
      expect((await offer(hub.port, 'mqtt', { path: `/?access_token=${one}`, headers })).status).toBe(101);
      const twice = await offer(hub.port, 'mqtt', { path: `/?access_token=${one}&access_token=${other}` });
      expectProblem(twice, { status: 400, code: 'credentials_contradict' });
    });

    it.each([
      ['an older version', { headers: { 'sec-websocket-version': '12' } }],
      ['no version', { headers: { 'sec-websocket-version': undefined } }],
      ['a key that is too short', { headers: { 'sec-websocket-key': 'short' } }],
      ['no key', { headers: { 'sec-websocket-key': undefined } }],
      ['POST', { method: 'POST' }],
    ])('what is no handshake of RFC 6455: %s', async (_what, options) => {
      const answer = await offer(hub.port, 'mqtt', options);
      expectProblem(answer, { status: 400, code: 'not_websocket' });
      expect(answer.headers['sec-websocket-version']).toBe('13');
      expect((await refusedBy(hub)).newest.code).toBe('not_websocket');
    });

    it('and keeps the newest of them, with long texts cut', async () => {
      const small = await startTestHub({ refusedHandshakesKept: 3 });
      afterThisTest(() => small.close());
      for (let n = 0; n < 5; n++) await offer(small.port, `unknown-${n}-${'x'.repeat(500)}`);
      const { body } = await small.api('GET', '/api/v1/refused');
      expect(body.items.map(({ offered }: { offered: string }) => offered.slice(0, 9))).toEqual([
        'unknown-4',
        'unknown-3',
        'unknown-2',
      ]);
      expect(body.items[0].offered).toHaveLength(256);
      expect(body.counts).toEqual({ unknown_subprotocol: 5 });
    });
  });

  it('is not asked of those who want something else: another Upgrade is an ordinary request', async () => {
    // Java's HttpClient and curl --http2 send this with every request.
    const asked = request({
      host: '127.0.0.1',
      port: hub.port,
      path: '/healthz',
      headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAoAAAAAIAAAAA' },
    });
    asked.end();
    const [response] = await once(asked, 'response');
    response.resume();
    expect(response.statusCode).toBe(200);
    const onDevicePath = await upgrade(hub.port, { path: '/mqtt', headers: { upgrade: 'h2c' } });
    expect(onDevicePath.status).toBe(426);
  });

  it('of a browser passes from the hub itself and from nowhere else', async () => {
    const from = async (origin: string, host?: string): Promise<number> =>
      (await offer(hub.port, 'mqtt', { headers: { origin, ...(host === undefined ? {} : { host }) } })).status;
    expect(await from(`http://127.0.0.1:${hub.port}`)).toBe(101);
    expect(await from('https://hub.example', 'hub.example')).toBe(101);
    // Paho names the default port in Host, browsers never in Origin.
    expect(await from('https://hub.example:443', 'hub.example:443')).toBe(101);
    expect(await from('https://hub.example', 'Hub.Example:443')).toBe(101);
    expect(await from('http://hub.example', 'hub.example:80')).toBe(101);
    for (const [origin, host] of [
      ['https://elsewhere.example', 'hub.example'],
      ['https://hub.example:8443', 'hub.example'],
      ['https://hub.example', 'hub.example:8443'],
      ['http://hub.example', 'hub.example:443'],
      ['null', 'hub.example'],
      ['not a url', 'not a url'],
    ]) {
      const answer = await offer(hub.port, 'mqtt', { headers: { origin, host } });
      expectProblem(answer, { status: 403, code: 'origin_not_allowed' });
    }
  });

  it('of a browser passes from the allowed origins too', async () => {
    const listed = await startTestHub({ allowedOrigins: ['https://ops.example', 'http://localhost:5173'] });
    afterThisTest(() => listed.close());
    const anywhere = await startTestHub({ allowedOrigins: ['*'] });
    afterThisTest(() => anywhere.close());
    const from = async (hub: TestHub, origin: string): Promise<number> =>
      (await offer(hub.port, 'mqtt', { headers: { origin } })).status;
    expect(await from(listed, 'https://ops.example')).toBe(101);
    expect(await from(listed, 'http://localhost:5173')).toBe(101);
    expect(await from(listed, 'https://ops.example.evil')).toBe(403);
    expect(await from(anywhere, 'https://anything.example')).toBe(101);
  });
});

describe('limits on connections', () => {
  it('from one address: 429 with Retry-After, others still get in, and room comes back', async () => {
    const hub = await startTestHub({ maxConnectionsPerAddress: '2' });
    afterThisTest(() => hub.close());
    const first = await offer(hub.port, 'mqtt');
    await offer(hub.port, 'v12.stomp');
    const third = await offer(hub.port, 'mqtt');
    expect([third.status, third.body.code]).toEqual([429, 'too_many_from_address']);
    expect(Number(third.headers['retry-after'])).toBeGreaterThan(0);
    expect((await offer(hub.port, 'mqtt', { localAddress: '127.0.0.2' })).status).toBe(101);
    expect((await refusedBy(hub)).counts).toEqual({ too_many_from_address: 1 });
    first.socket!.destroy();
    await until('room', async () => (await offer(hub.port, 'mqtt')).status === 101);
  });

  it('in all: 503 with Retry-After', async () => {
    const hub = await startTestHub({ maxConnections: '2' });
    afterThisTest(() => hub.close());
    await offer(hub.port, 'mqtt');
    const second = await offer(hub.port, 'mqtt', { localAddress: '127.0.0.2' });
    const third = await offer(hub.port, 'mqtt', { localAddress: '127.0.0.3' });
    expect([third.status, third.body.code]).toEqual([503, 'too_many_connections']);
    expect(Number(third.headers['retry-after'])).toBeGreaterThan(0);
    second.socket!.destroy();
    await until('room', async () => (await offer(hub.port, 'mqtt')).status === 101);
  });

  it('without identity: 503, and room as soon as one says who it is', async () => {
    const hub = await startTestHub({ maxUnidentified: '2' });
    afterThisTest(() => hub.close());
    const token = await newDevice(hub, 'known');
    await mqttDevice(hub, token);
    const stranger = await offer(hub.port, 'mqtt');
    await offer(hub.port, 'mqtt');
    const third = await offer(hub.port, 'mqtt');
    expect([third.status, third.body.code]).toEqual([503, 'too_many_unidentified']);
    stranger.socket!.destroy();
    await until('room', async () => (await offer(hub.port, 'mqtt')).status === 101);
  });
});

describe("a device's policy", () => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await startTestHub();
  });
  afterAll(() => hub.close());

  it('is applied in the handshake when the token comes with it: 403', async () => {
    const token = await newDevice(hub, 'stomp-only', ['stomp']);
    const headers = { authorization: `Bearer ${token}` };
    const refused = await offer(hub.port, 'mqtt', { headers });
    expect([refused.status, refused.body.code]).toEqual([403, 'protocol_not_allowed']);
    expect(refused.body.detail).toContain('stomp');
    const chosen = await offer(hub.port, 'mqtt, v1.cbor.muster, v12.stomp', { headers });
    expect([chosen.status, chosen.headers['sec-websocket-protocol']]).toEqual([101, 'v12.stomp']);
    expect((await refusedBy(hub)).counts).toEqual({ protocol_not_allowed: 1 });
  });

  it('is applied to CONNECT when the token comes there', async () => {
    const stompOnly = await newDevice(hub, 'stomp-only-later', ['stomp']);
    await expect(mqttDevice(hub, stompOnly)).rejects.toMatchObject({ code: 5 });
    await stompDevice(hub, stompOnly);
    const mqttOnly = await newDevice(hub, 'mqtt-only-later', ['mqtt']);
    await expect(stompDevice(hub, mqttOnly)).rejects.toThrow('protocol_not_allowed');
    await mqttDevice(hub, mqttOnly);
  });

  it('a disabled device is refused in the handshake, in CONNECT, and closed where it is', async () => {
    const token = await newDevice(hub, 'banned');
    const device = await mqttDevice(hub, token);
    expect((await hub.api('PATCH', '/api/v1/devices/banned', { disabled: true })).status).toBe(200);
    await until('closed', () => device.closed);
    const refused = await offer(hub.port, 'mqtt', { headers: { authorization: `Bearer ${token}` } });
    expect([refused.status, refused.body.code]).toEqual([403, 'device_disabled']);
    await expect(mqttDevice(hub, token)).rejects.toMatchObject({ code: 5 });
    await hub.api('PATCH', '/api/v1/devices/banned', { disabled: false });
    await mqttDevice(hub, token);
  });

  it('a revoked token is refused, another one of the device is not', async () => {
    const token = await newDevice(hub, 'rekeyed');
    const { body: other } = await hub.api('POST', '/api/v1/devices/rekeyed/tokens');
    const [, keyId] = token.split('_');
    expect((await hub.api('DELETE', `/api/v1/devices/rekeyed/tokens/${keyId}`)).status).toBe(204);
    await expect(mqttDevice(hub, token)).rejects.toMatchObject({ code: 4 });
    await mqttDevice(hub, other.token);
  });
});

/** A text message of under 64 KiB as one frame of a client; the mask is zero, which is a mask too. */
function maskedText(text: string): Buffer {
  const payload = Buffer.from(text);
  const long = payload.length > 125;
  const head = Buffer.alloc(long ? 8 : 6);
  head[0] = 0x81;
  head[1] = 0x80 | (long ? 126 : payload.length);
  if (long) head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}
