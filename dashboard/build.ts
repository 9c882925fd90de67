import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Builds the dashboard. With `--if-needed` only when it is missing or older than its sources: that is what runs before
 * `npm start` and `npm run demo`, so that a checkout needs no further command. Then a build that fails keeps no hub from
 * starting: what was there before is served.
 */

const SOURCES = import.meta.dirname;
const ROOT = join(SOURCES, '..');
/** Says when the last build was. */
const BUILT = join(ROOT, 'dist', 'dashboard', 'index.html');
/** What the build is made of; types alone are taken from elsewhere. */
const MADE_OF = [SOURCES, join(ROOT, 'package-lock.json')];

/** Newest change of a file or of anything in a folder, in milliseconds since 1970; 0: it is not there. A folder changes when a file goes. */
export function newestMs(path: string): number {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (facts === undefined) return 0;
  if (!facts.isDirectory()) return facts.mtimeMs;
  const inside = readdirSync(path, { withFileTypes: true, recursive: true }).map((entry) =>
    statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false }),
  );
  return Math.max(facts.mtimeMs, ...inside.map((entry) => entry?.mtimeMs ?? 0));
}

/** Why it has to be built; null: it does not. */
export function whyBuild(builtMs: number, sourcesMs: number): string | null {
  if (builtMs === 0) return 'it is not built yet';
  return sourcesMs > builtMs ? 'its sources are newer' : null;
}

function build(): boolean {
  let vite: string;
  try {
    vite = join(dirname(createRequire(import.meta.url).resolve('vite/package.json')), 'bin', 'vite.js');
  } catch {
    console.error('the dashboard cannot be built: the development dependencies are missing (npm ci installs them)');
    return false;
  }
  const words = [vite, 'build', '--config', join(SOURCES, 'vite.config.ts'), '--logLevel', 'warn'];
  const { status } = spawnSync(process.execPath, words, { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0) console.error('the dashboard could not be built');
  return status === 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const ifNeeded = process.argv.includes('--if-needed');
  const why = whyBuild(newestMs(BUILT), Math.max(...MADE_OF.map(newestMs)));
  if (!ifNeeded || why !== null) {
    console.log(`building the dashboard${why === null ? '' : `: ${why}`}`);
    process.exitCode = build() || ifNeeded ? 0 : 1;
  }
}
