import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeDeviceMessage, encodeData, senmlRecords } from '#protocols/cbor/codec.js';
import { readFastData, type FastData } from '#protocols/cbor/fast-data.js';
import { readingsFromRecords } from '#protocols/cbor/records.js';
import { PayloadError, ProtocolError } from '#protocols/errors.js';
import { DEFAULT_LIMITS, type ProtocolLimits } from '#protocols/limits.js';
import { array, bytes, float64, head, hex, int, map, NULL, tag, text, TRUE, uint } from './wire.ts';

const NOW_MS = 1_767_225_600_000;
const NOW_S = NOW_MS / 1000;

const fast = (data: Buffer, limits: Partial<ProtocolLimits> = {}): FastData | null =>
  readFastData(data, { ...DEFAULT_LIMITS, ...limits }, NOW_MS);

/** By guard, cbor-x and the meaning of SenML; null: refused. */
function plain(data: Buffer, limits: Partial<ProtocolLimits> = {}): FastData | null {
  const all = { ...DEFAULT_LIMITS, ...limits };
  try {
    const message = decodeDeviceMessage(data, all);
    if (message.type !== 'data') return null;
    return { seq: message.seq, readings: readingsFromRecords(message.records, all, NOW_MS) };
  } catch (error) {
    if (error instanceof PayloadError || error instanceof ProtocolError) return null;
    throw error;
  }
}

type Pair = [label: Buffer, value: Buffer];
const data = (...records: Buffer[]): Buffer => array(uint(1), uint(1), array(...records));
const record = (...pairs: Pair[]): Buffer => map(...pairs);
const n = (name: string): Pair => [int(0), text(name)];
const v = (value: Buffer): Pair => [int(2), value];
const bt = (value: Buffer): Pair => [int(-3), value];
const t = (value: Buffer): Pair => [int(6), value];
const float32 = (value: number): Buffer => {
  const out = Buffer.from([0xfa, 0, 0, 0, 0]);
  out.writeFloatBE(value, 1);
  return out;
};

describe('is read by hand, as it is read in full', () => {
  test.each([
    ['a number without a time', data(record(n('a'), v(int(1))))],
    ['labels in any order', data(record(v(float64(1.5)), t(int(-1)), n('a'), bt(int(NOW_S))))],
    ['a text and a boolean', data(record(n('a'), [int(3), text('on')]), record(n('b'), [int(4), TRUE]))],
    ['an empty text', data(record(n('a'), [int(3), text('')]))],
    [
      'units, of the record and of the base',
      data(record(n('a'), v(int(1)), [int(-4), text('Cel')], [int(1), text('K')])),
    ],
    [
      'a base unit for the records after it',
      data(record(n('a'), v(int(1)), [int(-4), text('Cel')]), record(n('b'), v(int(2)))),
    ],
    [
      'a base time for the records after it',
      data(record(n('a'), v(int(1)), bt(float64(NOW_S - 0.5))), record(n('b'), v(int(2)), t(int(-7)))),
    ],
    ['a time that is relative to now', data(record(n('a'), v(int(1)), t(int(-60))))],
    ['now again after another time', data(record(n('a'), v(int(1)), t(int(-60))), record(n('a'), v(int(2))))],
    ['a name of printable ASCII to its edges', data(record(n(' ~'), v(int(1))))],
    ['integers of every length', data(...[1, 2, 4, 8].map((length) => record(n('a'), v(head(0, 9, length)))))],
    ['the largest integers', data(record(n('a'), v(int(2 ** 53 - 1))), record(n('b'), v(int(-(2 ** 53 - 1)))))],
    [
      'half floats',
      data(...['f93c00', 'f90001', 'f97bff', 'f98400', 'f98000'].map((half) => record(n('a'), v(hex(half))))),
    ],
    ['floats of 32 bits', data(record(n('a'), v(float32(-0.1))))],
    ['a seq in eight bytes', array(uint(1), head(0, 2 ** 40, 8), array(record(n('a'), v(int(1)))))],
    [
      'an array head in two bytes more',
      array(uint(1), uint(1), Buffer.concat([head(4, 1, 2), record(n('a'), v(int(1)))])),
    ],
  ])('%s', (_name, message) => {
    expect(fast(message)).not.toBeNull();
    expect(fast(message)).toEqual(plain(message));
  });

  test('what devices of this repository send', () => {
    const timeUs = NOW_MS * 1000 - 1_234_567;
    const readings = [
      { metric: 'temp', timeUs, value: 21.37 },
      { metric: 'open', timeUs, value: false },
      { metric: 'temp', timeUs: timeUs + 1_000_000, value: -3 },
      { metric: 'state', timeUs: timeUs + 1_000_000, value: 'on' },
      { metric: 'rssi', timeUs: null, value: 2 ** 40 },
    ];
    expect(fast(encodeData(7, senmlRecords(readings)))).toEqual({ seq: 7, readings });
  });

  test('minus zero becomes zero', () => {
    expect(Object.is(fast(data(record(n('a'), v(hex('f98000')))))!.readings[0]!.value, 0)).toBe(true);
  });
});

describe('is left to the full reading', () => {
  test.each([
    ['another message', array(uint(4), uint(1), text('boot'), NULL)],
    ['seq 0', array(uint(1), uint(0), array(record(n('a'), v(int(1)))))],
    ['seq past 2^53', array(uint(1), head(0, 2n ** 53n), array(record(n('a'), v(int(1)))))],
    ['no records', data()],
    ['a record that is no map', data(int(1), int(2))],
    ['no name', data(record(v(int(1)), t(int(-1))))],
    ['no value', data(record(n('a'), t(int(-1))))],
    ['a name twice', data(record(n('a'), n('b'), v(int(1))))],
    ['a value twice', data(record(n('a'), v(int(1)), v(int(1))))],
    ['two kinds of value', data(record(n('a'), v(int(1)), [int(4), TRUE]))],
    ['a time twice', data(record(n('a'), v(int(1)), t(int(-1)), t(int(-1))))],
    ['a base time twice', data(record(n('a'), v(int(1)), bt(int(1)), bt(int(1))))],
    ['a base name', data(record([int(-2), text('x')], n('a'), v(int(1))))],
    ['a base value', data(record([int(-5), int(1)], n('a'), v(int(1))))],
    ['a sum', data(record(n('a'), v(int(1)), [int(5), int(1)]))],
    ['a label that must be understood', data(record(n('a'), v(int(1)), [text('x_'), int(1)]))],
    ['a label written longer', data(record([hex('1800'), text('a')], v(int(1))))],
    ['an empty name', data(record(n(''), v(int(1))))],
    ['a control character in a name', data(record(n('a\u007f'), v(int(1))))],
    ['a name past ASCII', data(record(n('Ä'), v(int(1))))],
    ['a name that is not UTF-8', data(record([int(0), hex('61ff')], v(int(1))))],
    ['a text past ASCII', data(record(n('a'), [int(3), text('Ä')]))],
    ['bytes as value', data(record(n('a'), [int(3), bytes(hex('00'))]))],
    ['null as value', data(record(n('a'), v(NULL)))],
    ['a tag', data(record(n('a'), v(tag(1, int(1)))))],
    ['an integer past 2^53', data(record(n('a'), v(head(0, 2n ** 53n))))],
    ['one below -2^53', data(record(n('a'), v(head(1, 2n ** 53n - 1n))))],
    ['NaN', data(record(n('a'), v(hex('f97e00'))))],
    [
      'infinity in 16, 32 and 64 bits',
      data(
        record(n('a'), v(hex('f97c00'))),
        record(n('b'), v(hex('fa7f800000'))),
        record(n('c'), v(hex('fb7ff0000000000000'))),
      ),
    ],
    ['a time too far ahead', data(record(n('a'), v(int(1)), bt(int(NOW_S + 301))))],
    ['a time before 1970', data(record(n('a'), v(int(1)), t(int(-NOW_S - 1))))],
    ['an indefinite array', Buffer.concat([hex('8301019f'), record(n('a'), v(int(1))), hex('ff')])],
    ['a byte more', Buffer.concat([data(record(n('a'), v(int(1)))), hex('00')])],
  ])('%s', (_name, message) => {
    expect(fast(message)).toBeNull();
  });

  test('every message that is cut short', () => {
    const whole = data(record(n('a'), v(float64(1)), bt(int(NOW_S))), record(n('bb'), [int(3), text('on')]));
    expect(fast(whole)).not.toBeNull();
    for (let end = 0; end < whole.length; end++) {
      expect(fast(whole.subarray(0, end))).toBeNull();
      // The bytes that follow in the socket's buffer are not the message's.
      expect(fast(Buffer.from(whole).subarray(0, end))).toBeNull();
    }
  });

  test('what is past a limit, and nothing at its edge', () => {
    const two = data(record(n('abc'), v(int(1))), record(n('d'), [int(3), text('four')]));
    expect(fast(two, { maxReadings: 2, maxMetricBytes: 3, maxStringValueBytes: 4, maxDepth: 3 })).toEqual(plain(two));
    expect(fast(two, { maxReadings: 1 })).toBeNull();
    expect(fast(two, { maxMetricBytes: 2 })).toBeNull();
    expect(fast(two, { maxStringValueBytes: 3 })).toBeNull();
    expect(fast(two, { maxDepth: 2 })).toBeNull();
    const ahead = data(record(n('a'), v(int(1)), bt(int(NOW_S + 300))));
    expect(fast(ahead)).toEqual(plain(ahead));
  });
});

// Names of one letter among others, so that labels, names and values come to lie upon each other when bytes are changed.
const name = fc.oneof(
  fc.constantFrom('a', 'temp', 'humidity'),
  fc.string({ maxLength: 8 }),
  fc.string({ unit: 'grapheme', maxLength: 4 }),
);
const number = fc.oneof(
  fc.integer({ min: -300, max: 300 }).map(int),
  fc.maxSafeInteger().map(int),
  fc.tuple(fc.nat(20), fc.constantFrom(1, 2, 4, 8)).map(([value, length]) => head(0, value, length)),
  fc.double().map(float64),
  fc.float().map(float32),
  fc.nat(0xffff).map((half) => Buffer.from([0xf9, half >> 8, half & 0xff])),
);
const time = fc.oneof(
  fc.integer({ min: -100, max: 400 }).map(int),
  fc.integer({ min: NOW_S - 1000, max: NOW_S + 400 }).map(int),
  fc.double({ min: NOW_S - 1e6, max: NOW_S + 301, noNaN: true }).map(float64),
  number,
);
const pair: fc.Arbitrary<Pair> = fc.oneof(
  name.map(n),
  number.map(v),
  time.map(bt),
  time.map(t),
  name.map((value): Pair => [int(3), text(value)]),
  fc.constantFrom(TRUE, hex('f4'), NULL).map((flag): Pair => [int(4), flag]),
  name.map((unit): Pair => [int(1), text(unit)]),
  name.map((unit): Pair => [int(-4), text(unit)]),
  fc.tuple(fc.integer({ min: -8, max: 10 }), number).map(([label, value]): Pair => [int(label), value]),
);
const reading = fc
  .tuple(name, number, fc.array(pair, { maxLength: 4 }), fc.nat(5))
  .map(([metric, value, further, turn]) => {
    const pairs = [n(metric), v(value), ...further];
    return record(...pairs.slice(turn), ...pairs.slice(0, turn));
  });
/** Each field at most once, in any order. */
const sound = fc
  .tuple(
    fc.constantFrom('a', 'temp', 'humidity').map(n),
    fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }).map(float64), fc.integer().map(int)).map(v),
    fc.option(fc.integer({ min: -100, max: 200 }).map(int).map(t)),
    fc.option(
      fc
        .double({ min: NOW_S - 1e6, max: NOW_S, noNaN: true })
        .map(float64)
        .map(bt),
    ),
    fc.option(fc.constantFrom('Cel', 'K').map((unit): Pair => [int(1), text(unit)])),
    fc.option(fc.constantFrom('Cel', 'K').map((unit): Pair => [int(-4), text(unit)])),
  )
  .chain((fields) => {
    const pairs = fields.filter((field) => field !== null);
    return fc.shuffledSubarray(pairs, { minLength: pairs.length }).map((shuffled) => record(...shuffled));
  });
const wild = fc.array(pair, { maxLength: 5 }).map((pairs) => record(...pairs));
const anyRecord = fc.oneof({ weight: 8, arbitrary: sound }, { weight: 2, arbitrary: reading }, wild);
const message = fc
  .tuple(fc.nat(300), fc.array(anyRecord, { maxLength: 5 }))
  .map(([seq, records]) => array(uint(1), uint(seq), array(...records)));

test('whatever is read by hand is what the full reading makes of it', () => {
  const mutated = fc
    .tuple(message, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 2 }))
    .map(([original, changes]) => {
      const changed = Buffer.from(original);
      for (const [at, byte] of changes) changed[at % changed.length] = byte;
      return changed;
    });
  const random = fc.uint8Array({ maxLength: 40 }).map((rest) => Buffer.concat([hex('830101'), rest]));
  let byHand = 0;
  fc.assert(
    fc.property(fc.oneof({ weight: 5, arbitrary: mutated }, random), (bytesOfMessage) => {
      const read = fast(bytesOfMessage);
      if (read === null) return;
      byHand++;
      expect(read).toEqual(plain(bytesOfMessage));
    }),
    { numRuns: 5000 },
  );
  // Else the property would say nothing.
  expect(byHand).toBeGreaterThan(500);
});

test('readings do not change with the buffer that they came in', () => {
  const original = data(record(n('unheard.of'), [int(3), text('kept')], [int(1), text('Cel')]));
  const read = fast(original)!;
  const again = fast(original)!;
  original.fill(0);
  expect(read.readings).toEqual([{ metric: 'unheard.of', timeUs: null, value: 'kept', unit: 'Cel' }]);
  expect(again).toEqual(read);
});
