import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { StoreReader } from '#hub/store/port.js';
import { ticks } from '#test/support/hub-parts.js';
import { Client, sub, World } from './parts.ts';

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant('publish' as const), count: fc.integer({ min: 1, max: 9 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({ op: fc.constant('acknowledge' as const), count: fc.integer({ min: 1, max: 5 }) }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('wait' as const), count: fc.integer({ min: 0, max: 6 }) }) },
  { weight: 2, arbitrary: fc.constant({ op: 'begin' as const }) },
  { weight: 3, arbitrary: fc.constant({ op: 'attach' as const }) },
  { weight: 2, arbitrary: fc.constant({ op: 'leave' as const }) },
  { weight: 1, arbitrary: fc.constant({ op: 'release' as const }) },
  { weight: 2, arbitrary: fc.constant({ op: 'hold' as const }) },
  { weight: 4, arbitrary: fc.constant({ op: 'commit' as const }) },
  { weight: 1, arbitrary: fc.constant({ op: 'expire' as const }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('crash' as const), lost: fc.boolean() }) },
);

/** Whatever comes and goes, counts are what is on disk, and a client that takes everything empties the queue. */
it('a queue at its bounds counts what is there, and stalls for nobody', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.constantFrom('drop_oldest' as const, 'refuse_newest' as const),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 0, max: 4 }),
      async (steps, full, window, readTicks) => {
        const sessionQueue: StoreReader['sessionQueue'] = async (query) => {
          const rows = await world.store.read.sessionQueue(query);
          await ticks(readTicks);
          return rows;
        };
        const limits = { maxMessages: 5, full, windowMessages: 3 };
        const world: World = await World.started({ limits, reader: { sessionQueue } });
        const first = await world.connect();
        first.subscribe(sub('t'));
        await ticks();
        let client = first as Client | null;
        first.window = window;
        let ready = null as Client | null;
        let serial = 0;
        for (const s of steps) {
          if (s.op === 'publish') {
            for (let i = 0; i < s.count; i++) {
              const expiresMs = world.clock.now() + 1000;
              const properties = serial % 4 === 0 ? { properties: { expiresMs } } : {};
              world.publish('t', String(serial++), { qos: ((serial % 2) + 1) as 1 | 2, ...properties });
            }
          } else if (s.op === 'acknowledge') client?.acknowledge(s.count);
          else if (s.op === 'wait') await ticks(s.count);
          else if (s.op === 'hold') world.store.hold();
          else if (s.op === 'release') world.store.release();
          else if (s.op === 'commit') {
            // The one under way alone.
            world.store.release();
            world.store.hold();
          } else if (s.op === 'expire') world.clock.advance(1000);
          else if (s.op === 'leave') {
            client?.leave();
            client = null;
            ready = null;
          } else if (s.op === 'begin' && client === null) {
            const begun: Client = new Client(world, window);
            client = begun;
            const { session } = world.open(begun, { expiryS: 1e6 });
            world.registry.onDisk(session, () => (ready = begun));
          } else if (s.op === 'attach' && ready !== null && ready === client) {
            world.registry.attach(client.session, client);
            ready = null;
          } else if (s.op === 'crash') {
            await world.crash(s.lost);
            client = null;
            ready = null;
          }
          await ticks(1);
        }
        world.store.release();
        client?.leave();
        await ticks();
        const last = await world.connect({ window: 1000 });
        for (let i = 0; i < 20; i++) {
          await ticks();
          last.acknowledge();
        }
        await ticks();
        const { sessions } = await world.store.read.startState();
        expect(sessions[0]!.queue).toMatchObject({ count: 0 });
        expect(world.registry.stats).toMatchObject({ queuedMessages: 0, queuedBytes: 0 });
        expect(world.faults).toEqual([]);
        last.take();
        world.publish('t', 'now');
        await ticks();
        expect(last.take()).toEqual(['now']);
      },
    ),
    { numRuns: 1500 },
  );
}, 60_000);
