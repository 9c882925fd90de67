import { describe, expect, it } from 'vitest';
import { OwedRetained } from '#hub/sessions/owed-retained.js';

const owed = (...topics: string[]) => [{ subscription: { id: '#', filter: '#', qos: 1 as const }, topics, next: 0 }];

describe('retained messages that sessions without a connection are owed', () => {
  it('are given back once', () => {
    const kept = new OwedRetained<string>(10);
    kept.keep('a', owed('x', 'y'));
    kept.keep('none', []);
    expect(kept.take('a')).toEqual(owed('x', 'y'));
    expect(kept.take('a')).toEqual([]);
    expect(kept.topics).toBe(0);
  });

  it('are bounded over all sessions: who has waited longest is owed nothing any more', () => {
    const kept = new OwedRetained<string>(4);
    for (const session of ['a', 'b', 'a', 'c']) kept.keep(session, owed('x', 'y'));
    expect(kept.topics).toBe(4);
    expect(['a', 'b', 'c'].map((session) => kept.take(session).length)).toEqual([1, 0, 1]);
    kept.keep('large', owed('1', '2', '3', '4', '5'));
    expect([kept.topics, kept.take('large')]).toEqual([0, []]);
  });
});
