import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { World, type Faults, type Step } from './cbor-bad-links/world.ts';

const count = fc.integer({ min: 1, max: 6 });
const plain = (
  name: 'connect' | 'lose' | 'command' | 'slowDisk' | 'quickDisk' | 'fullDisk' | 'restart',
): fc.Arbitrary<Step> => fc.constant({ do: name });
const counted = (name: 'produce' | 'up' | 'down'): fc.Arbitrary<Step> => fc.record({ do: fc.constant(name), count });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: counted('produce') },
  { weight: 8, arbitrary: counted('up') },
  { weight: 8, arbitrary: counted('down') },
  { weight: 5, arbitrary: plain('connect') },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('cut' as const), hubHears: fc.boolean(), deviceHears: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('loseUp' as const, 'loseDown' as const) }) },
  { weight: 1, arbitrary: plain('lose') },
  { weight: 3, arbitrary: plain('command') },
  { weight: 1, arbitrary: plain('slowDisk') },
  { weight: 2, arbitrary: plain('quickDisk') },
  { weight: 1, arbitrary: plain('fullDisk') },
  { weight: 1, arbitrary: plain('restart') },
);

/** Begins connected: most of what can go wrong needs that. */
const steps = fc
  .array(step, { maxLength: 40, size: 'max' })
  .map((later): Step[] => [{ do: 'connect' }, { do: 'up', count: 1 }, { do: 'down', count: 1 }, ...later]);

const holds = (faults: Faults) => fc.asyncProperty(steps, async (all) => await new World(faults).run(all));

describe('over a link that drops, delays and cuts, with a disk that fails and a hub that dies', () => {
  test(
    'each message is stored once and in order, each result decided once, and nothing is acknowledged before it is on disk',
    { timeout: 60_000 },
    async () => {
      await fc.assert(holds({}), { numRuns: 3000 });
    },
  );

  test.each<[string, Faults, RegExp]>([
    ['a hub that acknowledges what is not on disk yet', { acknowledgesEarly: true }, /^ACK \d+, and \d+ is on disk/],
    ['a hub that knows no numbers', { forgetsPositions: true }, /^readings: \[1,1/],
    ['a hub that says DONE too early', { doneEarly: true }, /^DONE .* not on disk/],
    ['a hub that resumes too far', { resumesTooFar: true }, /^readings|^ACK|does not get on/],
    ['a hub that stores past a gap', { skipsGaps: true }, /^readings|^events/],
    ['a device that forgets what it has sent', { forgetsWhatItSent: true }, /^readings: \[\] instead of \[1/],
    ['a device that numbers anew what it sends again', { renumbersResends: true }, /^readings: \[1,1/],
    ['a device that does not look at the window', { ignoresWindow: true }, /under way in a window/],
    ['a device that drops what is missing', { dropsAtGaps: true }, /^readings|^events/],
    ['a device that counts anew under an old name', { keepsItsStreamName: true }, /^readings|^events|does not get on/],
    ['a device that forgets a RESULT without DONE', { forgetsResults: true }, /decided 0 times/],
  ])('%s is found', async (_, faults, words) => {
    const found = await fc.check(holds(faults), { numRuns: 2000 });
    expect(found.failed).toBe(true);
    expect((found.errorInstance as Error).message).toMatch(words);
  });
});
