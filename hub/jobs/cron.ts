import { createTask, type Logger } from 'node-cron';
import type { Scheduler } from './job.ts';

/** Where node-cron's own remarks go; without it they would be printed past the log. */
export interface CronLog {
  warn(text: string): void;
  error(fields: object, text: string): void;
}

/** A scheduler on node-cron, in UTC: without a summer time no hour is skipped or comes twice. Its timers hold no process. */
export function cronScheduler(log: CronLog): Scheduler {
  const logger: Logger = {
    info: () => undefined,
    debug: () => undefined,
    warn: (text) => log.warn(text),
    error: (error) => log.error({ err: error }, 'fault of the scheduler'),
  };
  return {
    schedule(pattern, run) {
      const task = createTask(pattern, run, { timezone: 'UTC', unref: true, logger });
      void task.start();
      return {
        nextMs: () => task.getNextRun()?.getTime() ?? null,
        stop: () => void task.destroy(),
      };
    },
  };
}
