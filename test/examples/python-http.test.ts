import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { afterThisTest } from '../integration/clients/opened.ts';
import { command, connectionsOf, exported, newDevice, statesOf } from '../integration/clients/hub-view.ts';
import { HubChild } from '../integration/faults/hub-child.ts';
import { exportedRows } from '../integration/faults/log-export.ts';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { PYTHON, pythonScript, Running, skips, whyNoPython } from './programs.ts';

const missing = whyNoPython();
const numbers = (rows: readonly { metric: string; value: unknown }[]): unknown[] =>
  rows.filter(({ metric }) => metric === 'n').map(({ value }) => value);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

describe.skipIf(skips('python-http.test.ts', missing))('the Python device over HTTP alone', () => {
  let hub: TestHub;
  beforeAll(async () => {
    if (missing !== null) throw new Error(missing);
    hub = await startTestHub({ allowAnonymous: true });
  });
  afterAll(async () => {
    if (missing === null) await hub.close();
  });

  const start = (url: string, args: readonly string[], token?: string): Running => {
    const command = [PYTHON, pythonScript('http_device.py')];
    const env = token === undefined ? {} : { DEVICE_TOKEN: token };
    return new Running(command, [url, '--retry-ms', '20,200', ...args], { env });
  };
  const httpUrl = (): string => `http://127.0.0.1:${hub.port}`;

  it('delivers readings by its token, and says goodbye when all of them are on disk', async () => {
    const token = await newDevice(hub, 'http-token');
    const running = start(httpUrl(), ['--interval-ms', '2', '--count', '100'], token);
    expect(await running.ended()).toBe(0);
    expect(numbers(await exported(hub, 'http-token'))).toEqual(upTo(100));
    await until('the goodbye', async () => (await connectionsOf(hub, 'http-token'))[0]?.reason === 'client_disconnect');
    expect((await connectionsOf(hub, 'http-token'))[0]).toMatchObject({ protocol: 'http' });
  });

  it('answers commands', async () => {
    const running = start(httpUrl(), ['--id', 'http-commands']);
    await running.said('online');
    await until('it polls', async () => (await connectionsOf(hub, 'http-commands')).length === 1);
    const blinked = await command(hub, 'http-commands', 'blink', { times: 3 });
    expect(blinked).toMatchObject({ state: 'succeeded', result: { blinked: 3 } });
    expect((await statesOf(hub, blinked.id)).at(-1)).toBe('succeeded');
    await until('it blinked', () => running.output === 'blinking 3 times\n');
    const many = await Promise.all(upTo(20).map((times) => command(hub, 'http-commands', 'blink', { times })));
    expect(many.map(({ result }) => result)).toEqual(upTo(20).map((blinked) => ({ blinked })));
    expect(await command(hub, 'http-commands', 'explode')).toMatchObject({ state: 'rejected' });
  });

  it('loses nothing and doubles nothing while the hub is killed', async () => {
    const data = mkdtempSync(join(tmpdir(), 'muster-test-'));
    afterThisTest(() => rmSync(data, { recursive: true, force: true }));
    let child = await HubChild.start({ data, flags: { allowAnonymous: true } });
    const { port, token } = child;
    afterThisTest(() => child.kill('SIGKILL'));
    const stored = async (): Promise<unknown[]> =>
      numbers(exportedRows((await child.api('GET', '/api/v1/export/log')).body as string));
    const running = start(`http://127.0.0.1:${port}`, ['--id', 'pump', '--interval-ms', '5', '--count', '400']);
    await until('some is stored', async () => (await stored().catch(() => [])).length > 50);
    await child.kill('SIGKILL');
    child = await HubChild.start({ data, flags: { allowAnonymous: true, port }, token });
    expect(await running.ended(30_000)).toBe(0);
    expect(await stored()).toEqual(upTo(400));
    expect(running.words).toContain('offline');
  }, 60_000);

  it('sends again what was stored when the answer is lost, and it is stored once', async () => {
    const id = 'http-lossy';
    const lossy = await lossyProxy(hub.port);
    const running = start(lossy.url, ['--id', id, '--interval-ms', '2', '--count', '60']);
    expect(await running.ended(30_000)).toBe(0);
    expect(lossy.lost).toBeGreaterThan(10);
    expect(numbers(await exported(hub, id))).toEqual(upTo(60));
  }, 60_000);

  it('ends when the hub does not want it', async () => {
    const running = start(httpUrl(), [], 'mst_00_wrong');
    expect(await running.ended()).toBe(3);
    expect(running.words).toContain('bad_credentials');
  });
});

/** Passes requests on, and breaks the connection in the place of every third answer to telemetry, or sends what is no answer. */
async function lossyProxy(hubPort: number): Promise<{ readonly url: string; readonly lost: number }> {
  const state = { url: '', lost: 0 };
  let asked = 0;
  const pass = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const headers = Object.entries(req.headers).filter(([name]) => !['host', 'connection'].includes(name));
    const body = chunks.length === 0 ? {} : { body: Buffer.concat(chunks) };
    const init = { method: req.method!, headers: Object.fromEntries(headers) as Record<string, string>, ...body };
    const answer = await fetch(`http://127.0.0.1:${hubPort}${req.url!}`, init);
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (req.url === '/device/v1/telemetry' && ++asked % 3 === 0) {
      state.lost++;
      if (asked % 2 === 0) res.end('{"half":');
      else req.socket.destroy();
      return;
    }
    res.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
    res.end(bytes);
  };
  const server = createServer((req, res) => void pass(req, res).catch(() => req.socket.destroy()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterThisTest(() => {
    server.closeAllConnections();
    server.close();
  });
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return state;
}
