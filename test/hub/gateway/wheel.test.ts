import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Clock, Timer } from '#hub/clock.js';
import { Deadline, Wheel } from '#hub/gateway/wheel.js';
import { FakeClock } from '#test/support/fake-clock.js';

const TICK_MS = 250;

/** A clock whose time passes without its timers: a blocked event loop. */
class BlockableClock implements Clock {
  time = 0;
  timers: { at: number; run: () => void }[] = [];
  asked = 0;

  now(): number {
    return this.time;
  }

  monotonic(): number {
    return this.time;
  }

  after(ms: number, run: () => void): Timer {
    this.asked++;
    const timer = { at: this.time + ms, run };
    this.timers.push(timer);
    return { cancel: () => void (this.timers = this.timers.filter((t) => t !== timer)) };
  }

  /** The loop goes on after a block: its timers come, and after a turn for the sockets those that asked to come again. */
  unblock(): void {
    this.fire();
    this.time += 1;
    this.fire();
  }

  /** Runs the timers that are due now, once. */
  fire(): void {
    const due = this.timers.filter((t) => t.at <= this.time);
    this.timers = this.timers.filter((t) => t.at > this.time);
    for (const timer of due) timer.run();
  }
}

describe('wheel', () => {
  let clock: FakeClock;
  let errors: unknown[];
  let wheel: Wheel;
  let ran: string[];

  beforeEach(() => {
    clock = new FakeClock();
    errors = [];
    ran = [];
    wheel = new Wheel(clock, TICK_MS, (error) => errors.push(error));
  });

  const named = (name: string): Deadline => new Deadline(() => ran.push(name));

  test('a deadline on a tick runs exactly then, once', () => {
    const deadline = named('a');
    wheel.schedule(deadline, 1000);
    expect(deadline.scheduled).toBe(true);
    clock.advance(999);
    expect(ran).toEqual([]);
    clock.advance(1);
    expect(ran).toEqual(['a']);
    expect(deadline.scheduled).toBe(false);
    clock.advance(1_000_000);
    expect(ran).toEqual(['a']);
  });

  test('a deadline between two ticks runs at the later one', () => {
    wheel.schedule(named('a'), 751);
    clock.advance(999);
    expect(ran).toEqual([]);
    clock.advance(1);
    expect(ran).toEqual(['a']);
  });

  test('what is past or now runs at the next tick, never inside schedule', () => {
    clock.advance(1000);
    wheel.schedule(named('past'), -5);
    wheel.schedule(named('now'), 1000);
    expect(ran).toEqual([]);
    clock.advance(249);
    expect(ran).toEqual([]);
    clock.advance(1);
    expect(ran).toEqual(['past', 'now']);
  });

  test('deadlines many turns of the wheel ahead keep their time', () => {
    const turnMs = 512 * TICK_MS;
    for (const turns of [3, 1, 2]) wheel.schedule(named(`${turns}`), turns * turnMs + TICK_MS);
    wheel.schedule(named('0'), TICK_MS);
    const at: [string, number][] = [];
    while (ran.length < 4) {
      const before = ran.length;
      clock.advance(TICK_MS);
      for (const name of ran.slice(before)) at.push([name, clock.monotonic()]);
    }
    expect(at).toEqual(['0', '1', '2', '3'].map((name, i) => [name, i * turnMs + TICK_MS]));
  });

  test('scheduling again replaces, cancelling is final, cancelling twice does nothing', () => {
    const a = named('a');
    const b = named('b');
    wheel.schedule(a, 1000);
    wheel.schedule(a, 2000);
    wheel.schedule(b, 1000);
    expect(wheel.size).toBe(2);
    wheel.cancel(b);
    wheel.cancel(b);
    expect(b.scheduled).toBe(false);
    expect(wheel.size).toBe(1);
    clock.advance(1999);
    expect(ran).toEqual([]);
    clock.advance(1);
    expect(ran).toEqual(['a']);
    expect(wheel.size).toBe(0);
  });

  test('a deadline that schedules itself runs at each interval', () => {
    const times: number[] = [];
    const deadline: Deadline = new Deadline(() => {
      times.push(clock.monotonic());
      wheel.schedule(deadline, clock.monotonic() + 500);
    });
    wheel.schedule(deadline, 500);
    clock.advance(2600);
    expect(times).toEqual([500, 1000, 1500, 2000, 2500]);
  });

  test('a deadline that schedules itself for now runs once a tick and blocks nobody', () => {
    const deadline: Deadline = new Deadline(() => {
      ran.push('again');
      wheel.schedule(deadline, clock.monotonic());
    });
    wheel.schedule(deadline, 0);
    clock.advance(3 * TICK_MS);
    expect(ran).toHaveLength(3);
  });

  test('a callback may cancel or move another that is due with it', () => {
    const b = named('b');
    const c = named('c');
    const a = new Deadline(() => {
      ran.push('a');
      wheel.cancel(b);
      wheel.schedule(c, 2000);
    });
    wheel.schedule(a, 1000);
    wheel.schedule(b, 1000);
    wheel.schedule(c, 1000);
    clock.advance(1999);
    expect(ran).toEqual(['a']);
    clock.advance(1);
    expect(ran).toEqual(['a', 'c']);
  });

  test('one that throws is reported and the others run', () => {
    wheel.schedule(
      new Deadline(() => {
        throw new Error('broken deadline');
      }),
      1000,
    );
    wheel.schedule(named('b'), 1000);
    wheel.schedule(named('c'), 2000);
    clock.advance(2000);
    expect(ran).toEqual(['b', 'c']);
    expect(errors.map(String)).toEqual(['Error: broken deadline']);
  });

  test('steps of the wall clock change nothing', () => {
    wheel.schedule(named('a'), 1000);
    clock.step(3_600_000);
    clock.advance(999);
    expect(ran).toEqual([]);
    clock.step(-7_200_000);
    clock.advance(1);
    expect(ran).toEqual(['a']);
  });

  test('after close nothing runs', () => {
    const deadline = named('a');
    wheel.schedule(deadline, 1000);
    wheel.close();
    clock.advance(2000);
    expect(ran).toEqual([]);
    expect(wheel.size).toBe(0);
    expect(deadline.scheduled).toBe(false);
  });

  test('a callback may close the wheel', () => {
    wheel.schedule(new Deadline(() => wheel.close()), 1000);
    wheel.schedule(named('b'), 1000);
    clock.advance(2000);
    expect(ran).toEqual([]);
    expect(wheel.size).toBe(0);
  });

  test('times that are none are refused', () => {
    for (const dueMs of [NaN, Infinity, -Infinity]) expect(() => wheel.schedule(named('a'), dueMs)).toThrow(RangeError);
    for (const tickMs of [0, -1, NaN]) expect(() => new Wheel(clock, tickMs, () => undefined)).toThrow(RangeError);
    expect(wheel.size).toBe(0);
  });

  describe('with a loop that is blocked', () => {
    let blockable: BlockableClock;

    beforeEach(() => {
      blockable = new BlockableClock();
      wheel = new Wheel(blockable, TICK_MS, (error) => errors.push(error));
    });

    test.each([5 * TICK_MS, 511 * TICK_MS, 512 * TICK_MS, 513 * TICK_MS, 5000 * TICK_MS])(
      'everything due runs exactly once after %d ms',
      (blockedMs) => {
        const ticks = blockedMs / TICK_MS;
        for (let tick = 1; tick <= ticks + 2; tick++) wheel.schedule(named(`${tick}`), tick * TICK_MS);
        blockable.time = blockedMs;
        blockable.unblock();
        expect(ran.toSorted((a, b) => Number(a) - Number(b))).toEqual(
          Array.from({ length: ticks }, (_, i) => `${i + 1}`),
        );
        ran.length = 0;
        blockable.time = blockedMs + TICK_MS;
        blockable.fire();
        expect(ran).toEqual([`${ticks + 1}`]);
        blockable.time += TICK_MS;
        blockable.fire();
        expect(ran).toEqual([`${ticks + 1}`, `${ticks + 2}`]);
      },
    );

    test('a block shorter than a turn of the wheel keeps the order of the deadlines', () => {
      for (const tick of [7, 3, 9, 1, 300]) wheel.schedule(named(`${tick}`), tick * TICK_MS);
      blockable.time = 400 * TICK_MS;
      blockable.unblock();
      expect(ran).toEqual(['1', '3', '7', '9', '300']);
    });

    test('what the sockets brought during a long block is read before anybody is judged by it', () => {
      const silence = named('silence');
      wheel.schedule(silence, 8 * TICK_MS);
      wheel.schedule(named('other'), 8 * TICK_MS);
      blockable.time = 40 * TICK_MS;
      blockable.fire();
      expect(ran).toEqual([]);
      wheel.schedule(silence, 60 * TICK_MS);
      blockable.time += 1;
      blockable.fire();
      expect(ran).toEqual(['other']);
    });

    test('a short block gives nobody more time', () => {
      wheel.schedule(named('a'), TICK_MS);
      blockable.time = 4 * TICK_MS;
      blockable.fire();
      expect(ran).toEqual(['a']);
    });

    test('a timer that comes early runs nothing early', () => {
      wheel.schedule(named('a'), TICK_MS);
      blockable.time = TICK_MS - 0.01;
      for (const timer of blockable.timers.splice(0)) timer.run();
      expect(ran).toEqual([]);
      blockable.time = TICK_MS + 1;
      blockable.fire();
      expect(ran).toEqual(['a']);
    });

    test('10,000 deadlines share one timer, and none is left when all are done', () => {
      for (let i = 0; i < 10_000; i++) wheel.schedule(named(`${i}`), 1 + (i % 4) * TICK_MS);
      expect(blockable.timers).toHaveLength(1);
      for (let tick = 1; tick <= 4; tick++) {
        blockable.time = tick * TICK_MS;
        blockable.fire();
        expect(ran).toHaveLength(tick * 2500);
        expect(blockable.timers).toHaveLength(tick === 4 ? 0 : 1);
      }
      expect(blockable.asked).toBe(4);
    });

    test('a wheel that was idle for long starts at the present', () => {
      wheel.schedule(named('a'), TICK_MS);
      blockable.time = TICK_MS;
      blockable.fire();
      blockable.time = 1_000_000 * TICK_MS + 10;
      wheel.schedule(named('b'), blockable.time + 1);
      blockable.time = 1_000_001 * TICK_MS - 1;
      blockable.fire();
      expect(ran).toEqual(['a']);
      blockable.time++;
      blockable.fire();
      expect(ran).toEqual(['a', 'b']);
    });
  });

  test('through any schedule, cancel and passing of time it does what a sorted list would, never early and at most a tick late', () => {
    const step = fc.oneof(
      fc.record({
        do: fc.constant('schedule' as const),
        id: fc.nat(19),
        inMs: fc.integer({ min: -100, max: 400_000 }),
      }),
      fc.record({ do: fc.constant('schedule' as const), id: fc.nat(19), inMs: fc.integer({ min: 0, max: 2000 }) }),
      fc.record({ do: fc.constant('cancel' as const), id: fc.nat(19) }),
      fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 0, max: 3000 }) }),
      fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 0, max: 300_000 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.nat(1000), (steps, startMs) => {
        const time = new FakeClock();
        time.advance(startMs);
        const dueMs = new Map<number, number>();
        const failures: string[] = [];
        const tested = new Wheel(time, TICK_MS, (error) => failures.push(String(error)));
        const deadlines = Array.from({ length: 20 }, (_, id) => {
          return new Deadline(() => {
            const due = dueMs.get(id);
            if (due === undefined) failures.push(`${id} ran without being scheduled`);
            else if (time.monotonic() < due) failures.push(`${id} ran early`);
            else if (time.monotonic() > due + TICK_MS) failures.push(`${id} ran late`);
            dueMs.delete(id);
          });
        });
        for (const s of steps) {
          if (s.do === 'advance') {
            time.advance(s.ms);
          } else if (s.do === 'cancel') {
            tested.cancel(deadlines[s.id]!);
            dueMs.delete(s.id);
          } else {
            tested.schedule(deadlines[s.id]!, time.monotonic() + s.inMs);
            dueMs.set(s.id, Math.max(time.monotonic(), time.monotonic() + s.inMs));
          }
          expect(tested.size).toBe(dueMs.size);
          for (const [id, due] of dueMs) {
            expect(deadlines[id]!.scheduled).toBe(true);
            expect(time.monotonic()).toBeLessThan(due + TICK_MS + 1);
          }
        }
        expect(failures).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});
