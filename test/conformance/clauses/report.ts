import type { Clause } from './clause.ts';
import type { Part, Standard } from './standard.ts';
import { sourceOf, type Tag } from './tags.ts';

/** What is wrong with the inventory or the tags, in words; none: all is well. */
export function faults(standard: Standard, tags: readonly Tag[]): string[] {
  const found: string[] = [];
  for (const { version, chapters, clauses } of standard.parts) {
    const ids = new Set(clauses.map(({ id }) => id));
    if (ids.size !== clauses.length) found.push(`${version}: an id stands twice`);
    for (const tag of tags) {
      if (tag.version === version && !ids.has(tag.id)) {
        found.push(`${tag.file}: the tag ${version}: ${tag.id} names no clause`);
      }
    }
    for (const clause of clauses) {
      if (chapterOf(chapters, clause) === undefined) found.push(`${version}: ${clause.id} is of no chapter`);
      found.push(...faultsOf(version, clause, tags));
    }
  }
  return found;
}

function faultsOf(version: string, { id, who, tests = [], reason }: Clause, tags: readonly Tag[]): string[] {
  const missing = tests.filter((test) => !exists(test));
  const found = missing.map((test) => `${version}: ${id} names a test that does not exist: ${test}`);
  const isShown = tests.length > 0 || tags.some((tag) => tag.version === version && tag.id === id);
  if (who !== 'client' && !isShown && reason === undefined) found.push(`${version}: ${id} has neither test nor reason`);
  return found;
}

/** `{file under test/}: {name}`: the name stands in the file as (part of) a text. */
function exists(test: string): boolean {
  const colon = test.indexOf(': ');
  const name = test.slice(colon + 2);
  return colon > 0 && name !== '' && sourceOf(test.slice(0, colon))?.includes(name) === true;
}

/** The whole document. */
export function document(standard: Standard, tags: readonly Tag[]): string {
  return [standard.head, ...standard.parts.map((part) => partOf(part, standard.home, tags))].join('\n');
}

function partOf(part: Part, home: string, tags: readonly Tag[]): string {
  const { version, heading, text, clauses } = part;
  const lines = [`## ${heading}`, ''];
  if (text !== undefined) lines.push(text, '');
  const shown = clauses.filter(({ who }) => who !== 'client');
  const untested = shown.filter((clause) => shownBy(version, clause, home, tags).length === 0);
  lines.push(
    `${clauses.length} statements, ${shown.length} of them duties of servers: ${shown.length - untested.length} with tests, ` +
      `${untested.length} with a reason why not.`,
    '',
  );
  let current = '';
  for (const clause of clauses) {
    const chapter = chapterOf(part.chapters, clause) ?? '';
    if (chapter !== current) {
      if (current !== '') lines.push('');
      lines.push(`### ${chapter}, ${version}`, '', '| Statement | Duty of | What | Shown by |', '|---|---|---|---|');
      current = chapter;
    }
    lines.push(row(clause, shownBy(version, clause, home, tags)));
  }
  return `${lines.join('\n')}\n`;
}

function chapterOf(chapters: Part['chapters'], { id }: Clause): string | undefined {
  return Object.entries(chapters).find(([start]) => id.startsWith(start))?.[1];
}

function row({ id, who, force, summary, reason }: Clause, tests: readonly string[]): string {
  const said = reason === undefined ? [] : [`${tests.length === 0 ? 'none' : 'but'}: ${reason}`];
  const shown = [...tests, ...said];
  const duty = force === undefined ? who : `${who}, ${force}`;
  const cells = [id, duty, summary, shown.length === 0 ? '' : shown.join('<br>')];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function shownBy(version: string, { id, tests = [] }: Clause, home: string, tags: readonly Tag[]): string[] {
  const tagged = tags
    .filter((tag) => tag.version === version && tag.id === id)
    .map(({ file, name }) => `${file}: ${name}`);
  return [...new Set([...tagged, ...tests])].map((test) => {
    const colon = test.indexOf(': ');
    return `\`${test.slice(0, colon).replace(home, '')}\`: ${test.slice(colon + 2)}`;
  });
}
