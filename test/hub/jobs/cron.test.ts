import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { cronScheduler } from '#hub/jobs/cron.js';
import type { Scheduled } from '#hub/jobs/job.js';
import { hubJobs } from '#hub/jobs/list.js';
import { JOB_LIMITS } from '#hub/jobs/limits.js';
import { systemClock } from '#hub/clock.js';

const HOUR_MS = 3_600_000;

describe('the scheduler on node-cron', () => {
  const log = { warn: vi.fn(), error: vi.fn() };
  const scheduled: Scheduled[] = [];
  beforeEach(() => {
    vi.useFakeTimers({ now: Date.UTC(2026, 2, 29, 0, 0, 30) });
  });
  afterEach(() => {
    for (const entry of scheduled.splice(0)) entry.stop();
    vi.useRealTimers();
  });
  function schedule(pattern: string, run: () => void): Scheduled {
    const entry = cronScheduler(log).schedule(pattern, run);
    scheduled.push(entry);
    return entry;
  }

  it('calls at the minutes of the pattern, and knows the next', async () => {
    const calls: number[] = [];
    const entry = schedule('7 * * * *', () => calls.push(Date.now()));
    expect(entry.nextMs()).toBe(Date.UTC(2026, 2, 29, 0, 7));
    await vi.advanceTimersByTimeAsync(3 * HOUR_MS);
    // Through the night in which European clocks leave out an hour.
    expect(calls.map((ms) => Math.round(ms / 1000) * 1000)).toEqual([
      Date.UTC(2026, 2, 29, 0, 7),
      Date.UTC(2026, 2, 29, 1, 7),
      Date.UTC(2026, 2, 29, 2, 7),
    ]);
    expect(entry.nextMs()).toBe(Date.UTC(2026, 2, 29, 3, 7));
  });

  it('calls no more after a stop', async () => {
    const run = vi.fn();
    schedule('* * * * *', run).stop();
    await vi.advanceTimersByTimeAsync(HOUR_MS);
    expect(run).not.toHaveBeenCalled();
  });

  it('refuses what is no pattern', () => {
    expect(() => schedule('every day', () => undefined)).toThrow();
  });

  it('takes the schedules of all jobs of the hub, no two of which remove things at the same minute', () => {
    const none = async () => 0;
    const jobs = hubJobs({
      clock: systemClock,
      write: async () => ({ ok: true }),
      limits: JOB_LIMITS,
      retain: { retainConnectionsDays: 1, retainRejectedDays: 1, retainCommandsDays: 1, retainEventsDays: 1 },
      checkpoint: async () => ({ walBytes: 0 }),
      removeExpiredSignIns: none,
      removeExpiredTokens: none,
    });
    for (const job of jobs) expect(schedule(job.schedule, () => undefined).nextMs()).toBeGreaterThan(Date.now());
    const retention = jobs.filter(({ name }) => name.startsWith('retain-')).map((job) => job.schedule);
    expect(retention).toHaveLength(4);
    expect(new Set(retention).size).toBe(4);
    expect(log.warn).not.toHaveBeenCalled();
  });
});
