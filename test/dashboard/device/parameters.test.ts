import { describe, expect, it } from 'vitest';
import { nameFault, newKey, readParameters } from '../../../dashboard/parts/device/parameters.ts';

describe('parameters of a command', () => {
  it('are any JSON, or nothing', () => {
    expect(readParameters('  \n')).toEqual({ ok: true, given: false });
    expect(readParameters('{"in": 5}')).toEqual({ ok: true, given: true, value: { in: 5 } });
    expect(readParameters('null')).toEqual({ ok: true, given: true, value: null });
  });

  it('are refused in words before they are sent', () => {
    const wrong = readParameters('{in: 5}');
    expect(wrong.ok).toBe(false);
    expect(wrong).toMatchObject({ error: expect.stringMatching(/^This is not JSON: /) });
  });

  it('have a name that fits into a topic', () => {
    expect(nameFault('set.level_2-b')).toBeNull();
    expect(nameFault('a'.repeat(64))).toBeNull();
    expect(nameFault('a'.repeat(65))).toMatch(/1 to 64/);
    expect(nameFault('a/b')).toMatch(/1 to 64/);
    expect(nameFault('')).toMatch(/name/);
    expect(nameFault('result')).toMatch(/answer/);
  });

  it('travel under a key of 128 random bits', () => {
    expect(newKey((bytes) => bytes.fill(0xa5))).toBe('a5'.repeat(16));
  });
});
