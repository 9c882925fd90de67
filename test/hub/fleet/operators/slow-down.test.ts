import { describe, expect, it } from 'vitest';
import { FakeClock } from '#test/support/fake-clock.js';
import { Guard } from '#hub/fleet/operators/guard.js';
import { SlowDown } from '#hub/fleet/operators/slow-down.js';

const RULE = { freeTries: 3, firstWaitMs: 1000, maxWaitMs: 8000, forgetMs: 60_000, maxKeys: 3 };

function failing(times: number, slow: SlowDown, key = 'k'): void {
  for (let i = 0; i < times; i++) slow.tried(key);
}

describe('who keeps failing', () => {
  it('waits from the first try that is not free, twice as long each time, up to the longest', () => {
    const clock = new FakeClock();
    const slow = new SlowDown(clock, RULE);
    const waits: number[] = [];
    for (let i = 0; i < 9; i++) {
      waits.push(slow.waitMs('k'));
      slow.tried('k');
    }
    expect(waits).toEqual([0, 0, 0, 0, 1000, 2000, 4000, 8000, 8000]);
    expect(slow.waitMs('other')).toBe(0);
    clock.advance(7999);
    expect(slow.waitMs('k')).toBe(1);
    clock.advance(1);
    expect(slow.waitMs('k')).toBe(0);
    // The wait is over; what was counted is not.
    slow.tried('k');
    expect(slow.waitMs('k')).toBe(8000);
  });

  it('is forgotten after a quiet time, or by a success', () => {
    const clock = new FakeClock();
    const slow = new SlowDown(clock, RULE);
    failing(9, slow);
    clock.advance(60_000);
    expect(slow.waitMs('k')).toBe(0);
    expect(slow.size).toBe(0);
    failing(9, slow);
    slow.forget('k');
    expect(slow.waitMs('k')).toBe(0);
  });

  it('gets a try back that was none, and leaves nothing behind with the last one', () => {
    const slow = new SlowDown(new FakeClock(), RULE);
    failing(4, slow);
    slow.takeBack('k');
    expect(slow.waitMs('k')).toBe(0);
    for (let i = 0; i < 5; i++) slow.takeBack('k');
    expect(slow.size).toBe(0);
  });

  it('is remembered in bounded memory: the one who tried longest ago goes', () => {
    const slow = new SlowDown(new FakeClock(), RULE);
    for (const key of ['a', 'b', 'c']) failing(9, slow, key);
    slow.tried('a');
    slow.tried('d');
    expect(slow.size).toBe(3);
    expect(slow.waitMs('b')).toBe(0);
    expect(slow.waitMs('a')).toBe(8000);
  });
});

describe('the guard of sign-ins', () => {
  const wait = (guard: Guard, name: string, address: string | null): number => {
    try {
      guard.begin(name, address);
      return 0;
    } catch (error) {
      return (error as { retryAfterMs: number }).retryAfterMs;
    }
  };

  it('slows a name wherever the tries come from, and its owner waits a minute at most', () => {
    const clock = new FakeClock();
    const guard = new Guard(clock);
    for (let i = 0; i < 200; i++) {
      guard.begin('ann', `10.0.0.${i % 250}`);
      clock.advance(60_000);
    }
    guard.begin('ann', '10.0.1.1');
    expect(wait(guard, 'ann', '10.0.1.2')).toBe(60_000);
    expect(wait(guard, 'bob', '10.0.1.2')).toBe(0);
  });

  it('slows an address whatever the names are', () => {
    const guard = new Guard(new FakeClock());
    for (let i = 0; i < 11; i++) guard.begin(`n${i}`, '10.0.0.1');
    expect(wait(guard, 'another', '10.0.0.1')).toBe(1000);
    expect(wait(guard, 'another', '::ffff:10.0.0.1')).toBe(1000);
    expect(wait(guard, 'another', '10.0.0.2')).toBe(0);
  });

  it.each([
    ['2001:db8::1', '2001:db8:0:0:ffff::2', true],
    ['2001:db8:1:2:3:4:5:6', '2001:0db8:0001:0002::', true],
    ['::1', '::2', true],
    ['fe80::1%eth0', 'fe80::2', true],
    ['2001:db8::1', '2001:db8:0:1::1', false],
  ])('takes the addresses of one IPv6 network for one: %s and %s', (one, other, same) => {
    const guard = new Guard(new FakeClock());
    for (let i = 0; i < 11; i++) guard.begin(`n${i}`, one);
    expect(wait(guard, 'another', other)).toBe(same ? 1000 : 0);
  });

  it('lets a success wipe out the failures of the name, and no more than its own try of the address', () => {
    const guard = new Guard(new FakeClock());
    for (let i = 0; i < 5; i++) guard.begin('ann', '10.0.0.1');
    guard.begin('ann', '10.0.0.1').succeeded();
    expect(wait(guard, 'ann', '10.0.0.9')).toBe(0);
    // Somebody with a name of their own cannot guess on for free.
    for (let i = 0; i < 6; i++) guard.begin(`n${i}`, '10.0.0.1');
    expect(wait(guard, 'x', '10.0.0.1')).toBe(1000);
  });
});
