import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Standard } from './standard.ts';

const TESTS = join(import.meta.dirname, '..', '..');

/** One use of a clause's id in the name of a test: `… [3.1.1: 3.1.0-1, 3.1.0-2] [5.0: 3.1.0-1]`. */
export interface Tag {
  readonly version: string;
  readonly id: string;
  /** Path under `test/`. */
  readonly file: string;
  /** The name without its tags. */
  readonly name: string;
}

/** Tags in the names of tests: string literals on one line. */
export function tagsOf({ parts }: Standard, file: string, source: string): Tag[] {
  const versions = parts.map(({ version }) => version.replaceAll('.', '\\.')).join('|');
  const tag = new RegExp(`\\s*\\[(${versions}): ([^\\]]+)\\]`, 'g');
  const literal = `[^Q\\n]*\\[(?:${versions}): [^Q\\n]*`;
  const tagged = new RegExp(`'(${literal.replaceAll('Q', "'")})'|"(${literal.replaceAll('Q', '"')})"`, 'g');
  return [...source.matchAll(tagged)].flatMap(([, single, double]) => {
    const written = (single ?? double)!;
    const name = written.replaceAll(tag, '').trim();
    return [...written.matchAll(tag)].flatMap(([, version, ids]) =>
      ids!.split(',').map((id) => ({ version: version!, id: id.trim(), file, name })),
    );
  });
}

/** The tags of all test files. */
export function allTags(standard: Standard): Tag[] {
  return readdirSync(TESTS, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => relative(TESTS, join(entry.parentPath, entry.name)))
    .sort()
    .flatMap((file) => tagsOf(standard, file, sourceOf(file)!));
}

/** Of a file under `test/`; null: there is none. */
export function sourceOf(file: string): string | null {
  try {
    return readFileSync(join(TESTS, file), 'utf8');
  } catch {
    return null;
  }
}
