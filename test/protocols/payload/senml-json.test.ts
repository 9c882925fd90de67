import { describe, expect, test } from 'vitest';
import { decodeSenmlJson } from '#protocols/payload/senml-json.js';
import { NOW, reader } from './read.ts';

const { read, code } = reader(decodeSenmlJson);

/** Seconds since 1970 as the microseconds of a reading. */
const us = (seconds: number): number => Math.round(seconds * 1e6);

describe('what RFC 8428 shows in section 5', () => {
  test('one temperature, about now', () => {
    expect(read('[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]')).toStrictEqual([
      { metric: 'urn:dev:ow:10e2073a01080063', timeUs: null, value: 23.1, unit: 'Cel' },
    ]);
  });

  test('voltage and current of one device, each with its unit', () => {
    const pack =
      '[{"bn":"urn:dev:ow:10e2073a01080063:","n":"voltage","u":"V","v":120.1},{"n":"current","u":"A","v":1.2}]';
    expect(read(pack)).toStrictEqual([
      { metric: 'urn:dev:ow:10e2073a01080063:voltage', timeUs: null, value: 120.1, unit: 'V' },
      { metric: 'urn:dev:ow:10e2073a01080063:current', timeUs: null, value: 1.2, unit: 'A' },
    ]);
  });

  test('a base time, a base unit, and the current of each of the seconds before it', () => {
    const pack = `[{"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":5,"n":"voltage","u":"V","v":120.1},
      {"n":"current","t":-5,"v":1.2},{"n":"current","t":-4,"v":1.3},{"n":"current","v":1.7}]`;
    const current = 'urn:dev:ow:10e2073a0108006:current';
    expect(read(pack)).toStrictEqual([
      { metric: 'urn:dev:ow:10e2073a0108006:voltage', timeUs: us(1276020076.001), value: 120.1, unit: 'V' },
      { metric: current, timeUs: us(1276020071.001), value: 1.2, unit: 'A' },
      { metric: current, timeUs: us(1276020072.001), value: 1.3, unit: 'A' },
      { metric: current, timeUs: us(1276020076.001), value: 1.7, unit: 'A' },
    ]);
  });

  test('number, text, boolean and data', () => {
    const pack = `[{"bn":"urn:dev:ow:10e2073a01080063:","n":"temp","u":"Cel","v":23.1},{"n":"label","vs":"Machine Room"},
      {"n":"open","vb":false},{"n":"nfc-reader","vd":"aGkgCg"}]`;
    expect(read(pack).map((r) => r.value)).toEqual([23.1, 'Machine Room', false, 'aGkgCg']);
  });

  test('several devices in one pack: the last record has the base name of the third and the base time of the first', () => {
    const pack = `[{"bn":"2001:db8::2/","bt":1.320078429e+09,"n":"temperature","u":"Cel","v":25.2},{"n":"humidity","u":"%RH","v":30},
      {"bn":"2001:db8::1/","n":"temperature","u":"Cel","v":12.3},{"n":"humidity","u":"%RH","v":67}]`;
    expect(read(pack).at(-1)).toStrictEqual({
      metric: '2001:db8::1/humidity',
      timeUs: us(1320078429),
      value: 67,
      unit: '%RH',
    });
  });
});

describe('the JSON form', () => {
  test.each(['{"n":"a","v":1}', '1', 'null', '[1]', '[[]]', '[null]', '[{"n":"a","v":1},"x"]'])(
    'is an array of objects, so not %s',
    (pack) => {
      expect(code(pack)).toBe('malformed_payload');
    },
  );

  test('nothing, an empty pack, broken JSON, and bytes that are no UTF-8', () => {
    expect(code('')).toBe('empty');
    expect(code('[]')).toBe('empty');
    expect(code('[{"n":"a","v":1}')).toBe('malformed_payload');
    expect(code(Buffer.from('[{"n":"\xff","v":1}]', 'latin1'))).toBe('malformed_payload');
  });

  test('times relative to now, before and a little ahead', () => {
    expect(read('[{"n":"a","bt":-60,"t":-0.5,"v":1},{"n":"a","bt":2,"v":1}]').map((r) => r.timeUs)).toEqual([
      NOW * 1000 - 60_500_000,
      NOW * 1000 + 2_000_000,
    ]);
  });

  test('data is base64url without padding, and nothing else', () => {
    expect(read('[{"n":"a","vd":"-_8A"}]')[0]!.value).toBe('-_8A');
    for (const text of ['+/8A', '-_8A=', 'a', 'a b', '\\u00e9', 'aGkgCh']) {
      expect(code(`[{"n":"a","vd":"${text}"}]`), text).toBe('malformed_payload');
    }
    expect(code('[{"n":"a","vd":7}]')).toBe('malformed_payload');
  });

  test('integers past 2^53 are refused or rounded, as the hub is set; floating values stay', () => {
    expect(code('[{"n":"a","v":9007199254740991}]')).toBe('taken');
    expect(code('[{"n":"a","v":9007199254740993}]')).toBe('value_not_allowed');
    expect(code('[{"n":"a","s":-9007199254740993}]')).toBe('value_not_allowed');
    expect(code('[{"n":"a","v":1e300}]')).toBe('taken');
    expect(read('[{"n":"a","v":9007199254740993}]', {}, { largeIntegers: 'round' })[0]!.value).toBe(2 ** 53);
    expect(code('[{"n":"a","v":1e999}]')).toBe('malformed_payload');
  });

  test('names of the CBOR form and of prototypes are no labels', () => {
    expect(code('[{"0":"a","2":1}]')).toBe('metric_name');
    expect(read('[{"n":"a","v":1,"constructor":1,"-2":"b"}]')).toStrictEqual([{ metric: 'a', timeUs: null, value: 1 }]);
    expect(code('[{"n":"a","v":1,"x_":0}]')).toBe('unsupported_format');
    // It ends with `_`.
    expect(code('[{"n":"a","v":1,"__proto__":{"u":"x"}}]')).toBe('unsupported_format');
  });
});

describe('fields that nobody knows', () => {
  const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

  test('are bounded in depth as everything else is, also beside a number that makes a second look necessary', () => {
    // The pack and its record are two of the nine levels.
    expect(read(`[{"n":"a","v":1,"x":${nested(7)}}]`)).toHaveLength(1);
    expect(code(`[{"n":"a","v":1,"x":${nested(8)}}]`)).toBe('too_deep');
    expect(code(`[{"n":"a","v":1,"x":${'{"y":'.repeat(8)}1${'}'.repeat(8)}}]`)).toBe('too_deep');
    expect(code(`[{"n":"a","v":1e300,"x":${nested(100_000)}}]`)).toBe('too_deep');
  });
});
