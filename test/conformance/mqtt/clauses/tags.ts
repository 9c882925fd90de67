import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Version } from './inventory.ts';

const TESTS = join(import.meta.dirname, '..', '..', '..');
const TAG = /\s*\[(3\.1\.1|5\.0): ([^\]]+)\]/g;
/** A string literal on one line that has a tag. */
const TAGGED = /'([^'\n]*\[(?:3\.1\.1|5\.0): [^'\n]*)'|"([^"\n]*\[(?:3\.1\.1|5\.0): [^"\n]*)"/g;

/** One use of a clause's number in the name of a test: `… [3.1.1: 3.1.0-1, 3.1.0-2] [5.0: 3.1.0-1]`. */
export interface Tag {
  readonly version: Version;
  readonly id: string;
  /** Path under `test/`. */
  readonly file: string;
  /** The name without its tags. */
  readonly name: string;
}

export function tagsOf(file: string, source: string): Tag[] {
  return [...source.matchAll(TAGGED)].flatMap(([, single, double]) => {
    const written = (single ?? double)!;
    const name = written.replaceAll(TAG, '').trim();
    return [...written.matchAll(TAG)].flatMap(([, version, ids]) =>
      ids!.split(',').map((id) => ({ version: version as Version, id: id.trim(), file, name })),
    );
  });
}

/** The tags of all test files. */
export function allTags(): Tag[] {
  return readdirSync(TESTS, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => relative(TESTS, join(entry.parentPath, entry.name)))
    .sort()
    .flatMap((file) => tagsOf(file, sourceOf(file)!));
}

/** Of a file under `test/`; null: there is none. */
export function sourceOf(file: string): string | null {
  try {
    return readFileSync(join(TESTS, file), 'utf8');
  } catch {
    return null;
  }
}
