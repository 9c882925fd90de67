import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build } from 'vite';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { hasChromium, launchChromium } from './support/chromium.ts';

const ENTRY = fileURLToPath(new URL('../../devices-sim/device/browser.ts', import.meta.url));

const PAGE = `<!doctype html><title>device</title>
<script type="module">import { connect } from '/client.js'; globalThis.connect = connect;</script>`;

/** The client as a bundler makes it for a page, in one module. Fails when anything of Node would be in it. */
async function bundle(): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: 'error',
    resolve: { conditions: ['muster-source', 'browser', 'module', 'import', 'default'] },
    build: { write: false, minify: false, lib: { entry: ENTRY, formats: ['es'] } },
  });
  const outputs = (Array.isArray(result) ? result : [result]) as { output: { code: string; imports: string[] }[] }[];
  const [chunk, ...others] = outputs[0]!.output;
  expect(others).toEqual([]);
  expect(chunk!.imports).toEqual([]);
  return chunk!.code;
}

describe.skipIf(!hasChromium())('the device client in a browser', { timeout: 60_000 }, () => {
  let hub: TestHub;
  let site: Server;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    const code = await bundle();
    expect(code).not.toMatch(/\bnode:|\bBuffer\b|__vite-browser-external/);
    hub = await startTestHub({ allowedOrigins: '*' });
    site = createServer((request, response) => {
      const isScript = request.url === '/client.js';
      response.writeHead(200, { 'content-type': isScript ? 'text/javascript' : 'text/html' });
      response.end(isScript ? code : PAGE);
    });
    await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
    browser = await launchChromium();
    page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`);
    await page.waitForFunction('globalThis.connect !== undefined');
  }, 60_000);
  afterAll(async () => {
    await browser.close();
    site.close();
    await hub.close();
  });

  it('stores what a page measures, answers a command, and goes on after the hub was away', async () => {
    const { token } = (await hub.api('POST', '/api/v1/devices', { id: 'page' })).body;
    const time = await page.evaluate(
      async ([url, deviceToken]) => {
        const { connect } = globalThis as unknown as { connect: (options: object) => any };
        const client = connect({
          url,
          token: deviceToken,
          reconnect: { baseMs: 50, capMs: 200 },
          onCommand: ({ params }: { params: unknown }) => ({ echo: params }),
        });
        Object.assign(globalThis, { client });
        await client.send({ temperature: 21.5, open: true, text: 'grün 🔥' });
        await client.event('loaded', { by: 'page' });
        return client.now() as number;
      },
      [hub.wsUrl, token] as const,
    );
    expect(Math.abs(time - Date.now())).toBeLessThan(2000);
    const rows = (await hub.api('GET', '/api/v1/devices/page/readings')).body.items as {
      metric: string;
      value: unknown;
    }[];
    expect(new Map(rows.map(({ metric, value }) => [metric, value]))).toEqual(
      new Map<string, unknown>([
        ['temperature', 21.5],
        ['open', true],
        ['text', 'grün 🔥'],
      ]),
    );
    const params = { n: 1, deep: [{ a: null }], large: 2 ** 40 };
    const created = await hub.api('POST', '/api/v1/devices/page/commands', { name: 'echo', params });
    const path = `/api/v1/commands/${created.body.command.id as string}`;
    await until('an answer', async () => (await hub.api('GET', path)).body.command.state === 'succeeded');
    expect((await hub.api('GET', path)).body.command.result).toEqual({ echo: params });

    await hub.restart();
    const left = await page.evaluate(async () => {
      const { client } = globalThis as unknown as { client: any };
      await client.send({ temperature: 22 });
      return (await client.close()) as number;
    });
    expect(left).toBe(0);
    expect((await hub.api('GET', '/api/v1/devices/page/readings?metric=temperature')).body.items).toHaveLength(2);
  });

  it('is told by the close code when it is not wanted', async () => {
    const reason = await page.evaluate(async (url) => {
      const { connect } = globalThis as unknown as { connect: (options: object) => any };
      const client = connect({ url, token: 'mst_00_wrong' });
      return new Promise<string>((resolve) => client.on('refused', (end: { reason: string }) => resolve(end.reason)));
    }, hub.wsUrl);
    expect(reason).toContain('bad_credentials');
  });
});
