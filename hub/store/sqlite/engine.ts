import Database from 'better-sqlite3';
import { checkVersion } from './open.ts';

/** Version of the SQLite that comes with better-sqlite3. Throws StoreError `version` when it is too old, and what the loader throws when it cannot be loaded. */
export function engineVersion(): string {
  const db = new Database(':memory:');
  try {
    const version = String(db.prepare('SELECT sqlite_version()').pluck().get());
    checkVersion(version);
    return version;
  } finally {
    db.close();
  }
}
