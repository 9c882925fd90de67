import type { Command } from 'commander';
import { clientCommand, clientOf, type CommonOptions } from './client-command.ts';
import { print, printJson, type CliIo, type ExitCode } from './io.ts';
import { table } from './table.ts';

/** A pass over a large database may take its time. */
const LONGEST_RUN_MS = 10 * 60_000;

interface Run {
  readonly started: string;
  readonly durationMs: number;
  readonly ok: boolean;
  /** What it counted. */
  readonly result: Readonly<Record<string, number>> | null;
  readonly error: string | null;
}

interface Job {
  readonly name: string;
  readonly schedule: string;
  readonly description: string;
  readonly running: boolean;
  readonly lastRun: Run | null;
  readonly nextRun: string | null;
}

export function addJobCommands(program: Command, io: CliIo, ended: (code: ExitCode) => void): void {
  const jobs = program.command('jobs').description('what the hub does by the clock: clearing out, checkpoints');
  clientCommand(jobs.command('list', { isDefault: true }))
    .description('list the jobs with their last run and their next; `muster jobs` alone does so too')
    .action(async (options: CommonOptions) => {
      const items = await clientOf(options, io).all<Job>('/jobs', {}, Infinity);
      if (options.json) printJson(io, items);
      else print(io, jobTable(items));
    });
  clientCommand(jobs.command('run <job>'))
    .description('run a job now and wait for its end')
    .addHelpText('after', '\nExit code: 0 it went well; 1 it failed, or an error.')
    .action(async (name: string, options: CommonOptions) => {
      const path = `/jobs/${encodeURIComponent(name)}/run`;
      const job = await clientOf(options, io).call<Job>('POST', path, undefined, LONGEST_RUN_MS);
      if (options.json) printJson(io, job);
      else print(io, `${name}: ${runText(job.lastRun)}`);
      ended(job.lastRun?.ok === true ? 0 : 1);
    });
}

function jobTable(jobs: readonly Job[]): string {
  return table(
    ['JOB', 'SCHEDULE (UTC)', 'LAST RUN', 'NEXT RUN', 'WHAT IT DOES'],
    jobs.map((job) => [job.name, job.schedule, lastText(job), job.nextRun ?? '-', job.description]),
  );
}

function lastText({ running, lastRun }: Job): string {
  if (running) return 'under way';
  return lastRun === null ? 'none since the start' : `${lastRun.started}: ${runText(lastRun)}`;
}

function runText(run: Run | null): string {
  if (run === null) return 'it has not run yet';
  if (!run.ok) return `failed after ${run.durationMs} ms: ${run.error ?? 'the log says more'}`;
  const counted = Object.entries(run.result ?? {}).map(([name, count]) => `${name} ${count}`);
  return [`ok after ${run.durationMs} ms`, ...counted].join(', ');
}
