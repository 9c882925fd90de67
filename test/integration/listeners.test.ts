import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { startTestHub, until, type TestHub } from '../support/hub.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
/** From 203.0.113.5:51966. */
const PROXY_HEADER = Buffer.from(`${SIGNATURE}2111000ccb007105c0000201cafe075b`, 'hex');
const CONNECT = Buffer.from('100e00044d51545404020000000272', 'hex');

let folder: string;
let tls: { tlsCert: string; tlsKey: string };
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-listeners-'));
  tls = { tlsCert: join(folder, 'cert.pem'), tlsKey: join(folder, 'key.pem') };
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const files = ['-keyout', tls.tlsKey, '-out', tls.tlsCert];
  execFileSync('openssl', ['req', '-x509', ...key, ...files, '-days', '1', ...subject], { stdio: 'pipe' });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function urlOf(hub: TestHub, scheme: string): URL {
  return new URL(hub.hub.streamUrls.find((url) => url.startsWith(`${scheme}:`))!);
}

async function connections(hub: TestHub): Promise<any[]> {
  return (await hub.api('GET', '/api/v1/connections')).body.items;
}

/** Without checking the certificate, which is not what is tested here. */
function askOverTls(hub: TestHub, path: string): Promise<any> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${hub.token}` };
    request({ host: '127.0.0.1', port: hub.port, path, headers, rejectUnauthorized: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve(JSON.parse(text)));
    })
      .on('error', reject)
      .end();
  });
}

describe('mqtt:// beside the one port', () => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await startTestHub({ mqttPort: 0 });
  });
  afterAll(() => hub.close());

  it('takes readings, and talks to clients of the one port', async () => {
    const { token } = (await hub.api('POST', '/api/v1/devices', { id: 'tcp-1' })).body;
    const watcher = await mqtt.connectAsync(hub.wsUrl, { username: 'app', password: hub.token });
    const seen: string[] = [];
    watcher.on('message', (topic, payload) => seen.push(`${topic} ${payload.toString()}`));
    await watcher.subscribeAsync('devices/+/telemetry', { qos: 1 });
    const device = await mqtt.connectAsync(urlOf(hub, 'mqtt').href, {
      clientId: 'tcp-1',
      username: 'd',
      password: token,
    });
    await device.publishAsync('devices/me/telemetry', '{"temp":21.5}', { qos: 1 });
    expect((await hub.api('GET', '/api/v1/devices/tcp-1/latest')).body.items).toMatchObject([{ value: 21.5 }]);
    await until('the watcher has it', () => seen.length === 1);
    expect(seen).toEqual(['devices/tcp-1/telemetry {"temp":21.5}']);
    const [row] = (await connections(hub)).filter(({ clientId }) => clientId === 'tcp-1');
    expect(row).toMatchObject({ path: 'mqtt:', subprotocol: 'mqtt', address: '127.0.0.1' });
    await device.endAsync();
    await watcher.endAsync();
    const { presence } = (await hub.api('GET', '/api/v1/devices/tcp-1')).body;
    expect(presence).toMatchObject({ online: false, reason: 'client_disconnect' });
  });

  it('tells a lost connection from a closed one', async () => {
    const { token } = (await hub.api('POST', '/api/v1/devices', { id: 'tcp-2' })).body;
    const reasonAfter = async (end: (socket: Socket) => void): Promise<string> => {
      const device = await mqtt.connectAsync(urlOf(hub, 'mqtt').href, {
        clientId: 'tcp-2',
        username: 'd',
        password: token,
        reconnectPeriod: 0,
      });
      end(device.stream as Socket);
      let presence: any;
      await until('it is offline', async () => {
        presence = (await hub.api('GET', '/api/v1/devices/tcp-2')).body.presence;
        return presence.online === false;
      });
      return presence.reason;
    };
    expect(await reasonAfter((socket) => socket.end())).toBe('client_closed');
    expect(await reasonAfter((socket) => socket.resetAndDestroy())).toBe('connection_lost');
  });

  it('closes garbage, and nobody else hears of it', async () => {
    const { hostname, port } = urlOf(hub, 'mqtt');
    const socket = connectTcp(Number(port), hostname);
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await new Promise((resolve) => socket.once('close', resolve));
    const metrics = (await hub.api('GET', '/metrics')).body as string;
    expect(metrics).toMatch(/muster_connections_closed_total\{reason="(malformed|protocol_error)"\} [1-9]/);
  });

  it('sends a last word before it closes', async () => {
    const { hostname, port } = urlOf(hub, 'mqtt');
    const socket = connectTcp(Number(port), hostname);
    // Level 9 of MQTT does not exist; 3.1.1 answers with return code 1 (table 3.1).
    socket.write(Buffer.from('100e00044d51545409020000000272', 'hex').subarray(0, 14));
    socket.write(Buffer.from([0x72, 0x72]));
    const answer: Buffer = await new Promise((resolve) => socket.once('data', resolve));
    expect(answer.subarray(0, 1).toString('hex')).toBe('20');
    await new Promise((resolve) => socket.once('close', resolve));
  });
});

describe('clients that do not go', () => {
  it('cuts one that was said goodbye to and goes on sending', async () => {
    const hub = await startTestHub({ mqttPort: 0 });
    try {
      const { hostname, port } = urlOf(hub, 'mqtt');
      const socket = connectTcp({ port: Number(port), host: hostname, allowHalfOpen: true });
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.on('error', () => undefined);
      socket.resume();
      socket.write('GET / HTTP/1.1\r\n\r\n');
      const trickle = setInterval(() => socket.write('x'), 200);
      const begunMs = performance.now();
      await closed;
      clearInterval(trickle);
      expect(performance.now() - begunMs).toBeLessThan(8000);
    } finally {
      await hub.close();
    }
  }, 20_000);

  it('says that there is no room when its own port is full', async () => {
    const hub = await startTestHub({ mqttPort: 0, maxConnections: 1, allowAnonymous: true });
    try {
      const { hostname, port } = urlOf(hub, 'mqtt');
      const first = await mqtt.connectAsync(urlOf(hub, 'mqtt').href, { clientId: 'one' });
      const second = connectTcp(Number(port), hostname);
      second.on('error', () => undefined);
      await new Promise((resolve) => second.once('close', resolve));
      expect((await hub.api('GET', '/api/v1/refused')).body).toMatchObject({
        counts: { too_many_connections: 1 },
        items: [{ path: 'mqtt:', address: '127.0.0.1' }],
      });
      await first.endAsync();
    } finally {
      await hub.close();
    }
  });

  it('cuts one that never begins TLS', async () => {
    const hub = await startTestHub({ mqttsPort: 0, identifyTimeoutMs: 300, ...tls });
    try {
      const { hostname, port } = urlOf(hub, 'mqtts');
      const socket = connectTcp({ port: Number(port), host: hostname, allowHalfOpen: true });
      const begunMs = performance.now();
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve).once('end', resolve));
      expect(performance.now() - begunMs).toBeLessThan(5000);
      expect((await askOverTls(hub, '/api/v1/refused')).counts).toEqual({ tls_failed: 1 });
      socket.destroy();
    } finally {
      await hub.close();
    }
  });

  it('cuts one that never begins TLS when the hub stops', async () => {
    const hub = await startTestHub({ mqttsPort: 0, ...tls });
    const { hostname, port } = urlOf(hub, 'mqtts');
    const socket = connectTcp({ port: Number(port), host: hostname, allowHalfOpen: true });
    let isGone = false;
    socket.resume();
    socket
      .on('error', () => undefined)
      .on('end', () => (isGone = true))
      .on('close', () => (isGone = true));
    await new Promise((resolve) => socket.once('connect', resolve));
    // The hub has accepted it: an answer has come by the same loop since.
    await askOverTls(hub, '/api/v1/refused');
    await hub.close();
    await until('it is gone', () => isGone, 2000);
    socket.destroy();
  });
});

describe('stomp:// and stomps://', () => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await startTestHub({ stompPort: 0, stompsPort: 0, allowAnonymous: true, ...tls });
  });
  afterAll(() => hub.close());

  it.each(['stomp', 'stomps'])('takes readings, in the version that CONNECT asks for: %s', async (scheme) => {
    const { hostname, port } = urlOf(hub, scheme);
    const ca = readFileSync(tls.tlsCert);
    const socket = scheme === 'stomp' ? connectTcp(Number(port), hostname) : connectTls({ port: Number(port), ca });
    let said = '';
    socket.on('data', (data: Buffer) => (said += data.toString()));
    socket.write(`CONNECT\naccept-version:1.1,1.2\nhost:x\nclient-id:${scheme}-1\n\n\0`);
    await until('CONNECTED', () => said.includes('CONNECTED') && said.includes('version:1.2'));
    socket.write('SEND\ndestination:/devices/me/telemetry\nreceipt:r1\n\n{"temp":21.5}\0');
    await until('RECEIPT', () => said.includes('receipt-id:r1'));
    const { items } = await askOverTls(hub, `/api/v1/devices/${scheme}-1/latest`);
    expect(items).toMatchObject([{ metric: 'temp', value: 21.5 }]);
    socket.write('nonsense\n\n\0');
    await new Promise((resolve) => socket.once('close', resolve));
    expect(said).toMatch(/\nERROR\n|\0ERROR\n/);
  });
});

describe('mqtts://', () => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await startTestHub({ mqttsPort: 0, allowAnonymous: true, ...tls });
  });
  afterAll(() => hub.close());

  it('takes readings inside TLS', async () => {
    const ca = readFileSync(tls.tlsCert);
    const client = await mqtt.connectAsync(urlOf(hub, 'mqtts').href, { ca, clientId: 'tls-1' });
    await client.publishAsync('devices/me/telemetry', '{"temp":1}', { qos: 1 });
    await client.endAsync();
  });

  it('lists who hangs up during TLS with its address, and not who only looked whether the port is open', async () => {
    const { hostname, port } = urlOf(hub, 'mqtts');
    const before = (await askOverTls(hub, '/api/v1/refused')).items.length as number;
    for (const bytes of ['', '16030100050100']) {
      const socket = connectTcp(Number(port), hostname);
      await new Promise((resolve) => socket.once('connect', resolve));
      socket.end(Buffer.from(bytes, 'hex'));
      await new Promise((resolve) => socket.resume().once('close', resolve));
    }
    await until('it is listed', async () => (await askOverTls(hub, '/api/v1/refused')).items.length > before);
    const { items } = await askOverTls(hub, '/api/v1/refused');
    expect(items).toHaveLength(before + 1);
    expect(items[0]).toMatchObject({ code: 'tls_failed', address: '127.0.0.1' });
  });

  it('refuses and counts clients that speak no TLS', async () => {
    const { hostname, port } = urlOf(hub, 'mqtts');
    const socket = connectTcp(Number(port), hostname);
    socket.write(CONNECT);
    await new Promise((resolve) => socket.once('close', resolve));
    const { items } = await askOverTls(hub, '/api/v1/refused');
    expect(items[0]).toMatchObject({ code: 'tls_failed', address: '127.0.0.1', detail: expect.stringMatching(/SSL/) });
  });
});

describe('behind proxies', () => {
  let hub: TestHub;
  let proxy: Server;
  beforeAll(async () => {
    hub = await startTestHub({
      mqttPort: 0,
      mqttsPort: 0,
      allowAnonymous: true,
      trustedProxies: ['127.0.0.1'],
      proxyProtocol: true,
      identifyTimeoutMs: 300,
      ...tls,
    });
    // A proxy that says who came, in two pieces.
    proxy = createServer((client) => {
      const hubSide = connectTcp(Number(urlOf(hub, 'mqtts').port), '127.0.0.1', () => {
        hubSide.setNoDelay(true);
        hubSide.write(PROXY_HEADER.subarray(0, 5));
        setImmediate(() => {
          hubSide.write(PROXY_HEADER.subarray(5));
          client.pipe(hubSide).pipe(client);
        });
      });
      for (const socket of [client, hubSide]) socket.on('error', () => socket.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    proxy.close();
    await hub.close();
  });

  it('shows the client’s address that a PROXY header tells, inside TLS too', async () => {
    const ca = readFileSync(tls.tlsCert);
    const { port } = proxy.address() as { port: number };
    const client = await mqtt.connectAsync(`mqtts://127.0.0.1:${port}`, { ca, clientId: 'far-1' });
    const rows = await hubRows();
    expect(rows).toMatchObject([{ clientId: 'far-1', address: '203.0.113.5' }]);
    await client.endAsync();
  });

  it('takes what comes with the header in one piece', async () => {
    const { hostname, port } = urlOf(hub, 'mqtt');
    const socket = connectTcp(Number(port), hostname);
    socket.write(Buffer.concat([PROXY_HEADER, Buffer.from('100e00044d515454040200000002', 'hex'), Buffer.from('r1')]));
    const answer: Buffer = await new Promise((resolve) => socket.once('data', resolve));
    expect(answer.toString('hex')).toBe('20020000');
    expect(await hubRows()).toMatchObject([{ clientId: 'r1', address: '203.0.113.5' }]);
    socket.destroy();
  });

  it('begins TLS with what comes with the header in one piece', async () => {
    const hello: Buffer = await new Promise((resolve) => {
      const end = new Duplex({ read: () => undefined, write: (chunk: Buffer) => resolve(chunk) });
      connectTls({ socket: end });
    });
    const { hostname, port } = urlOf(hub, 'mqtts');
    const socket = connectTcp(Number(port), hostname);
    socket.on('error', () => undefined);
    socket.write(Buffer.concat([PROXY_HEADER, hello]));
    const answer: Buffer = await new Promise((resolve) => socket.once('data', resolve));
    // A handshake record (RFC 8446, 5.1).
    expect(answer[0]).toBe(22);
    socket.destroy();
  });

  it.each([
    ['no header', CONNECT],
    ['half a header and no more', PROXY_HEADER.subarray(0, 20)],
  ])('refuses %s from a trusted proxy, and lists it', async (_what, bytes) => {
    const before = (await refusals()).bad_proxy_header ?? 0;
    const { hostname, port } = urlOf(hub, 'mqtt');
    const socket = connectTcp(Number(port), hostname);
    socket.on('error', () => undefined);
    socket.write(bytes);
    await new Promise((resolve) => socket.once('close', resolve));
    expect((await refusals()).bad_proxy_header).toBe(before + 1);
  });

  it('shows the client’s address that X-Forwarded-For tells', async () => {
    const socket = new WebSocket(`wss://127.0.0.1:${hub.port}/`, 'v12.stomp', {
      ca: readFileSync(tls.tlsCert),
      headers: { 'X-Forwarded-For': '198.51.100.1, 203.0.113.77' },
    });
    await new Promise((resolve) => socket.once('open', resolve));
    expect(await hubRows()).toMatchObject([{ address: '203.0.113.77' }]);
    socket.terminate();
  });

  async function hubRows(): Promise<any[]> {
    return (await askOverTls(hub, '/api/v1/connections')).items;
  }

  async function refusals(): Promise<Record<string, number>> {
    return (await askOverTls(hub, '/api/v1/refused')).counts;
  }
});

it('is off unless asked for, and says which option to change when its port is taken', async () => {
  const hub = await startTestHub();
  try {
    expect(hub.hub.streamUrls).toEqual([]);
    await expect(startTestHub({ mqttPort: hub.port })).rejects.toThrow(/in use; choose another with --mqtt-port/);
  } finally {
    await hub.close();
  }
});
