import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A file system of a few megabytes that can be filled: a tmpfs, which only a privileged process can mount. */
export interface SmallDisk {
  readonly folder: string;
  /** Takes all free space. */
  fill(): void;
  /** Gives it back. */
  free(): void;
  unmount(): void;
}

/** False, after saying why on the console: this process may not mount. */
export function canMountSmallDisk(): boolean {
  try {
    mountSmallDisk(1).unmount();
    return true;
  } catch (error) {
    const said = (error as { stderr?: Buffer }).stderr?.toString() ?? String(error);
    console.warn(`not run: no tmpfs can be mounted here (${said.trim().split('\n')[0]!})`);
    return false;
  }
}

/** Throws where the process may not mount. */
export function mountSmallDisk(megabytes: number): SmallDisk {
  const folder = mkdtempSync(join(tmpdir(), 'muster-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder], { stdio: 'pipe' });
  } catch (error) {
    rmSync(folder, { recursive: true });
    throw error;
  }
  const ballast = join(folder, 'ballast');
  return {
    folder,
    fill: () => fill(ballast),
    free: () => rmSync(ballast, { force: true }),
    unmount() {
      execFileSync('umount', [folder]);
      rmSync(folder, { recursive: true });
    },
  };
}

function fill(path: string): void {
  const file = openSync(path, 'a');
  try {
    // Whole pages until nothing fits, so that no byte is left.
    for (;;) writeSync(file, Buffer.alloc(4096, 1));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
}
