import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newestMs, whyBuild } from '../../dashboard/build.ts';

const ROOT = join(import.meta.dirname, '../..');

let checkout: string;
beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'muster-checkout-'));
  for (const path of ['dashboard', 'protocols', 'tsconfig.json', 'package.json', 'package-lock.json']) {
    cpSync(join(ROOT, path), join(checkout, path), { recursive: true });
  }
});
afterEach(() => rmSync(checkout, { recursive: true, force: true }));

/** What it says. */
function build(...words: string[]): string {
  return execFileSync(process.execPath, ['dashboard/build.ts', ...words], { cwd: checkout, stdio: 'pipe' }).toString();
}

describe('the dashboard of a checkout', () => {
  it('is built when it is missing, and again when a source has changed or gone, and then alone', () => {
    symlinkSync(join(ROOT, 'node_modules'), join(checkout, 'node_modules'));
    expect(build('--if-needed')).toBe('building the dashboard: it is not built yet\n');
    expect(existsSync(join(checkout, 'dist/dashboard/index.html.br'))).toBe(true);
    expect(build('--if-needed')).toBe('');
    const later = Date.now() / 1000 + 5;
    utimesSync(join(checkout, 'dashboard/style/tokens.css'), later, later);
    expect(build('--if-needed')).toBe('building the dashboard: its sources are newer\n');
  });

  it('that cannot be built keeps no hub from starting, but fails the build that was asked for', () => {
    mkdirSync(join(checkout, 'node_modules'));
    expect(build('--if-needed')).toContain('it is not built yet');
    expect(() => build()).toThrow('npm ci');
  });
});

describe('whether to build', () => {
  it('a folder is as new as the newest thing in it, and newer when something went', () => {
    const folder = join(checkout, 'dashboard');
    const file = join(folder, 'style/tokens.css');
    const later = Math.round(Date.now() / 1000) + 100;
    utimesSync(file, later, later);
    expect(newestMs(folder)).toBe(later * 1000);
    rmSync(file);
    expect(newestMs(folder)).toBeLessThan(later * 1000);
    expect(newestMs(join(folder, 'style'))).toBeGreaterThan(Date.now() - 10_000);
    expect(newestMs(join(folder, 'nothing'))).toBe(0);
  });

  it('is decided by time, and never when both are of the same moment', () => {
    expect(whyBuild(0, 5)).toBe('it is not built yet');
    expect(whyBuild(5, 6)).toBe('its sources are newer');
    expect(whyBuild(5, 5)).toBeNull();
  });

  it('npm start and npm run demo ask first', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    for (const before of ['prestart', 'predemo']) expect(scripts[before]).toBe('node dashboard/build.ts --if-needed');
    expect(scripts['start']).toMatch(/cli\/main\.ts serve$/);
  });
});
