import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { get, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeHub, serveApi } from './fakes.ts';

const INDEX = '<!doctype html><title>Muster</title>';
const SCRIPT = 'console.log("muster")'.repeat(50);

let hub: FakeHub;
let api: Awaited<ReturnType<typeof serveApi>>;
beforeEach(async () => {
  hub = new FakeHub();
  hub.dashboard = mkdtempSync(join(tmpdir(), 'muster-dashboard-'));
  api = await serveApi(hub);
});
afterEach(async () => {
  await api.close();
  rmSync(hub.dashboard, { recursive: true, force: true });
});

function put(path: string, text: string, compressed = true): void {
  const file = join(hub.dashboard, path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, text);
  if (!compressed) return;
  writeFileSync(`${file}.br`, brotliCompressSync(text));
  writeFileSync(`${file}.gz`, gzipSync(text));
}

function build(): void {
  put('index.html', INDEX);
  put('assets/index-1a2b.js', SCRIPT);
  put('assets/logo-3c4d.png', 'png', false);
}

/** As it comes, neither decompressed nor followed; the path is sent as it is written. */
function ask(
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: IncomingHttpHeaders; bytes: Buffer }> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(api.url);
    get({ host: '127.0.0.1', port, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => void chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, bytes: Buffer.concat(chunks) }),
      );
    }).on('error', reject);
  });
}

describe('the dashboard', () => {
  beforeEach(build);

  it.each(['/dashboard/', '/dashboard/devices/pump-1', '/dashboard/refused', '/dashboard/index.html'])(
    '%s is its page, to everybody, asked for each time, and able to load nothing from elsewhere',
    async (path) => {
      const { status, headers, bytes } = await ask(path);
      expect([status, bytes.toString()]).toEqual([200, INDEX]);
      expect(headers).toMatchObject({
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-cache',
        'x-content-type-options': 'nosniff',
        'content-security-policy':
          "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
          "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      });
    },
  );

  it('a script has its type, and is kept for ever: its name changes when it does', async () => {
    const { status, headers, bytes } = await ask('/dashboard/assets/index-1a2b.js');
    expect([status, bytes.toString()]).toEqual([200, SCRIPT]);
    expect(headers).toMatchObject({
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': 'public, max-age=31536000, immutable',
      vary: 'accept-encoding',
    });
  });

  it.each([
    ['gzip, deflate, br', 'br', brotliDecompressSync],
    ['br;q=0.1, gzip', 'br', brotliDecompressSync],
    ['gzip, br;q=0', 'gzip', gunzipSync],
    ['identity', undefined, (bytes: Buffer) => bytes],
    ['zstd', undefined, (bytes: Buffer) => bytes],
  ])('who takes %s gets %s, compressed at build time', async (accepted, encoding, decompress) => {
    const { headers, bytes } = await ask('/dashboard/assets/index-1a2b.js', { 'accept-encoding': accepted });
    expect(headers['content-encoding']).toBe(encoding);
    expect(headers['content-length']).toBe(String(bytes.length));
    expect(decompress(bytes).toString()).toBe(SCRIPT);
  });

  it('what the build did not compress goes as it is', async () => {
    const { headers, bytes } = await ask('/dashboard/assets/logo-3c4d.png', { 'accept-encoding': 'br' });
    expect([headers['content-encoding'], headers['content-type'], bytes.toString()]).toEqual([
      undefined,
      'image/png',
      'png',
    ]);
  });

  it('a browser that has the page already is told so', async () => {
    const { headers } = await ask('/dashboard/');
    const again = await ask('/dashboard/refused', { 'if-none-match': headers.etag! });
    expect([again.status, again.bytes.length, again.headers.etag]).toEqual([304, 0, headers.etag]);
  });

  it('a script of another build is not there, rather than a page in its place', async () => {
    const { status, headers } = await ask('/dashboard/assets/index-0000.js');
    expect([status, headers['content-type']]).toEqual([404, 'application/problem+json; charset=utf-8']);
  });

  it.each([
    '/dashboard/../package.json',
    '/dashboard/..%2f..%2fpackage.json',
    '/dashboard/%2e%2e/%2e%2e/package.json',
    '/dashboard/assets/../../secret.json',
    '/dashboard/assets/..%5c..%5csecret.json',
    '/dashboard//etc/passwd',
    '/dashboard/index.html%00.js',
  ])('%s leads out of nothing', async (path) => {
    writeFileSync(join(hub.dashboard, '..', 'secret.json'), '"secret"');
    const { bytes } = await ask(path);
    expect(bytes.toString()).not.toMatch(/secret"|root:|"name"/);
    rmSync(join(hub.dashboard, '..', 'secret.json'));
  });

  it('HEAD asks for the headers alone, and nothing can be sent to it', async () => {
    const plain = { 'accept-encoding': 'identity' };
    const { status, headers, text } = await api.call('HEAD', '/dashboard/', { token: null, headers: plain });
    expect([status, headers.get('content-length'), text]).toEqual([200, String(INDEX.length), '']);
    expect((await api.call('POST', '/dashboard/', { body: {} })).status).toBe(404);
  });

  it('a new build is seen by a hub that runs, and the old one stays until the new one stands', async () => {
    await ask('/dashboard/');
    // As a build begins: with an empty folder.
    for (const name of readdirSync(hub.dashboard)) rmSync(join(hub.dashboard, name), { recursive: true });
    put('assets/index-9f9f.js', 'new');
    hub.clock.advance(1000);
    expect((await ask('/dashboard/')).bytes.toString()).toBe(INDEX);
    put('index.html', 'new page');
    hub.clock.advance(1000);
    expect((await ask('/dashboard/')).bytes.toString()).toBe('new page');
    expect((await ask('/dashboard/assets/index-9f9f.js')).bytes.toString()).toBe('new');
    expect((await ask('/dashboard/assets/index-1a2b.js')).status).toBe(404);
  });
});

describe('without a build', () => {
  it('a page says which command makes one', async () => {
    const { status, headers, bytes } = await ask('/dashboard/devices/pump');
    expect([status, headers['content-type']]).toEqual([503, 'text/html; charset=utf-8']);
    expect(bytes.toString()).toContain('npm run build:dashboard');
    expect(headers['content-security-policy']).not.toContain('script');
  });

  it('it is there as soon as it is built', async () => {
    await ask('/dashboard/');
    build();
    hub.clock.advance(1000);
    expect((await ask('/dashboard/')).status).toBe(200);
  });
});

describe('whoever types the address of the hub', () => {
  const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

  it.each(['/', '/dashboard'])('%s leads to the dashboard', async (path) => {
    const { status, headers } = await ask(path, browser);
    expect([status, headers.location]).toEqual([302, '/dashboard/']);
  });

  it('programs and devices get what they always got', async () => {
    expect((await ask('/', { accept: '*/*' })).status).toBe(426);
    expect((await ask('/')).status).toBe(426);
    expect((await ask('/mqtt', browser)).status).toBe(426);
    const upgrade = { ...browser, upgrade: 'h2c', connection: 'upgrade' };
    expect((await ask('/', upgrade)).status).toBe(426);
  });
});
