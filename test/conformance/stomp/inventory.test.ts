import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { document, faults } from '../clauses/report.ts';
import { allTags } from '../clauses/tags.ts';
import { STOMP } from './clauses/inventory.ts';

const DOCUMENT = join(import.meta.dirname, '..', '..', '..', 'docs', STOMP.file);

describe('the inventory of STOMP’s statements', () => {
  it('has a test or a reason for every duty of servers, and no name leads nowhere', () => {
    expect(faults(STOMP, allTags(STOMP))).toEqual([]);
  });

  it('is what the document says: npm run conformance', () => {
    expect(readFileSync(DOCUMENT, 'utf8')).toBe(document(STOMP, allTags(STOMP)));
  });
});
