import { expect, test } from 'vitest';
import { AwayList } from '#hub/sessions/away.js';
import { FakeClock } from '#test/support/fake-clock.js';

function listOf(most: number) {
  const clock = new FakeClock();
  const away = new AwayList(clock, most);
  const over: string[] = [];
  const things = new Map<string, object>();
  const add = (name: string, ms: number, sinceMs?: number): void => {
    const thing = things.get(name) ?? {};
    things.set(name, thing);
    away.add(thing, ms, (why) => over.push(`${name} ${why}`), sinceMs);
  };
  return { clock, away, over, add, back: (name: string) => away.delete(things.get(name)!) };
}

test('each is over when its time is, once, unless it comes back', () => {
  const { clock, away, over, add, back } = listOf(9);
  add('a', 10);
  add('b', 20);
  add('c', 20);
  clock.advance(10);
  expect(over).toEqual(['a expired']);
  expect(back('b')).toBe(true);
  expect(back('b')).toBe(false);
  expect(back('a')).toBe(false);
  clock.advance(100);
  expect(over).toEqual(['a expired', 'c expired']);
  expect(away.size).toBe(0);
});

test('past the bound the one that has waited longest is over, however long its time was', () => {
  const { over, add, away } = listOf(2);
  add('a', 1000);
  add('b', 10);
  // It came back and left again.
  add('a', 1000);
  add('c', 10);
  expect(over).toEqual(['b evicted']);
  expect(away.size).toBe(2);
});

test('of an earlier run come in any order, and go in that in which they left', () => {
  const { clock, over, add } = listOf(3);
  const nowMs = clock.now();
  add('a', 1000, nowMs - 10);
  add('b', 1000, nowMs - 30);
  add('c', 1000, nowMs - 20);
  for (const name of ['d', 'e', 'f', 'g']) add(name, 1000);
  expect(over).toEqual(['b evicted', 'c evicted', 'a evicted', 'd evicted']);
});

test('a closed list ends nothing', () => {
  const { clock, away, over, add } = listOf(2);
  add('a', 10);
  away.close();
  clock.advance(100);
  expect(over).toEqual([]);
});

test('there is room for one at least', () => {
  expect(() => new AwayList(new FakeClock(), 0)).toThrow(RangeError);
});
