import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { launch, type Launching } from '#cli/launch.js';

function process(change: Partial<Launching>) {
  const me = {
    version: 'v24.0.0',
    argv: ['/bin/node', '/bin/muster', 'serve', '--port', '0'],
    execArgv: [] as readonly string[],
    execPath: '/bin/node',
    env: {},
    stderr: { write: vi.fn() },
    exit: vi.fn(),
    execve: vi.fn(),
    ...change,
  };
  const load = vi.fn(async () => undefined);
  launch(me, load);
  return { ...me, load };
}

describe('the launcher of the installed command', () => {
  it.each(['v12.22.12', 'v18.20.4', 'v23.11.1'])('says on Node %s what is needed, and loads nothing', (version) => {
    const { stderr, exit, load, execve } = process({ version });
    expect(stderr.write).toHaveBeenCalledExactlyOnceWith(
      `muster needs Node 24 or newer, and this is ${version}: see https://nodejs.org\n`,
    );
    expect(exit).toHaveBeenCalledExactlyOnceWith(1);
    expect(load).not.toHaveBeenCalled();
    expect(execve).not.toHaveBeenCalled();
  });

  it('asks for the Node that package.json names', () => {
    const file = fileURLToPath(new URL('../../package.json', import.meta.url));
    const { engines } = JSON.parse(readFileSync(file, 'utf8')) as { engines: { node: string } };
    expect(engines.node).toBe('>=24');
  });

  it.each(['serve', 'demo', 'sim'])('starts %s with a small young generation, in the place of this process', (word) => {
    const { execve, load } = process({
      argv: ['/bin/node', '/bin/muster', word, '--json'],
      execArgv: ['--no-warnings'],
    });
    expect(execve).toHaveBeenCalledExactlyOnceWith(
      '/bin/node',
      ['/bin/node', '--no-warnings', '--max-semi-space-size=8', '/bin/muster', word, '--json'],
      {},
    );
    expect(load).not.toHaveBeenCalled();
  });

  it.each<[string, Partial<Launching>]>([
    ['one that runs with it already', { execArgv: ['--max-semi-space-size=8'] }],
    ['one whose user has chosen another', { env: { NODE_OPTIONS: '--max-semi-space-size=32' } }],
    ['a command that only asks', { argv: ['/bin/node', '/bin/muster', 'device', 'list'] }],
    ['Windows', { execve: undefined }],
    ['a newer Node', { version: 'v26.1.0', argv: ['/bin/node', '/bin/muster'] }],
  ])('%s is loaded as it is', (_, change) => {
    const { load, execve, exit } = process(change);
    expect(load).toHaveBeenCalledTimes(1);
    if (execve) expect(execve).not.toHaveBeenCalled();
    expect(exit).not.toHaveBeenCalled();
  });
});
