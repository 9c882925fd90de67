import { Option, type Command } from 'commander';
import { Client, DEFAULT_URL, type ClientOptions } from './client.ts';
import type { CliIo } from './io.ts';

export interface CommonOptions extends ClientOptions {
  readonly json?: boolean;
}

/** The options that every command has which talks to a running hub. */
export function clientCommand(command: Command): Command {
  return command
    .addOption(new Option('--url <url>', `address of the hub (default: ${DEFAULT_URL}, or MUSTER_URL)`))
    .addOption(new Option('--token <token>', 'API token (default: MUSTER_TOKEN)'))
    .addOption(new Option('--json', 'answer as JSON, for programs'));
}

export function clientOf(options: ClientOptions, io: CliIo): Client {
  return new Client(options, io);
}
