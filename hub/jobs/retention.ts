import type { Clock } from '#hub/clock.js';
import type { ControlResult, ControlWrite } from '#hub/store/port.js';
import type { Job } from './job.ts';
import type { JobLimits } from './limits.ts';

const DAY_US = 24 * 60 * 60 * 1_000_000;

export type RetainOp = Extract<ControlWrite, { beforeUs: number }>['op'];

/** What a retention job needs of the hub. */
export interface RetentionParts {
  readonly clock: Clock;
  readonly write: (control: ControlWrite) => Promise<ControlResult>;
  readonly limits: JobLimits;
}

export interface RetentionRule {
  readonly op: RetainOp;
  readonly name: string;
  readonly schedule: string;
  readonly description: string;
  readonly days: number;
}

/** Removes what is older than so many days, oldest first, in small writes with pauses, so that devices do not wait for it. */
export function retentionJob(rule: RetentionRule, { clock, write, limits }: RetentionParts): Job {
  const { op, name, schedule, description, days } = rule;
  return {
    name,
    schedule,
    description,
    async run(signal) {
      const beforeUs = clock.now() * 1000 - days * DAY_US;
      let removed = 0;
      for (let slice = 0; slice < limits.maxSlices; slice++) {
        if (slice > 0) await pause(clock, limits.slicePauseMs);
        if (signal.aborted) break;
        const result = await write({ op, beforeUs, limit: limits.sliceRows });
        if (!result.ok) throw new Error(result.message);
        removed += result.removed ?? 0;
        if ((result.removed ?? 0) < limits.sliceRows) break;
      }
      return { removed };
    },
  };
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}
