import fc from 'fast-check';
import { expect, it } from 'vitest';
import { pageByKey } from '#hub/http/paging.js';

it('the pages of a list, one after the other, are the list', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string({ minLength: 1 })), fc.integer({ min: 1, max: 5 }), (keys, limit) => {
      const all = keys.toSorted((a, b) => (a < b ? -1 : 1));
      const seen: string[] = [];
      let after: string | undefined;
      do {
        const { items, next } = pageByKey(all, (key) => key, { after, limit }, 100);
        expect(items.length).toBeLessThanOrEqual(limit);
        if (next !== null) expect(items).toHaveLength(limit);
        seen.push(...items);
        after = next ?? undefined;
      } while (after !== undefined);
      expect(seen).toEqual(all);
    }),
  );
});

it('a cursor whose item has gone goes on behind it', () => {
  expect(pageByKey(['a', 'c'], (key) => key, { after: 'b' }, 100)).toEqual({ items: ['c'], next: null });
  expect(pageByKey([], (key: string) => key, {}, 100)).toEqual({ items: [], next: null });
});
