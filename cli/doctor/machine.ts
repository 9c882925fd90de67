import { fail, ok, warn, type Finding } from './finding.ts';

/** As `engines` of package.json says. */
const OLDEST_NODE = 24;
/** Before the first version of Muster, and after any that will still be run. */
const EARLIEST_MS = Date.UTC(2025, 0, 1);
const LATEST_MS = Date.UTC(2100, 0, 1);
/** Besides the sockets: the database, workers, the API's own connections. */
const SPARE_FILES = 256;
/** Below it not even a small fleet fits. */
const FEWEST_FILES = 512;

export function checkNode(version: string): Finding {
  if (Number(version.split('.')[0]) >= OLDEST_NODE) return ok('node', `Node ${version}`);
  return fail('node', `Node ${version} is too old`, `install Node ${OLDEST_NODE} or newer`);
}

export async function checkSqlite(): Promise<Finding> {
  try {
    const { engineVersion } = await import('#hub/store/sqlite/engine.js');
    return ok('sqlite', `SQLite ${engineVersion()}`);
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0]! : String(error);
    return fail('sqlite', `SQLite cannot be used: ${why}`, 'install again (npm ci), with the Node that runs the hub');
  }
}

export function checkClock(nowMs: number): Finding {
  // A clock that was never set can be anywhere; Date shows what it can.
  const shown = Number.isFinite(nowMs) && Math.abs(nowMs) <= 8.64e15 ? new Date(nowMs).toISOString() : String(nowMs);
  if (nowMs >= EARLIEST_MS && nowMs < LATEST_MS) return ok('clock', shown);
  return fail(
    'clock',
    `the clock says ${shown}`,
    'set the time and keep it set (NTP): readings without a time of their own get that of the hub',
  );
}

/** `limitsText`: of `/proc/self/limits`; null where there is none. Node raises its own soft limit to the hard one. */
export function checkFileLimit(limitsText: string | null, maxConnections: number): Finding {
  const match = limitsText === null ? null : /^Max open files\s+(\d+|unlimited)\s/m.exec(limitsText);
  if (match === null) return ok('files', 'the limit of open files is not known on this system');
  if (match[1] === 'unlimited') return ok('files', 'no limit of open files');
  const limit = Number(match[1]);
  const needed = maxConnections + SPARE_FILES;
  if (limit >= needed) return ok('files', `${limit} open files, enough for maxConnections ${maxConnections}`);
  const text = `${limit} open files are too few for maxConnections ${maxConnections}`;
  const advice = `raise the hard limit to ${needed} (ulimit -Hn ${needed}; systemd: LimitNOFILE=${needed}; docker: --ulimit nofile=${needed}), or lower maxConnections`;
  return limit < FEWEST_FILES ? fail('files', text, advice) : warn('files', text, advice);
}
