import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { makeC, Running, skips, whyNoC, type Made } from './programs.ts';

const missing = whyNoC({ tls: true });

describe.skipIf(skips('c-tls.test.ts', missing))('the C device, made with TLS', () => {
  let made: Made;
  let folder: string;
  let hub: TestHub;
  beforeAll(async () => {
    if (missing !== null) throw new Error(missing);
    made = makeC(['device'], ['TLS=1']);
    folder = mkdtempSync(join(tmpdir(), 'muster-tls-'));
    const [tlsCert, tlsKey] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', tlsKey];
    execFileSync('openssl', ['req', '-x509', ...key, '-out', tlsCert, '-days', '1', ...names], { stdio: 'pipe' });
    hub = await startTestHub({ tlsCert, tlsKey, allowAnonymous: true });
  }, 120_000);
  afterAll(async () => {
    if (missing !== null) return;
    await hub.close();
    made.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const start = (host: string, env: Readonly<Record<string, string>>): Running => {
    const args = [
      `wss://${host}:${hub.port}`,
      '--id',
      'tls',
      '--interval-ms',
      '2',
      '--count',
      '200',
      '--retry-ms',
      '20,200',
    ];
    return new Running([made.program('device')], args, { env });
  };

  it('delivers over wss to a hub whose certificate it can check', async () => {
    expect(await start('localhost', { SSL_CERT_FILE: join(folder, 'cert.pem') }).ended()).toBe(0);
  });

  it.each([
    ['signed by nobody it knows', 'localhost', {}],
    ['made for another name', '127.0.0.1', { SSL_CERT_FILE: 'cert.pem' }],
  ])('says nothing to a hub whose certificate is %s', async (_, host, env) => {
    const file = 'SSL_CERT_FILE' in env ? { SSL_CERT_FILE: join(folder, env.SSL_CERT_FILE) } : {};
    const running = start(host, file);
    await running.said('offline: no TLS connection');
    running.kill('SIGTERM');
    expect(await running.ended()).toBe(0);
    expect(running.words).not.toContain('online:');
  });
});
