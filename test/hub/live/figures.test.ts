import { beforeEach, describe, expect, it } from 'vitest';
import { FigureMeter } from '#hub/live/figures.js';
import { Counters } from '#hub/observe/counters.js';
import { FakeClock } from '#test/support/fake-clock.js';
import { LEVELS, liveParts } from './parts.ts';

let clock: FakeClock;
let counters: Counters;
let meter: FigureMeter;
beforeEach(() => {
  clock = new FakeClock();
  counters = new Counters();
  meter = new FigureMeter(counters, () => LEVELS, clock);
});

describe('the figures', () => {
  it('tell what is at the moment, by the clock of the hub', () => {
    meter.begin();
    clock.advance(1000);
    expect(meter.measure()).toEqual({
      nowMs: clock.now(),
      online: 2,
      offline: 3,
      byProtocol: { mqtt: 2, cbor: 0 },
      backlogRows: 7,
      messagesPerS: 0,
      readingsPerS: 0,
      commitsPerS: 0,
      commitMs: null,
      ackMs: null,
    });
  });

  it('count from the moment at which they began, over the time that has really passed', () => {
    counters.messagesReceived.mqtt! += 1000;
    counters.readingsStored = 5000;
    meter.begin();
    counters.messagesReceived.mqtt! += 30;
    counters.messagesReceived.cbor! += 10;
    counters.readingsStored += 60;
    counters.commits += 6;
    clock.advance(2000);
    expect(meter.measure()).toMatchObject({ messagesPerS: 20, readingsPerS: 30, commitsPerS: 3 });
  });

  it('span five seconds, and forget what was before', () => {
    meter.begin();
    counters.messagesReceived.mqtt! += 100;
    const rates = Array.from({ length: 7 }, () => {
      clock.advance(1000);
      return meter.measure().messagesPerS;
    });
    expect(rates).toEqual([100, 50, 100 / 3, 25, 20, 0, 0]);
    counters.messagesReceived.mqtt! += 100;
    meter.begin();
    clock.advance(1000);
    expect(meter.measure().messagesPerS).toBe(0);
  });

  it('give the percentiles of what was observed in the span, as a Prometheus histogram tells them', () => {
    counters.commitSeconds.observe(5, 1000);
    meter.begin();
    // 99 of 100 between 1 and 2 ms, one between 25 and 50.
    counters.commitSeconds.observe(0.0015, 99);
    counters.commitSeconds.observe(0.04);
    clock.advance(1000);
    const { commitMs, ackMs } = meter.measure();
    expect(commitMs!.p50).toBeCloseTo(1 + 50 / 99, 6);
    expect(commitMs!.p99).toBeCloseTo(2, 6);
    expect(ackMs).toBeNull();
  });

  it('say the largest bound of what lies above all of them', () => {
    meter.begin();
    counters.ackLatencySeconds.observe(100);
    clock.advance(1000);
    expect(meter.measure().ackMs).toEqual({ p50: 30_000, p99: 30_000 });
  });

  it('are no rate where no time has passed', () => {
    meter.begin();
    counters.commits++;
    expect(meter.measure().commitsPerS).toBe(0);
  });
});

describe('a viewer of the live feed', () => {
  it('gets them once a second, the same for all viewers, and nobody measures while nobody watches', () => {
    const { clock, watch, measured } = liveParts();
    clock.advance(10_000);
    const [one, two] = [watch(), watch(['pump'])];
    expect(one.figures).toEqual([]);
    clock.advance(999);
    expect(one.figures).toEqual([]);
    clock.advance(1);
    expect(one.figures).toHaveLength(1);
    expect(two.figures[0]).toBe(one.figures[0]);
    clock.advance(3000);
    expect(one.figures).toHaveLength(4);
    one.viewer.close();
    two.viewer.close();
    clock.advance(5000);
    expect(measured()).toBe(4);
  });

  it('that comes after a pause gets no rate over the pause', () => {
    const { clock, watch, counters } = liveParts();
    watch().viewer.close();
    counters.messagesReceived.mqtt! += 1000;
    clock.advance(30_000);
    const me = watch();
    counters.messagesReceived.mqtt! += 10;
    clock.advance(1000);
    expect(me.figures).toMatchObject([{ messagesPerS: 10 }]);
  });

  it('that has no room misses them, and gets the next ones when it has', () => {
    const { clock, watch } = liveParts();
    const me = watch(null, null, 2);
    clock.advance(3000);
    expect(me.figures).toHaveLength(1);
    me.drain();
    clock.advance(1000);
    expect(me.figures).toHaveLength(2);
    expect(me.viewer.position).toBe('r-0');
  });
});
