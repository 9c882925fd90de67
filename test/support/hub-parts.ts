import { DeviceBook } from '#hub/fleet/devices.js';
import { PresenceBook } from '#hub/fleet/presence.js';
import { TokenBook } from '#hub/fleet/tokens.js';
import { MemoryStore } from '#hub/store/memory.js';
import { TelemetryPath } from '#hub/telemetry/telemetry.js';
import { FakeClock } from './fake-clock.ts';

/** The fleet on a store in memory and a clock that stands. */
export async function fleetParts(options = { maxDevices: 10, maxAnonymousDevices: 2 }) {
  const store = new MemoryStore();
  await store.open();
  const clock = new FakeClock();
  const limits = { backlogHighRows: 1e6, backlogLowRows: 1, backlogHighBytes: 1e9, backlogLowBytes: 1 };
  const telemetry = new TelemetryPath(
    store,
    clock,
    { maxSeriesPerDevice: 9, ...limits },
    {
      committed: () => undefined,
      failed: () => undefined,
      recovered: () => undefined,
      fault: (error) => {
        throw error;
      },
    },
  );
  const tokens = new TokenBook(clock);
  const presence = new PresenceBook(telemetry, clock);
  const devices = new DeviceBook(telemetry, tokens, presence, clock, options);
  return { store, clock, telemetry, tokens, presence, devices };
}

/** Lets commits happen. */
export async function ticks(n = 6): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}
