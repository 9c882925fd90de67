import { describe, expect, it } from 'vitest';
import { ProtocolError } from '#protocols/errors.js';
import { DEFAULT_LIMITS } from '#protocols/limits.js';
import type { Outcome } from '#protocols/outcome.js';
import type { Principal } from '#protocols/principal.js';
import { CommandDesk } from '#hub/fleet/commands.js';
import { Inbound } from '#hub/gateway/inbound.js';
import { MemoryRouter } from '#hub/router/memory.js';
import { StoreError } from '#hub/store/port.js';
import { fleetParts, ticks } from '#test/support/hub-parts.js';

const DEVICE: Principal = { kind: 'device', id: 'd', anonymous: true };

async function inbound(principal = DEVICE, maxRetainedMessages = 1) {
  const parts = await fleetParts();
  const { store, clock, telemetry, devices } = parts;
  await devices.create({ id: 'd' });
  const commands = new CommandDesk(telemetry, store.read, devices, clock, {
    maxPendingCommands: 3,
    commandTtlMs: 60_000,
    commandResponseTimeoutMs: 5000,
    maxCommandBytes: 100,
  });
  const router = new MemoryRouter({
    maxRetainedMessages,
    maxRetainedBytes: 10_000,
    onError: (error) => {
      throw error;
    },
  });
  const faults: unknown[] = [];
  const outcomes: Outcome[] = [];
  let notRetained = 0;
  const services = {
    clock,
    limits: DEFAULT_LIMITS,
    devices,
    telemetry,
    commands,
    router,
    largeIntegers: 'refuse' as const,
    keep: { rejectedPerDevice: 9, rejectedInAll: 9, eventsPerDevice: 9 },
    rejected: () => undefined,
    notRetained: () => {
      notRetained++;
    },
  };
  const tested = new Inbound(services, principal, null, 'mqtt', (piece) => {
    try {
      piece();
    } catch (error) {
      faults.push(error);
    }
  });
  const pending = { settle: (outcome: Outcome) => void outcomes.push(outcome) };
  const publish = (topic: string, text: string, retain = false): void => {
    const headers: [string, string][] = [];
    const payload = Buffer.from(text);
    tested.publish({ topic, payload, qos: 1, retain, contentType: null, headers }, pending, undefined);
  };
  return { ...parts, tested, pending, publish, faults, outcomes, notRetained: () => notRetained };
}

const RESULT = '{"status":"succeeded"}';

describe("a device's word on a command that is no longer under way", () => {
  it('ends the connection when the store cannot say whether there was one: an ack that never comes would hold up all behind it', async () => {
    const { tested, publish, pending, store, faults, outcomes } = await inbound();
    store.read.command = () => Promise.reject(new StoreError('io', 'a bad sector'));
    tested.progress('c-1', { kind: 'received' }, pending, () => undefined);
    publish('devices/me/commands/c-2/result', RESULT);
    await ticks();
    expect(outcomes).toEqual([]);
    expect(faults).toHaveLength(2);
    for (const fault of faults) {
      expect(fault).toBeInstanceOf(ProtocolError);
      expect(fault).toMatchObject({ reason: 'store_unavailable' });
    }
  });

  it('is left unanswered by a hub that stops: it says goodbye by itself', async () => {
    const { publish, store, faults, outcomes } = await inbound();
    store.read.command = () => Promise.reject(new StoreError('closed', 'the hub stopped'));
    publish('devices/me/commands/c-2/result', RESULT);
    await ticks();
    expect({ outcomes, faults }).toEqual({ outcomes: [], faults: [] });
  });

  it('is refused to an application whose command it never was, after the call that brought it', async () => {
    const { publish, faults, outcomes } = await inbound({ kind: 'application', id: 'app', anonymous: false });
    publish('devices/d/commands/c-2/result', RESULT);
    await ticks();
    expect(outcomes).toEqual([]);
    expect(faults).toMatchObject([{ reason: 'not_authorized' }]);
  });
});

describe('a retained message', () => {
  it('that the full table does not keep is routed, acknowledged as that, and counted', async () => {
    const { publish, outcomes, notRetained } = await inbound();
    publish('a', 'kept', true);
    publish('b', 'too many', true);
    publish('c', 'not retained', false);
    await ticks();
    expect(outcomes).toEqual([{ kind: 'routed' }, { kind: 'routed' }, { kind: 'routed' }]);
    expect(notRetained()).toBe(1);
  });
});
