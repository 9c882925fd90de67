import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PayloadError, type RejectCode } from '#protocols/errors.js';
import { DEFAULT_LIMITS, type ProtocolLimits } from '#protocols/limits.js';
import { decodeJson, STRICT_PAYLOADS } from '#protocols/payload/json.js';

const NOW = Date.UTC(2026, 0, 1);

function decode(payload: string | Uint8Array, limits: Partial<ProtocolLimits> = {}, options = STRICT_PAYLOADS) {
  return decodeJson(Buffer.from(payload), { ...DEFAULT_LIMITS, ...limits }, NOW, options);
}

/** Metric to value, of a message without times. */
function values(payload: string, limits: Partial<ProtocolLimits> = {}, options = STRICT_PAYLOADS) {
  return decode(payload, limits, options).map((r) => [r.metric, r.value]);
}

function refusal(run: () => unknown): RejectCode | 'taken' {
  try {
    run();
  } catch (error) {
    if (error instanceof PayloadError) return error.code;
    throw error;
  }
  return 'taken';
}

const code = (payload: string | Uint8Array, limits: Partial<ProtocolLimits> = {}) =>
  refusal(() => decode(payload, limits));

describe('objects', () => {
  test('an object is one reading for each metric, without a time of its own', () => {
    expect(decode('{"s":1,"temp":21.57,"on":true,"p":"xxxx"}')).toEqual([
      { metric: 's', timeUs: null, value: 1 },
      { metric: 'temp', timeUs: null, value: 21.57 },
      { metric: 'on', timeUs: null, value: true },
      { metric: 'p', timeUs: null, value: 'xxxx' },
    ]);
  });

  test('nested objects flatten with a dot', () => {
    expect(values('{"a":{"b":{"c":1},"d":2},"e":3}')).toEqual([
      ['a.b.c', 1],
      ['a.d', 2],
      ['e', 3],
    ]);
  });

  test('null is skipped at every level, and only nulls are nothing', () => {
    expect(values('{"a":null,"b":{"c":null,"d":1}}')).toEqual([['b.d', 1]]);
    expect(code('{"a":null}')).toBe('empty');
  });

  test('arrays as values refuse the message, empty and nested ones too', () => {
    expect(code('{"a":1,"b":[1]}')).toBe('value_not_allowed');
    expect(code('{"a":{"b":[]}}')).toBe('value_not_allowed');
  });

  test('nothing to store is refused as empty', () => {
    for (const payload of ['', '{}', '[]', '[{}]', '{"a":{}}', '{"ts":0}'])
      expect(code(payload), payload).toBe('empty');
  });

  test.each(['1', '"a"', 'null', 'true', '[1]', '[[{"a":1}]]', '[null]', '[{"a":1},2]'])(
    '%s is neither an object nor an array of objects',
    (payload) => expect(code(payload)).toBe('malformed_payload'),
  );

  test.each(['{', '{"a":}', '{"a":1}x', "{'a':1}", '{"a":NaN}', '{"a":01}', '\ufeff{"a":1}', '{"a":"\u0000"}'])(
    '%j is not JSON',
    (payload) => expect(code(payload)).toBe('malformed_payload'),
  );

  test('the words for broken JSON are short and printable', () => {
    const error = (() => {
      try {
        decode(`{"a":\u0007\u009b ${'é'.repeat(500)}`);
      } catch (e) {
        return e as Error;
      }
    })();
    expect(error?.message).toMatch(/^the payload is not JSON: [\x20-\x7e]{1,120}$/);
  });

  test('bytes that are not UTF-8 are refused, other languages are not', () => {
    expect(code(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toBe('malformed_payload');
    expect(code(Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]))).toBe(
      'malformed_payload',
    );
    expect(values('{"température":21,"温度":"高い"}')).toEqual([
      ['température', 21],
      ['温度', '高い'],
    ]);
  });
});

describe('names', () => {
  test('a name that stands twice: the last value counts', () => {
    expect(values('{"a":1,"a":2}')).toEqual([['a', 2]]);
  });

  test('names that become equal by flattening refuse the message, in each object of a batch for itself', () => {
    expect(code('{"a.b":1,"a":{"b":2}}')).toBe('malformed_payload');
    expect(code('{"a":{"b.c":1,"b":{"c":2}}}')).toBe('malformed_payload');
    expect(values('[{"a":{"b":1}},{"a":{"b":2}}]')).toHaveLength(2);
  });

  test('`__proto__` and `constructor` are names like any other and pollute nothing', () => {
    expect(values('{"__proto__":{"polluted":1},"constructor":{"prototype":{"x":2}}}')).toEqual([
      ['__proto__.polluted', 1],
      ['constructor.prototype.x', 2],
    ]);
    expect(values('{"__proto__":{"ts":99999999999999}}')).toEqual([['__proto__.ts', 99999999999999]]);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  test('an empty name is refused, an empty level is not: the flattened name counts', () => {
    expect(code('{"":1}')).toBe('metric_name');
    expect(values('{"a":{"":1}}')).toEqual([['a.', 1]]);
  });

  test.each(['\\u0000', '\\n', '\\u007f', '\\u0085', '\\ud800'])('a name with %s is refused', (escape) => {
    expect(code(`{"a${escape}b":1}`)).toBe('metric_name');
  });

  test('the length of a name is counted in bytes of UTF-8, flattened', () => {
    expect(code(`{"${'x'.repeat(256)}":1}`)).toBe('taken');
    expect(code(`{"${'x'.repeat(257)}":1}`)).toBe('metric_name');
    expect(code(`{"${'é'.repeat(128)}":1}`)).toBe('taken');
    expect(code(`{"${'é'.repeat(128)}x":1}`)).toBe('metric_name');
    expect(code(`{"${'x'.repeat(128)}":{"${'y'.repeat(127)}":1}}`)).toBe('taken');
    expect(code(`{"${'x'.repeat(128)}":{"${'y'.repeat(128)}":1}}`)).toBe('metric_name');
  });
});

describe('values', () => {
  test('integers are kept up to 2^53 - 1 and refused past it', () => {
    expect(values('{"a":9007199254740991,"b":-9007199254740991}').map((v) => v[1])).toEqual([
      Number.MAX_SAFE_INTEGER,
      Number.MIN_SAFE_INTEGER,
    ]);
    for (const literal of ['9007199254740992', '-9007199254740992', '9007199254740993', '18446744073709551615']) {
      expect(code(`{"a":${literal}}`), literal).toBe('value_not_allowed');
      expect(code(`{"a":{"b":${literal}}}`), literal).toBe('value_not_allowed');
      expect(code(`[{"a":1},{"a":${literal}}]`), literal).toBe('value_not_allowed');
    }
  });

  test('a fraction or an exponent makes a large number a floating value, which is kept', () => {
    expect(values('{"a":1e300,"b":9007199254740993.0,"c":-1E17}')).toEqual([
      ['a', 1e300],
      ['b', 9007199254740992],
      ['c', -1e17],
    ]);
  });

  test('one large integer among large floating values is found', () => {
    expect(code('{"a":1e300,"b":{"c":2e20,"d":9007199254740993}}')).toBe('value_not_allowed');
  });

  test('a hub may choose to round large integers instead', () => {
    const counter = '{"n":1767225600000000001}';
    expect(values(counter, {}, { largeIntegers: 'round' })).toEqual([['n', 1767225600000000000]]);
  });

  test('a number past the range of a double is refused, rounding or not', () => {
    expect(code('{"a":1e400}')).toBe('value_not_allowed');
    expect(code('{"a":-1e400}')).toBe('value_not_allowed');
    expect(refusal(() => decode('{"a":1e400}', {}, { largeIntegers: 'round' }))).toBe('value_not_allowed');
  });

  test('-0 becomes 0, and so does what is too small for a double', () => {
    for (const [, value] of values('{"a":-0,"b":-0.0,"c":-1e-400}')) expect(Object.is(value, 0)).toBe(true);
  });

  test('texts are bounded in bytes and must be whole characters', () => {
    expect(code(`{"a":"${'x'.repeat(8192)}"}`)).toBe('taken');
    expect(code(`{"a":"${'x'.repeat(8193)}"}`)).toBe('value_not_allowed');
    expect(code(`{"a":"${'é'.repeat(4096)}"}`)).toBe('taken');
    expect(code(`{"a":"${'é'.repeat(4096)}x"}`)).toBe('value_not_allowed');
    expect(code('{"a":"\\ud83d"}')).toBe('value_not_allowed');
    expect(values('{"a":"\\ud83d\\ude00"}')).toEqual([['a', '😀']]);
  });
});

describe('time', () => {
  const timeOf = (ts: string) => decode(`{"ts":${ts},"a":1}`)[0]!.timeUs;
  const codeOf = (ts: string) => code(`{"ts":${ts},"a":1}`);

  test('a number is milliseconds since 1970, with fractions to the microsecond, rounded', () => {
    expect(timeOf('1767225600000')).toBe(1767225600000000);
    expect(timeOf('1767225600000.123')).toBe(1767225600000123);
    expect(timeOf('1767225600000.1237')).toBe(1767225600000124);
    expect(timeOf('0')).toBe(0);
    expect(Object.is(timeOf('-0.0001'), 0)).toBe(true);
  });

  test('a text is RFC 3339', () => {
    expect(timeOf('"2025-12-31T23:59:59.999999Z"')).toBe(1767225599999999);
    expect(timeOf('"2026-01-01T01:00:00+01:00"')).toBe(1767225600000000);
  });

  test('null is no time', () => {
    expect(timeOf('null')).toBeNull();
  });

  test('up to five minutes ahead is taken, a microsecond more is not', () => {
    expect(timeOf(`${NOW + 300_000}`)).toBe((NOW + 300_000) * 1000);
    expect(codeOf(`${NOW + 300_000}.001`)).toBe('time_in_future');
    expect(codeOf('"9999-12-31T23:59:59Z"')).toBe('time_in_future');
  });

  test.each(['-1', '-0.001', '253402300800000', '1e400', '"1969-12-31T23:59:59.999999Z"', '"yesterday"', '""', 'true'])(
    'ts %s is not a time that can be stored',
    (ts) => expect(codeOf(ts)).toBe('time_not_allowed'),
  );

  test('ts objects and arrays are not times either', () => {
    expect(codeOf('{}')).toBe('time_not_allowed');
    expect(codeOf('[]')).toBe('time_not_allowed');
  });

  test('ts counts in the top level only; inside an object it is a metric', () => {
    expect(decode('{"a":{"ts":5}}')).toEqual([{ metric: 'a.ts', timeUs: null, value: 5 }]);
  });
});

describe('batches', () => {
  test('an array of objects: each has its own time', () => {
    expect(decode('[{"ts":1000,"a":1},{"a":2},{"ts":"1970-01-01T00:00:02Z","a":3}]').map((r) => r.timeUs)).toEqual([
      1_000_000,
      null,
      2_000_000,
    ]);
  });

  test('one bad object refuses all', () => {
    expect(code('[{"a":1},{"a":[]}]')).toBe('value_not_allowed');
    expect(code('[{"a":1},{"ts":-1,"a":1}]')).toBe('time_not_allowed');
  });

  test('an object of nulls among others is skipped', () => {
    expect(values('[{"a":null},{"a":2}]')).toEqual([['a', 2]]);
  });
});

describe('bounds', () => {
  test('readings of one message, in one object or many', () => {
    expect(code('{"a":1,"b":2,"c":3}', { maxReadings: 3 })).toBe('taken');
    expect(code('{"a":1,"b":2,"c":3,"d":4}', { maxReadings: 3 })).toBe('too_many_readings');
    expect(code('[{"a":1,"b":2},{"a":3,"b":4}]', { maxReadings: 3 })).toBe('too_many_readings');
  });

  test('nesting', () => {
    const nested = (levels: number) => '{"a":'.repeat(levels) + '1' + '}'.repeat(levels);
    expect(code(nested(8))).toBe('taken');
    expect(code(nested(9))).toBe('too_deep');
    expect(code(`[${nested(8)}]`)).toBe('taken');
  });

  test('a quarter of a million open brackets do no harm, also beside a large integer', () => {
    const deep = 120_000;
    expect(code('['.repeat(deep))).toBe('malformed_payload');
    expect(code('[' + '{"a":'.repeat(40_000) + '1' + '}'.repeat(40_000) + ']')).toBe('too_deep');
    expect(code(`{"a":${'['.repeat(deep)}${']'.repeat(deep)},"a":9007199254740993}`)).toBe('value_not_allowed');
  });
});

describe('properties', () => {
  test('what can be stored comes back as it was sent', () => {
    const metric = fc.stringMatching(/^[A-Za-z0-9_/é-]{1,40}$/).filter((name) => name !== 'ts' && name !== '');
    const value = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }).filter((n) => Math.abs(n) < 2 ** 53),
      fc.maxSafeInteger(),
      fc.boolean(),
      fc.string({ unit: 'grapheme', maxLength: 200 }),
    );
    fc.assert(
      fc.property(fc.dictionary(metric, value, { minKeys: 1, noNullPrototype: true }), (object) => {
        const back = Object.fromEntries(decode(JSON.stringify(object)).map((r) => [r.metric, r.value]));
        expect(back).toEqual(Object.fromEntries(Object.entries(object).map(([k, v]) => [k, v === 0 ? 0 : v])));
      }),
    );
  });

  test('any JSON is read or refused with PayloadError', () => {
    fc.assert(fc.property(fc.json({ maxDepth: 12 }), (json) => void code(json)));
  });

  test('any bytes are read or refused with PayloadError', () => {
    const mutated = fc.tuple(fc.json(), fc.nat(), fc.nat(255)).map(([json, at, byte]) => {
      const bytes = Buffer.from(json);
      if (bytes.length > 0) bytes[at % bytes.length] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (bytes) => void code(bytes)),
      { numRuns: 2000 },
    );
  });
});
