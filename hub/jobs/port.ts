/** What the hub does by the clock, as people and programs see it. Times are milliseconds since 1970. */
export interface Jobs {
  /** In the order of the documentation. */
  list(): readonly JobView[];
  /**
   * Runs a job now and resolves at its end, also when it failed: `lastRun` says so. Rejects with FleetError `not_found`, or
   * `conflict` when it is under way.
   */
  run(name: string): Promise<JobView>;
}

export interface JobView {
  /** `[a-z-]+`. */
  readonly name: string;
  /** A cron pattern of five fields, in UTC. */
  readonly schedule: string;
  readonly description: string;
  readonly running: boolean;
  /** The last run that ended since the hub was started; null: none yet. */
  readonly lastRun: JobRun | null;
  /** Null while the hub stops. */
  readonly nextRunMs: number | null;
}

export interface JobRun {
  readonly startedMs: number;
  readonly durationMs: number;
  readonly ok: boolean;
  /** What it counted; null when it failed. */
  readonly result: JobResult | null;
  /** Why it failed, in words; null when it did not. */
  readonly error: string | null;
}

export type JobResult = Readonly<Record<string, number>>;
