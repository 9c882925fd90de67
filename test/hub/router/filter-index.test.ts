import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matchesFilter } from '#protocols/topics.js';
import { FilterIndex } from '#hub/router/filter-index.js';

const level = fc.constantFrom('', 'a', 'b', '$s');
const topic = fc
  .array(level, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter((t) => t !== '');
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, hash]) => (hash ? [...levels.slice(1), '#'] : levels).join('/'))
  .filter((f) => f !== '');

describe('filter index', () => {
  test('answers what holding every filter against the topic would, through any changes and however few answers it remembers', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.array(fc.tuple(filter, topic), { maxLength: 60 }),
        (cached, steps) => {
          const index = new FilterIndex(cached);
          const present = new Set<string>();
          for (const [f, t] of steps) {
            if (present.delete(f)) index.delete(f);
            else {
              present.add(f);
              index.add(f);
            }
            expect(index.size).toBe(present.size);
            // Twice: the second answer may come from memory.
            for (let i = 0; i < 2; i++) expect(index.matches(t)).toBe([...present].some((p) => matchesFilter(p, t)));
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('a remembered answer is forgotten when the filters change', () => {
    const index = new FilterIndex(10);
    index.add('a/+');
    expect(index.matches('b/x')).toBe(false);
    index.add('+/x');
    expect(index.matches('b/x')).toBe(true);
    index.delete('+/x');
    expect(index.matches('b/x')).toBe(false);
    index.add('b/x');
    expect(index.matches('b/x')).toBe(true);
  });

  test('long topics and topics past the bound are answered too', () => {
    const index = new FilterIndex(2);
    index.add('a/#');
    const topics = ['a', 'b', 'a/c', 'c', `a/${'x'.repeat(200)}`, `b/${'x'.repeat(200)}`];
    for (let round = 0; round < 3; round++) {
      expect(topics.map((t) => index.matches(t))).toEqual([true, false, true, false, true, false]);
    }
  });

  test('a topic deeper than any filter, and deeper than the stack, is answered', () => {
    const index = new FilterIndex(10);
    index.add('a/+/c');
    index.add('+/+/+/#');
    expect(index.matches('/'.repeat(60_000))).toBe(true);
    index.delete('+/+/+/#');
    expect(index.matches('/'.repeat(60_000))).toBe(false);
  });
});
