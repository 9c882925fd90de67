import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError, resolveConfig } from '#hub/config.js';
import { ConfigFileError, DEFAULT_FILES, findConfigFile } from '#hub/config/find-file.js';

const file = (text: string) => ({ name: 'muster.yaml', text });

function problemsOf(text: string, env: Record<string, string> = {}): readonly string[] {
  try {
    resolveConfig({}, env, file(text));
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('a configuration file', () => {
  it('sets options with units, lists and limits, and each says its line', () => {
    const text = ['# ours', 'port: 8443', 'paths: [/, /mqtt]', 'pingIntervalMs: 20s', 'limits:', '  maxDepth: 4'];
    const { config, sources, places } = resolveConfig({}, {}, file(text.join('\n')));
    expect(config).toMatchObject({
      port: 8443,
      paths: ['/', '/mqtt'],
      pingIntervalMs: 20_000,
      limits: { maxDepth: 4 },
    });
    expect(places).toMatchObject({ port: 'muster.yaml:2', 'limits.maxDepth': 'muster.yaml:6', data: 'default' });
    expect(sources).toMatchObject({ port: 'file', paths: 'file', data: 'default' });
  });

  it('may be JSON', () => {
    const { config, places } = resolveConfig({}, {}, file('{\n\t"port": 9000,\n\t"allowAnonymous": true\n}'));
    expect(config).toMatchObject({ port: 9000, allowAnonymous: true, host: '127.0.0.1' });
    expect(places.allowAnonymous).toBe('muster.yaml:3');
  });

  it('comes after flags and the environment, and before the defaults', () => {
    const text = 'port: 1\nmaxConnections: 2\nmaxDevices: 3\n';
    const { config, sources } = resolveConfig({ port: '11' }, { MUSTER_MAX_CONNECTIONS: '12' }, file(text));
    expect(config).toMatchObject({ port: 11, maxConnections: 12, maxDevices: 3 });
    expect(sources).toMatchObject({ port: 'flag', maxConnections: 'environment', maxDevices: 'file' });
  });

  it('may be empty, or hold comments alone', () => {
    for (const text of ['', '# nothing yet\n', 'null', '{}']) expect(problemsOf(text)).toEqual([]);
  });

  it('can take back what has no value', () => {
    expect(resolveConfig({}, {}, file('tlsCert:\n')).config.tlsCert).toBe(null);
  });

  it.each([
    [
      'a misspelt key',
      'port: 1\nmaxConections: 5',
      'muster.yaml:2: unknown key maxConections: did you mean maxConnections?',
    ],
    [
      'the name of a flag',
      'max-connections: 5',
      'muster.yaml:1: unknown key max-connections: here it is called maxConnections',
    ],
    ['the name of a variable', 'MUSTER_PORT: 5', 'muster.yaml:1: unknown key MUSTER_PORT: here it is called port'],
    [
      'a misspelt limit',
      'limits:\n  maxDept: 3',
      'muster.yaml:2: unknown key limits.maxDept: did you mean limits.maxDepth?',
    ],
    ['a limit at the top', 'maxDepth: 3', 'muster.yaml:1: unknown key maxDepth: did you mean limits.maxDepth?'],
    ['a limit with a dot', 'limits.maxDepth: 3', 'unknown key limits.maxDepth: write it below limits, as "maxDepth:"'],
    [
      'an option among the limits',
      'limits: { port: 3 }',
      'unknown key limits.port: port stands beside limits, not below it',
    ],
    ['a key like no other', 'coffee: true', 'muster.yaml:1: unknown key coffee; `muster config` lists all options'],
    ['a key of every object', '__proto__: { port: 1 }', 'unknown key __proto__'],
    ['a key that is no name', '? [a, b]\n: 1', 'unknown key'],
    ['the same key twice', 'port: 1\nport: 2', 'muster.yaml:2: this key is given twice'],
    ['a wrong number', 'data: x\nport: 70000', 'muster.yaml:2: port: '],
    ['a wrong unit', 'pingIntervalMs: 5 parsecs', 'muster.yaml:1: pingIntervalMs: expected a duration'],
    ['no value', 'port:', 'muster.yaml:1: port: there is no value: give one, or remove the line'],
    ['a number for text', 'host: 1.5', 'muster.yaml:1: host: '],
    ['an object for a number', 'port:\n  a: 1', 'muster.yaml:1: port: '],
    ['limits that are none', 'limits: 5', 'muster.yaml:1: limits: expected options'],
    ['a list', '- port', 'expected options with their values, such as "port: 8080"'],
    ['text', 'port', 'expected options with their values'],
    ['broken YAML', 'port: 1\npaths: [', 'muster.yaml:2: '],
    ['a tag', 'port: !!js/function x', 'muster.yaml:1: '],
    ['two documents', 'port: 1\n---\nport: 2', 'muster.yaml:2: a second document begins here'],
    ['an alias that holds itself', 'paths: &a [*a]', 'muster.yaml:1: write the value out'],
  ])('is refused with its line: %s', (_, text, words) => {
    const problems = problemsOf(text);
    expect(problems.join('\n')).toContain(words);
    expect(problems).toHaveLength(1);
  });

  it('says all that is wrong at once, with flags and environment', () => {
    expect(problemsOf('port: x\ncolour: 1', { MUSTER_DATA: '' })).toHaveLength(3);
  });

  it('never fails otherwise, whatever it holds', () => {
    const words = fc.constantFrom(
      'port',
      'limits',
      ':',
      ' ',
      '\n',
      '  ',
      '- ',
      '&a',
      '*a',
      '{',
      '}',
      '[',
      ']',
      '"',
      '!!',
      '1',
      '? ',
      '<<',
    );
    const texts = fc.oneof(
      fc.string(),
      fc.array(words, { maxLength: 30 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(texts, (text) => void problemsOf(text)),
      { numRuns: 500 },
    );
  });
});

describe('which file', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'muster-config-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const write = (name: string, text = 'port: 1') => writeFileSync(join(folder, name), text);

  it('none, when none is named and none is there', () => {
    expect(findConfigFile(undefined, {}, folder)).toBe(null);
  });

  it.each(DEFAULT_FILES)('%s of the folder, when it is there', (name) => {
    write(name);
    expect(findConfigFile(undefined, {}, folder)).toEqual({ name, text: 'port: 1' });
  });

  it('the one that is named, by flag before the environment', () => {
    write('a.yaml', 'port: 1');
    write('b.yaml', 'port: 2');
    write('muster.yaml', 'port: 3');
    expect(findConfigFile('a.yaml', { MUSTER_CONFIG: 'b.yaml' }, folder)?.text).toBe('port: 1');
    expect(findConfigFile(undefined, { MUSTER_CONFIG: join(folder, 'b.yaml') }, folder)?.text).toBe('port: 2');
  });

  it.each<[string, (folder: string) => string | undefined, string]>([
    ['two of them', () => (write('muster.yaml'), write('muster.json'), undefined), 'both muster.yaml and muster.json'],
    ['a named one that is missing', () => 'gone.yaml', 'gone.yaml does not exist: check --config'],
    ['a folder', () => (mkdirSync(join(folder, 'etc')), 'etc'), 'etc is a folder'],
    ['one without end', () => (write('big.yaml', ' '.repeat(1024 * 1024 + 1)), 'big.yaml'), 'larger than 1 MiB'],
  ])('is refused with words: %s', (_, prepare, words) => {
    const named = prepare(folder);
    expect(() => findConfigFile(named, {}, folder)).toThrow(ConfigFileError);
    expect(() => findConfigFile(named, {}, folder)).toThrow(words);
  });
});
