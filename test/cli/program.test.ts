import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ALL_OPTIONS } from '#hub/config.js';
import { SIM_OPTION_TABLE } from '#devices-sim/options.js';
import { FakeProcess } from './harness.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

describe('the command line', () => {
  it('--version is that of package.json', async () => {
    const me = new FakeProcess();
    expect(await me.run(['--version'])).toBe(0);
    const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as { version: string };
    expect(me.out).toBe(`${version}\n`);
  });

  it.each([
    [['servee'], 'Did you mean serve?'],
    [['serve', '--prot', '1'], 'Did you mean --port?'],
    [['device', 'lst'], 'Did you mean list?'],
    [['device', 'list', '--jsno'], 'Did you mean --json?'],
    [['sim', '--device', '5'], 'Did you mean --devices?'],
    [['demo', '--devices', '0'], 'whole number'],
    [['send', 'pump'], "missing required argument 'command'"],
    [['latest', 'pump', 'extra'], 'too many arguments'],
  ])('%j is refused with a hint', async (words, hint) => {
    const me = new FakeProcess();
    expect(await me.run(words)).toBe(1);
    expect(me.err).toContain(hint);
    expect(me.out).toBe('');
  });

  it('serve and config have a flag with its help for every option of the hub', async () => {
    for (const command of ['serve', 'config']) {
      const me = new FakeProcess();
      expect(await me.run([command, '--help'])).toBe(0);
      const help = me.out.replace(/\s+/g, ' ');
      for (const option of ALL_OPTIONS) {
        expect(help).toContain(`${option.flag} `);
        expect(help).toContain(option.text);
      }
    }
  });

  it("sim has every option of the simulator's table", async () => {
    const me = new FakeProcess();
    expect(await me.run(['sim', '--help'])).toBe(0);
    for (const row of SIM_OPTION_TABLE) expect(me.out).toContain(row.flag);
  });

  it('sim says what is wrong with an option', async () => {
    const me = new FakeProcess();
    expect(await me.run(['sim', '--mix', 'mqtt'])).toBe(1);
    expect(me.err).toMatch(/^muster: --mix must read like/);
  });

  it('client commands load nothing of the hub but its version', async () => {
    const script = `
      import { registerHooks } from 'node:module';
      const loaded = [];
      registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context); } });
      const { run } = await import('#cli/run.js');
      const io = { stdout: { write() {} }, stderr: { write() {} }, env: {}, cwd: '/', signals: process, exit() {}, monotonic: () => 0, now: () => 0 };
      await run(['device', 'list'], io, () => { throw new Error('not asked for'); });
      console.log(JSON.stringify(loaded.filter((url) => /\\/(hub|devices-sim|protocols)\\/|\\/node_modules\\/(?!commander)/.test(url))));
    `;
    const args = ['--conditions=muster-source', '--input-type=module', '--eval', script];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT, timeout: 20_000 });
    const loaded = (JSON.parse(stdout) as string[]).map((url) => url.replace(/^.*\/(?=hub|node_modules)/, ''));
    expect(loaded).toEqual(['hub/version.ts']);
  });
});

describe('muster config', () => {
  it('prints every value and where it comes from', async () => {
    const me = new FakeProcess();
    me.env.MUSTER_MAX_CONNECTIONS = '77';
    expect(await me.run(['config', '--port', '9000', '--limits-max-depth', '4', '--no-enable-echo'])).toBe(0);
    expect(me.out).toMatch(/^port +9000 +--port$/m);
    expect(me.out).toMatch(/^maxConnections +77 +connections +MUSTER_MAX_CONNECTIONS$/m);
    expect(me.out).toMatch(/^limits\.maxDepth +4 +levels +--limits-max-depth$/m);
    expect(me.out).toMatch(/^enableEcho +false +--enable-echo$/m);
    expect(me.out).toMatch(/^data +\.\/data +default$/m);
    expect(me.out.trimEnd().split('\n')).toHaveLength(ALL_OPTIONS.length + 1);
  });

  it('shows the line of the file that set a value', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'muster-config-'));
    try {
      writeFileSync(join(folder, 'hub.yaml'), '# ours\nmaxDevices: 5\nport: 1\n');
      const me = new FakeProcess();
      me.cwd = folder;
      expect(await me.run(['config', '--config', 'hub.yaml', '--port', '2'])).toBe(0);
      expect(me.out).toMatch(/^maxDevices +5 +devices +hub\.yaml:2$/m);
      expect(me.out).toMatch(/^port +2 +--port$/m);
      expect(await me.run(['config', '--config', 'gone.yaml'])).toBe(1);
      expect(me.err).toBe('muster: gone.yaml does not exist: check --config or MUSTER_CONFIG\n');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('gives the same as JSON', async () => {
    const me = new FakeProcess();
    await me.run(['config', '--json', '--allow-anonymous']);
    const rows = JSON.parse(me.out) as { key: string; value: unknown }[];
    expect(rows.map((row) => row.key)).toEqual(ALL_OPTIONS.map((option) => option.key));
    expect(rows.find((row) => row.key === 'host')?.value).toBe('127.0.0.1');
  });

  it('writes the documentation', async () => {
    const me = new FakeProcess();
    await me.run(['config', '--markdown']);
    expect(me.out).toBe(readFileSync(`${ROOT}/docs/configuration.md`, 'utf8'));
  });

  it('lists all that is wrong', async () => {
    const me = new FakeProcess();
    me.env.MUSTER_PROT = '1';
    expect(await me.run(['config', '--ping-interval-ms', 'soon'])).toBe(1);
    expect(me.err).toContain('MUSTER_PROT: did you mean MUSTER_PORT?');
    expect(me.err).toContain('--ping-interval-ms: expected a duration');
    expect(me.err).not.toContain('    at ');
  });
});
