import type { Job } from './job.ts';
import { retentionJob, type RetentionParts } from './retention.ts';

/** What the jobs need of the hub: `compose.ts` gives it. */
export interface JobParts extends RetentionParts {
  readonly retain: {
    readonly retainConnectionsDays: number;
    readonly retainRejectedDays: number;
    readonly retainCommandsDays: number;
    readonly retainEventsDays: number;
  };
  readonly checkpoint: () => Promise<{ readonly walBytes: number }>;
  /** Each resolves with how many were removed. */
  readonly removeExpiredSignIns: () => Promise<number>;
  readonly removeExpiredTokens: () => Promise<number>;
}

/** All jobs of the hub. The hourly ones begin at different minutes, so that they do not meet. */
export function hubJobs(parts: JobParts): readonly Job[] {
  const { retain } = parts;
  return [
    retentionJob(
      {
        op: 'retain.connections',
        name: 'retain-connections',
        schedule: '7 * * * *',
        description: 'removes ended connections after retainConnectionsDays; the last one of a device stays',
        days: retain.retainConnectionsDays,
      },
      parts,
    ),
    retentionJob(
      {
        op: 'retain.rejected',
        name: 'retain-rejected',
        schedule: '17 * * * *',
        description: 'removes unreadable payloads after retainRejectedDays',
        days: retain.retainRejectedDays,
      },
      parts,
    ),
    retentionJob(
      {
        op: 'retain.commands',
        name: 'retain-commands',
        schedule: '27 * * * *',
        description: 'removes ended commands with their histories after retainCommandsDays',
        days: retain.retainCommandsDays,
      },
      parts,
    ),
    retentionJob(
      {
        op: 'retain.events',
        name: 'retain-events',
        schedule: '37 * * * *',
        description: 'removes events of devices after retainEventsDays',
        days: retain.retainEventsDays,
      },
      parts,
    ),
    {
      name: 'checkpoint',
      schedule: '*/10 * * * *',
      description: 'moves the write-ahead log into the database, so that its file stays small',
      run: async () => ({ walBytes: (await parts.checkpoint()).walBytes }),
    },
    {
      name: 'expire-sign-ins',
      schedule: '*/15 * * * *',
      description: 'removes sign-ins and sign-in links that have expired',
      run: async () => ({ removed: await parts.removeExpiredSignIns() }),
    },
    {
      name: 'expire-tokens',
      schedule: '*/15 * * * *',
      description: 'removes tokens that have expired and ends the connections that use them',
      run: async () => ({ removed: await parts.removeExpiredTokens() }),
    },
  ];
}
