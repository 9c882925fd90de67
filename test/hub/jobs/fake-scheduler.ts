import type { Scheduled, Scheduler } from '#hub/jobs/job.js';

/** Fires when told. */
export class FakeScheduler implements Scheduler {
  readonly entries: { pattern: string; run: () => void; stopped: boolean }[] = [];
  nextMs = 1_800_000_000_000;

  schedule(pattern: string, run: () => void): Scheduled {
    const entry = { pattern, run, stopped: false };
    this.entries.push(entry);
    return { nextMs: () => this.nextMs, stop: () => (entry.stopped = true) };
  }

  fire(pattern: string): void {
    for (const entry of this.entries) if (entry.pattern === pattern && !entry.stopped) entry.run();
  }
}
