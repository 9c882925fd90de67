import Database from 'better-sqlite3';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import type { StoreLimits } from '#hub/store/options.js';
import type { Store } from '#hub/store/port.js';
import { SqliteStore } from '#hub/store/sqlite/index.js';
import { storeContract } from '../../contract/store.ts';

const opened = new Map<Store, string>();

afterEach(async () => {
  for (const [store, folder] of opened) {
    await store.close();
    rmSync(folder, { recursive: true });
  }
  opened.clear();
});

storeContract('SQLite store', {
  async make(limits: Partial<StoreLimits> = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'muster-store-'));
    const store = new SqliteStore(folder, { ...limits, busyTimeoutMs: 20 });
    opened.set(store, folder);
    await store.open();
    return store;
  },
  /** Another program writes to the database. */
  obstruct(store) {
    const other = new Database(join(opened.get(store)!, 'muster.db'));
    other.exec('BEGIN IMMEDIATE');
    return () => {
      other.exec('ROLLBACK');
      other.close();
    };
  },
});
