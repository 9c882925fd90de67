import type { Database } from 'better-sqlite3';
import { StoreError } from '../port.ts';
import { SCHEMA_1, SCHEMA_2, SCHEMA_3, SCHEMA_4, SCHEMA_5 } from './schema.ts';

/** Step i brings version i to version i + 1. Steps that were released are never edited. */
const MIGRATIONS: readonly string[] = [SCHEMA_1, SCHEMA_2, SCHEMA_3, SCHEMA_4, SCHEMA_5];

export const SCHEMA_VERSION = MIGRATIONS.length;

/** Brings the tables up to date, each step in a transaction of its own. Throws StoreError `version` when they are newer than this program. */
export function migrate(db: Database, steps: readonly string[] = MIGRATIONS): void {
  const version = Number(db.pragma('user_version', { simple: true }));
  if (version > steps.length)
    throw new StoreError(
      'version',
      `The data in ${db.name} has schema version ${version}, and this Muster knows versions up to ${steps.length}: ` +
        'run the newer Muster that wrote it, or use another data folder.',
    );
  for (const [index, sql] of steps.entries()) {
    if (index < version) continue;
    db.transaction(() => {
      db.exec(sql);
      db.pragma(`user_version = ${index + 1}`);
    }).immediate();
  }
}
