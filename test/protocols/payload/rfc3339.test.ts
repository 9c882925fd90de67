import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseRfc3339 } from '#protocols/payload/rfc3339.js';

describe('RFC 3339', () => {
  test.each([
    ['1970-01-01T00:00:00Z', 0],
    ['1985-04-12T23:20:50.52Z', 482196050520000],
    ['1996-12-19T16:39:57-08:00', 851042397000000],
    ['2026-01-01T00:00:00.000001Z', 1767225600000001],
    ['2026-01-01T00:00:00.0000004Z', 1767225600000000],
    ['2026-01-01T00:00:00.0000005Z', 1767225600000001],
    ['2025-12-31T23:59:59.999999999Z', 1767225600000000],
    ['2026-01-01t00:00:00z', 1767225600000000],
    ['2026-01-01T00:00:00-00:00', 1767225600000000],
    ['2026-01-01T23:59:00+23:59', 1767225600000000],
    ['1969-12-31T23:59:59Z', -1000000],
    ['2000-02-29T00:00:00Z', 951782400000000],
  ])('%s', (text, us) => {
    expect(parseRfc3339(text)).toBe(us);
  });

  test('years before 100 are years before 100', () => {
    expect(parseRfc3339('0001-01-01T00:00:00Z')).toBe(-62135596800000000);
  });

  test.each([
    '2026-01-01T00:00:60Z', // leap second
    '1990-12-31T23:59:60Z', // a real one
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:60:00Z',
    '2026-00-01T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-02-29T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '2026-01-01T00:00:00',
    '2026-01-01',
    '2026-01-01T00:00Z',
    '2026-01-01 00:00:00Z',
    '2026-01-01T00:00:00.Z',
    '2026-01-01T00:00:00.0000000001Z',
    '2026-01-01T00:00:00,5Z',
    '2026-01-01T00:00:00+24:00',
    '2026-01-01T00:00:00+01:60',
    '2026-01-01T00:00:00+0100',
    '2026-01-01T00:00:00+01',
    '+02026-01-01T00:00:00Z',
    '12026-01-01T00:00:00Z',
    '2026-1-1T00:00:00Z',
    '２026-01-01T00:00:00Z',
    ' 2026-01-01T00:00:00Z',
    '2026-01-01T00:00:00Z\n',
    '',
  ])('%j is refused', (text) => {
    expect(parseRfc3339(text)).toBeNull();
  });

  test('what JavaScript writes is read back, as far as microseconds are exact in a double', () => {
    const date = fc.date({ min: new Date('1700-01-01'), max: new Date('2250-01-01'), noInvalidDate: true });
    fc.assert(
      fc.property(date, (d) => {
        expect(parseRfc3339(d.toISOString())).toBe(d.getTime() * 1000);
      }),
    );
  });

  test('an offset moves the time against its sign', () => {
    const base = Date.UTC(2026, 5, 15, 12) * 1000;
    fc.assert(
      fc.property(fc.integer({ min: -1439, max: 1439 }), (minutes) => {
        const two = (n: number) => String(n).padStart(2, '0');
        const [hour, minute] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
        const offset = `${minutes < 0 ? '-' : '+'}${two(hour)}:${two(minute)}`;
        expect(parseRfc3339(`2026-06-15T12:00:00${offset}`)).toBe(base - minutes * 60e6);
      }),
    );
  });
});
