import { X509Certificate } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeCa, makeServerCertificate, type PemPair } from '#cli/dev-ca.js';
import { createPort, listen, type Port } from '#hub/gateway/server.js';
import { FakeClock } from '../../support/fake-clock.ts';
import { startTestHub, until } from '../../support/hub.ts';
import { mqttConnect } from '../../integration/clients/mqtt.ts';

const EVERY_MS = 5000;

let ca: PemPair;
let first: PemPair;
let second: PemPair;
beforeAll(async () => {
  const nowMs = Date.now();
  ca = await makeCa(nowMs);
  const make = (days: number): Promise<PemPair> => makeServerCertificate(ca, { hosts: ['localhost'], days, nowMs });
  first = await make(1);
  second = await make(2);
});
const fingerprint = (pair: PemPair): string => new X509Certificate(pair.cert).fingerprint256;

let folder: string;
let files: { tlsCert: string; tlsKey: string };
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-reload-'));
  files = { tlsCert: join(folder, 'cert.pem'), tlsKey: join(folder, 'key.pem') };
  put(first);
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function put(pair: { cert?: string; key?: string }): void {
  if (pair.cert !== undefined) writeFileSync(files.tlsCert, pair.cert);
  if (pair.key !== undefined) writeFileSync(files.tlsKey, pair.key);
}

describe('certificate files that change', () => {
  let clock: FakeClock;
  let port: Port;
  let number: number;
  let log: { level: string; text: string; fields: Record<string, unknown> }[];
  const sockets: TLSSocket[] = [];

  async function start(): Promise<void> {
    clock = new FakeClock();
    log = [];
    const write = (level: string) => (fields: object, text: string) =>
      void log.push({ level, text, fields: fields as Record<string, unknown> });
    const reload = { clock, log: { info: write('info'), error: write('error') }, everyMs: EVERY_MS };
    port = createPort({ host: '127.0.0.1', port: 0, ...files }, reload, (_, response) => response.end('hello'));
    number = await listen(port.server, { host: '127.0.0.1', port: 0, ...files });
    port.certificate!.watch();
  }
  beforeEach(start);
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    port.certificate?.stop();
    port.server.closeAllConnections();
    port.server.close();
  });

  function open(): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: number, servername: 'localhost', ca: ca.cert }, () =>
        resolve(socket),
      );
      socket.on('error', reject);
      sockets.push(socket);
    });
  }

  const shown = async (): Promise<string> => (await open()).getPeerCertificate().fingerprint256;

  function ask(socket: TLSSocket): Promise<string> {
    return new Promise((resolve) => {
      socket.once('data', (data) => resolve(data.toString()));
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    });
  }

  /** The next look at the files, to its end. */
  async function look(): Promise<void> {
    clock.advance(EVERY_MS);
    await port.certificate!.settled();
    await Promise.resolve();
  }

  it('serve new connections, and old ones stay open on the old certificate', async () => {
    const old = await open();
    expect(await ask(old)).toContain('200 OK');
    put(second);
    expect(await shown()).toBe(fingerprint(first));
    await look();
    expect(await shown()).toBe(fingerprint(second));
    expect(old.getPeerCertificate().fingerprint256).toBe(fingerprint(first));
    expect(await ask(old)).toContain('hello');
    expect(log).toMatchObject([{ level: 'info', text: 'new TLS certificate in use' }]);
    const endsMs = new X509Certificate(second.cert).validToDate.getTime();
    expect(port.certificate!.expirySeconds()).toEqual({ [files.tlsCert]: endsMs / 1000 });
    expect(log[0]!.fields['validTo']).toBe(new X509Certificate(second.cert).validTo);
  });

  it('are left alone while they are the same, also when they were only touched', async () => {
    await look();
    utimesSync(files.tlsCert, new Date(), new Date(Date.now() + 5000));
    await look();
    await look();
    expect(await shown()).toBe(fingerprint(first));
    expect(log).toEqual([]);
  });

  it.each<[string, () => void]>([
    ['a certificate that is no PEM', () => put({ cert: 'hello' })],
    ['an empty certificate', () => put({ cert: '' })],
    ['a key of another certificate', () => put({ key: second.key })],
    ['a missing key', () => unlinkSync(files.tlsKey)],
  ])('%s is told once and the old one kept until a good one comes', async (_, spoil) => {
    await look();
    spoil();
    await look();
    await look();
    await look();
    expect(log).toMatchObject([{ level: 'error', text: expect.stringContaining('goes on with') }]);
    expect(log[0]!.fields).toMatchObject({ cert: files.tlsCert, key: files.tlsKey, err: expect.any(Error) });
    expect(await shown()).toBe(fingerprint(first));
    put(second);
    await look();
    expect(await shown()).toBe(fingerprint(second));
    expect(log).toHaveLength(2);
  });

  it('nothing is said when a look falls between the two files of a renewal', async () => {
    await look();
    put({ cert: second.cert });
    await look();
    expect(log).toEqual([]);
    put({ key: second.key });
    await look();
    expect(await shown()).toBe(fingerprint(second));
    expect(log).toMatchObject([{ level: 'info' }]);
  });

  it('are found behind symbolic links that are put in the place of others, as certbot and Kubernetes do', async () => {
    port.certificate!.stop();
    port.server.close();
    const link = (target: string): void => {
      symlinkSync(target, join(folder, 'new'));
      renameSync(join(folder, 'new'), files.tlsCert);
    };
    put(second);
    renameSync(files.tlsCert, join(folder, 'cert2.pem'));
    writeFileSync(join(folder, 'cert1.pem'), first.cert);
    put({ key: first.key });
    link('cert1.pem');
    await start();
    await look();
    link('cert2.pem');
    put({ key: second.key });
    await look();
    expect(await shown()).toBe(fingerprint(second));
  });

  it('are read at once when asked, and what is wrong is told at once', async () => {
    put(second);
    expect(await port.certificate!.reload()).toBe('taken');
    expect(await shown()).toBe(fingerprint(second));
    expect(await port.certificate!.reload()).toBe('same');
    put({ cert: 'hello' });
    expect(await port.certificate!.reload()).toBe('kept');
    expect(log.map(({ level }) => level)).toEqual(['info', 'error']);
  });

  it('are not looked at after a stop', async () => {
    port.certificate!.stop();
    put(second);
    await look();
    expect(await shown()).toBe(fingerprint(first));
  });
});

describe('a port', () => {
  const reload = { clock: new FakeClock(), log: { info: () => undefined, error: () => undefined }, everyMs: EVERY_MS };
  const at = { host: '127.0.0.1', port: 0 };

  it('without TLS has no certificate', () => {
    expect(createPort({ ...at, tlsCert: null, tlsKey: null }, reload, () => undefined).certificate).toBeNull();
  });

  it('names the option whose file cannot be read, and is not made with files that do not belong together', () => {
    const missing = { ...at, ...files, tlsKey: join(folder, 'none.pem') };
    expect(() => createPort(missing, reload, () => undefined)).toThrow(/cannot read tlsKey .*none\.pem: ENOENT/);
    put({ key: second.key });
    expect(() => createPort({ ...at, ...files }, reload, () => undefined)).toThrow(/mismatch/);
  });
});

describe('a hub whose certificate is renewed', () => {
  it('keeps its devices connected and greets new ones with the new certificate', async () => {
    const hub = await startTestHub({ ...files, allowAnonymous: true, tlsReloadMs: 50 });
    try {
      const url = `wss://localhost:${hub.port}/mqtt`;
      const device = await mqttConnect(url, { ca: ca.cert, clientId: 'pump' });
      put(second);
      await until('the new certificate', async () => (await seenBy(hub.port)) === fingerprint(second));
      await device.publish('devices/me/telemetry', { temperature: 20 });
      expect(device.client.connected).toBe(true);
      const other = await mqttConnect(url, { ca: ca.cert, clientId: 'valve' });
      await other.publish('devices/me/telemetry', { open: true });
      await Promise.all([device.client.endAsync(), other.client.endAsync()]);
    } finally {
      await hub.close();
    }
  });

  it('reads it anew when told to (SIGHUP)', async () => {
    const hub = await startTestHub({ ...files, tlsReloadMs: 3_600_000 });
    try {
      put(second);
      await hub.hub.reload();
      expect(await seenBy(hub.port)).toBe(fingerprint(second));
    } finally {
      await hub.close();
    }
  });
});

function seenBy(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: ca.cert }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}
