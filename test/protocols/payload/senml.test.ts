import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PayloadError, type RejectCode } from '#protocols/errors.js';
import { DEFAULT_LIMITS, type ProtocolLimits } from '#protocols/limits.js';
import { readingsFromSenml, SENML } from '#protocols/payload/senml.js';

const NOW = Date.UTC(2026, 0, 1);
const NOW_S = NOW / 1000;

type Fields = Partial<Record<keyof typeof SENML, unknown>> & { more?: [unknown, unknown][] };

/** A record by RFC 8428's names. */
function record({ more = [], ...fields }: Fields): Map<unknown, unknown> {
  const known = Object.entries(fields).map(([name, value]) => [SENML[name as keyof typeof SENML], value] as const);
  return new Map<unknown, unknown>([...known, ...more]);
}

function read(records: Fields[], limits: Partial<ProtocolLimits> = {}) {
  return readingsFromSenml(records.map(record), { ...DEFAULT_LIMITS, ...limits }, NOW);
}

function code(records: Fields[], limits: Partial<ProtocolLimits> = {}): RejectCode | 'taken' {
  try {
    read(records, limits);
  } catch (error) {
    if (error instanceof PayloadError) return error.code;
    throw error;
  }
  return 'taken';
}

describe('names and values', () => {
  test('base name and name make the metric, for the records that follow too', () => {
    const metrics = read([{ bn: 'room/', n: 'temp', v: 1 }, { n: 'hum', v: 2 }, { bn: 'x', v: 3 }, { v: 4 }]);
    expect(metrics.map((r) => r.metric)).toEqual(['room/temp', 'room/hum', 'x', 'x']);
  });

  test('numbers, texts and booleans', () => {
    expect(
      read([
        { n: 'a', v: 21.5 },
        { n: 'b', vs: 'hot' },
        { n: 'c', vb: false },
      ]).map((r) => r.value),
    ).toEqual([21.5, 'hot', false]);
  });

  test('the base value is added to numbers alone', () => {
    const records = [
      { bv: 20, n: 'a', v: 1.5 },
      { n: 'b', v: -20 },
      { n: 'c', vb: true },
      { bv: 0, n: 'd', v: -0 },
    ];
    expect(read(records).map((r) => r.value)).toEqual([21.5, 0, true, 0]);
  });

  test('a base value must not carry an integer past 2^53, nor any number to infinity', () => {
    expect(code([{ bv: Number.MAX_SAFE_INTEGER, n: 'a', v: 0 }])).toBe('taken');
    expect(code([{ bv: Number.MAX_SAFE_INTEGER, n: 'a', v: 1 }])).toBe('value_not_allowed');
    expect(code([{ bv: 1e308, n: 'a', v: 1e308 }])).toBe('value_not_allowed');
  });

  test('a record has exactly one value', () => {
    expect(code([{ n: 'a' }])).toBe('malformed_payload');
    expect(code([{ n: 'a', v: 1, vs: 'x' }])).toBe('malformed_payload');
    expect(code([{ n: 'a', v: 1, vb: true }])).toBe('malformed_payload');
    expect(code([{ bn: 'a', bt: 5 }])).toBe('malformed_payload');
  });

  test('a data value becomes its text in base64url without padding', () => {
    expect(read([{ n: 'a', vd: Buffer.from('hi \n') }])).toEqual([{ metric: 'a', timeUs: null, value: 'aGkgCg' }]);
    expect(read([{ n: 'a', vd: new Uint8Array([0xfb, 0xff, 0]) }])[0]!.value).toBe('-_8A');
    expect(read([{ n: 'a', vd: new Uint8Array(0) }])[0]!.value).toBe('');
    expect(code([{ n: 'a', v: 1, vd: Buffer.from('x') }])).toBe('malformed_payload');
    expect(() => read([{ n: 'a', vd: 'aGk' }])).toThrow('vd must be a byte string in CBOR');
    // 6,144 bytes are 8,192 characters.
    expect(code([{ n: 'a', vd: Buffer.alloc(6144) }])).toBe('taken');
    expect(code([{ n: 'a', vd: Buffer.alloc(6145) }])).toBe('value_not_allowed');
  });

  test.each<Fields>([
    { n: 1, v: 1 },
    { bn: 1, n: 'a', v: 1 },
    { n: 'a', v: 'x' },
    { n: 'a', v: null },
    { n: 'a', v: Number.NaN },
    { n: 'a', vs: 1 },
    { n: 'a', vb: 1 },
    { n: 'a', v: 1, t: 'now' },
    { n: 'a', v: 1, bt: true },
    { n: 'a', v: 1, bv: '1' },
    { n: 'a', v: 1, bver: '10' },
    { n: 'a', v: 1, bver: 9.5 },
    { n: 'a', v: 1, bver: 0 },
    { n: 'a', v: 1, ut: '60' },
    { n: 'a', v: 1, u: 1 },
    { n: 'a', v: 1, bu: null },
    { n: 'a', v: 1, s: '1' },
    { n: 'a', v: 1, bs: true },
  ])('a field of the wrong kind: %j', (fields) => {
    expect(code([fields])).toBe('malformed_payload');
  });
});

describe('units', () => {
  test('the unit of the record, else the base unit; an empty one is none', () => {
    const records = [
      { n: 'a', v: 1 },
      { bu: 'W', n: 'b', v: 2 },
      { n: 'c', u: 'V', v: 3 },
      { n: 'd', vs: 'x' },
    ];
    expect(read(records).map((r) => r.unit)).toEqual([undefined, 'W', 'V', 'W']);
    expect(read([{ bu: 'W', n: 'a', u: '', v: 1 }])).toStrictEqual([{ metric: 'a', timeUs: null, value: 1 }]);
    expect(read([{ bu: '', n: 'a', v: 1 }])).toStrictEqual([{ metric: 'a', timeUs: null, value: 1 }]);
  });

  test('a unit is bounded and printable as a name is', () => {
    expect(code([{ n: 'a', u: 'x'.repeat(256), v: 1 }])).toBe('taken');
    expect(code([{ n: 'a', u: 'x'.repeat(257), v: 1 }])).toBe('value_not_allowed');
    expect(code([{ n: 'a', u: 'C\u0000', v: 1 }])).toBe('value_not_allowed');
    expect(code([{ n: 'a', u: '\ud800', v: 1 }])).toBe('value_not_allowed');
    expect(code([{ n: 'a', u: '°C', v: 1 }])).toBe('taken');
  });
});

describe('sums', () => {
  test('a sum beside a value, and a sum alone, are a metric of their own, with the unit times a second', () => {
    expect(
      read([
        { n: 'p', u: 'W', v: 20, s: 1000, ut: 60 },
        { n: 'q', s: 5 },
      ]),
    ).toStrictEqual([
      { metric: 'p', timeUs: null, value: 20, unit: 'W' },
      { metric: 'p.sum', timeUs: null, value: 1000, unit: 'W.s' },
      { metric: 'q.sum', timeUs: null, value: 5 },
    ]);
  });

  test('the base sum is added, and alone is the sum of those that follow with a number', () => {
    const records = [
      { n: 'a', v: 1 },
      { bs: 100, n: 'b', s: 5 },
      { n: 'c', v: 2 },
      { n: 'd', vs: 'x' },
      { n: 'e', vb: true },
      { bs: -0, n: 'f', v: 3, s: -0 },
    ];
    expect(read(records).map((r) => [r.metric, r.value])).toEqual([
      ['a', 1],
      ['b.sum', 105],
      ['c', 2],
      ['c.sum', 100],
      ['d', 'x'],
      ['e', true],
      ['f', 3],
      ['f.sum', 0],
    ]);
  });

  test('base sum and sum must not add up past what is stored, and the name must bear the suffix', () => {
    expect(code([{ bs: Number.MAX_SAFE_INTEGER, n: 'a', s: 1 }])).toBe('value_not_allowed');
    expect(code([{ n: 'a'.repeat(252), s: 1 }])).toBe('taken');
    expect(code([{ n: 'a'.repeat(253), s: 1 }])).toBe('metric_name');
  });

  test('sums count as readings', () => {
    const pack = (n: number) => Array.from({ length: n }, () => ({ n: 'a', v: 1, s: 1 }));
    expect(code(pack(500))).toBe('taken');
    expect(code(pack(501))).toBe('too_many_readings');
  });
});

describe('time', () => {
  const timeOf = (fields: Fields) => read([{ n: 'a', v: 1, ...fields }])[0]!.timeUs;

  test('no time, or 0, is now: the hub gives its own', () => {
    expect(timeOf({})).toBeNull();
    expect(timeOf({ t: 0 })).toBeNull();
    expect(timeOf({ bt: 0 })).toBeNull();
  });

  test('base time and time are added; the base holds until the next one', () => {
    const times = read([
      { bt: NOW_S - 100, n: 'a', v: 1 },
      { n: 'a', t: 5, v: 1 },
      { n: 'a', t: -0.5, v: 1 },
      { bt: 0, n: 'a', v: 1 },
    ]).map((r) => r.timeUs);
    expect(times).toEqual([(NOW_S - 100) * 1e6, (NOW_S - 95) * 1e6, (NOW_S - 100.5) * 1e6, null]);
  });

  test('below 2^28 it is relative to now, from there on absolute', () => {
    expect(timeOf({ t: -60 })).toBe((NOW_S - 60) * 1e6);
    expect(timeOf({ t: 60.000001 })).toBe(NOW * 1000 + 60_000_001);
    expect(timeOf({ t: 2 ** 28 })).toBe(2 ** 28 * 1e6);
    expect(code([{ n: 'a', v: 1, t: 2 ** 28 - 1 }])).toBe('time_in_future');
  });

  test('the same rules as for every format: not before 1970, not past 9999, not five minutes ahead', () => {
    expect(code([{ n: 'a', v: 1, t: -NOW_S }])).toBe('taken');
    expect(code([{ n: 'a', v: 1, t: -NOW_S - 0.000_001 }])).toBe('time_not_allowed');
    expect(code([{ n: 'a', v: 1, t: 1e300 }])).toBe('time_not_allowed');
    expect(code([{ n: 'a', v: 1, bt: 1.7e308, t: 1.7e308 }])).toBe('time_not_allowed');
    expect(code([{ n: 'a', v: 1, t: NOW_S + 300 }])).toBe('taken');
    expect(code([{ n: 'a', v: 1, t: NOW_S + 300.000_001 }])).toBe('time_in_future');
  });

  test('seconds as a double come back as the microsecond that was meant', () => {
    const us = fc.integer({ min: 2 ** 28 * 1e6, max: NOW * 1000 });
    fc.assert(
      fc.property(us, (timeUs) => {
        expect(timeOf({ t: timeUs / 1e6 })).toBe(timeUs);
      }),
    );
  });
});

describe('versions, unknown fields, bounds', () => {
  test("versions up to 10 are served, the RFC's own examples say 5", () => {
    expect(
      code([
        { bver: 10, n: 'a', v: 1 },
        { bver: 10, n: 'a', v: 1 },
      ]),
    ).toBe('taken');
    expect(code([{ bver: 11, n: 'a', v: 1 }])).toBe('unsupported_format');
    expect(
      code([
        { n: 'a', v: 1 },
        { bver: 12, n: 'a', v: 1 },
      ]),
    ).toBe('unsupported_format');
    expect(code([{ bver: 5, n: 'a', v: 1 }])).toBe('taken');
  });

  test('unknown labels are ignored, unless they say that they must be understood', () => {
    expect(
      code([
        {
          n: 'a',
          v: 1,
          more: [
            ['x', 1],
            [99, 2],
            [-99, 3],
          ],
        },
      ]),
    ).toBe('taken');
    expect(code([{ n: 'a', v: 1, more: [['x_', 1]] }])).toBe('unsupported_format');
  });

  test('labels written as the texts of the JSON form are not the labels of this form', () => {
    expect(
      code([
        {
          more: [
            ['n', 'a'],
            ['v', 1],
          ],
        },
      ]),
    ).toBe('metric_name');
  });

  test('an empty pack is refused', () => {
    expect(code([])).toBe('empty');
  });

  test('records, names and texts at their limits', () => {
    const pack = (n: number) => Array.from({ length: n }, () => ({ n: 'a', v: 1 }));
    expect(code(pack(1000))).toBe('taken');
    expect(code(pack(1001))).toBe('too_many_readings');
    expect(code([{ bn: 'x'.repeat(200), n: 'y'.repeat(56), v: 1 }])).toBe('taken');
    expect(code([{ bn: 'x'.repeat(200), n: 'y'.repeat(57), v: 1 }])).toBe('metric_name');
    expect(code([{ n: 'a\u0000', v: 1 }])).toBe('metric_name');
    expect(code([{ n: 'a', vs: 'x'.repeat(8192) }])).toBe('taken');
    expect(code([{ n: 'a', vs: 'x'.repeat(8193) }])).toBe('value_not_allowed');
  });

  test('whatever the fields hold, PayloadError is all that comes out', () => {
    const label = fc.oneof(fc.integer({ min: -8, max: 10 }), fc.string({ maxLength: 3 }));
    const anyRecord = fc.array(fc.tuple(label, fc.anything()), { maxLength: 8 }).map((entries) => new Map(entries));
    fc.assert(
      fc.property(fc.array(anyRecord, { maxLength: 5 }), (records) => {
        try {
          for (const reading of readingsFromSenml(records, DEFAULT_LIMITS, NOW)) {
            expect(['number', 'string', 'boolean']).toContain(typeof reading.value);
            expect(reading.timeUs === null || Number.isSafeInteger(reading.timeUs)).toBe(true);
          }
        } catch (error) {
          if (!(error instanceof PayloadError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});
