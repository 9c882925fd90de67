import { Command, InvalidArgumentError, Option } from 'commander';
import { VERSION } from '#hub/version.js';
import { addAccessCommands } from './access.ts';
import { addCertCommand } from './cert.ts';
import { addCompletionCommand } from './completion.ts';
import { addConnectionCommands } from './connections.ts';
import { DEMO_DEFAULTS, demo, type DemoOptions } from './demo.ts';
import { addDeviceCommands } from './device.ts';
import { addExportCommand } from './export.ts';
import { addConfigCommand, addDoctorCommand, addServeCommand, type LoadHub } from './hub-commands.ts';
import type { CliIo, ExitCode } from './io.ts';
import { addJobCommands } from './jobs.ts';
import { addLatestCommand } from './latest.ts';
import { addOperatorCommands } from './operator.ts';
import { addProfileCommands } from './profile.ts';
import { addReferenceCommand } from './reference.ts';
import { addRefusedCommand } from './refused.ts';
import { addSendCommand } from './send.ts';
import { addQueueCommands } from './queues.ts';
import { addSessionCommands } from './sessions.ts';
import { addSimOptions, sim } from './sim.ts';
import { addStatusCommand } from './status.ts';
import { addTailCommand } from './tail.ts';
import { addTokenCommands } from './token.ts';

export type { LoadHub } from './hub-commands.ts';

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
  // What documents every command needs every table.
  const wanted = (command: string): boolean =>
    [command, 'completion', 'reference'].some((word) => words.includes(word));
  const hubOptions = async (command: string) => (wanted(command) ? (await import('#hub/config.js')).ALL_OPTIONS : null);

  program.commandsGroup('A hub on this machine:');
  addServeCommand(program, await hubOptions('serve'), io, loadHub, ended);
  addConfigCommand(program, await hubOptions('config'), io);
  addDoctorCommand(program, await hubOptions('doctor'), io, ended);
  addCertCommand(program, io);
  addAccessCommands(program, await hubOptions('access'), io, ended);
  addDemo(program, io, loadHub, ended);

  program.commandsGroup('Devices:');
  addDeviceCommands(program, io);
  addSendCommand(program, io, ended);
  addLatestCommand(program, io);
  addTailCommand(program, io);
  addExportCommand(program, io);
  await addSim(program, wanted('sim'), io, ended);

  program.commandsGroup('Operating a hub:');
  addStatusCommand(program, io, ended);
  addConnectionCommands(program, io);
  addSessionCommands(program, io);
  addQueueCommands(program, io);
  addRefusedCommand(program, io);
  addJobCommands(program, io, ended);
  addOperatorCommands(program, io);
  addTokenCommands(program, io);

  program.commandsGroup('This command line:');
  addProfileCommands(program, io);
  addCompletionCommand(program, io);
  addReferenceCommand(program, io);
  return program;
}

async function addSim(program: Command, wanted: boolean, io: CliIo, ended: (code: ExitCode) => void): Promise<void> {
  const command = program.command('sim').description('play a fleet of devices against a hub and check what it kept');
  if (!wanted) return;
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

function portNumber(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new InvalidArgumentError('It must be 0 to 65535.');
  return Number(text);
}

function deviceNumber(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1 to 99999.');
  return Number(text);
}
