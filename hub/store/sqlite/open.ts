import Database from 'better-sqlite3';
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { SqliteStoreOptions } from '../options.ts';
import { StoreError, type StoreFacts } from '../port.ts';
import { storeError } from './errors.ts';
import { migrate } from './migrations.ts';

export const DATABASE_FILE = 'muster.db';

/** Below it, two connections on one write-ahead log can corrupt it (the WAL-reset bug, SQLite 3.7.0 to 3.51.2). */
const OLDEST_SQLITE = '3.51.3';
const SYNCHRONOUS_FULL = 2;

/** Makes the data folder when it is missing, for its owner alone. */
export function makeFolder(folder: string): void {
  try {
    const first = mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (first === undefined) return;
    for (let made = folder; made.length >= first.length; made = dirname(made)) syncFolder(dirname(made));
  } catch (error) {
    throw storeError(error, folder);
  }
}

/** Puts the names in a folder on disk; SQLite does so for its journals only, and an ack is worth nothing in a file that has lost its name. */
function syncFolder(folder: string): void {
  // Windows opens no folders.
  if (process.platform === 'win32') return;
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Opens the writing connection and checks all that an ack relies on. The folder must be locked. Throws StoreError. */
export function openForWriting(
  folder: string,
  options: SqliteStoreOptions,
): { db: Database.Database; facts: StoreFacts } {
  let db: Database.Database | null = null;
  try {
    makeFile(join(folder, DATABASE_FILE));
    db = new Database(join(folder, DATABASE_FILE), { timeout: options.busyTimeoutMs });
    checkVersion(sqliteVersion(db));
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma('foreign_keys = ON');
    db.pragma('temp_store = MEMORY');
    // The writer checkpoints between batches, see checkpoint.ts.
    db.pragma('wal_autocheckpoint = 0');
    db.pragma(`journal_size_limit = ${options.walKeepBytes}`);
    const facts = readFacts(db);
    assertDurable(facts);
    migrate(db);
    return { db, facts };
  } catch (error) {
    db?.close();
    throw storeError(error, folder);
  }
}

/** Opens a connection that can only read. The writer has it open already. Throws StoreError. */
export function openForReading(folder: string, options: SqliteStoreOptions): Database.Database {
  try {
    const path = join(folder, DATABASE_FILE);
    const db = new Database(path, { readonly: true, fileMustExist: true, timeout: options.busyTimeoutMs });
    db.pragma('temp_store = MEMORY');
    return db;
  } catch (error) {
    throw storeError(error, folder);
  }
}

/** Throws StoreError `version` for a SQLite that is too old. */
export function checkVersion(version: string): void {
  const found = version.split('.').map(Number);
  const oldest = OLDEST_SQLITE.split('.').map(Number);
  const differing = oldest.findIndex((part, index) => part !== found[index]);
  if (differing >= 0 && !((found[differing] ?? 0) > oldest[differing]!))
    throw new StoreError(
      'version',
      `This is SQLite ${version}; Muster needs ${OLDEST_SQLITE} or newer, since older ones can corrupt a write-ahead log. ` +
        'Install the better-sqlite3 of the lock file (npm ci).',
    );
}

/** Throws StoreError `internal` unless a commit means that the bytes are on disk. */
export function assertDurable({ synchronous, journalMode }: StoreFacts): void {
  if (synchronous === SYNCHRONOUS_FULL && journalMode === 'wal') return;
  throw new StoreError(
    'internal',
    `SQLite would not take synchronous=FULL with a write-ahead log (synchronous ${synchronous}, journal ${journalMode}): ` +
      'an ack would promise nothing. Use a data folder on a local disk.',
  );
}

function readFacts(db: Database.Database): StoreFacts {
  return {
    engine: 'sqlite',
    version: sqliteVersion(db),
    synchronous: Number(db.pragma('synchronous', { simple: true })),
    journalMode: String(db.pragma('journal_mode', { simple: true })),
  };
}

function sqliteVersion(db: Database.Database): string {
  return String(db.prepare('SELECT sqlite_version()').pluck().get());
}

/** Makes the file before SQLite does, which would make it readable for all; the -wal and -shm files take its mode. An existing file is left alone, since closing it would end SQLite's locks on it. */
function makeFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
    syncFolder(dirname(path));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}
