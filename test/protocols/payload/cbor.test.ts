import { describe, expect, test } from 'vitest';
import { decodeCbor, decodeSenmlCbor } from '#protocols/payload/cbor.js';
import { hex, NOW, reader } from './read.ts';

describe('application/cbor', () => {
  const { read, code } = reader(decodeCbor);

  test('a map is what the same object is in JSON', () => {
    // {"temp": 21.5, "door": {"open": true}, "ts": 1767225600000, "none": null}
    const map = hex('a4 6474656d70 f94d60 64646f6f72 a1 646f70656e f5 627473 1b0000019b76daa800 646e6f6e65 f6');
    expect(read(map)).toStrictEqual([
      { metric: 'temp', timeUs: 1767225600000000, value: 21.5 },
      { metric: 'door.open', timeUs: 1767225600000000, value: true },
    ]);
  });

  test('an array of maps is a batch, each with its own time', () => {
    // [{"a": 1, "ts": 0}, {"a": "x"}]
    expect(read(hex('82 a2 6161 01 627473 00 a1 6161 6178'))).toStrictEqual([
      { metric: 'a', timeUs: 0, value: 1 },
      { metric: 'a', timeUs: null, value: 'x' },
    ]);
  });

  test('__proto__ is a name like any other', () => {
    expect(read(hex('a1 695f5f70726f746f5f5f 01'))).toStrictEqual([{ metric: '__proto__', timeUs: null, value: 1 }]);
  });

  test.each([
    ['nothing', '', 'empty'],
    ['an empty map', 'a0', 'empty'],
    ['a number', '01', 'malformed_payload'],
    ['an array of numbers', '8101', 'malformed_payload'],
    ['two items', 'a1616101 00', 'malformed_payload'],
    ['a key twice', 'a2 6161 01 6161 02', 'malformed_payload'],
    ['an integer as key', 'a1 01 01', 'value_not_allowed'],
    ['an array as value', 'a1 6161 8101', 'value_not_allowed'],
    ['a byte string', 'a1 6161 4101', 'value_not_allowed'],
    ['a tag', 'a1 6161 c100', 'malformed_payload'],
    ['a decimal fraction', 'a1 6161 c4820101', 'malformed_payload'],
    ['an indefinite map', 'bf 6161 01 ff', 'malformed_payload'],
    ['undefined', 'a1 6161 f7', 'value_not_allowed'],
    ['NaN', 'a1 6161 f97e00', 'value_not_allowed'],
    ['text that is no UTF-8', 'a1 6161 61ff', 'malformed_payload'],
    ['lengths that lie', 'bb ffffffffffffffff', 'malformed_payload'],
    ['an integer past 2^53', 'a1 6161 1b0020000000000001', 'value_not_allowed'],
  ])('%s is refused', (_, payload, expected) => {
    expect(code(hex(payload))).toBe(expected);
  });

  test('integers past 2^53 are rounded where the hub is set so, but never as keys', () => {
    const round = { largeIntegers: 'round' } as const;
    expect(read(hex('a1 6161 1b0020000000000001'), {}, round)[0]!.value).toBe(2 ** 53);
    expect(read(hex('a1 6161 3bffffffffffffffff'), {}, round)[0]!.value).toBe(-(2 ** 64));
    expect(code(hex('a1 1b0020000000000001 01'), {}, round)).toBe('value_not_allowed');
  });

  test('depth is counted as in JSON: 8 maps, in a batch too', () => {
    const nested = (levels: number) => hex('a16161'.repeat(levels) + '01');
    expect(code(nested(8))).toBe('taken');
    expect(code(nested(9))).toBe('too_deep');
    expect(code(nested(5000))).toBe('too_deep');
    expect(code(Buffer.concat([hex('81'), nested(8)]))).toBe('taken');
    expect(code(Buffer.concat([hex('81'), nested(9)]))).toBe('too_deep');
  });
});

describe('application/senml+cbor', () => {
  const { read, code } = reader(decodeSenmlCbor);

  test('what RFC 8428 shows in section 6: voltage and current with base name, time, unit and version', () => {
    const pack =
      hex(`82 a7 21 78 1b 75726e3a6465763a6f773a313065323037336130313038303036 3a 22 fb41d303a15b001062 23 6141 20 05
      00 67766f6c74616765 01 6156 02 fb405e066666666666
      a3 00 6763757272656e74 06 24 02 fb3ff3333333333333`);
    expect(read(pack)).toStrictEqual([
      { metric: 'urn:dev:ow:10e2073a0108006:voltage', timeUs: 1276020076001000, value: 120.1, unit: 'V' },
      { metric: 'urn:dev:ow:10e2073a0108006:current', timeUs: 1276020071001000, value: 1.2, unit: 'A' },
    ]);
  });

  test('numbers may be decimal fractions', () => {
    // v = 273.15 as 4([-2, 27315]), t = -60
    expect(read(hex('81 a3 00 6161 02 c4 82 21 19 6ab3 06 38 3b'))).toStrictEqual([
      { metric: 'a', timeUs: (NOW - 60_000) * 1000, value: 273.15 },
    ]);
    // A mantissa of eight bytes.
    expect(read(hex('81 a2 00 6161 02 c4 82 22 1b 001fffffffffffff'))[0]!.value).toBe(Number.MAX_SAFE_INTEGER / 1000);
  });

  test.each([
    ['of three', 'c483010101', 'malformed_payload'],
    ['of floats', 'c48201f93c00', 'malformed_payload'],
    ['in itself', 'c48201c4820101', 'malformed_payload'],
    ['of nothing', 'c4', 'malformed_payload'],
    ['cut', 'c48201', 'malformed_payload'],
    ['past all doubles', 'c4821a7fffffff01', 'malformed_payload'],
    ['with a mantissa past 2^53', 'c482001b0020000000000001', 'value_not_allowed'],
    ['under tag 5', 'c5820101', 'malformed_payload'],
  ])('a decimal fraction %s is refused', (_, value, expected) => {
    expect(code(hex(`81 a2 00 6161 02 ${value}`))).toBe(expected);
  });

  test('data is a byte string, and a text is none', () => {
    expect(read(hex('81 a2 00 6161 08 4268 69'))[0]!.value).toBe('aGk');
    expect(code(hex('81 a2 00 6161 08 63614757'))).toBe('malformed_payload');
  });

  test.each([
    ['a map', 'a2 00 6161 02 01', 'malformed_payload'],
    ['an array of numbers', '8101', 'malformed_payload'],
    ['an indefinite array', '9f a2 00 6161 02 01 ff', 'malformed_payload'],
    ['nothing', '', 'empty'],
    ['an empty pack', '80', 'empty'],
    ['the names of the JSON form', '81 a2 616e 6161 6176 01', 'metric_name'],
    ['a label that must be understood', '81 a3 00 6161 02 01 62785f 00', 'unsupported_format'],
  ])('%s is refused', (_, payload, expected) => {
    expect(code(hex(payload))).toBe(expected);
  });

  test('unknown labels, integers and texts, are passed over with what they hold', () => {
    expect(code(hex('81 a5 00 6161 02 01 6178 a1617981f4 18ff 4100 38ff 80'))).toBe('taken');
  });
});
