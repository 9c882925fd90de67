import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { commandTree, flattened, type CommandNode } from '#cli/command-tree.js';
import { buildProgram } from '#cli/program.js';
import { FakeProcess } from './harness.ts';

let nodes: readonly CommandNode[];
const scripts: Record<string, string> = {};

beforeAll(async () => {
  const noHub = () => Promise.reject(new Error('no hub in this test'));
  nodes = flattened(commandTree(await buildProgram(['completion'], new FakeProcess(), noHub, () => undefined)));
  for (const shell of ['bash', 'zsh', 'fish']) {
    const me = new FakeProcess();
    expect(await me.run(['completion', shell])).toBe(0);
    scripts[shell] = me.out;
  }
});

/** What bash offers for a command line whose last word is being typed. */
async function offered(...words: string[]): Promise<string[]> {
  const script = `${scripts.bash!}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')})\nCOMP_CWORD=${words.length - 1}\n_muster\nprintf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = await promisify(execFile)('bash', ['--norc', '-c', script], { timeout: 10_000 });
  return stdout.split('\n').filter((line) => line !== '');
}

describe('completion', () => {
  it('bash offers commands, their commands, options and values', async () => {
    expect(await offered('muster', 'de')).toEqual(['demo', 'device']);
    expect(await offered('muster', 'device', '')).toEqual(['add', 'list', 'show', 'disable', 'enable', 'rm', 'token']);
    expect(await offered('muster', 'device', 'token', 're')).toEqual(['revoke']);
    expect(await offered('muster', 'device', 'list', '--o')).toEqual(['--online', '--offline']);
    expect(await offered('muster', 'operator', 'add', 'eve', '--role', '')).toEqual(['viewer', 'operator', 'admin']);
    expect(await offered('muster', 'completion', '')).toEqual(['bash', 'zsh', 'fish']);
    expect(await offered('muster', 'serve', '--max-connections-')).toEqual(['--max-connections-per-address']);
    expect(await offered('muster', 'doctor', '--js')).toEqual(['--json']);
  });

  it('bash offers files where a file is wanted, and nothing where nobody can know', async () => {
    expect(await offered('muster', 'export', '--out', '/etc/pass')).toContain('/etc/passwd');
    expect(await offered('muster', 'latest', '--url', '')).toEqual([]);
  });

  it('every shell knows every command and every option', () => {
    expect(nodes.length).toBeGreaterThan(35);
    for (const shell of ['bash', 'zsh', 'fish']) {
      for (const { path, options } of nodes) {
        for (const word of path) expect(scripts[shell], `${shell} ${path.join(' ')}`).toContain(word);
        for (const { long } of options)
          expect(scripts[shell], shell).toContain(shell === 'fish' ? ` -l ${long.slice(2)} ` : long);
      }
    }
  });

  it('is a script that its shell can read, where that shell is installed', () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      if (!isInstalled(shell)) continue;
      execFileSync(shell, ['-n'], { input: scripts[shell], timeout: 10_000 });
    }
    expect(isInstalled('bash')).toBe(true);
  });

  it('a description with quotes, colons or backslashes stays a description', () => {
    for (const shell of ['zsh', 'fish']) {
      // Outside of quotes nothing of a description may be left.
      const unquoted =
        shell === 'zsh'
          ? scripts.zsh!.replace(/'(?:[^']|'\\'')*'/g, '')
          : scripts.fish!.replace(/'(?:[^'\\]|\\.)*'/g, '');
      expect(unquoted).not.toContain("'");
      expect(unquoted).not.toContain('profile in use');
    }
  });

  it('knows no other shell', async () => {
    const me = new FakeProcess();
    expect(await me.run(['completion', 'tcsh'])).toBe(1);
    expect(me.err).toContain('bash, zsh, fish');
  });
});

function isInstalled(shell: string): boolean {
  try {
    execFileSync(shell, ['--version'], { stdio: 'ignore', timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}
