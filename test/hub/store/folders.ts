import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { SqliteStoreOptions } from '#hub/store/options.js';
import { SqliteStore } from '#hub/store/sqlite/index.js';

/** A folder that is removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'muster-store-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** An open store, closed after the test. */
export async function openStore(folder: string, options: Partial<SqliteStoreOptions> = {}): Promise<SqliteStore> {
  const store = new SqliteStore(folder, options);
  onTestFinished(() => store.close());
  await store.open();
  return store;
}

/** Runs a program of this folder in a process of its own, as a checkout does; it is killed after the test at the latest. */
export function startProgram(name: string, ...args: string[]): ChildProcessByStdio<null, Readable, null> {
  const file = fileURLToPath(new URL(name, import.meta.url));
  const child = spawn(process.execPath, ['--conditions=muster-source', file, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  return child;
}

/** Makes `folder` a small disk of its own, taken away after the test. Returns why not when it cannot. */
export function mountSmallDisk(folder: string, sizeBytes: number): string | null {
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', folder], { encoding: 'utf8' });
  if (mounted.error !== undefined) return mounted.error.message;
  if (mounted.status !== 0) return mounted.stderr.trim();
  onTestFinished(() => {
    spawnSync('umount', ['-l', folder]);
  });
  return null;
}

export function resizeDisk(folder: string, sizeBytes: number): void {
  const { status, stderr } = spawnSync('mount', ['-o', `remount,size=${sizeBytes}`, folder], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}
