import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask, readiness } from '#cli/doctor/ask.js';
import { checkData } from '#cli/doctor/data.js';
import type { Finding } from '#cli/doctor/finding.js';
import { checkHub } from '#cli/doctor/hub.js';
import { checkClock, checkFileLimit, checkNode, checkSqlite } from '#cli/doctor/machine.js';
import { checkPort } from '#cli/doctor/port.js';
import { checkTls } from '#cli/doctor/tls.js';
import { FakeProcess } from './harness.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const NOW = Date.UTC(2026, 5, 1);

let folder: string;
const servers: Server[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-doctor-'));
});
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  rmSync(folder, { recursive: true, force: true });
});

/** A server that answers every path so, on a free port. */
async function listening(status: number, body: string, headers: Record<string, string> = {}): Promise<number> {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/readyz' ? status : 401, headers);
    response.end(body);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const READY = JSON.stringify({ ready: true, reasons: [] });
const dateOf = (ms: number) => ({ date: new Date(ms).toUTCString() });
const levels = (findings: readonly Finding[]) => Object.fromEntries(findings.map(({ check, level }) => [check, level]));

describe('muster doctor', () => {
  it('finds three things wrong at once, says what to do about each, and fails', async () => {
    const port = await listening(200, 'a program of somebody else');
    writeFileSync(join(folder, 'data'), 'no folder');
    // A process of its own, since nothing else can lower its limit of open files.
    const command = `ulimit -n 256 && exec "${process.execPath}" --conditions=muster-source cli/main.ts doctor --host 127.0.0.1 --port ${port} --data "${folder}/data"`;
    const { code, stdout } = await new Promise<{ code: number; stdout: string }>((resolve) => {
      const env = { PATH: process.env.PATH, HOME: folder };
      execFile('bash', ['-c', command], { cwd: ROOT, env, timeout: 60_000 }, (error, stdout) =>
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout }),
      );
    });
    expect(code).toBe(1);
    const failed = stdout.split('\n').filter((line) => line.startsWith('fail'));
    expect(failed).toHaveLength(3);
    expect(stdout).toMatch(/^fail +files +256 open files .*\n +-> raise the hard limit to 20256 \(ulimit -Hn 20256/m);
    expect(stdout).toMatch(/^fail +port +\d+ is in use by another program\n +-> stop that program, or choose another/m);
    expect(stdout).toMatch(/^fail +data +\S+\/data is a file.*\n +-> name a folder with --data/m);
    expect(stdout).toMatch(/\n3 of \d+ checks failed\n$/);
    expect(stdout).toMatch(/^ok +sqlite +SQLite 3\./m);
    expect(stdout).not.toContain('\u001b');
  });

  it('ends well when nothing failed, and leaves nothing behind', async () => {
    const me = new FakeProcess();
    me.wallMs = NOW;
    const words = ['doctor', '--host', '127.0.0.1', '--port', '0', '--data', folder, '--max-connections', '10'];
    expect(await me.run(words)).toBe(0);
    expect(me.out).not.toMatch(/^fail/m);
    expect(me.out).toMatch(/^ok +sync +a write reaches the disk in /m);
    expect(readdirSync(folder)).toEqual([]);
    me.out = '';
    expect(await me.run([...words, '--json'])).toBe(0);
    const findings = JSON.parse(me.out) as Finding[];
    expect(levels(findings)).toMatchObject({
      node: 'ok',
      sqlite: 'ok',
      clock: 'ok',
      config: 'ok',
      files: 'ok',
      port: 'ok',
    });
    for (const { level, advice } of findings) expect(advice === null).toBe(level === 'ok');
  });

  it('goes on when the configuration is wrong, without guessing at folder and port', async () => {
    const me = new FakeProcess();
    me.cwd = folder;
    me.wallMs = 0;
    writeFileSync(join(folder, 'muster.yaml'), 'data: x\nprot: 1\n');
    expect(await me.run(['doctor', '--json'])).toBe(1);
    const findings = JSON.parse(me.out) as Finding[];
    expect(levels(findings)).toEqual({ node: 'ok', sqlite: 'ok', clock: 'fail', config: 'fail' });
    expect(findings.find(({ check }) => check === 'config')?.text).toContain(
      'muster.yaml:2: unknown key prot: did you mean port?',
    );
  });

  it('takes a wrong profile for a finding, not for its end', async () => {
    const me = new FakeProcess();
    me.wallMs = NOW;
    expect(await me.run(['doctor', '--port', '0', '--data', folder, '--profile', 'gone'])).toBe(1);
    expect(me.out).toMatch(/^fail +hub +there is no profile gone/m);
  });

  it('is coloured on a terminal alone', async () => {
    const me = new FakeProcess();
    me.stdout.isTTY = true;
    await me.run(['doctor', '--port', '0', '--data', folder]);
    expect(me.out).toContain('\u001b[32mok  \u001b[39m');
  });
});

describe('versions, clock and limits', () => {
  it('needs the Node that package.json names', () => {
    const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { engines: { node: string } };
    const oldest = Number(/\d+/.exec(engines.node)![0]);
    expect(checkNode(`${oldest}.0.0`).level).toBe('ok');
    expect(checkNode(`${oldest - 1}.99.9`).level).toBe('fail');
  });

  it('asks SQLite itself', async () => {
    expect((await checkSqlite()).text).toMatch(/^SQLite 3\.\d+\.\d+$/);
  });

  it.each([
    [Date.UTC(1970, 0, 1), 'fail'],
    [Date.UTC(2024, 11, 31), 'fail'],
    [Date.UTC(2025, 0, 1), 'ok'],
    [Date.UTC(2099, 11, 31), 'ok'],
    [Date.UTC(2100, 0, 1), 'fail'],
    [Number.MAX_VALUE, 'fail'],
    [NaN, 'fail'],
  ])('takes the clock %d for %s', (nowMs, level) => {
    expect(checkClock(nowMs).level).toBe(level);
  });

  const limits = (files: string) => `Limit  Soft  Hard  Units\nMax open files            ${files}  524288  files\n`;
  it.each([
    [limits('20256'), 'ok'],
    [limits('20255'), 'warn'],
    [limits('512'), 'warn'],
    [limits('511'), 'fail'],
    [limits('unlimited'), 'ok'],
    ['nothing of the kind', 'ok'],
    [null, 'ok'],
  ])('open files: %j is %s', (text, level) => {
    expect(checkFileLimit(text, 20_000).level).toBe(level);
  });
});

describe('the data folder', () => {
  const monotonic = () => performance.now();
  const check = async (data: string) => levels(await checkData(data, folder, monotonic));

  it('may be missing, if it can be made', async () => {
    expect(await check('a/b/c')).toMatchObject({ data: 'ok', sync: 'ok' });
    expect(readdirSync(folder)).toEqual([]);
  });

  it('may not lie below a file', async () => {
    writeFileSync(join(folder, 'file'), '');
    expect(await check('file')).toEqual({ data: 'fail' });
    expect(await check('file/data')).toEqual({ data: 'fail' });
  });

  it('should not be open to everybody', async () => {
    mkdirSync(join(folder, 'open'));
    chmodSync(join(folder, 'open'), 0o755);
    expect((await check('open')).data).toBe('warn');
    chmodSync(join(folder, 'open'), 0o750);
    expect((await check('open')).data).toBe('ok');
  });

  it('says how long a write takes when the disk is slow', async () => {
    let nowMs = 0;
    const findings = await checkData('.', folder, () => (nowMs += 30));
    const sync = findings.find(({ check }) => check === 'sync')!;
    expect(sync).toMatchObject({ level: 'warn', text: 'a write reaches the disk in 30.0 ms (longest 30.0 ms)' });
  });
});

describe('the port', () => {
  const at = (port: number, host = '127.0.0.1') => checkPort({ host, port, tlsCert: null });

  it('is free, or taken by a hub, or by something else', async () => {
    expect((await at(0)).level).toBe('ok');
    expect(await at(await listening(200, READY))).toMatchObject({
      level: 'ok',
      text: expect.stringContaining('and is ready'),
    });
    const sick = JSON.stringify({ ready: false, reasons: [{ code: 'x', detail: 'the disk is full' }] });
    expect(await at(await listening(503, sick))).toMatchObject({
      level: 'warn',
      text: expect.stringContaining('the disk is full'),
    });
    expect((await at(await listening(200, '{"ready":1,"reasons":[]}'))).level).toBe('fail');
    expect((await at(await listening(200, 'x'.repeat(100_000)))).level).toBe('fail');
  });

  it('must be on an address of this machine', async () => {
    expect(await at(8080, '192.0.2.1')).toMatchObject({ level: 'fail', text: 'this machine has no address 192.0.2.1' });
  });
});

describe('a hub that is named', () => {
  const check = async (port: number, token: string | null = 'mst_00_x', offsetMs = 0) =>
    levels(
      await checkHub(
        { base: `http://127.0.0.1:${port}`, token, named: true },
        { maxAheadMs: 300_000 },
        () => NOW + offsetMs,
      ),
    );

  it('is ready, has the same time and takes the token', async () => {
    const port = await listening(200, READY, dateOf(NOW));
    expect(await check(port, null)).toEqual({ hub: 'ok', 'hub clock': 'ok', token: 'warn' });
    expect(await check(port)).toEqual({ hub: 'ok', 'hub clock': 'ok', token: 'fail' });
  });

  it.each([
    [2000, 'ok'],
    [3000, 'warn'],
    [-3000, 'warn'],
    [299_000, 'warn'],
    [302_000, 'fail'],
    [-302_000, 'warn'],
  ])('a clock %d ms from its own is %s', async (offsetMs, level) => {
    const port = await listening(200, READY, dateOf(NOW));
    expect((await check(port, null, offsetMs))['hub clock']).toBe(level);
  });

  it('is no hub, or is not there', async () => {
    expect(await check(await listening(200, 'hello'))).toEqual({ hub: 'fail' });
    const port = await listening(200, READY);
    servers[1]!.close();
    await expect.poll(() => check(port)).toEqual({ hub: 'fail' });
  });

  it('whatever it answers to /readyz is read with care', async () => {
    for (const body of [
      null,
      5,
      'x',
      [],
      {},
      { ready: true },
      { ready: 'yes', reasons: [] },
      { ready: true, reasons: {} },
    ])
      expect(readiness({ status: 200, dateMs: null, body })).toBe(null);
    expect(
      readiness({ status: 503, dateMs: null, body: { ready: false, reasons: [null, 5, {}, { detail: 'why' }] } }),
    ).toEqual({
      ready: false,
      reasons: 'why',
    });
    const port = await listening(200, 'no JSON', { date: 'yesterday' });
    expect(await ask(`http://127.0.0.1:${port}/readyz`)).toEqual({ status: 200, dateMs: null, body: null });
  });
});

describe('the certificate', () => {
  beforeEach(() => {
    for (const name of ['a', 'b']) {
      const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
      const words = [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '30',
      ];
      execFileSync('openssl', [...words, '-subj', '/CN=hub', '-keyout', key, '-out', cert], { stdio: 'ignore' });
    }
  });
  const DAY = 86_400_000;
  const check = (tlsCert: string, tlsKey: string, days = 1) =>
    checkTls({ tlsCert, tlsKey }, folder, Date.now() + days * DAY);

  it('belongs to its key and is valid for some time', async () => {
    expect(await check('a.pem', 'a.key')).toMatchObject({ level: 'ok', text: 'the certificate is valid for 28 days' });
    expect((await check('a.pem', 'a.key', 20))?.level).toBe('warn');
    expect((await check('a.pem', 'a.key', 31))?.level).toBe('fail');
    expect((await check('a.pem', 'a.key', -2))?.level).toBe('fail');
    expect((await check('a.pem', 'b.key'))?.text).toBe('b.key is not the key of a.pem');
    expect((await check('a.key', 'a.pem'))?.level).toBe('fail');
    expect((await check('gone.pem', 'a.key'))?.text).toContain('gone.pem does not exist');
    expect(await checkTls({ tlsCert: null, tlsKey: null }, folder, 0)).toBe(null);
  });
});
