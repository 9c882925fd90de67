import { InvalidArgumentError, Option, type Command } from 'commander';
import { Client } from './client.ts';
import type { CliIo } from './io.ts';
import { DEFAULT_URL, type TargetOptions } from './target.ts';

export interface CommonOptions extends TargetOptions {
  readonly json?: boolean;
}

/** Heading of the options that say which hub is meant. */
export const TARGET_GROUP = 'Which hub:';

/** The options that every command has which talks to a running hub. */
export function clientCommand(command: Command): Command {
  return targetOptions(command.addOption(new Option('--json', 'answer as JSON, for programs')));
}

/** Which hub, and as whom. */
export function targetOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--url <url>',
        `address of the hub (default: MUSTER_URL, else the profile's, else ${DEFAULT_URL})`,
      ).helpGroup(TARGET_GROUP),
    )
    .addOption(
      new Option('--token <token>', "API token (default: MUSTER_TOKEN, else the profile's)").helpGroup(TARGET_GROUP),
    )
    .addOption(
      new Option('--token-file <file>', 'file that holds the API token (default: MUSTER_TOKEN_FILE)').helpGroup(
        TARGET_GROUP,
      ),
    )
    .addOption(
      new Option('--profile <name>', 'profile to use (default: MUSTER_PROFILE, else the one in use)').helpGroup(
        TARGET_GROUP,
      ),
    );
}

export function clientOf(options: TargetOptions, io: CliIo): Client {
  return new Client(options, io);
}

/** Parses the value of an option that counts. */
export function positive(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number above 0.');
  return Number(text);
}

/** Parses `a,b,c`. */
export function commaList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
