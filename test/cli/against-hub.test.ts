import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, type TestHub } from '#test/support/hub.js';
import { FakeProcess } from './harness.ts';

let hub: TestHub;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'muster-cli-'));
  hub = await startTestHub();
});
afterAll(async () => {
  await hub.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a command against the hub; `token` in place of the first one. */
async function muster(words: string[], token = hub.token): Promise<{ code: number; out: string; err: string }> {
  const me = new FakeProcess();
  me.cwd = folder;
  me.wallMs = Date.now();
  me.env.MUSTER_URL = `http://127.0.0.1:${hub.port}`;
  me.env.MUSTER_TOKEN = token;
  const code = await me.run(words);
  return { code, out: me.out, err: me.err };
}

async function json(words: string[]): Promise<any> {
  const { code, out, err } = await muster([...words, '--json']);
  expect(err).toBe('');
  expect(code).toBe(0);
  return JSON.parse(out);
}

describe('the command line against a real hub', () => {
  it('sees a device come, send and be kept out', async () => {
    const { token } = await json(['device', 'add', 'pump']);
    const device = await mqtt.connectAsync(hub.wsUrl, { username: 'pump', password: token, reconnectPeriod: 0 });
    const closed = new Promise<void>((resolve) => device.once('close', () => resolve()));
    device.on('error', () => undefined);
    await device.publishAsync('devices/me/telemetry', '{"temp":21.5,"on":true}', { qos: 1 });

    expect((await muster(['connections'])).out).toMatch(/ pump +mqtt +\S+ +\S+ +\d+ \(/);
    expect((await muster(['status'])).out).toMatch(/^running\n[^]*devices +1, 1 online \(mqtt 1\)/);
    expect((await muster(['export', '--device', 'pump', '--metric', 'temp', '--from', '1h'])).out).toMatch(
      /^\{"device":"pump","metric":"temp","timeUs":\d+,"value":21\.5\}\n$/,
    );
    expect((await muster(['export', '--out', 'all.csv'])).out).toBe('2 readings are in all.csv\n');
    expect(readFileSync(join(folder, 'all.csv'), 'utf8').split('\r\n')).toHaveLength(4);

    expect((await muster(['device', 'disable', 'pump'])).out).toBe('device pump is disabled\n');
    await closed;
    const again = mqtt.connectAsync(hub.wsUrl, { username: 'pump', password: token, reconnectPeriod: 0 });
    await expect(again).rejects.toThrow();
    expect((await muster(['device', 'show', 'pump'])).out).toMatch(/state +disabled\n/);
    expect((await muster(['device', 'enable', 'pump'])).out).toBe('device pump is enabled\n');
  });

  it('shows which handshakes were refused', async () => {
    const socket = new WebSocket(hub.wsUrl, 'soap');
    await new Promise((resolve) => socket.addEventListener('error', resolve));
    expect((await muster(['refused'])).out).toMatch(
      / soap +unknown_subprotocol [^]*since the hub started: .*unknown_subprotocol 1/,
    );
  });

  it('gives a device more tokens, lists and revokes them', async () => {
    await json(['device', 'add', 'valve']);
    const { keyId } = await json(['device', 'token', 'create', 'valve']);
    expect(await json(['device', 'token', 'list', 'valve'])).toHaveLength(2);
    expect((await muster(['device', 'token', 'revoke', 'valve', keyId])).out).toBe(
      `token ${keyId} of valve is revoked\n`,
    );
    expect(await json(['device', 'token', 'list', 'valve'])).toHaveLength(1);
  });

  it('makes tokens that may do what they say, and says which scope is missing', async () => {
    const { token, keyId } = await json(['token', 'create', 'grafana', '--scopes', 'read', '--ttl', '30d']);
    expect((await muster(['device', 'list'], token)).code).toBe(0);
    const refused = await muster(['device', 'add', 'x'], token);
    expect(refused.code).toBe(1);
    expect(refused.err).toMatch(/^muster: .*devices.*ask for a token with more scopes/);
    expect((await muster(['token', 'list'])).out).toMatch(new RegExp(`^${keyId} +api +grafana +read +20`, 'm'));
    expect((await muster(['token', 'revoke', keyId])).code).toBe(0);
    expect((await muster(['device', 'list'], token)).err).toContain('does not accept this token');
  });

  it('makes tokens for applications, with their topics', async () => {
    await json(['token', 'create', 'bridge', '--application', '--subscribe', 'devices/#,plant/+/out']);
    expect((await muster(['token', 'list'])).out).toMatch(
      /application +bridge +publish nothing; subscribe devices\/#,plant\/\+\/out +never/,
    );
    expect((await muster(['token', 'create', 'x', '--publish', 'a'])).err).toContain('add --application');
    expect((await muster(['token', 'create', 'x', '--application', '--scopes', 'read'])).err).toContain('API tokens');
    expect((await muster(['token', 'create', 'x', '--scopes', 'write'])).err).toContain(
      'read, commands, devices, admin',
    );
    expect((await muster(['token', 'create', 'x', '--ttl', '30'])).err).toContain('12h');
  });

  it('adds operators, who come in by the link, and changes and removes them', async () => {
    const added = await muster(['operator', 'add', 'eve', '--role', 'operator']);
    expect(added.out).toMatch(
      /^operator eve is added as operator\nsign-in link \(works once, for a day\): http:\/\/127/,
    );
    const link = /#(\S+)/.exec((await muster(['operator', 'link', 'eve'])).out)![1]!;
    const signIn = await fetch(`http://127.0.0.1:${hub.port}/api/v1/sign-in`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ link }),
    });
    expect(await signIn.json()).toMatchObject({ caller: { kind: 'operator', name: 'eve' } });
    expect((await muster(['operator', 'role', 'eve', 'viewer'])).out).toBe('operator eve is enabled, role viewer\n');
    expect((await muster(['operator', 'disable', 'eve'])).out).toBe('operator eve is disabled, role viewer\n');
    expect((await muster(['operator', 'list'])).out).toMatch(/^admin +admin +enabled .*\neve +viewer +disabled /m);
    expect((await muster(['operator', 'rm', 'eve'])).out).toBe('operator eve is deleted\n');
    const last = await muster(['operator', 'rm', 'admin']);
    expect(last.code).toBe(1);
    expect(last.err).toMatch(/administrator/);
  });

  it('lists the jobs and runs one', async () => {
    const jobs = await json(['jobs']);
    expect(jobs.length).toBeGreaterThan(3);
    expect((await muster(['jobs', 'list'])).out).toMatch(/^JOB +SCHEDULE/);
    const run = await muster(['jobs', 'run', jobs[0].name]);
    expect(run.err).toBe('');
    expect(run.out).toMatch(new RegExp(`^${jobs[0].name}: ok after \\d+ ms`));
    expect(run.code).toBe(0);
    expect((await muster(['jobs', 'run', 'coffee'])).code).toBe(1);
  });

  it('doctor asks the hub that is named', async () => {
    const { out } = await muster(['doctor', '--port', '0', '--data', folder]);
    expect(out).toMatch(/^ok +hub +http\S+ is ready$/m);
    expect(out).toMatch(/^ok +hub clock /m);
    expect(out).toMatch(/^ok +token /m);
    expect((await muster(['doctor', '--port', '0', '--data', folder], 'mst_00_wrong')).out).toMatch(
      /^fail +token +the hub does not accept/m,
    );
    expect(
      (await muster(['doctor', '--port', String(hub.port), '--host', '127.0.0.1', '--data', hub.data])).out,
    ).toMatch(/^ok +port +\d+: a hub listens here already, and is ready$/m);
  });
});
