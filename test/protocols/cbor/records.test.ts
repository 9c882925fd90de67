import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeDeviceMessage, encodeData, senmlRecords } from '#protocols/cbor/codec.js';
import { readingsFromRecords } from '#protocols/cbor/records.js';
import { PayloadError } from '#protocols/errors.js';
import { DEFAULT_LIMITS } from '#protocols/limits.js';
import type { Reading } from '#protocols/reading.js';
import { array, hex, map, text, uint } from './wire.ts';

const IN_2101 = Date.UTC(2101, 0, 1);

/** Through the wire: encoded as a device does, decoded as the hub does. */
function there(readings: readonly Reading[]): Reading[] {
  const message = decodeDeviceMessage(encodeData(1, senmlRecords(readings)), DEFAULT_LIMITS);
  if (message.type !== 'data') throw new Error(message.type);
  return readingsFromRecords(message.records, DEFAULT_LIMITS, IN_2101);
}

describe('readings through the wire', () => {
  test('every microsecond from 2000 to 2100 comes back exactly, first or later in a message', () => {
    const timeUs = fc.integer({ min: Date.UTC(2000, 0, 1) * 1000, max: Date.UTC(2100, 11, 31) * 1000 });
    const near = fc
      .tuple(timeUs, fc.array(fc.integer({ min: -10_000_000, max: 10_000_000 }), { minLength: 1, maxLength: 20 }))
      .map(([base, steps]) => [base, ...steps.map((step) => base + step)]);
    const far = fc.array(timeUs, { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(fc.oneof(near, far), (times) => {
        const readings = times.map((time, i): Reading => ({ metric: `m${i}`, timeUs: time, value: i }));
        expect(there(readings)).toEqual(readings);
      }),
      { numRuns: 2000 },
    );
  });

  test('names, values and times of all kinds come back, times that are "now" among others too', () => {
    const reading = fc.record({
      metric: fc.stringMatching(/^[a-z0-9./é-]{1,30}$/),
      timeUs: fc.option(fc.integer({ min: 2 ** 28 * 1e6, max: IN_2101 * 1000 })),
      value: fc.oneof(
        fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
        fc.maxSafeInteger(),
        fc.boolean(),
        fc.string({ unit: 'grapheme', maxLength: 100 }).filter((s) => !s.startsWith('\ufeff')),
      ),
    });
    fc.assert(
      fc.property(fc.array(reading, { minLength: 1, maxLength: 20 }), (readings) => {
        expect(there(readings)).toEqual(readings);
      }),
      { numRuns: 1000 },
    );
  });

  test('readings of one time name it once', () => {
    const at = Date.UTC(2026, 0, 1) * 1000 + 123_456;
    const records = senmlRecords([1, 2, 3].map((i) => ({ metric: `m${i}`, timeUs: at, value: i })));
    expect(records.map((r) => [...r.keys()])).toEqual([
      [-3, 0, 2],
      [0, 2],
      [0, 2],
    ]);
  });

  test('a time at the mark between relative and absolute stays absolute, however its doubles add up', () => {
    const mark = 2 ** 28 * 1e6;
    const readings = [mark + 43, mark].map((timeUs) => ({ metric: 'm', timeUs, value: 1 }));
    expect(there(readings)).toEqual(readings);
  });

  test('a time that SenML would take as relative is a mistake of the caller', () => {
    expect(() => senmlRecords([{ metric: 'a', timeUs: 2 ** 28 * 1e6 - 1, value: 1 }])).toThrow(RangeError);
    expect(senmlRecords([{ metric: 'a', timeUs: 2 ** 28 * 1e6, value: 1 }])).toHaveLength(1);
  });
});

describe('records that are no SenML pack', () => {
  test.each([
    ['a map', map()],
    ['null', hex('f6')],
    ['an array of arrays', array(array())],
    ['a record among others that is a text', array(map([uint(0), text('a')], [uint(2), uint(1)]), text('x'))],
  ])('%s', (_, records) => {
    const message = decodeDeviceMessage(array(uint(1), uint(1), records), DEFAULT_LIMITS);
    expect(message.type).toBe('data');
    if (message.type !== 'data') return;
    const refuse = () => readingsFromRecords(message.records, DEFAULT_LIMITS, 0);
    expect(refuse).toThrow(expect.objectContaining({ code: 'malformed_payload' }) as PayloadError);
  });
});
