import { InvalidArgumentError, type Command } from 'commander';
import { clientCommand, clientOf, type CommonOptions } from './client-command.ts';
import { CliError, print, printJson, type CliIo, type ExitCode } from './io.ts';

const LONGEST_WAIT_SECONDS = 60;
const DEFAULT_WAIT_SECONDS = 30;
/** States in which nothing more comes by itself. */
const ENDED = new Set(['succeeded', 'failed', 'rejected', 'expired', 'cancelled', 'timed_out']);

interface CommandView {
  readonly id: string;
  readonly state: string;
  readonly result: unknown;
}

export function addSendCommand(program: Command, io: CliIo, ended: (code: ExitCode) => void): void {
  clientCommand(program.command('send <device> <command> [json]'))
    .description('send a command with parameters in JSON and wait for its result')
    .option(
      '--wait <seconds>',
      `how long to wait for the result, 0 to ${LONGEST_WAIT_SECONDS}`,
      seconds,
      DEFAULT_WAIT_SECONDS,
    )
    .option('--ttl <seconds>', 'how long it may wait for its device (default: the hub decides)', positiveSeconds)
    .addHelpText('after', '\nExit code: 0 succeeded; 1 ended otherwise, or an error; 2 not ended within the wait.')
    .action(
      async (
        device: string,
        name: string,
        json: string | undefined,
        options: CommonOptions & { wait: number; ttl?: number },
      ) => {
        const body = {
          name,
          params: parseParams(json),
          ttlMs: options.ttl === undefined ? undefined : options.ttl * 1000,
        };
        const path = `/devices/${encodeURIComponent(device)}/commands?wait=${options.wait}`;
        const waitMs = options.wait * 1000;
        const { command } = await clientOf(options, io).call<{ command: CommandView }>('POST', path, body, waitMs);
        if (options.json) printJson(io, command);
        else print(io, describe(command, options.wait));
        ended(command.state === 'succeeded' ? 0 : ENDED.has(command.state) ? 1 : 2);
      },
    );
}

function describe({ id, state, result }: CommandView, waitSeconds: number): string {
  const answer = result === null ? '' : ` ${JSON.stringify(result)}`;
  if (ENDED.has(state)) return `${state}${answer}`;
  return `${state} (command ${id} had not ended after ${waitSeconds} s; it goes on)`;
}

function parseParams(json: string | undefined): unknown {
  if (json === undefined) return undefined;
  try {
    return JSON.parse(json) as unknown;
  } catch {
    throw new CliError(
      `the parameters are no JSON: ${json.slice(0, 80)}\nquote them for the shell, such as '{"level":3}'`,
    );
  }
}

function seconds(text: string): number {
  if (!/^\d{1,2}$/.test(text) || Number(text) > LONGEST_WAIT_SECONDS) {
    throw new InvalidArgumentError(`It must be a whole number of seconds from 0 to ${LONGEST_WAIT_SECONDS}.`);
  }
  return Number(text);
}

function positiveSeconds(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError('It must be a whole number of seconds above 0.');
  return Number(text);
}
