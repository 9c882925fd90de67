import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ConfigFile } from './file.ts';

/** Looked for in the folder where the hub is started when no file is named. */
export const DEFAULT_FILES: readonly string[] = ['muster.yaml', 'muster.yml', 'muster.json'];

/** Larger than any configuration; bounds what a wrong path can make the hub read. */
const LARGEST_FILE_BYTES = 1024 * 1024;

/** The file cannot be read. The message says what to do. */
export class ConfigFileError extends Error {
  override readonly name = 'ConfigFileError';
}

/**
 * Reads the file that `named` or MUSTER_CONFIG names, else the default file of the folder `cwd`; null: there is none.
 * Throws ConfigFileError.
 */
export function findConfigFile(
  named: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
): ConfigFile | null {
  const name = named ?? (env.MUSTER_CONFIG || undefined);
  if (name !== undefined) return { name, text: read(resolve(cwd, name), name) };
  const found = DEFAULT_FILES.filter((file) => existsSync(join(cwd, file)));
  const [first, second] = found;
  if (first === undefined) return null;
  if (second !== undefined)
    throw new ConfigFileError(`both ${first} and ${second} are here: name one by --config, or remove the other`);
  return { name: first, text: read(join(cwd, first), first) };
}

function read(path: string, name: string): string {
  try {
    if (statSync(path).size > LARGEST_FILE_BYTES)
      throw new ConfigFileError(`${name} is larger than 1 MiB: it cannot be a configuration file`);
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof ConfigFileError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new ConfigFileError(`${name} does not exist: check --config or MUSTER_CONFIG`);
    if (code === 'EISDIR') throw new ConfigFileError(`${name} is a folder: name the configuration file in it`);
    if (code === 'EACCES') throw new ConfigFileError(`${name} may not be read by this user: change its permissions`);
    throw new ConfigFileError(`${name} cannot be read: ${message}`);
  }
}
