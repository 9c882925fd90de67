import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:tls';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { mqttConnect } from './clients/mqtt.ts';
import { afterThisTest } from './clients/opened.ts';

/** What these tests look at in the answers of the API. */
interface Body {
  readonly token: string;
  readonly items: readonly Record<string, unknown>[];
}

describe('TLS on the one port', () => {
  let folder: string;
  let ca: Buffer;
  let hub: TestHub;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'muster-tls-'));
    const [tlsCert, tlsKey] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    execFileSync('openssl', ['req', '-x509', ...key, '-keyout', tlsKey, '-out', tlsCert, '-days', '1', ...subject], {
      stdio: 'pipe',
    });
    ca = readFileSync(tlsCert);
    hub = await startTestHub({ tlsCert, tlsKey });
  });
  afterAll(async () => {
    await hub.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The API over https, with the certificate checked. */
  function api(method: string, path: string, body?: object): Promise<{ status: number; body: Body }> {
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${hub.token}`, 'content-type': 'application/json' };
      const asked = request({ host: 'localhost', port: hub.port, path, method, ca, headers }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve({ status: response.statusCode!, body: JSON.parse(text) }));
      });
      asked.on('error', reject);
      asked.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  it('takes telemetry over wss and shows it over https', async () => {
    expect(hub.hub.url).toBe(`https://127.0.0.1:${hub.port}`);
    const { body } = await api('POST', '/api/v1/devices', { id: 'secure' });
    const device = await mqttConnect(`wss://localhost:${hub.port}/mqtt`, { ca, username: 'd', password: body.token });
    await device.publish('devices/me/telemetry', { temperature: 21.5 });
    const { body: latest } = await api('GET', '/api/v1/devices/secure/latest');
    expect(latest.items).toMatchObject([{ metric: 'temperature', value: 21.5 }]);
    const { body: connections } = await api('GET', '/api/v1/connections');
    expect(connections.items).toMatchObject([{ address: '127.0.0.1', subprotocol: 'mqtt' }]);
    expect(connections.items[0]!['bytesIn']).toBeGreaterThan(0);
    await device.client.endAsync();
  });

  it('is refused by a client that does not trust the certificate, and takes no plain connection', async () => {
    await expect(mqttConnect(`wss://localhost:${hub.port}`, {})).rejects.toMatchObject({
      code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    });
    await expect(mqttConnect(`ws://localhost:${hub.port}`, {})).rejects.toThrow();
    expect((await api('GET', '/healthz')).status).toBe(200);
  });

  it('speaks TLS 1.2 and newer', async () => {
    const shake = (maxVersion: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'): Promise<string | null> =>
      new Promise((resolve, reject) => {
        const ciphers = 'DEFAULT@SECLEVEL=0';
        const options = { port: hub.port, host: 'localhost', ca, minVersion: 'TLSv1', maxVersion, ciphers } as const;
        const socket = connect(options, () => resolve(socket.getProtocol()));
        socket.on('error', reject);
        afterThisTest(() => socket.destroy());
      });
    expect(await shake('TLSv1.3')).toBe('TLSv1.3');
    expect(await shake('TLSv1.2')).toBe('TLSv1.2');
    await expect(shake('TLSv1.1')).rejects.toThrow();
  });
});
