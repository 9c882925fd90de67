import { describe } from 'vitest';
import type { StoreLimits } from '#hub/store/options.js';
import type { Store } from '#hub/store/port.js';
import { storeCommands } from './store-commands.ts';
import { storeDevices } from './store-devices.ts';
import { storeLife } from './store-life.ts';
import { storeLists } from './store-lists.ts';
import { storeOperators } from './store-operators.ts';
import { storeQueues } from './store-queues.ts';
import { storeRange } from './store-range.ts';
import { storeReadings } from './store-readings.ts';
import { storeRetention } from './store-retention.ts';
import { storeSequences } from './store-sequences.ts';
import { storeSessions } from './store-sessions.ts';
import { storeUnits } from './store-units.ts';

export interface StoreUnderTest {
  /** A new, empty, open store; it is closed and removed after the test. */
  make(limits?: Partial<StoreLimits>): Promise<Store>;
  /** From now on commits of this store fail with one of the codes that pass by themselves, until the function that it returns is called. */
  obstruct(store: Store): () => void;
}

/** What every store does, whatever it stands on. */
export function storeContract(name: string, under: StoreUnderTest): void {
  describe(name, () => {
    storeLife(under);
    storeReadings(under);
    storeUnits(under);
    storeSequences(under);
    storeRange(under);
    storeDevices(under);
    storeCommands(under);
    storeLists(under);
    storeOperators(under);
    storeRetention(under);
    storeSessions(under);
    storeQueues(under);
  });
}
