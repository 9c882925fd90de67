import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { document, faults } from '../clauses/report.ts';
import { allTags } from '../clauses/tags.ts';
import { MQTT } from './clauses/inventory.ts';

const DOCUMENT = join(import.meta.dirname, '..', '..', '..', 'docs', MQTT.file);

describe('the inventory of MQTT’s normative statements', () => {
  it('has a test or a reason for every duty of servers, and no name leads nowhere', () => {
    expect(faults(MQTT, allTags(MQTT))).toEqual([]);
  });

  it('is what the document says: npm run conformance', () => {
    expect(readFileSync(DOCUMENT, 'utf8')).toBe(document(MQTT, allTags(MQTT)));
  });

  it('is as long as the standards’', () => {
    expect(MQTT.parts.map(({ clauses }) => clauses.length)).toEqual([141, 251]);
    expect(MQTT.parts[0]!.clauses.map(({ id }) => id)).toContain('3.1.0-2');
  });
});
