import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeCa, makeServerCertificate } from '#cli/dev-ca.js';
import { startTestHub } from '../support/hub.ts';
import { FakeProcess } from './harness.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

describe('muster cert', () => {
  let folder: string;
  let out: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'muster-cert-'));
    out = join(folder, 'certs');
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  async function cert(...words: string[]) {
    const me = new FakeProcess();
    const code = await me.run(['cert', '--out', out, ...words]);
    return { code, out: me.out, err: me.err };
  }
  const certificate = (name: string): X509Certificate => new X509Certificate(readFileSync(join(out, name)));

  it('makes a CA and a server certificate that openssl accepts under its strict rules', async () => {
    expect(await cert('--host', 'hub.example.org,10.1.2.3', '--host', '*.fleet.example.org,fd00::7')).toMatchObject({
      code: 0,
      err: '',
    });
    const verify = ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', join(out, 'ca.pem')];
    for (const name of ['localhost', 'hub.example.org', 'pump.fleet.example.org'])
      execFileSync('openssl', [...verify, '-verify_hostname', name, join(out, 'cert.pem')], { stdio: 'pipe' });
    for (const ip of ['127.0.0.1', '::1', '10.1.2.3', 'fd00::7'])
      execFileSync('openssl', [...verify, '-verify_ip', ip, join(out, 'cert.pem')], { stdio: 'pipe' });
    const stranger = [...verify, '-verify_hostname', 'example.org', join(out, 'cert.pem')];
    expect(() => execFileSync('openssl', stranger, { stdio: 'pipe' })).toThrow();
    expect(certificate('ca.pem').ca).toBe(true);
    expect(certificate('cert.pem').ca).toBe(false);
  });

  it('writes for the owner alone, and leaves nothing else behind', async () => {
    await cert();
    expect(readdirSync(out).sort()).toEqual(['ca-key.pem', 'ca.pem', 'cert.pem', 'key.pem']);
    for (const name of readdirSync(out)) expect(statSync(join(out, name)).mode & 0o777).toBe(0o600);
    expect(statSync(out).mode & 0o777).toBe(0o700);
  });

  it('a hub serves with it, and who trusts the CA and nobody else gets in', async () => {
    await cert();
    const hub = await startTestHub({ tlsCert: join(out, 'cert.pem'), tlsKey: join(out, 'key.pem') });
    const get = (ca: Buffer | undefined): Promise<number> =>
      new Promise((resolve, reject) => {
        const options = { host: '127.0.0.1', port: hub.port, path: '/healthz', ca, agent: false };
        request(options, (response) => {
          response.resume();
          resolve(response.statusCode!);
        })
          .on('error', reject)
          .end();
      });
    try {
      expect(await get(readFileSync(join(out, 'ca.pem')))).toBe(200);
      await expect(get(undefined)).rejects.toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
    } finally {
      await hub.close();
    }
  });

  it('says how to run the hub and how devices come to trust it; --json is for programs', async () => {
    const { out: text } = await cert('--host', 'hub.example.org');
    expect(text).toContain(`muster serve --tls-cert ${join(out, 'cert.pem')} --tls-key ${join(out, 'key.pem')}`);
    for (const word of ['openssl s_client -connect hub.example.org:8080', 'MQTT.js', 'paho', 'ESP32', 'curl --cacert'])
      expect(text).toContain(word);
    const { out: json } = await cert('--json');
    expect(JSON.parse(json)).toMatchObject({
      ca: join(out, 'ca.pem'),
      newCa: false,
      caFingerprint: certificate('ca.pem').fingerprint256,
      hosts: expect.arrayContaining(['localhost', '127.0.0.1', '::1']),
    });
  });

  it('a second run renews the server certificate and keeps the CA that devices trust', async () => {
    await cert('--days', '10');
    const [ca, server] = [certificate('ca.pem').fingerprint256, certificate('cert.pem')];
    await cert('--days', '20');
    expect(certificate('ca.pem').fingerprint256).toBe(ca);
    expect(certificate('cert.pem').serialNumber).not.toBe(server.serialNumber);
    const gained = certificate('cert.pem').validToDate.getTime() - server.validToDate.getTime();
    expect(Math.round(gained / DAY_MS)).toBe(10);
  });

  it('a server certificate never outlives its CA', async () => {
    const nowMs = Date.now();
    mkdirSync(out);
    const ca = await makeCa(nowMs - (3650 - 5) * DAY_MS);
    writeFileSync(join(out, 'ca.pem'), ca.cert);
    writeFileSync(join(out, 'ca-key.pem'), ca.key);
    expect((await cert('--days', '90')).code).toBe(0);
    expect(certificate('cert.pem').validTo).toBe(certificate('ca.pem').validTo);
  });

  it.each<[string, () => Promise<void>, string]>([
    ['half a CA', async () => rmSync(join(out, 'ca-key.pem')), 'there is no'],
    [
      'another key',
      async () => writeFileSync(join(out, 'ca-key.pem'), (await makeCa(Date.now())).key),
      'do not belong',
    ],
    ['no CA', async () => writeFileSync(join(out, 'ca.pem'), readFileSync(join(out, 'cert.pem'))), 'it is no CA'],
    ['no PEM', async () => writeFileSync(join(out, 'ca.pem'), 'hello'), 'cannot be used'],
    ['an old CA', async () => putCa(out, Date.now() - 3651 * DAY_MS), 'expired'],
  ])('%s is refused with what to do, and nothing is written', async (_, spoil, words) => {
    await cert();
    const before = readFileSync(join(out, 'cert.pem'), 'utf8');
    await spoil();
    const { code, err } = await cert();
    expect(code).toBe(1);
    expect(err).toContain(words);
    expect(err).toContain('--out');
    expect(readFileSync(join(out, 'cert.pem'), 'utf8')).toBe(before);
  });

  it('does not overwrite a certificate of somebody else unless it is told to', async () => {
    await cert();
    const other = await makeCa(Date.now());
    const foreign = await makeServerCertificate(other, { hosts: ['a.example'], days: 1, nowMs: Date.now() });
    writeFileSync(join(out, 'cert.pem'), foreign.cert);
    const refused = await cert();
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('--force');
    expect(readFileSync(join(out, 'cert.pem'), 'utf8')).toBe(foreign.cert);
    expect((await cert('--force')).code).toBe(0);
    expect(certificate('cert.pem').checkIssued(certificate('ca.pem'))).toBe(true);
  });

  it.each([
    [['--host', 'https://hub'], 'no host name'],
    [['--host', 'hub:8080'], 'no host name'],
    [['--host', '-x.example'], 'no host name'],
    [['--host', `${'a'.repeat(64)}.example`], 'no host name'],
    [['--days', '0'], 'from 1 to 825'],
    [['--days', '826'], 'from 1 to 825'],
  ])('%j is refused', async (words, hint) => {
    const { code, err } = await cert(...words);
    expect(code).toBe(1);
    expect(err).toContain(hint);
  });

  it('says when the folder cannot be written', async () => {
    writeFileSync(join(folder, 'file'), '');
    const me = new FakeProcess();
    expect(await me.run(['cert', '--out', join(folder, 'file', 'certs')])).toBe(1);
    expect(me.err).toMatch(/cannot write to .*\nchoose another folder with --out/s);
  });
});

async function putCa(out: string, nowMs: number): Promise<void> {
  const ca = await makeCa(nowMs);
  writeFileSync(join(out, 'ca.pem'), ca.cert);
  writeFileSync(join(out, 'ca-key.pem'), ca.key);
}
