import { constants } from 'node:fs';
import { access, open, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { sizeText } from '../text.ts';
import { fail, ok, warn, type Finding } from './finding.ts';

const MIB = 1024 * 1024;
const LEAST_FREE_BYTES = 128 * MIB;
const LITTLE_FREE_BYTES = 2048 * MIB;
/** An ack waits for one write to disk. */
const SLOW_SYNC_MS = 20;
const SYNC_ROUNDS = 32;
const LONGEST_SYNC_TEST_MS = 2000;
/** `f_type` of statfs(2). */
const IN_MEMORY = new Set([0x01021994, 0x858458f6]);
const NETWORKED = new Set([0x6969, 0x517b, 0xff534d42, 0xfe534d42]);
const DATABASE_FILE = 'muster.db';

/** The data folder: is it one, whose is it, how much room, how fast. */
export async function checkData(data: string, cwd: string, monotonic: () => number): Promise<Finding[]> {
  const folder = resolve(cwd, data);
  const permissions = await checkPermissions(folder);
  if (permissions.level === 'fail') return [permissions];
  const existing = await nearestFolder(folder);
  return [permissions, ...(await checkDisk(existing)), await checkSync(existing, monotonic)];
}

async function checkPermissions(folder: string): Promise<Finding> {
  const existing = await nearestFolder(folder);
  const found = await stat(existing);
  const missing = existing !== folder;
  if (!found.isDirectory()) {
    return fail('data', `${existing} is a file, and the data would lie below it`, 'name a folder with --data');
  }
  if (!(await may(existing, constants.R_OK | constants.W_OK | constants.X_OK))) {
    const what = missing
      ? `${folder} does not exist, and this user may not make it`
      : `${folder} may not be written by this user`;
    return fail('data', what, `give it to the user of the hub (chown), or name another folder with --data`);
  }
  if (missing) return ok('data', `${folder} will be made at the first start`);
  const database = join(folder, DATABASE_FILE);
  if ((await exists(database)) && !(await may(database, constants.R_OK | constants.W_OK))) {
    return fail(
      'data',
      `${database} may not be written by this user`,
      'it was probably made by a hub of another user: give the folder and all in it to the user of the hub (chown -R)',
    );
  }
  if ((found.mode & 0o007) !== 0) {
    return warn('data', `${folder} is open to every user of this machine`, `close it: chmod 700 ${folder}`);
  }
  return ok('data', folder);
}

async function checkDisk(folder: string): Promise<Finding[]> {
  const { type, bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const room =
    free < LEAST_FREE_BYTES
      ? fail('space', `${sizeText(free)} are free`, 'free some: a hub that cannot write acknowledges nothing')
      : free < LITTLE_FREE_BYTES
        ? warn('space', `${sizeText(free)} are free`, 'free some soon: a hub that cannot write acknowledges nothing')
        : ok('space', `${sizeText(free)} are free`);
  const kind = type >>> 0;
  if (IN_MEMORY.has(kind))
    return [
      room,
      warn('disk', `${folder} is in memory`, 'name a folder on a disk with --data, or a restart loses everything'),
    ];
  if (NETWORKED.has(kind))
    return [
      room,
      fail(
        'disk',
        `${folder} is on a network`,
        "name a folder on a local disk with --data: SQLite's write-ahead log does not work over a network",
      ),
    ];
  return [room];
}

/** Writes and syncs as a commit does. */
async function checkSync(folder: string, monotonic: () => number): Promise<Finding> {
  const path = join(folder, `.muster-doctor-${process.pid}`);
  const block = Buffer.alloc(4096, 1);
  const tookMs: number[] = [];
  try {
    const handle = await open(path, 'wx', 0o600);
    try {
      const end = monotonic() + LONGEST_SYNC_TEST_MS;
      for (let i = 0; i < SYNC_ROUNDS && (i < 3 || monotonic() < end); i++) {
        const start = monotonic();
        await handle.write(block);
        await handle.datasync();
        tookMs.push(monotonic() - start);
      }
    } finally {
      await handle.close();
      await rm(path, { force: true });
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return fail('sync', `${folder} cannot be written: ${why}`, 'look at the disk and its space');
  }
  tookMs.sort((a, b) => a - b);
  const median = tookMs[Math.floor(tookMs.length / 2)]!;
  const text = `a write reaches the disk in ${median.toFixed(1)} ms (longest ${tookMs.at(-1)!.toFixed(1)} ms)`;
  if (median <= SLOW_SYNC_MS) return ok('sync', text);
  return warn('sync', text, 'every ack waits for one such write: use an SSD, or a disk with a protected write cache');
}

/** The folder, or the nearest one above it that exists. */
async function nearestFolder(folder: string): Promise<string> {
  let path = folder;
  while (!(await exists(path)) && dirname(path) !== path) path = dirname(path);
  return path;
}

function exists(path: string): Promise<boolean> {
  return may(path, constants.F_OK);
}

async function may(path: string, mode: number): Promise<boolean> {
  try {
    await access(path, mode);
    return true;
  } catch {
    return false;
  }
}
