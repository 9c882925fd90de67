import { writeSync } from 'node:fs';
import { SqliteStore } from '#hub/store/sqlite/index.js';

/** Opens the store in the given folder, says so, and keeps it until it is killed. */
const store = new SqliteStore(process.argv[2]!);
await store.open();
writeSync(1, 'open\n');
