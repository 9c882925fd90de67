import { statfsSync } from 'node:fs';
import Database from 'better-sqlite3';
import { StoreError, type StoreErrorCode } from '../port.ts';

/** Below this much free space an I/O error counts as a full disk: SQLite reports some writes that found no space (its shared memory file) as I/O errors. */
const FULL_BELOW_BYTES = 64 * 1024;

const HELP: Partial<Record<StoreErrorCode, string>> = {
  full: 'The disk of the data folder is full: free some space; writing goes on by itself.',
  io: 'The disk of the data folder cannot be read or written.',
  busy: 'Another program holds a lock on the database (a backup, a shell).',
  corrupt: 'The database is damaged: stop the hub and restore the data folder from a backup.',
};

/** What went wrong with the files in `folder`, as the StoreError for it. */
export function storeError(error: unknown, folder: string): StoreError {
  if (error instanceof StoreError) return error;
  const code = codeOf(error, folder);
  const words = error instanceof Error ? error.message : String(error);
  const help = HELP[code];
  return new StoreError(code, help === undefined ? words : `${help} (${words})`, { cause: error });
}

/** A failure of one statement by its own data: it says nothing about the disk, and the rest of the transaction can go on. */
export function isOwnFault(error: unknown): boolean {
  if (error instanceof Database.SqliteError) return /^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG)/.test(error.code);
  return error instanceof TypeError || error instanceof RangeError;
}

function codeOf(error: unknown, folder: string): StoreErrorCode {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'SQLITE_FULL' || code === 'ENOSPC' || code === 'EDQUOT') return 'full';
  if (code.startsWith('SQLITE_BUSY') || code === 'SQLITE_LOCKED') return 'busy';
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') return 'corrupt';
  if (/^SQLITE_(IOERR|CANTOPEN|READONLY|PERM|AUTH)|^E[A-Z]+$/.test(code)) return isFull(folder) ? 'full' : 'io';
  return 'internal';
}

function isFull(folder: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize < FULL_BELOW_BYTES;
  } catch {
    return false;
  }
}
