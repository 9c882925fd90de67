import Database from 'better-sqlite3';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { StoreError } from '../port.ts';
import { storeError } from './errors.ts';

export const LOCK_FILE = 'muster.lock';

/**
 * Takes the data folder for this process. The lock is an open exclusive transaction on an empty database beside the data, which
 * the system ends with the process, however that ends; nothing is left that a person would have to remove.
 * Throws StoreError `locked` when another hub has it after `waitMs`.
 */
export function lockFolder(folder: string, waitMs: number): Database.Database {
  const path = join(folder, LOCK_FILE);
  const db = openLock(path, folder, waitMs);
  try {
    // Nothing is ever written, and no journal file appears.
    db.pragma('journal_mode = MEMORY');
    db.pragma('locking_mode = EXCLUSIVE');
    db.exec('BEGIN EXCLUSIVE');
    chmodSync(path, 0o600);
    return db;
  } catch (error) {
    db.close();
    const failure = storeError(error, folder);
    if (failure.code !== 'busy') throw failure;
    throw new StoreError(
      'locked',
      `The data folder ${folder} is in use by another running hub: stop that one first, or give this one a folder of its own.`,
      { cause: error },
    );
  }
}

function openLock(path: string, folder: string, timeout: number): Database.Database {
  try {
    return new Database(path, { timeout });
  } catch (error) {
    throw storeError(error, folder);
  }
}
