import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startHub } from '#hub/compose.js';
import { FakeProcess } from './harness.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-demo-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A demo with a real hub and a real fleet, ended by Ctrl-C as soon as `until` was printed. */
async function demoUntil(until: string): Promise<{ code: number; out: string; err: string }> {
  const me = new FakeProcess();
  let sent = false;
  me.onOutput = () => {
    if (sent || !me.out.includes(until)) return;
    sent = true;
    me.signals.emit('SIGINT');
  };
  const data = join(folder, 'data');
  const code = await me.run(['demo', '--data', data, '--port', '0', '--devices', '6'], startHub);
  return { code, out: me.out, err: me.err };
}

it('the demo runs a hub and a fleet, shows figures, ends in order on Ctrl-C, and can be started again', async () => {
  const links = new Set<string>();
  for (let round = 1; round <= 2; round++) {
    const { code, out, err } = await demoUntil('readings on disk');
    expect(err).toBe('');
    expect(out).toMatch(/devices connect to +ws:\/\/127\.0\.0\.1:\d+/);
    const link = /dashboard +http:\/\/127\.0\.0\.1:\d+\/sign-in#([\w-]{43}) +\(signs you in, once\)/.exec(out)![1]!;
    expect(links.has(link)).toBe(false);
    links.add(link);
    expect(out).toMatch(/devices \d of 6 online/);
    expect(out).toMatch(/lost 0, doubled 0/);
    expect(out).toMatch(/\nOK\n$/);
    expect(code).toBe(0);
    const token = await readFile(join(folder, 'data', 'api-token'), 'utf8');
    expect(token).toMatch(/^mst_/);
    expect(out).not.toContain(token.trim());
    expect((await stat(join(folder, 'data', 'api-token'))).mode & 0o077).toBe(0);
  }
});

it('a demo that is stopped at once was not a failure', async () => {
  const { code, out } = await demoUntil('muster demo:');
  expect(out).toContain('stopped before the first reading was sent');
  expect(code).toBe(0);
});
