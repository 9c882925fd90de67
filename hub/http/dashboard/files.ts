import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import type { Clock } from '#hub/clock.js';

/** A file of the built dashboard, in the encodings that the build has made. */
export interface DashboardFile {
  readonly type: string;
  /** Of what it says, whatever the encoding. */
  readonly etag: string;
  readonly plain: Buffer;
  readonly br: Buffer | null;
  readonly gzip: Buffer | null;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
};

/** Between two looks whether the dashboard was built anew, as whoever works on it does beside a hub that runs. */
const LOOK_AGAIN_MS = 1000;

/**
 * The built dashboard in memory: a few hundred kilobytes, so that a browser costs no disk. Names are looked up among those
 * that were found, so no path can lead out of the folder.
 */
export class DashboardFiles {
  readonly #folder: string;
  readonly #clock: Clock;
  #files: ReadonlyMap<string, DashboardFile> = new Map();
  #version = '';
  #lookedMs = -Infinity;
  #looking: Promise<void> | null = null;

  constructor(folder: string, clock: Clock) {
    this.#folder = folder;
    this.#clock = clock;
  }

  /** By its path within the dashboard: `assets/index-1a2b.js`. Undefined: there is none. */
  async find(path: string): Promise<DashboardFile | undefined> {
    const nowMs = this.#clock.monotonic();
    if (nowMs - this.#lookedMs >= LOOK_AGAIN_MS) {
      this.#lookedMs = nowMs;
      this.#looking = this.#look().finally(() => (this.#looking = null));
    }
    await this.#looking;
    return this.#files.get(path);
  }

  /** While a build is under way, or has failed, what was there before stays. */
  async #look(): Promise<void> {
    try {
      const names = await namesIn(this.#folder);
      if (!names.includes('index.html')) return;
      const marks = await Promise.all(names.map(async (name) => markOf(name, join(this.#folder, name))));
      const version = marks.join();
      if (version === this.#version) return;
      this.#files = await load(this.#folder, names);
      this.#version = version;
    } catch {
      // A file went while it was looked at: the next look sees the whole.
    }
  }
}

/** With `/` between folders; none when there is no such folder. */
async function namesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/')).sort();
}

async function markOf(name: string, path: string): Promise<string> {
  const { mtimeMs, size } = await stat(path);
  return `${name} ${mtimeMs} ${size}`;
}

async function load(folder: string, names: readonly string[]): Promise<Map<string, DashboardFile>> {
  const read = (name: string): Promise<Buffer | null> =>
    names.includes(name) ? readFile(join(folder, name)) : Promise.resolve(null);
  const files = new Map<string, DashboardFile>();
  for (const name of names) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    const plain = await readFile(join(folder, name));
    const etag = `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`;
    files.set(name, { type, etag, plain, br: await read(`${name}.br`), gzip: await read(`${name}.gz`) });
  }
  return files;
}
