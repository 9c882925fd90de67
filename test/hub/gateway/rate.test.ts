import { describe, expect, it } from 'vitest';
import { MessageRate } from '#hub/gateway/rate.js';

describe('the rate of a connection', () => {
  it('lets a second of messages pass at once, then one for each share of a second', () => {
    const rate = new MessageRate(4, 0);
    expect([1, 2, 3, 4].map(() => rate.take(0))).toEqual([0, 0, 0, 0]);
    expect(rate.take(0)).toBe(250);
    expect(rate.take(0)).toBe(500);
    expect(rate.take(750)).toBe(0);
  });

  it('saves no more than a second of silence', () => {
    const rate = new MessageRate(2, 0);
    expect([1, 2, 3].map(() => rate.take(60_000))).toEqual([0, 0, 500]);
  });
});
