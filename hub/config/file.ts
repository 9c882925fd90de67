import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type YAMLMap } from 'yaml';
import { ALL_OPTIONS, type NamedOption } from './keys.ts';
import { LIMIT_OPTIONS } from './limit-options.ts';
import { nearest } from './suggest.ts';

/** A configuration file as it was read: YAML, of which JSON is a part. */
export interface ConfigFile {
  /** As it is shown in messages. */
  readonly name: string;
  readonly text: string;
}

export interface FileValue {
  readonly value: unknown;
  /** `muster.yaml:12`. */
  readonly place: string;
}

const TOP_NAMES = ALL_OPTIONS.filter((option) => !option.key.startsWith('limits.')).map((option) => option.key);
const LIMIT_NAMES = Object.keys(LIMIT_OPTIONS);

/** What a configuration file sets, by key (`maxConnections`, `limits.maxDepth`), and what is wrong with it as a whole, each with its line. */
export function readFileValues(file: ConfigFile): { values: ReadonlyMap<string, FileValue>; problems: string[] } {
  const lines = new LineCounter();
  const document = parseDocument(file.text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const place: Place = (offset) => (offset === undefined ? file.name : `${file.name}:${lines.linePos(offset).line}`);
  const values = new Map<string, FileValue>();
  const problems = faultsOf(document, place);
  const { contents } = document;
  if (problems.length > 0 || isEmpty(contents)) return { values, problems };
  if (isMap(contents)) takeKeys(contents, '', { document, place, values, problems });
  else problems.push(`${file.name}: expected options with their values, such as "port: 8080"`);
  return { values, problems };
}

type Place = (offset: number | undefined) => string;

interface Reading {
  readonly document: Document;
  readonly place: Place;
  readonly values: Map<string, FileValue>;
  readonly problems: string[];
}

function faultsOf(document: Document, place: Place): string[] {
  const faults = [...document.errors, ...document.warnings].map((found) => `${place(found.pos[0])}: ${inWords(found)}`);
  // An alias can make a value of any size, or one that holds itself.
  visit(document, {
    Alias: (_, node) => void faults.push(`${place(node.range?.[0])}: write the value out: aliases are not read here`),
  });
  return faults;
}

function isEmpty(contents: unknown): boolean {
  return contents === null || (isScalar(contents) && contents.value === null);
}

function takeKeys(map: YAMLMap, prefix: '' | 'limits.', reading: Reading): void {
  const { document, place, values, problems } = reading;
  const names = prefix === '' ? TOP_NAMES : LIMIT_NAMES;
  for (const { key, value } of map.items) {
    const at = place(isNode(key) ? key.range?.[0] : undefined);
    const name = isScalar(key) ? String(key.value) : String(key);
    if (prefix === '' && name === 'limits') {
      if (isMap(value)) takeKeys(value, 'limits.', reading);
      else problems.push(`${at}: limits: expected options with their values below it, such as "maxDepth: 8"`);
    } else if (names.includes(name)) {
      values.set(`${prefix}${name}`, { value: plainValue(value, document), place: at });
    } else {
      problems.push(`${at}: unknown key ${prefix}${name}${suggestion(prefix, name)}`);
    }
  }
}

function inWords({ code, message }: { readonly code: string; readonly message: string }): string {
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here: keep one, without "---" between';
  if (code === 'DUPLICATE_KEY') return 'this key is given twice: keep one';
  return message;
}

function plainValue(node: unknown, document: Document): unknown {
  if (isScalar(node)) return node.value;
  if (isSeq(node) || isMap(node)) return node.toJS(document) as unknown;
  return null;
}

/** The key that was meant: also by the name of its flag or variable, or one that belongs into or out of `limits`. */
function suggestion(prefix: string, name: string): string {
  const written = ALL_OPTIONS.find((option) => writtenAs(option, name) || option.key === `${prefix}${name}`);
  if (written !== undefined) return `: ${asWritten(prefix, written.key)}`;
  const candidates = new Map<string, string>();
  for (const { key } of ALL_OPTIONS) {
    const own = key.replace('limits.', '');
    // Where both exist, the one of this place is meant.
    if (!candidates.has(own) || key === `${prefix}${own}`) candidates.set(own, key);
  }
  const near = nearest(name, [...candidates.keys(), 'limits']);
  if (near === null) return '; `muster config` lists all options';
  return `: did you mean ${near === 'limits' ? 'limits' : candidates.get(near)!}?`;
}

function writtenAs({ attribute, env, flag, key }: NamedOption, name: string): boolean {
  return [attribute, env, flag, flag.slice(2), key].includes(name);
}

function asWritten(prefix: string, key: string): string {
  if (prefix === 'limits.' && !key.startsWith(prefix)) return `${key} stands beside limits, not below it`;
  const [limits, name] = key.split('.');
  return name === undefined ? `here it is called ${key}` : `write it below ${limits!}, as "${name}:"`;
}
