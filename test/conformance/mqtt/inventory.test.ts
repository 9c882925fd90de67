import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { both, client, server } from './clauses/clause.ts';
import { INVENTORY } from './clauses/inventory.ts';
import { document, faults } from './clauses/report.ts';
import { allTags, tagsOf } from './clauses/tags.ts';

const DOCUMENT = join(import.meta.dirname, '..', '..', '..', 'docs', 'mqtt-conformance.md');
// In two parts, or this file would be read as one that has them.
const V3 = '[3.1.1: ';
const V5 = '[5.0: ';

describe('the inventory of MQTT’s normative statements', () => {
  it('has a test or a reason for every duty of servers, and no name leads nowhere', () => {
    expect(faults(allTags())).toEqual([]);
  });

  it('is what the document says: npm run conformance', () => {
    expect(readFileSync(DOCUMENT, 'utf8')).toBe(document(allTags()));
  });

  it('is as long as the standards’', () => {
    expect([INVENTORY['3.1.1'].length, INVENTORY['5.0'].length]).toEqual([141, 251]);
    expect(INVENTORY['3.1.1'].map(({ id }) => id)).toContain('3.1.0-2');
  });
});

describe('tags', () => {
  it('are read from names, by version, wherever they stand', () => {
    const source = `it('closes ${V3}3.1.0-2, 4.8.0-1] ${V5}3.1.0-2]', () => {});\n[["x ${V5}1.5.4-1]", 1]]\n// ${V5}9.9.9-9]\n`;
    expect(tagsOf('a.test.ts', source)).toEqual([
      { version: '3.1.1', id: '3.1.0-2', file: 'a.test.ts', name: 'closes' },
      { version: '3.1.1', id: '4.8.0-1', file: 'a.test.ts', name: 'closes' },
      { version: '5.0', id: '3.1.0-2', file: 'a.test.ts', name: 'closes' },
      { version: '5.0', id: '1.5.4-1', file: 'a.test.ts', name: 'x' },
    ]);
  });

  const tag = { version: '5.0', id: '1-1', file: 'a.test.ts', name: 'shows it' } as const;
  const only = (...clauses: ReturnType<typeof server>[]) => ({ '3.1.1': [], '5.0': clauses });

  it('that are missing, unknown or lead nowhere are faults', () => {
    expect(faults([tag], only(server('1-1', 'x')))).toEqual([]);
    expect(faults([], only(client('1-1', 'x')))).toEqual([]);
    expect(faults([], only(server('1-1', 'x', { reason: 'because' })))).toEqual([]);
    expect(faults([], only(server('1-1', 'x'), both('1-2', 'x')))).toHaveLength(2);
    expect(faults([{ ...tag, version: '3.1.1' }], only(server('1-1', 'x')))).toHaveLength(2);
    expect(faults([tag], only(server('1-1', 'x'), server('1-1', 'x')))).toHaveLength(1);
    const here = 'conformance/mqtt/inventory.test.ts';
    expect(faults([], only(server('1-1', 'x', { tests: [`${here}: that are missing, unknown`] })))).toEqual([]);
    for (const nowhere of ['nowhere.test.ts: x', [here, 'name'].join(': no such '), `${here}: `, here]) {
      expect(faults([], only(server('1-1', 'x', { tests: [nowhere] })))).toHaveLength(1);
    }
  });

  it('stand in the document beside their clause', () => {
    const text = document([tag], only(server('1-1', 'a | b'), client('1-2', 'c'), server('1-3', 'd', { reason: 'e' })));
    expect(text).toContain('| 1-1 | server | a \\| b | `a.test.ts`: shows it |');
    expect(text).toContain('| 1-2 | client | c |  |');
    expect(text).toContain('| 1-3 | server | d | none: e |');
    expect(text).toContain('3 statements, 2 of them duties of servers: 1 with tests, 1 with a reason why not.');
  });
});
