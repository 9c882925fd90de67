import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import { decodeArray } from '#protocols/cbor/cbor.js';
import { PayloadError, ProtocolError } from '#protocols/errors.js';
import { DEFAULT_LIMITS } from '#protocols/limits.js';
import { diagnostic } from './diagnostic.ts';
import { hex } from './wire.ts';

/** Not part of the protocol, and with which code a message is refused that holds it. */
const PAST_2_53 = 'value_not_allowed';
const NOT_FINITE = 'value_not_allowed';
const SIMPLE = 'value_not_allowed';
const TAG = 'malformed_payload';
const INDEFINITE = 'malformed_payload';

/**
 * All examples of RFC 8949, appendix A, in its order: bytes, diagnostic notation (in the form of `diagnostic.ts`, where the appendix has others too), and
 * what the protocol makes of it: `{ is }` the value, or the code of the refusal.
 */
const EXAMPLES: [string, string, { is: unknown } | string][] = [
  ['00', '0', { is: 0 }],
  ['01', '1', { is: 1 }],
  ['0a', '10', { is: 10 }],
  ['17', '23', { is: 23 }],
  ['1818', '24', { is: 24 }],
  ['1819', '25', { is: 25 }],
  ['1864', '100', { is: 100 }],
  ['1903e8', '1000', { is: 1000 }],
  ['1a000f4240', '1000000', { is: 1_000_000 }],
  ['1b000000e8d4a51000', '1000000000000', { is: 1_000_000_000_000 }],
  ['1bffffffffffffffff', '18446744073709551615', PAST_2_53],
  ['c249010000000000000000', "2(h'010000000000000000')", TAG],
  ['3bffffffffffffffff', '-18446744073709551616', PAST_2_53],
  ['c349010000000000000000', "3(h'010000000000000000')", TAG],
  ['20', '-1', { is: -1 }],
  ['29', '-10', { is: -10 }],
  ['3863', '-100', { is: -100 }],
  ['3903e7', '-1000', { is: -1000 }],
  ['f90000', '0.0', { is: 0 }],
  ['f98000', '-0.0', { is: -0 }],
  ['f93c00', '1.0', { is: 1 }],
  ['fb3ff199999999999a', '1.1', { is: 1.1 }],
  ['f93e00', '1.5', { is: 1.5 }],
  ['f97bff', '65504.0', { is: 65_504 }],
  ['fa47c35000', '100000.0', { is: 100_000 }],
  ['fa7f7fffff', '3.4028234663852886e+38', { is: 3.4028234663852886e38 }],
  ['fb7e37e43c8800759c', '1.0e+300', { is: 1e300 }],
  ['f90001', '5.960464477539063e-8', { is: 5.960464477539063e-8 }],
  ['f90400', '0.00006103515625', { is: 0.00006103515625 }],
  ['f9c400', '-4.0', { is: -4 }],
  ['fbc010666666666666', '-4.1', { is: -4.1 }],
  ['f97c00', 'Infinity', NOT_FINITE],
  ['f97e00', 'NaN', NOT_FINITE],
  ['f9fc00', '-Infinity', NOT_FINITE],
  ['fa7f800000', 'Infinity', NOT_FINITE],
  ['fa7fc00000', 'NaN', NOT_FINITE],
  ['faff800000', '-Infinity', NOT_FINITE],
  ['fb7ff0000000000000', 'Infinity', NOT_FINITE],
  ['fb7ff8000000000000', 'NaN', NOT_FINITE],
  ['fbfff0000000000000', '-Infinity', NOT_FINITE],
  ['f4', 'false', { is: false }],
  ['f5', 'true', { is: true }],
  ['f6', 'null', { is: null }],
  ['f7', 'undefined', SIMPLE],
  ['f0', 'simple(16)', SIMPLE],
  ['f8ff', 'simple(255)', SIMPLE],
  ['c074323031332d30332d32315432303a30343a30305a', '0("2013-03-21T20:04:00Z")', TAG],
  ['c11a514b67b0', '1(1363896240)', TAG],
  ['c1fb41d452d9ec200000', '1(1363896240.5)', TAG],
  ['d74401020304', "23(h'01020304')", TAG],
  ['d818456449455446', "24(h'6449455446')", TAG],
  ['d82076687474703a2f2f7777772e6578616d706c652e636f6d', '32("http://www.example.com")', TAG],
  ['40', "h''", { is: Buffer.alloc(0) }],
  ['4401020304', "h'01020304'", { is: Buffer.from([1, 2, 3, 4]) }],
  ['60', '""', { is: '' }],
  ['6161', '"a"', { is: 'a' }],
  ['6449455446', '"IETF"', { is: 'IETF' }],
  ['62225c', '"\\"\\\\"', { is: '"\\' }],
  ['62c3bc', '"ü"', { is: '\u00fc' }],
  ['63e6b0b4', '"水"', { is: '\u6c34' }],
  ['64f0908591', '"\u{10151}"', { is: '\ud800\udd51' }],
  ['80', '[]', { is: [] }],
  ['83010203', '[1, 2, 3]', { is: [1, 2, 3] }],
  ['8301820203820405', '[1, [2, 3], [4, 5]]', { is: [1, [2, 3], [4, 5]] }],
  [
    '98190102030405060708090a0b0c0d0e0f101112131415161718181819',
    '[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25]',
    { is: Array.from({ length: 25 }, (_, i) => i + 1) },
  ],
  ['a0', '{}', { is: new Map() }],
  [
    'a201020304',
    '{1: 2, 3: 4}',
    {
      is: new Map([
        [1, 2],
        [3, 4],
      ]),
    },
  ],
  [
    'a26161016162820203',
    '{"a": 1, "b": [2, 3]}',
    {
      is: new Map<string, unknown>([
        ['a', 1],
        ['b', [2, 3]],
      ]),
    },
  ],
  ['826161a161626163', '["a", {"b": "c"}]', { is: ['a', new Map([['b', 'c']])] }],
  [
    'a56161614161626142616361436164614461656145',
    '{"a": "A", "b": "B", "c": "C", "d": "D", "e": "E"}',
    { is: new Map(['a', 'b', 'c', 'd', 'e'].map((key) => [key, key.toUpperCase()])) },
  ],
  ['5f42010243030405ff', "(_ h'0102', h'030405')", INDEFINITE],
  ['7f657374726561646d696e67ff', '(_ "strea", "ming")', INDEFINITE],
  ['9fff', '[_ ]', INDEFINITE],
  ['9f018202039f0405ffff', '[_ 1, [2, 3], [_ 4, 5]]', INDEFINITE],
  ['9f01820203820405ff', '[_ 1, [2, 3], [4, 5]]', INDEFINITE],
  ['83018202039f0405ff', '[1, [2, 3], [_ 4, 5]]', INDEFINITE],
  ['83019f0203ff820405', '[1, [_ 2, 3], [4, 5]]', INDEFINITE],
  [
    '9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff',
    '[_ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25]',
    INDEFINITE,
  ],
  ['bf61610161629f0203ffff', '{_ "a": 1, "b": [_ 2, 3]}', INDEFINITE],
  ['826161bf61626163ff', '["a", {_ "b": "c"}]', INDEFINITE],
  ['bf6346756ef563416d7421ff', '{_ "Fun": true, "Amt": -2}', INDEFINITE],
];

/** What the protocol makes of a message with this item, `[item]`. */
function outcome(item: Buffer): { is: unknown } | string {
  try {
    return { is: decodeArray(Buffer.concat([hex('81'), item]), DEFAULT_LIMITS)[0] };
  } catch (error) {
    if (error instanceof PayloadError) return error.code;
    if (error instanceof ProtocolError) return error.reason;
    throw error;
  }
}

describe('RFC 8949, appendix A', () => {
  test('all 81 examples are here', () => {
    expect(EXAMPLES).toHaveLength(81);
    expect(new Set(EXAMPLES.map(([bytes]) => bytes)).size).toBe(81);
  });

  test.each(EXAMPLES)('%s is %s', (encoded, notation, expected) => {
    expect(diagnostic(hex(encoded))).toBe(notation);
    const came = outcome(hex(encoded));
    expect(isDeepStrictEqual(came, expected), JSON.stringify(came)).toBe(true);
  });

  test.each(EXAMPLES)('%s cut short anywhere is malformed, or refused before the cut', (encoded, _, expected) => {
    const whole = hex(encoded);
    for (let end = 0; end < whole.length; end++) {
      const came = outcome(whole.subarray(0, end));
      expect(['malformed', expected], `${end} bytes`).toContainEqual(came);
      if (typeof expected !== 'string') expect(came).toBe('malformed');
    }
  });

  test.each(EXAMPLES)('%s with a byte behind it is malformed, or refused as before', (encoded, _, expected) => {
    const came = outcome(Buffer.concat([hex(encoded), hex('00')]));
    expect(came).toEqual(typeof expected === 'string' ? expected : 'malformed');
  });
});
