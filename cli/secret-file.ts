import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { CliError, type CliIo } from './io.ts';

const LARGEST_SECRET_BYTES = 64 * 1024;

/** The text of a file that holds one secret, without the spaces and line ends around it. `name` is the option that named the file. Throws CliError. */
export function readSecret(file: string, name: string, io: CliIo): string {
  const path = resolve(io.cwd, file);
  const text = readSmall(path, name).trim();
  if (text === '') throw new CliError(`${name}: ${path} is empty: write the API token into it`);
  return text;
}

function readSmall(path: string, name: string): string {
  try {
    if (statSync(path).size > LARGEST_SECRET_BYTES)
      throw new CliError(`${name}: ${path} is too large for a token: name the file that holds the token alone`);
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`${name}: ${fileProblem(error, path)}`);
  }
}

/** Why a file cannot be used, and what to do. */
export function fileProblem(error: unknown, path: string): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return `${path} does not exist: check the path`;
    case 'EACCES':
    case 'EPERM':
      return `${path} may not be used by this user: change its permissions`;
    case 'EISDIR':
      return `${path} is a folder: name a file`;
    case 'ENOTDIR':
      return `${path} lies below something that is no folder: check the path`;
    case 'ENOSPC':
      return `no space is left for ${path}: free some, or choose another disk`;
    case 'EROFS':
      return `${path} is on a disk that cannot be written: choose another`;
  }
  return `${path}: ${error instanceof Error ? error.message : String(error)}`;
}
