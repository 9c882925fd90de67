import type { Clock } from '#hub/clock.js';
import { FleetError } from '#hub/fleet/port.js';
import type { Job, Scheduled, Scheduler } from './job.ts';
import type { JobRun, Jobs, JobView } from './port.ts';

export interface JobLog {
  debug(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

interface Entry {
  readonly job: Job;
  scheduled: Scheduled | null;
  running: boolean;
  lastRun: JobRun | null;
}

/** Runs the jobs by their schedules and remembers how it went. A job never overlaps itself, and its failure hurts nobody else. */
export class JobBook implements Jobs {
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #clock: Clock;
  readonly #log: JobLog;
  readonly #stopped = new AbortController();

  constructor(jobs: readonly Job[], clock: Clock, log: JobLog) {
    this.#entries = new Map(
      jobs.map((job) => [job.name, { job, scheduled: null, running: false, lastRun: null }] as const),
    );
    this.#clock = clock;
    this.#log = log;
  }

  /** Once. Throws when a schedule is no cron pattern. */
  start(scheduler: Scheduler): void {
    for (const entry of this.#entries.values())
      entry.scheduled = scheduler.schedule(entry.job.schedule, () => void this.#due(entry));
  }

  /** Nothing is begun any more. What is under way ends after its present step, for which nobody has to wait. */
  stop(): void {
    this.#stopped.abort();
    for (const { scheduled } of this.#entries.values()) scheduled?.stop();
  }

  list(): readonly JobView[] {
    return [...this.#entries.values()].map((entry) => this.#view(entry));
  }

  async run(name: string): Promise<JobView> {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new FleetError('not_found', `there is no job ${name}; GET /api/v1/jobs lists all`);
    if (entry.running) throw new FleetError('conflict', `${name} is under way; look again when it has ended`);
    if (this.#stopped.signal.aborted) throw new FleetError('unavailable', 'the hub is shutting down');
    await this.#run(entry);
    return this.#view(entry);
  }

  async #due(entry: Entry): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    if (entry.running) this.#log.debug({ job: entry.job.name }, 'job left out: its last run has not ended');
    else await this.#run(entry);
  }

  async #run(entry: Entry): Promise<void> {
    const { job } = entry;
    const [startedMs, start] = [this.#clock.now(), this.#clock.monotonic()];
    const took = (): number => Math.round(this.#clock.monotonic() - start);
    entry.running = true;
    try {
      const result = await job.run(this.#stopped.signal);
      entry.lastRun = { startedMs, durationMs: took(), ok: true, result, error: null };
      this.#log.debug({ job: job.name, ...entry.lastRun }, 'job done');
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      entry.lastRun = { startedMs, durationMs: took(), ok: false, result: null, error: text };
      // A stop cuts off what waits for the store: no failure of the job.
      if (!this.#stopped.signal.aborted) this.#log.error({ job: job.name, err: error }, 'job failed');
    } finally {
      entry.running = false;
    }
  }

  #view({ job, running, lastRun, scheduled }: Entry): JobView {
    const { name, schedule, description } = job;
    const nextRunMs = this.#stopped.signal.aborted ? null : (scheduled?.nextMs() ?? null);
    return { name, schedule, description, running, lastRun, nextRunMs };
  }
}
