import { describe, expect, it } from 'vitest';
import { loadHistory, type AskReadings } from '../../../dashboard/parts/device/history.ts';

const NOW_MS = 1_800_000_000_000;
const HOUR_MS = 3_600_000;

/** A hub that holds readings every `everyMs`, and counts what it is asked. */
function hubWith(everyMs: number, options: { searches?: number } = {}) {
  const asked: number[] = [];
  let searches = options.searches ?? 0;
  const ask: AskReadings = async ({ from, after, limit }) => {
    asked.push(from);
    if (searches > 0) {
      searches--;
      return { items: [], next: 's', complete: false };
    }
    const first = after === null || after === 's' ? Math.ceil(from / everyMs) : Number(after);
    const last = Math.floor(NOW_MS / everyMs);
    const end = Math.min(last + 1, first + limit);
    const items = Array.from({ length: Math.max(0, end - first) }, (_, i) => ({
      metric: 't',
      value: first + i,
      timeUs: (first + i) * everyMs * 1000,
    }));
    return { items, next: end <= last ? String(end) : null, complete: true };
  };
  return { ask, asked };
}

describe('history', () => {
  it('is the whole span in as many pages as it takes', async () => {
    const { ask, asked } = hubWith(200);
    const { readings, fromMs } = await loadHistory(ask, NOW_MS, HOUR_MS);
    expect(fromMs).toBe(NOW_MS - HOUR_MS);
    expect(readings).toHaveLength(18_001);
    expect(readings.at(-1)!.timeUs).toBe(NOW_MS * 1000);
    expect(asked).toHaveLength(2);
  });

  it('goes on while the hub searches its log', async () => {
    const { ask, asked } = hubWith(60_000, { searches: 5 });
    expect((await loadHistory(ask, NOW_MS, HOUR_MS)).readings).toHaveLength(61);
    expect(asked).toHaveLength(6);
  });

  it('takes a shorter span of a device that sends too much, and still reaches up to now', async () => {
    const { ask, asked } = hubWith(10);
    const { readings, fromMs } = await loadHistory(ask, NOW_MS, HOUR_MS);
    expect(fromMs).toBeGreaterThan(NOW_MS - HOUR_MS);
    expect(readings.length).toBeGreaterThan(30_000);
    expect(readings.length).toBeLessThan(90_000);
    expect(readings[0]!.timeUs / 1000).toBeCloseTo(fromMs, -2);
    expect(readings.at(-1)!.timeUs).toBe(NOW_MS * 1000);
    expect(asked.length).toBeLessThan(12);
  });

  it('gives up on a log that is too long to be searched', async () => {
    const { ask, asked } = hubWith(1000, { searches: 1e9 });
    expect(await loadHistory(ask, NOW_MS, HOUR_MS)).toEqual({ readings: [], fromMs: NOW_MS });
    expect(asked).toHaveLength(60);
  });

  it('gives up on a device whose last minute is too much', async () => {
    const { ask, asked } = hubWith(0.1);
    expect((await loadHistory(ask, NOW_MS, HOUR_MS)).readings).toEqual([]);
    expect(asked.length).toBeLessThan(12);
  });

  it('fails when the hub fails', async () => {
    await expect(loadHistory(() => Promise.reject(new Error('no')), NOW_MS, HOUR_MS)).rejects.toThrow('no');
  });
});
