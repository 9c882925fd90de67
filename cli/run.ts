import { CommanderError } from 'commander';
import { CliError, type CliIo, type ExitCode } from './io.ts';
import { buildProgram, type LoadHub } from './program.ts';

/** Runs one command line (without program name) and returns its exit code. What the user can put right is said in one line; a fault shows its stack. */
export async function run(words: readonly string[], io: CliIo, loadHub: LoadHub): Promise<ExitCode> {
  let code: ExitCode = 0;
  try {
    const program = await buildProgram(words, io, loadHub, (ended) => (code = ended));
    await program.parseAsync(words, { from: 'user' });
    return code;
  } catch (error) {
    // Commander has said what was wrong already; help and version end with 0.
    if (error instanceof CommanderError) return error.exitCode;
    io.stderr.write(`muster: ${inWords(error)}\n`);
    return 1;
  }
}

function inWords(error: unknown): string {
  if (error instanceof CliError) return error.message;
  if (error instanceof Error && error.name === 'ConfigError') {
    return `the configuration cannot be used:\n  ${error.message.replaceAll('\n', '\n  ')}`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
