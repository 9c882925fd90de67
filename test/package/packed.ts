import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(import.meta.dirname, '../..');
/** What a fresh clone does not have, or the package does not need. */
const LEFT_OUT = ['node_modules', '.git', 'dist', 'data', 'coverage', 'test', 'bench'];
const execFileAsync = promisify(execFile);

/** The package as it would be published, installed into an empty project. */
export interface Installed {
  /** The project that has Muster as its dependency. */
  readonly folder: string;
  /** What a shell in that project needs: the Node that runs the tests, and nothing of the checkout. */
  readonly env: NodeJS.ProcessEnv;
  /** Paths in the tarball, without `package/`. */
  readonly files: readonly string[];
  remove(): void;
}

/** Packs a copy of the checkout, so that `dist/` of the checkout is left alone, and installs it. Dependencies come from npm's cache where they can. */
export async function packAndInstall(): Promise<Installed> {
  const work = mkdtempSync(join(tmpdir(), 'muster-package-'));
  const remove = (): void => rmSync(work, { recursive: true, force: true });
  try {
    const env = userEnvironment();
    const source = join(work, 'source');
    const leftOut = (path: string): boolean => LEFT_OUT.includes(relative(ROOT, path).split('/')[0]!);
    cpSync(ROOT, source, { recursive: true, filter: (path) => !leftOut(path) });
    symlinkSync(join(ROOT, 'node_modules'), join(source, 'node_modules'));
    // Packing builds.
    await npm(['pack', '--pack-destination', work], source, env);
    const tarball = join(
      work,
      readdirSync(work).find((name) => name.endsWith('.tgz'))!,
    );
    const { stdout: listing } = await execFileAsync('tar', ['-tzf', tarball]);
    const folder = join(work, 'project');
    mkdirSync(folder);
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'project', private: true, type: 'module' }));
    await npm(['install', '--prefer-offline', tarball], folder, env);
    return { folder, env, files: listing.split('\n').map((line) => line.replace('package/', '')), remove };
  } catch (error) {
    remove();
    throw error;
  }
}

async function npm(words: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Promise<void> {
  await execFileAsync('npm', [...words, '--no-audit', '--no-fund', '--loglevel=error'], { cwd, env });
}

/** Without what npm and the tests have put there, which would make the checkout shine through. */
function userEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      !/^(npm_(?!config_(registry|cache|userconfig|cafile)$)|NODE_OPTIONS|NODE_PATH|VITEST|MUSTER_)/i.test(name),
  );
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.startsWith(ROOT));
  return { ...Object.fromEntries(kept), PATH: [dirname(process.execPath), ...path].join(delimiter) };
}
