import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '#test/support/hub.js';

const DOC = readFileSync(new URL('../../docs/device-client.md', import.meta.url), 'utf8');
const ENTRY = fileURLToPath(new URL('../../devices-sim/device/index.ts', import.meta.url));

/** An example of the page, by its first line, as a program for this hub. */
function example(name: string, hub: TestHub, token: string): string {
  const code = [...DOC.matchAll(/```ts\n([^]*?)```/g)]
    .map(([, text]) => text!)
    .find((text) => text.includes(`// example: ${name}\n`));
  if (code === undefined) throw new Error(`docs/device-client.md has no example ${name}`);
  return code.replace('muster/device', ENTRY).replace('wss://hub.example', hub.wsUrl).replace('mst_…', token);
}

describe('the examples of docs/device-client.md', () => {
  let hub: TestHub;
  let token: string;
  const folder = mkdtempSync(join(tmpdir(), 'muster-docs-'));
  const running: ChildProcess[] = [];

  beforeAll(async () => {
    hub = await startTestHub();
    token = (await hub.api('POST', '/api/v1/devices', { id: 'pump-7' })).body.token;
  });
  afterAll(async () => {
    for (const child of running) child.kill('SIGKILL');
    await hub.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Starts it, and shows what it has said so far. */
  function run(name: string): { said: () => string; child: ChildProcess } {
    const file = join(folder, `${name.replace(' ', '-')}.ts`);
    writeFileSync(file, example(name, hub, token));
    const child = spawn(process.execPath, ['--conditions=muster-source', file], { cwd: folder });
    running.push(child);
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    return { said: () => text, child };
  }

  async function values(metric: string): Promise<unknown[]> {
    const { body } = await hub.api('GET', `/api/v1/devices/pump-7/readings?metric=${metric}`);
    return (body.items as { value: unknown }[]).map(({ value }) => value);
  }

  it('hello', async () => {
    const { said, child } = run('hello');
    await once(child, 'close');
    expect(said()).toBe('done\n');
    expect(await values('temperature')).toEqual([21.5]);
  });

  it('file queue', async () => {
    const { said, child } = run('file queue');
    await once(child, 'close');
    expect(said()).toBe('0 left for the next time\n');
    expect((await values('temperature')).sort()).toEqual([20.5, 20.75, 21, 21.5]);
  });

  it('commands', async () => {
    const { said } = run('commands');
    const send = async (name: string): Promise<string> =>
      (await hub.api('POST', '/api/v1/devices/pump-7/commands', { name, params: { times: 3 } })).body.command.id;
    const [blink, other] = [await send('blink'), await send('sing')];
    const command = async (id: string) => (await hub.api('GET', `/api/v1/commands/${id}`)).body.command;
    await until(`both are answered: ${said()}`, async () => (await command(other)).state === 'rejected');
    expect(await command(blink)).toMatchObject({ state: 'succeeded', result: { blinked: 3 } });
    expect(said()).toBe('blinking 3 times\n');
  });

  it('browser: the one that is left is run in test/browser/device-client.test.ts', () => {
    const names = [...DOC.matchAll(/```ts\n\/\/ (.*)/g)].map(([, first]) => first);
    expect(names).toEqual(['example: hello', 'example: file queue', 'example: commands', 'browser']);
  });
});
