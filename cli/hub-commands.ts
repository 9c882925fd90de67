import type { Command } from 'commander';
import type { NamedOption } from '#hub/config.js';
import { targetOptions } from './client-command.ts';
import { showConfig } from './config.ts';
import type { DoctorOptions } from './doctor.ts';
import { configFileOption } from './hub-config.ts';
import { addHubOptions, givenFlags } from './hub-options.ts';
import type { CliIo, ExitCode } from './io.ts';
import { serve, type StartHub } from './serve.ts';

/** How a hub is started: `hub/compose.ts`, loaded when it is wanted. Tests give another. */
export type LoadHub = () => Promise<StartHub>;

/** `options`: those of the hub; null when the command line does not need them, so that they need not be loaded. */
export function addServeCommand(
  program: Command,
  options: readonly NamedOption[] | null,
  io: CliIo,
  loadHub: LoadHub,
  ended: (code: ExitCode) => void,
): void {
  const command = program.command('serve').description('run a hub until SIGINT or SIGTERM');
  if (options === null) return;
  configFileOption(command);
  addHubOptions(command, options).action(async (values: Record<string, unknown> & { config?: string }) => {
    ended(await serve(givenFlags(options, values), values.config, io, await loadHub()));
  });
}

export function addConfigCommand(program: Command, options: readonly NamedOption[] | null, io: CliIo): void {
  const command = program
    .command('config')
    .description('print every option of the hub, its value and where it comes from');
  if (options === null) return;
  configFileOption(command)
    .option('--json', 'as JSON, for programs')
    .option('--markdown', 'print docs/configuration.md instead');
  addHubOptions(command, options).action(async (values: Record<string, unknown>) => {
    await showConfig(givenFlags(options, values), values, io);
  });
}

export function addDoctorCommand(
  program: Command,
  options: readonly NamedOption[] | null,
  io: CliIo,
  ended: (code: ExitCode) => void,
): void {
  const command = program
    .command('doctor')
    .description(
      'look whether a hub can run here with the options of `serve`: versions, clock, port, open files, disk',
    );
  if (options === null) return;
  targetOptions(configFileOption(command).option('--json', 'as JSON, for programs'))
    .addHelpText(
      'after',
      '\nIt takes the options of `muster serve` too: give the same, and it looks at what they mean.',
    )
    .addHelpText('after', 'A hub that is named (--url, --profile, MUSTER_URL, a profile in use) is asked as well.')
    .addHelpText('after', '\nExit code: 0 nothing failed; 1 something did.');
  for (const option of addHubOptions(command, options).options) {
    if (options.some(({ flag }) => flag === option.long)) option.hideHelp();
  }
  command.action(async (values: Record<string, unknown> & DoctorOptions) => {
    const { doctor } = await import('./doctor.ts');
    ended(await doctor(givenFlags(options, values), values, io));
  });
}
