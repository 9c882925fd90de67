import type { Clause } from './clause.ts';
import { INVENTORY, type Version } from './inventory.ts';
import { sourceOf, type Tag } from './tags.ts';

const HOME = 'conformance/mqtt/';

const CHAPTERS: Readonly<Record<Version, Readonly<Record<string, string>>>> = {
  '3.1.1': {
    '1.': 'Data representations',
    '2.': 'Control packet format',
    '3.1.': 'CONNECT',
    '3.2.': 'CONNACK',
    '3.3.': 'PUBLISH',
    '3.': 'Other control packets',
    '4.': 'Operational behaviour',
    '6.': 'WebSocket',
    '7.': 'Conformance',
  },
  '5.0': {
    '1.': 'Data representations',
    '2.': 'Control packet format',
    '3.1.': 'CONNECT',
    '3.2.': 'CONNACK',
    '3.3.': 'PUBLISH',
    '3.': 'Other control packets',
    '4.': 'Operational behaviour',
    '6.': 'WebSocket',
  },
};

export type Known = Readonly<Record<Version, readonly Clause[]>>;

/** What is wrong with the inventory or the tags, in words; none: all is well. */
export function faults(tags: readonly Tag[], inventory: Known = INVENTORY): string[] {
  const found: string[] = [];
  for (const version of versionsOf(inventory)) {
    const clauses = inventory[version];
    const ids = new Set(clauses.map(({ id }) => id));
    if (ids.size !== clauses.length) found.push(`${version}: an id stands twice`);
    for (const tag of tags) {
      if (tag.version === version && !ids.has(tag.id)) {
        found.push(`${tag.file}: the tag ${version}: ${tag.id} names no clause`);
      }
    }
    for (const clause of clauses) found.push(...faultsOf(version, clause, tags));
  }
  return found;
}

function faultsOf(version: Version, { id, who, tests = [], reason }: Clause, tags: readonly Tag[]): string[] {
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

/** `docs/mqtt-conformance.md`. */
export function document(tags: readonly Tag[], inventory: Known = INVENTORY): string {
  const parts = versionsOf(inventory).map((version) => chapterOf(version, inventory[version], tags));
  return [HEAD, ...parts].join('\n');
}

const HEAD = `# Conformance to MQTT

Every mandatory normative statement of MQTT 3.1.1 and 5.0 (OASIS), in words of our own, whose duty it is, and the tests that
show it. Where there is no test, the reason stands instead. Duties of clients have a test where a server has to answer a client
that neglects them.

The numbers are those of the standards without \`MQTT-\`. Paths are under \`test/\`, names without a folder under
\`test/${HOME}\`: those tests send raw packets to a real hub over TCP and over WebSocket, each sequence with whole packets, byte
by byte, and with five packets in one write.

Made by \`npm run conformance\` from \`test/${HOME}clauses/\` and from the tags in test names, such as
\`[3.1.1: 3.1.0-2] [5.0: 3.1.0-2]\`; a test fails when this page differs, when a tag or a name leads nowhere, and when a duty of
servers has neither test nor reason.
`;

function chapterOf(version: Version, clauses: readonly Clause[], tags: readonly Tag[]): string {
  const lines = [`## MQTT ${version}`, ''];
  const shown = clauses.filter(({ who }) => who !== 'client');
  const untested = shown.filter((clause) => shownBy(version, clause, tags).length === 0);
  lines.push(
    `${clauses.length} statements, ${shown.length} of them duties of servers: ${shown.length - untested.length} with tests, ` +
      `${untested.length} with a reason why not.`,
    '',
  );
  let heading = '';
  for (const clause of clauses) {
    const chapter = Object.entries(CHAPTERS[version]).find(([start]) => clause.id.startsWith(start))?.[1] ?? '';
    if (chapter !== heading) {
      if (heading !== '') lines.push('');
      lines.push(`### ${chapter}, ${version}`, '', '| Statement | Duty of | What | Shown by |', '|---|---|---|---|');
      heading = chapter;
    }
    lines.push(row(clause, shownBy(version, clause, tags)));
  }
  return `${lines.join('\n')}\n`;
}

function row({ id, who, summary, reason }: Clause, tests: readonly string[]): string {
  const shown = [...tests, ...(reason === undefined ? [] : [`none: ${reason}`])];
  const cells = [id, who, summary, shown.length === 0 ? '' : shown.join('<br>')];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function shownBy(version: Version, { id, tests = [] }: Clause, tags: readonly Tag[]): string[] {
  const tagged = tags
    .filter((tag) => tag.version === version && tag.id === id)
    .map(({ file, name }) => `${file}: ${name}`);
  return [...new Set([...tagged, ...tests])].map((test) => {
    const colon = test.indexOf(': ');
    return `\`${test.slice(0, colon).replace(HOME, '')}\`: ${test.slice(colon + 2)}`;
  });
}

function versionsOf(inventory: Known): Version[] {
  return Object.keys(inventory) as Version[];
}
