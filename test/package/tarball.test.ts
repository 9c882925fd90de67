import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { mqttConnect } from '../integration/clients/mqtt.ts';
import { until } from '../support/hub.ts';
import { packAndInstall, type Installed } from './packed.ts';

const INSTALL_LIMIT_MS = 180_000;
/** Starting npx and a hub takes seconds where other tests keep the processors busy. */
const RUN_LIMIT_MS = 60_000;
const execFileAsync = promisify(execFile);

describe('the package as it would be published', { timeout: RUN_LIMIT_MS }, () => {
  let installed: Installed;
  beforeAll(async () => {
    installed = await packAndInstall();
  }, INSTALL_LIMIT_MS);
  afterAll(() => {
    (installed as Installed | undefined)?.remove();
  });
  const running: ChildProcess[] = [];
  afterEach(() => {
    for (const { pid } of running.splice(0)) signalGroup(pid!, 'SIGKILL');
  });

  /** `npx muster …` as its user types it; nothing is fetched. */
  const npx = (...words: string[]): [string, string[], { cwd: string; env: NodeJS.ProcessEnv }] => [
    'npx',
    ['--no-install', '--loglevel=error', 'muster', ...words],
    { cwd: installed.folder, env: installed.env },
  ];

  it('holds the build with its types, documents and deployment files, and no sources, tests or data', () => {
    for (const file of [
      'package.json',
      'README.md',
      'LICENSE',
      'CHANGELOG.md',
      'dist/cli/bin.js',
      'dist/hub/index.d.ts',
      'dist/hub/store/sqlite/writer-worker.js',
      'dist/hub/store/sqlite/reader-worker.js',
      'dist/dashboard/index.html',
      'dist/dashboard/index.html.br',
      'docs/configuration.md',
      'protocols/cbor/SPEC.md',
      'protocols/cbor/muster.cddl',
      'protocols/cbor/vectors/device-to-hub.json',
      'protocols/payload/telemetry.proto',
      'examples/c/Makefile',
      'deploy/systemd/muster.service',
    ])
      expect(installed.files).toContain(file);
    const stray = installed.files.filter(
      (file) =>
        /^(test|bench|data|node_modules|dashboard)\//.test(file) || (/\.ts$/.test(file) && !/\.d\.ts$/.test(file)),
    );
    expect(stray).toEqual([]);
  });

  it('npx muster says its version and its commands', async () => {
    const { version } = JSON.parse(readFileSync(join(installed.folder, 'node_modules/muster/package.json'), 'utf8'));
    expect((await execFileAsync(...npx('--version'))).stdout).toBe(`${version}\n`);
    const { stdout: help } = await execFileAsync(...npx('--help'));
    for (const command of ['serve', 'device', 'sim', 'demo', 'cert']) expect(help).toContain(`\n  ${command} `);
  });

  it('npx muster serve keeps on disk what a device publishes, and stops cleanly', async () => {
    const [npxFile, words, options] = npx('serve', '--host', '127.0.0.1', '--port', '0', '--data', 'hub-data');
    const hub = spawn(npxFile, words, { ...options, detached: true });
    running.push(hub);
    let said = '';
    for (const stream of [hub.stdout, hub.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const told = (pattern: RegExp): string | undefined => pattern.exec(said)?.[1];
    await until('the address and the token', () => /API and metrics: [\s\S]*mst_\S+\n/.test(said));
    const [url, token] = [told(/API and metrics: (http\S+)\)/)!, told(/(mst_\S+)\n/)!];
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    const page = await (await fetch(`${url}/dashboard/`)).text();
    for (const [, asset] of page.matchAll(/(?:src|href)="(\/dashboard\/assets\/[^"]+)"/g)) {
      expect((await fetch(url + asset!)).status, asset).toBe(200);
    }
    expect(page).toContain('/dashboard/assets/');
    const api = async (method: string, path: string, body?: object): Promise<any> => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const response = await fetch(`${url}/api/v1${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      expect(response.ok).toBe(true);
      return response.json();
    };
    const { token: password } = await api('POST', '/devices', { id: 'pump' });
    const device = await mqttConnect(url.replace('http', 'ws'), { username: 'pump', password });
    await device.publish('devices/me/telemetry', { temperature: 21.5 });
    // By the reading thread, from what the writing thread has committed.
    const { items } = await api('GET', '/devices/pump/readings');
    expect(items).toMatchObject([{ metric: 'temperature', value: 21.5 }]);
    await device.client.endAsync();
    const ended = once(hub, 'close');
    // Ctrl-C reaches all processes of the terminal, npx and its shell too.
    signalGroup(hub.pid!, 'SIGINT');
    await ended;
    expect(said).toContain('"committed":true,"msg":"stopped"');
  });

  it('the hub runs with its heap flag', async () => {
    const show = join(installed.folder, 'flags.cjs');
    writeFileSync(show, "if (process.execArgv.length > 0) console.error(`flags ${process.execArgv.join(' ')}`);\n");
    const { stderr } = await execFileAsync(process.execPath, ['node_modules/.bin/muster', 'serve', '--help'], {
      cwd: installed.folder,
      env: { ...installed.env, NODE_OPTIONS: `--require ${show}` },
    });
    expect(stderr).toBe('flags --max-semi-space-size=8\n');
  });

  it('npx muster sim plays a fleet against a hub of its own, all three protocols, and finds nothing lost', async () => {
    const words = ['sim', '--spawn-hub', '--devices', '6', '--interval', '500ms', '--duration', '2s', '--json'];
    const { stdout } = await execFileAsync(...npx(...words));
    expect(JSON.parse(stdout)).toMatchObject({ exitCode: 0 });
  });

  it('runs within another program, by its exports, and leaves the rest of the package to itself', async () => {
    const program = join(installed.folder, 'embedded.js');
    writeFileSync(
      program,
      `import { createLog, resolveConfig, startHub } from 'muster';
      const { config } = resolveConfig({ host: '127.0.0.1', port: 0, data: 'embedded' }, {});
      const hub = await startHub(config, { log: createLog('silent') });
      console.log((await fetch(hub.url + '/healthz')).status);
      await hub.stop();
      await import('muster/dist/hub/compose.js').catch((error) => console.log(error.code));
      `,
    );
    const { stdout } = await execFileAsync(process.execPath, [program], { cwd: installed.folder, env: installed.env });
    expect(stdout).toBe('200\nERR_PACKAGE_PATH_NOT_EXPORTED\n');
  });

  it('has a device client for programs, and for bundlers one that needs nothing of Node', async () => {
    const program = join(installed.folder, 'device.js');
    writeFileSync(
      program,
      `import { createLog, resolveConfig, startHub } from 'muster';
      import { connect, fileQueue } from 'muster/device';
      const options = { host: '127.0.0.1', port: 0, data: 'device-hub', allowAnonymous: true };
      const hub = await startHub(resolveConfig(options, {}).config, { log: createLog('silent') });
      for (const protocol of ['cbor', 'mqtt', 'stomp', 'http']) {
        const queue = await fileQueue({ folder: 'device-' + protocol });
        const device = connect({ url: hub.url.replace('http', 'ws'), protocol, deviceId: protocol, queue });
        await device.send({ temperature: 21.5 });
        console.log(protocol, await device.close());
      }
      await hub.stop();
      console.log(import.meta.resolve('muster/device').split('/').pop());
      `,
    );
    const run = async (...flags: string[]): Promise<string> => {
      const options = { cwd: installed.folder, env: installed.env };
      return (await execFileAsync(process.execPath, [...flags, program], options)).stdout;
    };
    expect(await run()).toBe('cbor 0\nmqtt 0\nstomp 0\nhttp 0\nindex.js\n');
    const resolve = `console.log(import.meta.resolve('muster/device').split('/').pop());`;
    writeFileSync(program, resolve);
    expect(await run('--conditions=browser')).toBe('browser.js\n');
  });

  it('has types for that program', async () => {
    const program = join(installed.folder, 'typed.ts');
    const lines = [
      "import { createLog, resolveConfig, startHub, type Hub } from 'muster';",
      "const hub: Hub = await startHub(resolveConfig({}, {}).config, { log: createLog('silent') });",
      'const port: number = hub.url;',
      "import { connect, type Command } from 'muster/device';",
      "const device = connect({ url: 'ws://x', protocol: 'cbor', token: 't', onCommand: (command: Command) => command.name });",
      'const text: string = device.queued;',
    ];
    writeFileSync(program, lines.join('\n'));
    const tsc = join(import.meta.dirname, '../../node_modules/typescript/bin/tsc');
    const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--skipLibCheck'];
    const checked = execFileAsync(process.execPath, [tsc, ...flags, 'typed.ts'], { cwd: installed.folder });
    const { stdout } = await checked.catch((error: unknown) => error as { stdout: string });
    // Only what is wrong on purpose: so the types are there, and none of them is any.
    expect(stdout).toBe(
      "typed.ts(3,7): error TS2322: Type 'string' is not assignable to type 'number'.\n" +
        "typed.ts(6,7): error TS2322: Type 'number' is not assignable to type 'string'.\n",
    );
  });
});

/** To a process and what it has started; nothing when all of them have ended. */
function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
