import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resolveTarget, type TargetOptions } from '#cli/target.js';
import { FakeProcess } from './harness.ts';

let folder: string;
let me: FakeProcess;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-cli-'));
  me = new FakeProcess();
  me.cwd = folder;
  me.env.XDG_CONFIG_HOME = join(folder, 'config');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const profilesPath = () => join(folder, 'config', 'muster', 'config.yaml');

function keep(text: string): void {
  mkdirSync(join(folder, 'config', 'muster'), { recursive: true });
  writeFileSync(profilesPath(), text);
}

const PLANT =
  'current: plant\nprofiles:\n  plant: { url: "https://plant.example", token: plant-token }\n  bench: { url: "http://127.0.0.1:9999", token: bench-token }\n';

describe('which hub, as whom', () => {
  it.each<[string, TargetOptions, Record<string, string>, string, string | null]>([
    ['nobody says', {}, {}, 'https://plant.example', 'plant-token'],
    ['the environment', {}, { MUSTER_URL: 'http://e:1', MUSTER_TOKEN: 'env' }, 'http://e:1', 'env'],
    [
      'a profile by name, before the environment',
      { profile: 'bench' },
      { MUSTER_URL: 'http://e:1', MUSTER_TOKEN: 'env' },
      'http://127.0.0.1:9999',
      'bench-token',
    ],
    ['a profile by the environment', {}, { MUSTER_PROFILE: 'bench' }, 'http://127.0.0.1:9999', 'bench-token'],
    [
      'flags before all',
      { url: 'ws://f:2', token: 'flag', profile: 'bench' },
      { MUSTER_URL: 'http://e:1' },
      'http://f:2',
      'flag',
    ],
    ['a token by flag for the profile', { token: 'flag' }, {}, 'https://plant.example', 'flag'],
    ["no token of a profile for another's address", { url: 'http://other' }, {}, 'http://other', null],
    ['nor by the environment', {}, { MUSTER_URL: 'http://other' }, 'http://other', null],
    ['nor for another port', { url: 'https://plant.example:444' }, {}, 'https://plant.example:444', null],
    [
      "the profile's token for its own address, however it is written",
      { url: 'wss://plant.example/mqtt' },
      {},
      'https://plant.example',
      'plant-token',
    ],
  ])('%s', async (_, options, env, base, token) => {
    keep(PLANT);
    Object.assign(me.env, env);
    expect(await resolveTarget(options, me)).toEqual({ base, token, named: true });
  });

  it('is the usual address when nobody names one, and says so', async () => {
    expect(await resolveTarget({}, me)).toEqual({ base: 'http://127.0.0.1:8080', token: null, named: false });
  });

  it('takes a token from a file, without the line end', async () => {
    writeFileSync(join(folder, 'token'), '  mst_00_x\n');
    expect((await resolveTarget({ tokenFile: 'token' }, me)).token).toBe('mst_00_x');
    me.env.MUSTER_TOKEN_FILE = join(folder, 'token');
    expect((await resolveTarget({}, me)).token).toBe('mst_00_x');
  });

  it("takes a profile's token file as seen from the file of profiles", async () => {
    keep('current: a\nprofiles: { a: { url: "http://a", tokenFile: a.token } }');
    writeFileSync(join(folder, 'config', 'muster', 'a.token'), 'from-file');
    expect((await resolveTarget({}, me)).token).toBe('from-file');
  });

  it('does not look at profiles when flags or environment say all', async () => {
    keep('profiles: [');
    me.env.MUSTER_TOKEN = 'x';
    expect((await resolveTarget({ url: 'http://a' }, me)).token).toBe('x');
    await expect(resolveTarget({}, me)).rejects.toThrow('config.yaml cannot be read');
  });

  it.each<[string, TargetOptions, Record<string, string>, string]>([
    ['token and file by flag', { token: 'a', tokenFile: 'b' }, {}, '--token and --token-file are both given'],
    [
      'token and file in the environment',
      {},
      { MUSTER_TOKEN: 'a', MUSTER_TOKEN_FILE: 'b' },
      'MUSTER_TOKEN and MUSTER_TOKEN_FILE are both',
    ],
    ['a missing file', { tokenFile: 'gone' }, {}, '--token-file: '],
    ['an empty file', { tokenFile: 'empty' }, {}, 'is empty'],
    ['a token with a line end', { token: 'mst_0\nX-Evil: 1' }, {}, 'copy it again'],
    ['an address that is none', { url: 'plant' }, {}, '"plant" is no address of a hub'],
    ['an unknown profile', { profile: 'plan' }, {}, 'there is no profile plan'],
  ])('refuses %s', async (_, options, env, words) => {
    keep(PLANT);
    writeFileSync(join(folder, 'empty'), '\n');
    Object.assign(me.env, env);
    await expect(resolveTarget(options, me)).rejects.toThrow(words);
  });
});

describe('muster profile', () => {
  it('keeps hubs by name, the first in use, for its owner alone', async () => {
    expect(await me.run(['profile', 'add', 'plant', '--url', 'wss://plant.example/', '--token', 'a'])).toBe(0);
    expect(me.out).toBe('profile plant is kept and in use\n');
    expect(statSync(profilesPath()).mode & 0o777).toBe(0o600);
    me.env.MUSTER_TOKEN = 'b';
    await me.run(['profile', 'add', 'bench', '--url', 'http://127.0.0.1:9999']);
    expect(me.out).toContain('use it with `muster profile use bench`');
    delete me.env.MUSTER_TOKEN;
    expect(await resolveTarget({}, me)).toMatchObject({ base: 'https://plant.example', token: 'a' });
    await me.run(['profile', 'use', 'bench']);
    expect(await resolveTarget({}, me)).toMatchObject({ base: 'http://127.0.0.1:9999', token: 'b' });
  });

  it('lists them without their tokens', async () => {
    keep(PLANT);
    await me.run(['profile', 'list']);
    expect(me.out).toMatch(/^\* +plant +https:\/\/plant\.example +kept here$/m);
    expect(me.out).not.toContain('plant-token');
    me.out = '';
    await me.run(['profile', 'list', '--json']);
    expect(me.out).not.toContain('-token"');
    expect(JSON.parse(me.out)[1]).toEqual({
      name: 'bench',
      current: false,
      url: 'http://127.0.0.1:9999',
      token: 'kept here',
    });
  });

  it('forgets one, and then none is in use', async () => {
    keep(`# mine\n${PLANT}`);
    await me.run(['profile', 'rm', 'plant']);
    expect(readFileSync(profilesPath(), 'utf8')).toMatch(/^# mine\n/);
    expect(await resolveTarget({}, me)).toMatchObject({ named: false, token: null });
  });

  it('keeps the path of a token file, whole', async () => {
    writeFileSync(join(folder, 't'), 'x');
    await me.run(['profile', 'add', 'a', '--url', 'http://a', '--token-file', 't']);
    expect(readFileSync(profilesPath(), 'utf8')).toContain(join(folder, 't'));
  });

  it.each([
    [['profile', 'use', 'nobody'], 'there is no profile nobody'],
    [['profile', 'rm', 'nobody'], '`muster profile list` shows what there is'],
    [['profile', 'add', 'a/b', '--url', 'http://a'], 'is no name for a profile'],
    [['profile', 'add', 'a', '--url', 'http://a', '--token', 'x', '--token-file', 'y'], 'leave one out'],
  ])('%j is refused with words', async (words, message) => {
    expect(await me.run(words)).toBe(1);
    expect(me.err).toContain(message);
  });

  it.each([
    ['a list', '- a'],
    ['profiles that are text', 'profiles: plant'],
    ['a profile without a url', 'profiles: { a: { token: x } }'],
    ['a token that is a number', 'profiles: { a: { url: "http://a", token: 5 } }'],
    ['an unknown key', 'profile: a'],
    ['an unknown key of a profile', 'profiles: { a: { url: "http://a", tokn: x } }'],
    ['broken YAML', 'profiles: {'],
  ])('a file that holds %s is refused by its name, and left as it is', async (_, text) => {
    keep(text);
    expect(await me.run(['profile', 'add', 'b', '--url', 'http://b'])).toBe(1);
    expect(me.err).toContain(profilesPath());
    expect(me.err).not.toContain('    at ');
    expect(readFileSync(profilesPath(), 'utf8')).toBe(text);
  });
});
