import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

/** The version in package.json, in a checkout as in an installed copy. */
export const VERSION: string = readVersion();

function readVersion(): string {
  const path = findPackageJSON(import.meta.url);
  if (path === undefined)
    throw new Error('package.json is missing: this copy of Muster is not complete, install it again');
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
