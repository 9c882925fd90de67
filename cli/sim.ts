import { Option, type Command } from 'commander';
import type { RawSimOptions, SimOptionRow } from '#devices-sim/options.js';
import { CliError, type CliIo, type ExitCode } from './io.ts';
import { stopSignal } from './signals.ts';
import { resolveTarget } from './target.ts';

/** A flag for each row of the simulator's own table. Defaults are left to the simulator, which also parses the text. */
export function addSimOptions(command: Command, rows: readonly SimOptionRow[]): Command {
  for (const row of rows) {
    const shown = row.default === null ? '' : ` (default: ${row.default})`;
    command.addOption(new Option(row.value === null ? row.flag : `${row.flag} <${row.value}>`, `${row.help}${shown}`));
  }
  return command;
}

/** Plays a fleet against a hub. The exit code is the simulator's verdict. */
export async function sim(given: RawSimOptions, io: CliIo): Promise<ExitCode> {
  const { parseSimOptions, runSimulation, SimError, SimOptionError } = await import('#devices-sim/main.js');
  const stop = stopSignal(io);
  try {
    const options = parseSimOptions(await withTarget(given, io));
    const report = await runSimulation(options, { stdout: io.stdout, stderr: io.stderr, signal: stop.signal });
    return report.exitCode;
  } catch (error) {
    if (error instanceof SimError || error instanceof SimOptionError) throw new CliError(error.message);
    throw error;
  } finally {
    stop.dispose();
  }
}

/** The environment and profiles name the hub as for the other commands, unless the run starts a hub of its own. */
async function withTarget(given: RawSimOptions, io: CliIo): Promise<RawSimOptions> {
  if (given.spawnHub === true) return given;
  const { url, token } = given as { readonly url?: string; readonly token?: string };
  const target = await resolveTarget({ ...(url ? { url } : {}), ...(token ? { token } : {}) }, io);
  return {
    ...given,
    ...(url === undefined && target.named ? { url: target.base.replace(/^http/, 'ws') } : {}),
    ...(token === undefined && target.token !== null ? { token: target.token } : {}),
  };
}
