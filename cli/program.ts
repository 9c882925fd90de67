import { Command, InvalidArgumentError, Option } from 'commander';
import { VERSION } from '#hub/version.js';
import { DEMO_DEFAULTS, demo, type DemoOptions } from './demo.ts';
import { addDeviceCommands } from './device.ts';
import { addHubOptions, givenFlags } from './hub-options.ts';
import type { CliIo, ExitCode } from './io.ts';
import { addLatestCommand } from './latest.ts';
import { addSendCommand } from './send.ts';
import { serve, type StartHub } from './serve.ts';
import { addSimOptions, sim } from './sim.ts';
import { showConfig } from './config.ts';

/** How a hub is started: `hub/compose.ts`, loaded when it is wanted. Tests give another. */
export type LoadHub = () => Promise<StartHub>;

/**
 * All commands. Those that only talk to a running hub load nothing of it, so that they start fast; `words` (the command
 * line) tells whether the tables of the hub's or the simulator's options are needed.
 */
export async function buildProgram(
  words: readonly string[],
  io: CliIo,
  loadHub: LoadHub,
  ended: (code: ExitCode) => void,
): Promise<Command> {
  const program = new Command('muster')
    .description('A hub for fleets of devices: MQTT, STOMP and CBOR over one WebSocket port.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .showHelpAfterError('(add --help for what there is)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
    });
  await addServe(program, words, io, loadHub, ended);
  addDeviceCommands(program, io);
  addSendCommand(program, io, ended);
  addLatestCommand(program, io);
  await addSim(program, words, io, ended);
  addDemo(program, io, loadHub, ended);
  await addConfig(program, words, io);
  return program;
}

async function addServe(
  program: Command,
  words: readonly string[],
  io: CliIo,
  loadHub: LoadHub,
  ended: (code: ExitCode) => void,
): Promise<void> {
  const command = program.command('serve').description('run a hub until SIGINT or SIGTERM');
  if (!mentions(words, 'serve')) return;
  const { ALL_OPTIONS } = await import('#hub/config.js');
  addHubOptions(command, ALL_OPTIONS).action(async (values: Record<string, unknown>) => {
    ended(await serve(givenFlags(ALL_OPTIONS, values), io, await loadHub()));
  });
}

async function addConfig(program: Command, words: readonly string[], io: CliIo): Promise<void> {
  const command = program
    .command('config')
    .description('print every option of the hub, its value and where it comes from');
  if (!mentions(words, 'config')) return;
  const { ALL_OPTIONS } = await import('#hub/config.js');
  command.option('--json', 'as JSON, for programs').option('--markdown', 'print docs/configuration.md instead');
  addHubOptions(command, ALL_OPTIONS).action(async (values: Record<string, unknown>) => {
    await showConfig(givenFlags(ALL_OPTIONS, values), values, io);
  });
}

async function addSim(
  program: Command,
  words: readonly string[],
  io: CliIo,
  ended: (code: ExitCode) => void,
): Promise<void> {
  const command = program.command('sim').description('play a fleet of devices against a hub and check what it kept');
  if (!mentions(words, 'sim')) return;
  const { SIM_OPTION_TABLE } = await import('#devices-sim/options.js');
  addSimOptions(command, SIM_OPTION_TABLE).action(async (values: Record<string, string | boolean>) => {
    ended(await sim(values, io));
  });
}

function addDemo(program: Command, io: CliIo, loadHub: LoadHub, ended: (code: ExitCode) => void): void {
  const usual = DEMO_DEFAULTS;
  program
    .command('demo')
    .description('a hub, a simulated fleet and live figures, until Ctrl-C')
    .addOption(
      new Option('--port <n>', 'port of the hub (default: 8080 if it is free, else any)').argParser(portNumber),
    )
    .option('--data <dir>', 'data folder', usual.data)
    .addOption(new Option('--devices <n>', 'number of devices').default(usual.devices).argParser(deviceNumber))
    .action(async (values: Partial<DemoOptions>) => {
      ended(await demo({ ...usual, ...values }, io, await loadHub()));
    });
}

function mentions(words: readonly string[], command: string): boolean {
  return words.includes(command);
}

function portNumber(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new InvalidArgumentError('It must be 0 to 65535.');
  return Number(text);
}

function deviceNumber(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1 to 99999.');
  return Number(text);
}
