import { describe, expect, it } from 'vitest';
import { both, client, server, type Clause } from './clause.ts';
import { document, faults } from './report.ts';
import type { Standard } from './standard.ts';
import { tagsOf } from './tags.ts';

// In two parts, or this file would be read as one that has them.
const V3 = '[3.1.1: ';
const V5 = '[5.0: ';
const HERE = 'conformance/clauses/clauses.test.ts';

function standard(...clauses: readonly Clause[]): Standard {
  const chapters = { '1': 'One', 'send-': 'SEND' };
  return {
    file: 'x.md',
    home: 'conformance/clauses/',
    head: '# X\n',
    parts: [
      { version: '3.1.1', heading: 'X 3.1.1', chapters, clauses: [] },
      { version: '5.0', heading: 'X 5.0', text: 'What stands above.', chapters, clauses },
    ],
  };
}

describe('tags', () => {
  it('are read from names, by version, wherever they stand', () => {
    const source = `it('closes ${V3}3.1.0-2, 4.8.0-1] ${V5}3.1.0-2]', () => {});\n[["x ${V5}1.5.4-1]", 1]]\n// ${V5}9.9.9-9]\n`;
    expect(tagsOf(standard(), 'a.test.ts', source)).toEqual([
      { version: '3.1.1', id: '3.1.0-2', file: 'a.test.ts', name: 'closes' },
      { version: '3.1.1', id: '4.8.0-1', file: 'a.test.ts', name: 'closes' },
      { version: '5.0', id: '3.1.0-2', file: 'a.test.ts', name: 'closes' },
      { version: '5.0', id: '1.5.4-1', file: 'a.test.ts', name: 'x' },
    ]);
    expect(tagsOf(standard(), 'a.test.ts', `it('other ${V5.replace('5', '4')}1-1] 5.0 [5x0: 1]')`)).toEqual([]);
  });

  const tag = { version: '5.0', id: '1-1', file: 'a.test.ts', name: 'shows it' };
  const of = (clauses: readonly Clause[], tags = [tag].slice(1)): string[] => faults(standard(...clauses), tags);

  it('that are missing, unknown or lead nowhere are faults', () => {
    expect(of([server('1-1', 'x')], [tag])).toEqual([]);
    expect(of([client('1-1', 'x')])).toEqual([]);
    expect(of([server('1-1', 'x', { reason: 'because' })])).toEqual([]);
    expect(of([server('1-1', 'x'), both('1-2', 'x')])).toHaveLength(2);
    expect(of([server('1-1', 'x')], [{ ...tag, version: '3.1.1' }])).toHaveLength(2);
    expect(of([server('1-1', 'x'), server('1-1', 'x')], [tag])).toHaveLength(1);
    expect(of([client('nowhere-1', 'x')])).toEqual(['5.0: nowhere-1 is of no chapter']);
    expect(of([server('1-1', 'x', { tests: [`${HERE}: that are missing, unknown`] })])).toEqual([]);
    for (const nowhere of ['nowhere.test.ts: x', [HERE, 'name'].join(': no such '), `${HERE}: `, HERE]) {
      expect(of([server('1-1', 'x', { tests: [nowhere] })])).toHaveLength(1);
    }
  });

  it('stand in the document beside their clause', () => {
    const clauses: Clause[] = [
      server('1-1', 'a | b'),
      client('1-2', 'c'),
      { ...server('send-1', 'd', { reason: 'e' }), force: 'should' },
      server('send-2', 'f', { tests: [`${HERE}: stand in the document`], reason: 'g' }),
    ];
    const text = document(standard(...clauses), [tag]);
    expect(text).toContain('# X\n\n## X 3.1.1\n');
    expect(text).toContain('## X 5.0\n\nWhat stands above.\n');
    expect(text).toContain('### One, 5.0');
    expect(text).toContain('| 1-1 | server | a \\| b | `a.test.ts`: shows it |');
    expect(text).toContain('| 1-2 | client | c |  |');
    expect(text).toContain('### SEND, 5.0');
    expect(text).toContain('| send-1 | server, should | d | none: e |');
    expect(text).toContain('| send-2 | server | f | `clauses.test.ts`: stand in the document<br>but: g |');
    expect(text).toContain('4 statements, 3 of them duties of servers: 2 with tests, 1 with a reason why not.');
  });
});
