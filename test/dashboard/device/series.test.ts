import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plotted } from '../../../dashboard/parts/device/plotted.ts';
import { firstAtOrAfter, Series } from '../../../dashboard/parts/device/series.ts';

function seriesOf(points: readonly (readonly [number, number])[]): Series {
  const series = new Series();
  for (const [time, value] of points) series.append(time, value);
  return series;
}

const everySecond = (count: number, valueOf: (i: number) => number = (i) => i): Series =>
  seriesOf(Array.from({ length: count }, (_, i) => [i * 1000, valueOf(i)] as const));

describe('a series', () => {
  it('takes what is newer, corrects the same instant, and leaves out what is older', () => {
    const series = new Series();
    expect(series.append(1000, 1)).toBe(true);
    expect(series.append(2000, 2)).toBe(true);
    expect(series.append(1500, 9)).toBe(false);
    expect(series.append(2000, 2)).toBe(false);
    expect(series.append(2000, 3)).toBe(true);
    expect([series.times, series.values]).toEqual([
      [1000, 2000],
      [1, 3],
    ]);
  });

  it('takes history for what it covers, and keeps what came live after it', () => {
    const series = seriesOf([
      [2000, 20],
      [4000, 40],
      [5000, 50],
    ]);
    series.replaceWith([1000, 2000, 3000, 4000], [1, 2, 3, 4]);
    expect(series.times).toEqual([1000, 2000, 3000, 4000, 5000]);
    expect(series.values).toEqual([1, 2, 3, 4, 50]);
  });

  it('is left alone by a history without points', () => {
    const series = seriesOf([[1000, 1]]);
    series.replaceWith([], []);
    expect(series.times).toEqual([1000]);
  });

  it('forgets what has left the window in large steps, and keeps the point from which the line comes in', () => {
    const series = everySecond(1000);
    series.trim(10_000);
    expect(series.times).toHaveLength(1000);
    series.trim(900_000);
    expect(series.times[0]).toBe(899_000);
    expect(series.times.at(-1)).toBe(999_000);
    expect(series.values[0]).toBe(899);
  });

  it('stays in order whatever comes', () => {
    const point = fc.tuple(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 9 }));
    fc.assert(
      fc.property(fc.array(point), fc.array(point), (live, old) => {
        const series = seriesOf(live);
        const history = [...old].sort(([a], [b]) => a - b);
        series.replaceWith(
          history.map(([time]) => time),
          history.map(([, value]) => value),
        );
        expect(series.values).toHaveLength(series.times.length);
        expect([...new Set(series.times)].sort((a, b) => a - b)).toEqual(series.times);
      }),
    );
  });

  it('finds a place by halving', () => {
    expect([0, 10, 11, 30, 31].map((ms) => firstAtOrAfter([10, 20, 30], ms))).toEqual([0, 0, 1, 2, 3]);
  });
});

describe('what a chart draws', () => {
  it('is every point when there are few, and one before the window', () => {
    const shown = plotted(everySecond(10), { fromMs: 4500, toMs: 8000, width: 100 });
    expect(shown.times).toEqual([4000, 5000, 6000, 7000, 8000]);
    expect(shown).toMatchObject({ least: 5, greatest: 8, count: 4 });
  });

  it('loses no spike when there are many, and stays small', () => {
    const series = everySecond(3600, (i) => (i === 1234 ? 99 : i === 2345 ? -99 : i % 3));
    const shown = plotted(series, { fromMs: 0, toMs: 3_600_000, width: 300 });
    expect(shown.times.length).toBeLessThanOrEqual(602);
    expect(shown.values).toContain(99);
    expect(shown.values).toContain(-99);
    expect(shown).toMatchObject({ least: -99, greatest: 99, count: 3600 });
    expect(shown.times).toEqual([...shown.times].sort((a, b) => a - b));
  });

  it('breaks the line where the device was silent for long', () => {
    const series = seriesOf([0, 1, 2, 3, 60, 61, 62].map((s) => [s * 1000, s] as const));
    const shown = plotted(series, { fromMs: 0, toMs: 70_000, width: 100 });
    expect(shown.values).toEqual([0, 1, 2, 3, null, 60, 61, 62]);
    expect(shown.times[4]).toBe(31_500);
  });

  it('does not break the line of a device that seldom speaks', () => {
    const series = seriesOf([0, 600, 1200, 1900, 2400].map((s) => [s * 1000, s] as const));
    expect(plotted(series, { fromMs: 0, toMs: 3_600_000, width: 100 }).values).not.toContain(null);
  });

  it('is nothing for an empty window, save where the line comes from', () => {
    const shown = plotted(everySecond(3), { fromMs: 60_000, toMs: 70_000, width: 100 });
    expect(shown).toEqual({ times: [2000], values: [2], least: null, greatest: null, count: 0 });
    expect(plotted(new Series(), { fromMs: 0, toMs: 1, width: 10 }).times).toEqual([]);
  });
});
