import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const ROOMS = ['protocols', 'hub', 'devices-sim', 'cli', 'test', 'bench', 'dashboard'];

/** Which room may import which, besides itself. `test` and `bench` may import everything. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  protocols: [],
  hub: ['protocols'],
  'devices-sim': ['protocols'],
  cli: ['protocols', 'hub', 'devices-sim'],
  dashboard: ['protocols'],
};

/** What the browser loads; anything else in `dashboard/` would grow the first load unseen. */
const BROWSER_PACKAGES = [
  'preact',
  'preact/hooks',
  '@preact/signals',
  '@tanstack/virtual-core',
  'uplot',
  'uplot/dist/uPlot.min.css',
];

/** What builds the dashboard runs in Node. */
const BUILD_FILES = ['dashboard/vite.config.ts', 'dashboard/build.ts'];

/** Packages of `protocols/`; from Node only what touches no socket, file, timer or clock. */
const PROTOCOL_PACKAGES = [
  'cbor-x',
  '@msgpack/msgpack',
  'protobufjs',
  'node:buffer',
  'node:util',
  'node:string_decoder',
];

/** Where a package may be imported from within `hub/`. */
const AT_HOME: Readonly<Record<string, string>> = {
  'better-sqlite3': 'hub/store/sqlite/',
  aedes: 'hub/router/',
  ws: 'hub/gateway/',
  express: 'hub/http/',
  helmet: 'hub/http/',
  'express-rate-limit': 'hub/http/',
  pino: 'hub/observe/',
  'node-cron': 'hub/jobs/',
  '@prometheus-io/client': 'hub/observe/',
};

/** Folders whose implementations only `hub/compose.ts` names; others of the hub use their `port.ts`. */
const IMPLEMENTATIONS = [
  'hub/store/sqlite/',
  'hub/store/memory',
  'hub/router/aedes',
  'hub/router/memory',
  'hub/http/app',
];

interface Import {
  readonly file: string;
  readonly target: string;
}

function sources(folder: string): string[] {
  try {
    return readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
      .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
  } catch {
    return [];
  }
}

/** Imports of a file: project files by their path from the root, packages by their name. */
function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  const found = text.matchAll(/(?:^(?:import|export)\b[^'"]*?\bfrom\s*|^import\s*|\bimport\(\s*)['"]([^'"\s]+)['"]/gm);
  return [...found].map(([, name]) => ({ file, target: resolved(file, name!) }));
}

function resolved(file: string, name: string): string {
  if (name.startsWith('.')) return relative(ROOT, join(ROOT, dirname(file), name));
  if (name.startsWith('#')) return name.slice(1).replace(/\.js$/, '.ts');
  return name;
}

const roomOf = (path: string): string | null => ROOMS.find((room) => path.startsWith(`${room}/`)) ?? null;
const packageOf = (target: string): string =>
  target.startsWith('@')
    ? target.split('/').slice(0, 2).join('/')
    : target.startsWith('node:')
      ? target
      : target.split('/')[0]!;

const imports = ROOMS.flatMap(sources).flatMap(importsOf);
const show = ({ file, target }: Import): string => `${file} -> ${target}`;

describe('the house', () => {
  it('reads the sources that it judges', () => {
    expect(imports.length).toBeGreaterThan(200);
    expect(imports.map((i) => i.file)).toContain('hub/compose.ts');
  });

  it('imports run one way between rooms', () => {
    const wrong = imports.filter(({ file, target }) => {
      const [from, to] = [roomOf(file)!, roomOf(target)];
      const allowed = MAY_IMPORT[from];
      return to !== null && to !== from && allowed !== undefined && !allowed.includes(to);
    });
    expect(wrong.map(show)).toEqual([]);
  });

  it('protocols know no socket, file, timer, clock or store', () => {
    const wrong = imports.filter(
      ({ file, target }) =>
        roomOf(file) === 'protocols' && roomOf(target) === null && !PROTOCOL_PACKAGES.includes(packageOf(target)),
    );
    expect(wrong.map(show)).toEqual([]);
    const timers = sources('protocols').filter((file) =>
      /\b(setTimeout|setInterval|setImmediate|Date\.now|performance\.now)\b/.test(
        readFileSync(join(ROOT, file), 'utf8'),
      ),
    );
    expect(timers).toEqual([]);
  });

  it('the dashboard takes types alone from the protocols, and nothing of Node', () => {
    const files = sources('dashboard').filter((file) => !BUILD_FILES.includes(file));
    expect(files.length).toBeGreaterThan(20);
    const values = files.filter((file) =>
      /^(?:import|export)\s+(?!type\b)[^;]*?from\s*['"]#/m.test(readFileSync(join(ROOT, file), 'utf8')),
    );
    expect(values).toEqual([]);
    const wrong = imports.filter(
      ({ file, target }) =>
        files.includes(file) &&
        roomOf(target) === null &&
        !/\.(tsx?|css|svg)$/.test(target) &&
        !BROWSER_PACKAGES.includes(target),
    );
    expect(wrong.map(show)).toEqual([]);
  });

  it('no text becomes markup in the dashboard', () => {
    const wrong = sources('dashboard').filter((file) =>
      /dangerouslySetInnerHTML|innerHTML|outerHTML|insertAdjacentHTML|document\.write/.test(
        readFileSync(join(ROOT, file), 'utf8'),
      ),
    );
    expect(wrong).toEqual([]);
  });

  it('each heavy dependency has one home in the hub', () => {
    const wrong = imports.filter(({ file, target }) => {
      const home = AT_HOME[packageOf(target)];
      return roomOf(file) === 'hub' && home !== undefined && !file.startsWith(home);
    });
    expect(wrong.map(show)).toEqual([]);
  });

  it('only compose.ts joins implementations to interfaces', () => {
    const wrong = imports.filter(({ file, target }) => {
      const home = IMPLEMENTATIONS.find((path) => target.startsWith(path));
      const sameFolder = home !== undefined && file.startsWith(dirname(home.replace(/\/$/, '/x')));
      return roomOf(file) === 'hub' && file !== 'hub/compose.ts' && home !== undefined && !sameFolder;
    });
    expect(wrong.map(show)).toEqual([]);
  });

  it('no file holds left-over marks', () => {
    const marks = /\b(TODO|FIXME|XXX)\b|\b(it|test|describe)\.(only|skip|todo)\(/;
    const wrong = ROOMS.flatMap(sources).filter(
      (file) => file !== 'test/tidy.test.ts' && marks.test(readFileSync(join(ROOT, file), 'utf8')),
    );
    expect(wrong).toEqual([]);
  });
});
