import type { JobResult } from './port.ts';

/** Something that the hub does by the clock. */
export interface Job {
  readonly name: string;
  /** A cron pattern of five fields, in UTC. */
  readonly schedule: string;
  readonly description: string;
  /** Rejects when it fails. Once `signal` is aborted (the hub stops) it begins nothing more, and resolves with what was done. */
  run(signal: AbortSignal): Promise<JobResult>;
}

/** Calls by cron patterns: `cron.ts`; tests have one that fires when told. */
export interface Scheduler {
  /** Throws when the pattern is none. */
  schedule(pattern: string, run: () => void): Scheduled;
}

export interface Scheduled {
  /** Milliseconds since 1970; null: never again. */
  nextMs(): number | null;
  stop(): void;
}
