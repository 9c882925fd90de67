import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeMsgpack } from '#protocols/payload/msgpack.js';
import { hex, reader } from './read.ts';

const { read, code } = reader(decodeMsgpack);
const packed = (value: unknown): Buffer => Buffer.from(encode(value));
const round = { largeIntegers: 'round' } as const;

describe('what is stored', () => {
  test('a map is what the same object is in JSON', () => {
    expect(read(packed({ temp: 21.5, door: { open: true }, ts: 1767225600000, none: null }))).toStrictEqual([
      { metric: 'temp', timeUs: 1767225600000000, value: 21.5 },
      { metric: 'door.open', timeUs: 1767225600000000, value: true },
    ]);
  });

  test('an array of maps is a batch, each with its own time', () => {
    expect(read(packed([{ a: 1, ts: 0 }, { a: 'é' }]))).toStrictEqual([
      { metric: 'a', timeUs: 0, value: 1 },
      { metric: 'a', timeUs: null, value: 'é' },
    ]);
  });

  test.each([
    ['fixint', '7f', 127],
    ['negative fixint', 'e0', -32],
    ['uint 8', 'cc ff', 255],
    ['uint 16', 'cd ffff', 65535],
    ['uint 32', 'ce ffffffff', 4294967295],
    ['uint 64', 'cf 001fffffffffffff', Number.MAX_SAFE_INTEGER],
    ['int 8', 'd0 80', -128],
    ['int 16', 'd1 8000', -32768],
    ['int 32', 'd2 80000000', -2147483648],
    ['int 64', 'd3 ffe0000000000001', Number.MIN_SAFE_INTEGER],
    ['float 32', 'ca 3fc00000', 1.5],
    ['float 64', 'cb 3ff199999999999a', 1.1],
    ['-0', 'cb 8000000000000000', 0],
    ['false', 'c2', false],
    ['true', 'c3', true],
    ['fixstr', 'a178', 'x'],
    ['str 8', 'd90178', 'x'],
    ['str 16', 'da000178', 'x'],
    ['str 32', 'db0000000178', 'x'],
  ])('%s', (_, item, value) => {
    expect(read(hex(`81 a161 ${item}`))).toStrictEqual([{ metric: 'a', timeUs: null, value }]);
  });

  test('maps and arrays in their wide forms, and keys too', () => {
    for (const map of ['de0001', 'df00000001']) expect(code(hex(`${map} d90161 01`))).toBe('taken');
    for (const array of ['91', 'dc0001', 'dd00000001']) expect(code(hex(`${array} 81 a161 01`))).toBe('taken');
  });

  test('integers past 2^53 are refused, or rounded where the hub is set so', () => {
    for (const item of ['cf 0020000000000000', 'cf ffffffffffffffff', 'd3 ffe0000000000000', 'd3 8000000000000000']) {
      expect(code(hex(`81 a161 ${item}`))).toBe('value_not_allowed');
    }
    expect(read(hex('81 a161 cf 0020000000000001'), {}, round)[0]!.value).toBe(2 ** 53);
    expect(read(hex('81 a161 d3 8000000000000000'), {}, round)[0]!.value).toBe(-(2 ** 63));
  });
});

describe('what is refused', () => {
  test.each([
    ['nothing', '', 'empty'],
    ['an empty map', '80', 'empty'],
    ['a number', '01', 'malformed_payload'],
    ['an array of numbers', '9101', 'malformed_payload'],
    ['bytes after the map', '81 a161 01 00', 'malformed_payload'],
    ['a key twice', '82 a161 01 d90161 02', 'malformed_payload'],
    ['an integer as key', '81 01 01', 'malformed_payload'],
    ['nil as key', '81 c0 01', 'malformed_payload'],
    ['a map as key', '81 80 01', 'malformed_payload'],
    ['an array as value', '81 a161 9101', 'value_not_allowed'],
    ['bin 8', '81 a161 c40100', 'value_not_allowed'],
    ['bin 32', '81 a161 c6ffffffff', 'value_not_allowed'],
    ['fixext 1', '81 a161 d40100', 'value_not_allowed'],
    ['a time stamp', '81 a161 d6ff00000000', 'value_not_allowed'],
    ['ext 8', '81 a161 c70101 00', 'value_not_allowed'],
    ['ext 32', '81 a161 c9ffffffff01', 'value_not_allowed'],
    ['the byte that is never used', '81 a161 c1', 'malformed_payload'],
    ['NaN', '81 a161 cb7ff8000000000000', 'value_not_allowed'],
    ['infinity in 32 bits', '81 a161 ca7f800000', 'value_not_allowed'],
    ['text that is no UTF-8', '81 a161 a1ff', 'malformed_payload'],
    ['a key that is no UTF-8', '81 a1ff 01', 'malformed_payload'],
    ['a text with a byte order mark', '81 a161 a3efbbbf', 'malformed_payload'],
    ['__proto__', '81 a95f5f70726f746f5f5f 01', 'metric_name'],
    ['a map that lies about its length', 'dfffffffff', 'malformed_payload'],
    ['an array that lies about its length', 'ddffffffff', 'malformed_payload'],
    ['a text that lies about its length', '81 a161 dbffffffff', 'malformed_payload'],
  ])('%s', (_, payload, expected) => {
    expect(code(hex(payload))).toBe(expected);
  });

  test('names that every object has are metrics like any other', () => {
    expect(read(packed({ constructor: 1, toString: 2, hasOwnProperty: 3 })).map((r) => r.metric)).toEqual([
      'constructor',
      'toString',
      'hasOwnProperty',
    ]);
  });

  test('depth is counted as in JSON: 8 maps, in a batch too', () => {
    const nested = (levels: number) => hex('81a161'.repeat(levels) + '01');
    expect(code(nested(8))).toBe('taken');
    expect(code(nested(9))).toBe('too_deep');
    expect(code(nested(20_000))).toBe('too_deep');
    // A lie about a length is called that, also where the depth would be refused.
    expect(code(hex('81a161'.repeat(9) + 'ddffffffff'))).toBe('malformed_payload');
    expect(code(Buffer.concat([hex('91'), nested(8)]))).toBe('taken');
    expect(code(Buffer.concat([hex('91'), nested(9)]))).toBe('too_deep');
  });

  test('readings and items at their limits', () => {
    const flat = (n: number) => packed(Object.fromEntries(Array.from({ length: n }, (_, i) => [`m${i}`, i])));
    expect(code(flat(1000))).toBe('taken');
    expect(code(flat(1001))).toBe('too_many_readings');
    // The map, "a", the array and so many nils: stopped before anything is made of them.
    const nils = (n: number) => Buffer.concat([hex('81 a161 dd'), uint32(n), Buffer.alloc(n, 0xc0)]);
    expect(code(nils(17_021))).toBe('value_not_allowed');
    expect(code(nils(17_022))).toBe('too_many_readings');
  });
});

test('the guard lets through only what the library reads, and to the same value', () => {
  const value = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.string({ unit: 'grapheme', maxLength: 300 }).filter((s) => !s.startsWith('\ufeff')),
  );
  const metrics = fc.dictionary(fc.stringMatching(/^[a-zé.]{1,40}$/), value, {
    minKeys: 1,
    maxKeys: 20,
    noNullPrototype: true,
  });
  fc.assert(
    fc.property(metrics, (object) => {
      const expected = Object.entries(object).filter(([metric]) => metric !== 'ts');
      fc.pre(expected.length === Object.keys(object).length);
      expect(read(packed(object)).map((r) => [r.metric, r.value])).toEqual(
        expected.map(([metric, v]) => [metric, typeof v === 'number' ? v + 0 : v]),
      );
    }),
    { numRuns: 1000 },
  );
});

function uint32(n: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(n);
  return bytes;
}
