import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Schedule } from '#devices-sim/schedule.js';

test('what is due runs by time, equal times in the order in which they were asked for', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 50 })), (times) => {
      const schedule = new Schedule();
      const ran: [number, number][] = [];
      times.forEach((atMs, i) => schedule.at(atMs, () => ran.push([atMs, i])));
      schedule.advance(25);
      expect(ran.every(([atMs]) => atMs <= 25)).toBe(true);
      schedule.advance(50);
      expect(ran).toEqual(times.map((atMs, i) => [atMs, i]).sort((a, b) => a[0]! - b[0]! || a[1]! - b[1]!));
      expect(schedule.size).toBe(0);
    }),
  );
});

test('a cancelled entry does not run, and one that is added while others run does', () => {
  const schedule = new Schedule();
  const ran: string[] = [];
  schedule.at(1, () => ran.push('cancelled')).cancel();
  schedule.at(2, () => schedule.at(2, () => ran.push('added')));
  schedule.advance(2);
  expect(ran).toEqual(['added']);
});
