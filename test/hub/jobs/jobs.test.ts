import { beforeEach, describe, expect, it } from 'vitest';
import type { Job } from '#hub/jobs/job.js';
import { JobBook } from '#hub/jobs/jobs.js';
import type { JobResult } from '#hub/jobs/port.js';
import { FakeClock } from '../../support/fake-clock.ts';
import { ticks } from '../../support/hub-parts.ts';
import { FakeScheduler } from './fake-scheduler.ts';

describe('jobs', () => {
  let clock: FakeClock;
  let scheduler: FakeScheduler;
  let runs: PromiseWithResolvers<JobResult>[];
  let signals: AbortSignal[];
  let logged: { level: string; text: string }[];
  let jobs: JobBook;
  beforeEach(() => {
    clock = new FakeClock();
    scheduler = new FakeScheduler();
    runs = [];
    signals = [];
    logged = [];
    const sweep: Job = {
      name: 'sweep',
      schedule: '7 * * * *',
      description: 'sweeps',
      run: (signal) => {
        signals.push(signal);
        const run = Promise.withResolvers<JobResult>();
        runs.push(run);
        return run.promise;
      },
    };
    const broken: Job = {
      name: 'broken',
      schedule: '8 * * * *',
      description: 'throws',
      run: () => {
        throw new Error('no luck');
      },
    };
    const log = (level: string) => (_: object, text: string) => void logged.push({ level, text });
    jobs = new JobBook([sweep, broken], clock, { debug: log('debug'), error: log('error') });
    jobs.start(scheduler);
  });
  const view = (name: string) => jobs.list().find((job) => job.name === name)!;

  it('are listed with schedule and next run before they have run', () => {
    expect(jobs.list()).toEqual([
      {
        name: 'sweep',
        schedule: '7 * * * *',
        description: 'sweeps',
        running: false,
        lastRun: null,
        nextRunMs: scheduler.nextMs,
      },
      expect.objectContaining({ name: 'broken', lastRun: null }),
    ]);
  });

  it('run when they are due, and tell when they began, how long they took and what they counted', async () => {
    const startedMs = clock.now();
    scheduler.fire('7 * * * *');
    expect(view('sweep')).toMatchObject({ running: true, lastRun: null });
    clock.advance(1500);
    runs[0]!.resolve({ removed: 12 });
    await ticks();
    expect(view('sweep')).toMatchObject({
      running: false,
      lastRun: { startedMs, durationMs: 1500, ok: true, result: { removed: 12 }, error: null },
    });
  });

  it('never overlap themselves: what is due while the last run goes on is left out', async () => {
    scheduler.fire('7 * * * *');
    scheduler.fire('7 * * * *');
    expect(runs).toHaveLength(1);
    expect(logged).toEqual([{ level: 'debug', text: expect.stringContaining('left out') }]);
    await expect(jobs.run('sweep')).rejects.toMatchObject({ name: 'FleetError', code: 'conflict' });
    runs[0]!.resolve({});
    await ticks();
    scheduler.fire('7 * * * *');
    expect(runs).toHaveLength(2);
  });

  it('a failure is recorded and logged, and the job runs again when it is due', async () => {
    scheduler.fire('7 * * * *');
    runs[0]!.reject(new Error('disk on fire'));
    await ticks();
    expect(view('sweep').lastRun).toMatchObject({ ok: false, result: null, error: 'disk on fire' });
    expect(logged).toEqual([{ level: 'error', text: 'job failed' }]);
    scheduler.fire('7 * * * *');
    runs[1]!.resolve({ removed: 0 });
    await ticks();
    expect(view('sweep').lastRun).toMatchObject({ ok: true, error: null });
  });

  it('one that throws at once hurts nobody', async () => {
    scheduler.fire('8 * * * *');
    await ticks();
    expect(view('broken').lastRun).toMatchObject({ ok: false, error: 'no luck' });
  });

  it('run when asked, and the answer shows that run, good or bad', async () => {
    const asked = jobs.run('sweep');
    clock.advance(20);
    runs[0]!.resolve({ removed: 3 });
    expect(await asked).toMatchObject({
      name: 'sweep',
      running: false,
      lastRun: { durationMs: 20, result: { removed: 3 } },
    });
    expect(await jobs.run('broken')).toMatchObject({ lastRun: { ok: false, error: 'no luck' } });
  });

  it('one that does not exist is refused in words', async () => {
    await expect(jobs.run('dance')).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('dance'),
    });
  });

  it('after a stop nothing begins, what is under way is told to end, and its end is no failure in the log', async () => {
    scheduler.fire('7 * * * *');
    expect(signals[0]!.aborted).toBe(false);
    jobs.stop();
    expect(signals[0]!.aborted).toBe(true);
    expect(scheduler.entries.every(({ stopped }) => stopped)).toBe(true);
    runs[0]!.reject(new Error('the hub stopped before this was written'));
    await ticks();
    expect(logged).toEqual([]);
    scheduler.entries[0]!.run();
    expect(runs).toHaveLength(1);
    await expect(jobs.run('sweep')).rejects.toMatchObject({ code: 'unavailable' });
    expect(view('sweep').nextRunMs).toBeNull();
  });
});
