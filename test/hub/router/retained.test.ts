import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matchesFilter } from '#protocols/topics.js';
import { RetainedMessages, retainedSize } from '#hub/router/retained.js';
import { message } from '#test/contract/router.js';
import { FakeClock } from '#test/support/fake-clock.js';

const topics = ['a', 'a/', 'a/b', 'a/b/c', 'ab', 'ab/c', '/', '/a', '$s/a', 'b'];
const filters = ['#', '+', 'a/#', 'a/+', 'a/+/c', '+/b', '/#', '/+', '$s/#', 'ab/#', 'a/b', '+/+/+', 'a/b/#'];

function table(maxRetainedMessages: number, maxRetainedBytes: number): RetainedMessages {
  const journal = { kept: () => undefined, removed: () => undefined };
  return new RetainedMessages({ maxRetainedMessages, maxRetainedBytes, clock: new FakeClock(), journal });
}

describe('retained messages', () => {
  test('hold memory of their own: small ones share a pool, which one that stays would pin', () => {
    const retained = table(5, 400);
    const m = { ...message('a', '', 1, true), payload: Buffer.from(Buffer.from('small')) };
    expect(m.payload.buffer.byteLength).toBeGreaterThan(1000);
    retained.keep(m);
    const [kept] = retained.matching('a');
    expect(kept!.payload.toString()).toBe('small');
    expect(kept!.payload.buffer.byteLength).toBe(5);
    const correlationData = Buffer.from(Buffer.from('id'));
    retained.keep({ ...m, properties: { correlationData, responseTopic: 'r' } });
    const { properties } = retained.matching('a')[0]!;
    expect(properties!.correlationData!.buffer.byteLength).toBe(2);
    expect(properties).toEqual({ correlationData: Buffer.from('id'), responseTopic: 'r' });
  });

  test('number and bytes agree with what is kept, through any sequence', () => {
    const step = fc.tuple(fc.constantFrom(...topics), fc.integer({ min: 0, max: 60 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const retained = table(5, 400);
        const expected = new Map<string, number>();
        for (const [topic, length] of steps) {
          const m = message(topic, 'x'.repeat(length), 1, true);
          const after = new Map(expected);
          after.delete(topic);
          if (length > 0) after.set(topic, retainedSize(m));
          const bytes = [...after.values()].reduce((sum, size) => sum + size, 0);
          const fits = after.size <= 5 && bytes <= 400;
          expect(retained.keep(m)).toBe(fits || length === 0);
          if (fits || length === 0) {
            expected.clear();
            for (const [t, size] of after) expected.set(t, size);
          }
          expect(retained.matching('#').map((r) => r.topic)).toEqual(
            [...expected.keys()].filter((t) => !t.startsWith('$')),
          );
          expect(retained.count).toBe(expected.size);
          expect(retained.bytes).toBe([...expected.values()].reduce((sum, size) => sum + size, 0));
        }
      }),
    );
  });

  test.each(filters)('%s finds what matches, in order', (filter) => {
    const retained = table(100, 100_000);
    for (const topic of topics) retained.keep(message(topic, 'm', 1, true));
    expect(retained.matching(filter).map((m) => m.topic)).toEqual(topics.filter((t) => matchesFilter(filter, t)));
  });

  test('a message is charged with its headers, content type and properties: they are kept as well', () => {
    const plain = message('t', 'm');
    const long = { ...plain, contentType: 'text/plain', headers: [['name', 'x'.repeat(1000)]] as const };
    expect(retainedSize(long) - retainedSize(plain)).toBeGreaterThanOrEqual(1014);
    const request = { ...plain, properties: { responseTopic: 'x'.repeat(100), correlationData: Buffer.alloc(1000) } };
    expect(retainedSize(request) - retainedSize(plain)).toBeGreaterThanOrEqual(1100);
  });
});
