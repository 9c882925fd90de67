import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { makeCa, makeServerCertificate } from '#cli/dev-ca.js';
import { startTestHub, until } from '../support/hub.ts';
import { DEPLOY, ROOT } from './tool.ts';

const HEALTH_CHECK = join(DEPLOY, 'docker/healthcheck.mjs');

interface Instruction {
  readonly name: string;
  readonly rest: string;
}
const instructions: readonly Instruction[] = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
  .replace(/^#.*$/gm, '')
  .replace(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => /^(\w+)\s+(.*)$/.exec(line)!)
  .map(([, name, rest]) => ({ name: name!, rest: rest!.replace(/\s+/g, ' ') }));
const stages = instructions.flatMap(({ name }, i) => (name === 'FROM' ? [i] : []));
const lastStage = instructions.slice(stages.at(-1));
const rests = (name: string, among = instructions): string[] => among.filter((i) => i.name === name).map((i) => i.rest);
/** Paths of the checkout that the image is made of. */
const copied = rests('COPY')
  .filter((rest) => !rest.startsWith('--from='))
  .flatMap((rest) => rest.split(' ').slice(0, -1));

describe('the image', () => {
  it('is built in one stage and run in another, which has no compiler, no sources and no root', () => {
    expect(stages).toHaveLength(2);
    expect(rests('USER', lastStage)).toEqual(['node']);
    expect(lastStage.findIndex((i) => i.name === 'USER')).toBeLessThan(
      lastStage.findIndex((i) => i.name === 'ENTRYPOINT'),
    );
    expect(rests('COPY', lastStage).filter((rest) => /\b(hub|cli|protocols|\.)\b \S+$/.test(rest))).toEqual([]);
    expect(rests('RUN').join(' ')).toContain('npm prune --omit=dev');
  });

  it('has the Node of package.json', () => {
    const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { engines: { node: string } };
    for (const rest of rests('FROM')) expect(rest).toMatch(new RegExp(`^node:${/\d+/.exec(engines.node)![0]}-`));
  });

  it('copies what is there and what .dockerignore lets through', () => {
    const [everything, ...allowed] = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(everything).toBe('*');
    expect(copied.length).toBeGreaterThan(5);
    for (const path of copied) {
      expect(existsSync(join(ROOT, path)), path).toBe(true);
      expect(allowed).toContain(`!${path}`);
    }
  });
});

describe('what the image runs, laid out without an engine', () => {
  let app: string;
  const running: ChildProcess[] = [];
  beforeAll(() => {
    app = mkdtempSync(join(tmpdir(), 'muster-image-'));
    for (const path of copied) cpSync(join(ROOT, path), join(app, path), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(app, 'node_modules'));
    // Types are checked by the test of the package; this one shows that no source is missing.
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--noCheck'], { cwd: app, stdio: 'pipe' });
    execFileSync(process.execPath, ['dashboard/build.ts'], { cwd: app, stdio: 'pipe' });
    for (const room of ['protocols', 'hub', 'devices-sim', 'cli', 'dashboard'])
      rmSync(join(app, room), { recursive: true });
  }, 60_000);
  afterEach(() => {
    for (const child of running.splice(0)) child.kill('SIGKILL');
  });
  afterAll(() => {
    rmSync(app, { recursive: true, force: true });
  });

  it('becomes healthy, and stops on SIGTERM', async () => {
    const environment = rests('ENV', lastStage).join(' ');
    expect(environment).toContain('MUSTER_DATA=/data');
    const port = await freePort();
    const env = { ...process.env, MUSTER_DATA: join(app, 'data'), MUSTER_PORT: String(port), MUSTER_HOST: '127.0.0.1' };
    const hub = spawn(process.execPath, ['dist/cli/bin.js', 'serve'], { cwd: app, env, stdio: 'ignore' });
    running.push(hub);
    await until('a healthy hub', () => healthOf(env).status === 0);
    expect((await fetch(`http://127.0.0.1:${port}/dashboard/`)).status).toBe(200);
    const gone = once(hub, 'exit');
    hub.kill('SIGTERM');
    expect(await gone).toEqual([0, null]);
    expect(healthOf(env)).toMatchObject({ status: 1, stderr: expect.stringContaining('ECONNREFUSED') });
  });
});

describe('the health check', () => {
  let server: Server | null = null;
  afterEach(() => {
    server?.close();
    server = null;
  });

  it('knows a hub with TLS, whatever name its certificate is made out to', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'muster-health-'));
    const ca = await makeCa(Date.now());
    const made = await makeServerCertificate(ca, { hosts: ['hub.example.org'], days: 1, nowMs: Date.now() });
    const [tlsCert, tlsKey] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    writeFileSync(tlsCert, made.cert);
    writeFileSync(tlsKey, made.key);
    const hub = await startTestHub({ tlsCert, tlsKey });
    try {
      expect(await health({ MUSTER_PORT: String(hub.port), MUSTER_TLS_CERT: tlsCert })).toEqual({ code: 0, error: '' });
    } finally {
      await hub.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('says what is wrong with a hub that is not ready, wherever it is', async () => {
    server = createServer((_, response) => response.writeHead(503).end()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const url = `http://127.0.0.1:${port}/readyz`;
    expect(await health({ HEALTHCHECK_URL: url })).toEqual({ code: 1, error: `${url}: status 503\n` });
  });
});

/** Without blocking, for servers of this process. */
async function health(env: Record<string, string>): Promise<{ code: number; error: string }> {
  const child = spawn(process.execPath, [HEALTH_CHECK], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let error = '';
  child.stderr.on('data', (chunk: Buffer) => (error += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, error };
}

function healthOf(env: NodeJS.ProcessEnv) {
  return spawnSync(process.execPath, [HEALTH_CHECK], { env, encoding: 'utf8' });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
