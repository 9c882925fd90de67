import { beforeEach, describe, expect, it } from 'vitest';
import { JOB_LIMITS } from '#hub/jobs/limits.js';
import { retentionJob, type RetentionRule } from '#hub/jobs/retention.js';
import type { ControlResult, ControlWrite } from '#hub/store/port.js';
import { FakeClock } from '../../support/fake-clock.ts';
import { ticks } from '../../support/hub-parts.ts';

const RULE: RetentionRule = {
  op: 'retain.events',
  name: 'retain-events',
  schedule: '37 * * * *',
  description: 'removes old events',
  days: 90,
};
const LIMITS = { sliceRows: 100, slicePauseMs: 25, maxSlices: 4 };

describe('a retention job', () => {
  let clock: FakeClock;
  let writes: ControlWrite[];
  let answers: ControlResult[];
  let stop: AbortController;
  beforeEach(() => {
    clock = new FakeClock();
    writes = [];
    answers = [];
    stop = new AbortController();
  });

  function run() {
    const write = async (control: ControlWrite): Promise<ControlResult> => {
      writes.push(control);
      return answers.shift() ?? { ok: true, removed: 0 };
    };
    return retentionJob(RULE, { clock, write, limits: LIMITS }).run(stop.signal);
  }
  const removed = (...counts: number[]) => void answers.push(...counts.map((n) => ({ ok: true, removed: n }) as const));

  it('removes in small writes with pauses, until one finds less than it may take', async () => {
    removed(100, 100, 7);
    const beforeUs = (clock.now() - 90 * 24 * 3600 * 1000) * 1000;
    const done = run();
    await ticks();
    expect(writes).toEqual([{ op: 'retain.events', beforeUs, limit: 100 }]);
    clock.advance(24);
    await ticks();
    expect(writes).toHaveLength(1);
    clock.advance(1);
    await ticks();
    clock.advance(25);
    expect(await done).toEqual({ removed: 207 });
    // The same moment for all of them: nothing that grew old meanwhile keeps the run going.
    expect(new Set(writes.map((write) => JSON.stringify(write))).size).toBe(1);
    expect(writes).toHaveLength(3);
  });

  it('is one write when there is nothing to remove', async () => {
    expect(await run()).toEqual({ removed: 0 });
    expect(writes).toHaveLength(1);
  });

  it('leaves to the next run what is more than its bound', async () => {
    removed(100, 100, 100, 100, 100);
    const done = run();
    for (let i = 0; i < 5; i++) {
      await ticks();
      clock.advance(25);
    }
    expect(await done).toEqual({ removed: 400 });
    expect(writes).toHaveLength(LIMITS.maxSlices);
  });

  it('fails when a write fails', async () => {
    answers.push({ ok: false, code: 'failed', message: 'no such table' });
    await expect(run()).rejects.toThrow('no such table');
  });

  it('writes nothing more once the hub stops', async () => {
    removed(100, 100);
    const done = run();
    await ticks();
    stop.abort();
    clock.advance(25);
    expect(await done).toEqual({ removed: 100 });
    expect(writes).toHaveLength(1);
  });

  it('has bounds that let half a million rows go in one run', () => {
    expect(JOB_LIMITS.sliceRows * JOB_LIMITS.maxSlices).toBeGreaterThanOrEqual(500_000);
  });
});
