import { Option, type Command } from 'commander';
import type { FlagValue, ResolvedConfig } from '#hub/config.js';
import { CliError, type CliIo } from './io.ts';

export function configFileOption(command: Command): Command {
  return command.addOption(
    new Option(
      '--config <file>',
      'configuration file, YAML or JSON (default: MUSTER_CONFIG, else muster.yaml, muster.yml or muster.json here)',
    ),
  );
}

/** The effective configuration and the name of the file that took part in it. Throws ConfigError and CliError. */
export async function loadConfig(
  flags: Readonly<Record<string, FlagValue>>,
  file: string | undefined,
  io: CliIo,
): Promise<ResolvedConfig & { readonly file: string | null }> {
  const { resolveConfig } = await import('#hub/config.js');
  const { ConfigFileError, findConfigFile } = await import('#hub/config/find-file.js');
  try {
    const found = findConfigFile(file, io.env, io.cwd);
    return { ...resolveConfig(flags, io.env, found), file: found?.name ?? null };
  } catch (error) {
    if (error instanceof ConfigFileError) throw new CliError(error.message);
    throw error;
  }
}
