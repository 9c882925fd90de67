import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isTopicFilter, matchesFilter } from '#protocols/topics.js';
import { covers, faultOfRules, MAX_FILTERS, scopesOf } from '#hub/fleet/scopes.js';

describe('a rule covers a filter', () => {
  it.each([
    ['home/#', 'home/#'],
    ['home/#', 'home'],
    ['home/#', 'home/+/state'],
    ['home/#', 'home/a/#'],
    ['home/+/set', 'home/kitchen/set'],
    ['home/+/set', 'home/+/set'],
    ['#', '#'],
    ['#', '+/+'],
    ['+', '+'],
    ['$SYS/#', '$SYS/hub/clients'],
    ['a//b', 'a//b'],
  ])('%s: %s', (rule, filter) => {
    expect(covers(rule, filter)).toBe(true);
  });

  it.each([
    ['home/+', 'home/#'],
    ['home/+/#', 'home/#'],
    ['home/+', 'home'],
    ['home/+', 'home/a/b'],
    ['home/kitchen/set', 'home/+/set'],
    ['home/#', '#'],
    ['home/#', '+/state'],
    ['home/#', 'homes'],
    ['#', '$SYS/#'],
    ['+/hub', '$SYS/hub'],
    ['a/b', 'a'],
    ['a', 'a/b'],
  ])('%s does not cover %s', (rule, filter) => {
    expect(covers(rule, filter)).toBe(false);
  });

  const level = fc.constantFrom('a', 'b', '', '+', '#', '$x');
  const filter = fc
    .array(level, { minLength: 1, maxLength: 4 })
    .map((levels) => levels.join('/'))
    .filter(isTopicFilter);
  const topic = fc.array(fc.constantFrom('a', 'b', '', '$x'), { minLength: 1, maxLength: 5 }).map((l) => l.join('/'));

  it('only if it matches every topic that the filter matches', () => {
    fc.assert(
      fc.property(filter, filter, fc.array(topic, { minLength: 20, maxLength: 40 }), (rule, asked, topics) => {
        fc.pre(covers(rule, asked));
        for (const one of topics) if (matchesFilter(asked, one)) expect(matchesFilter(rule, one)).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  it('and covers a topic name exactly when it matches it', () => {
    fc.assert(
      fc.property(filter, topic.filter(isTopicFilter), (rule, one) => covers(rule, one) === matchesFilter(rule, one)),
    );
  });
});

describe('rules of an application', () => {
  it.each([
    [{ publish: ['a/#/b'], subscribe: [] }, /publish: "a\/#\/b" is no topic filter/],
    [{ publish: [], subscribe: [''] }, /subscribe: "" is no topic filter/],
    [{ publish: [], subscribe: ['\ud800'] }, /Unicode/],
    [{ publish: [], subscribe: ['$share/g/a'] }, /shared/],
    [{ publish: ['é'.repeat(513)], subscribe: [] }, /longer than 1024 bytes/],
    [{ publish: ['a/'.repeat(32)], subscribe: [] }, /more than 32 levels/],
    [{ publish: Array<string>(MAX_FILTERS + 1).fill('a'), subscribe: [] }, /more than 64 filters/],
  ])('are refused when they cannot be meant: %j', (faulty, message) => {
    expect(faultOfRules(faulty)).toMatch(message);
  });

  it('are sound up to their limits', () => {
    const longest = { publish: Array<string>(MAX_FILTERS).fill('é'.repeat(512)), subscribe: ['a/'.repeat(31)] };
    expect(faultOfRules(longest)).toBeNull();
    expect(faultOfRules({ publish: [], subscribe: [] })).toBeNull();
  });
});

it('a viewer only looks, an operator works with devices, an administrator does all', () => {
  expect(scopesOf('viewer')).toEqual(['read']);
  expect(scopesOf('operator')).toEqual(['read', 'commands', 'devices']);
  expect(scopesOf('admin')).toEqual(['read', 'commands', 'devices', 'admin']);
});
