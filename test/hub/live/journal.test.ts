import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Journal, type Entry } from '#hub/live/journal.js';

const change = (device: string) => ({ kind: 'presence' as const, content: { device, presence: null } });
const series = (metric: string) => ({ device: 'd', metric, latestUs: 1, latestValue: 1 });

function keysAfter(journal: Journal, n: number, hint: Entry | null = null): unknown[] {
  const keys: unknown[] = [];
  for (let entry = journal.after(n, hint); entry !== null; entry = entry.newer) keys.push(entry.key);
  return keys;
}

describe('the journal of changes', () => {
  it('holds each thing once, at the place of its last change', () => {
    const journal = new Journal(10, 1000);
    for (const key of ['a', 'b', 'a', 'c', 'b']) journal.note(key, change(key), 0);
    expect(journal.last).toBe(5);
    expect(keysAfter(journal, 0)).toEqual(['a', 'c', 'b']);
    expect(keysAfter(journal, 3)).toEqual(['c', 'b']);
    expect(keysAfter(journal, 5)).toEqual([]);
    expect(journal.floor).toBe(0);
  });

  it('forgets what changed longest ago when there are too many, and says whom that concerns', () => {
    const journal = new Journal(2, 1000);
    for (const key of ['a', 'b', 'a', 'c']) journal.note(key, change(key), 0);
    // b was change 2: who had been told 2 misses nothing that is forgotten, who had 1 does.
    expect(journal.floor).toBe(2);
    expect(keysAfter(journal, 2)).toEqual(['a', 'c']);
  });

  it('forgets as well when the bytes are too many, counting each thing once', () => {
    const journal = new Journal(10, 100);
    for (let i = 0; i < 5; i++) journal.note('a', change('a'), 60);
    expect(journal.entries).toBe(1);
    journal.note('b', change('b'), 41);
    expect(keysAfter(journal, 0)).toEqual(['b']);
    expect(journal.floor).toBe(5);
  });

  it('a series that moves on makes no new change', () => {
    const journal = new Journal(10, 100);
    const s = series('t');
    journal.noteSeries(s);
    const first = journal.newest!.change;
    journal.noteSeries(s);
    expect(journal.newest!.change).toBe(first);
    expect(journal.newest!.n).toBe(2);
  });

  it('after clear, every number given before is too old', () => {
    const journal = new Journal(10, 100);
    journal.note('a', change('a'), 0);
    const before = journal.last;
    journal.clear();
    expect(journal.floor).toBeGreaterThan(before);
    expect(journal.entries).toBe(0);
    expect(keysAfter(journal, journal.last)).toEqual([]);
  });

  it('what a forgotten entry held on to is free: a viewer that stands still pins no memory', () => {
    const journal = new Journal(1, 100);
    journal.note('a', change('a'), 0);
    const held = journal.newest!;
    journal.note('b', change('b'), 0);
    expect(held).toMatchObject({ n: -1, newer: null, older: null });
    expect(keysAfter(journal, 1, held)).toEqual(['b']);
  });

  it('finds the same with and without a hint, whatever happened in between', () => {
    const step = fc.oneof(
      fc.record({ op: fc.constant('note' as const), key: fc.integer({ min: 0, max: 6 }) }),
      fc.record({ op: fc.constant('look' as const), key: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 8 }), (steps, maxEntries) => {
        const journal = new Journal(maxEntries, 1000);
        const model: string[] = [];
        let at = 0;
        let hint: Entry | null = null;
        for (const { op, key } of steps) {
          if (op === 'note') {
            const name = `k${key}`;
            journal.note(name, change(name), 0);
            const known = model.indexOf(name);
            if (known >= 0) model.splice(known, 1);
            model.push(name);
            if (model.length > maxEntries) model.shift();
          } else {
            at = journal.last;
            hint = journal.newest;
          }
          expect(keysAfter(journal, at, hint)).toEqual(keysAfter(journal, at));
          expect(keysAfter(journal, 0)).toEqual(model);
        }
      }),
    );
  });
});
