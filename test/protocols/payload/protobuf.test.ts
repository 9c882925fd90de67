import { describe, expect, test } from 'vitest';
import { decodeProtobuf } from '#protocols/payload/protobuf.js';
import { hex, NOW, reader } from './read.ts';
import { encodeProtobuf, PROTO, TELEMETRY } from './telemetry-proto.ts';

const { read, code } = reader(decodeProtobuf);
const AT = NOW * 1000 - 5_000_000;

/** A field with a length. */
const field = (number: number, content: Buffer): Buffer => {
  const head = [(number << 3) | 2];
  for (let left = content.length; ; left >>>= 7) {
    head.push(left > 127 ? (left & 127) | 128 : left);
    if (left <= 127) return Buffer.concat([Buffer.from(head), content]);
  }
};
/** A message of one reading whose fields are given in hex, after the metric "a". */
const one = (fields: string): Buffer => field(1, hex(`0a0161 ${fields}`));

describe('what is stored', () => {
  test('numbers, integers, booleans, texts, each with its time and unit', () => {
    const readings = [
      { metric: 'temp', timeUs: AT, value: 21.5, unit: 'Cel' },
      { metric: 'count', timeUs: AT + 1, value: -7 },
      { metric: 'open', timeUs: null, value: false },
      { metric: 'label', timeUs: null, value: 'Grün' },
    ];
    expect(read(encodeProtobuf(readings))).toStrictEqual(readings);
  });

  test('the base time is added, also when it comes after the readings', () => {
    const readings = [-1, 0, 1].map((us) => ({ metric: 'a', timeUs: AT + us, value: us }));
    const message = encodeProtobuf(readings, AT);
    expect(read(message)).toStrictEqual(readings);
    // Field 2 stands last here, and base first in the other order.
    const base = Buffer.from(TELEMETRY.encode({ base_time_us: AT }).finish());
    const rest = encodeProtobuf(readings.map((r) => ({ ...r, timeUs: r.timeUs - AT })).map((r) => ({ ...r })));
    expect(read(Buffer.concat([base, rest]))).toStrictEqual(readings);
    expect(read(Buffer.concat([rest, base]))).toStrictEqual(readings);
  });

  test('of a field that stands twice, and of the values, the last one counts', () => {
    expect(read(one('28 01 32 0178 0a0162'))).toStrictEqual([{ metric: 'b', timeUs: null, value: 'x' }]);
  });

  test('the largest integers, and -0', () => {
    expect(read(one('20 feffffffffffff1f'))[0]!.value).toBe(Number.MAX_SAFE_INTEGER);
    expect(read(one('20 fdffffffffffff1f'))[0]!.value).toBe(Number.MIN_SAFE_INTEGER);
    expect(read(one('19 0000000000000080'))[0]!.value).toBe(0);
    expect(code(one('20 8080808080808020'))).toBe('value_not_allowed');
    expect(code(one('20 ffffffffffffffffff01'))).toBe('value_not_allowed');
    expect(read(one('20 8080808080808020'), {}, { largeIntegers: 'round' })[0]!.value).toBe(2 ** 53);
  });

  test('unknown fields of every kind are passed over', () => {
    const unknown = hex('78 ffffffffffffffffff01  79 0102030405060708  7a 020000  7d 01020304');
    const message = Buffer.concat([unknown, one(unknown.toString('hex') + '28 01'), unknown]);
    expect(read(message)).toStrictEqual([{ metric: 'a', timeUs: null, value: true }]);
  });
});

describe('what is refused', () => {
  test.each([
    ['nothing', hex(''), 'empty'],
    ['a message without readings', hex('10 01'), 'empty'],
    ['a reading without a value', one(''), 'malformed_payload'],
    ['a reading without a name', field(1, hex('28 01')), 'metric_name'],
    ['an empty reading', field(1, hex('')), 'metric_name'],
    ['NaN', one('19 000000000000f87f'), 'value_not_allowed'],
    ['infinity', one('19 000000000000f0ff'), 'value_not_allowed'],
    ['a name that is no UTF-8', field(1, hex('0a01ff 28 01')), 'malformed_payload'],
    ['a text that is no UTF-8', one('32 01ff'), 'malformed_payload'],
    ['a unit that is no UTF-8', one('28 01 3a01ff'), 'malformed_payload'],
    ['a unit with a control character', one('28 01 3a0100'), 'value_not_allowed'],
    ['a name with a control character', field(1, hex('0a0100 28 01')), 'metric_name'],
    ['a time before 1970', one('10 01 28 01'), 'time_not_allowed'],
    ['a time past all numbers', one('10 ffffffffffffffffff01 28 01'), 'time_not_allowed'],
    ['a number as text', one('1a 0131'), 'malformed_payload'],
    ['readings as a number', hex('08 01'), 'malformed_payload'],
    ['the base time in eight bytes', hex('11 0000000000000000'), 'malformed_payload'],
    ['a group', hex('7b 7c'), 'malformed_payload'],
    ['the end of a group', hex('7c'), 'malformed_payload'],
    ['a wire type that does not exist', hex('7f'), 'malformed_payload'],
    ['field number 0', hex('00 01'), 'malformed_payload'],
    ['a varint without end', hex('78 ffffffffffffffffffffff'), 'malformed_payload'],
    ['an unknown field that lies about its length', hex('7a ffffffff0f'), 'malformed_payload'],
    ['a reading that lies about its length', hex('0a ffffffff07 00'), 'malformed_payload'],
    ['a text that reaches out of its reading', Buffer.concat([one('32 7f'), Buffer.alloc(200)]), 'malformed_payload'],
    ['a group nested without end', hex('7b'.repeat(100_000)), 'malformed_payload'],
  ])('%s', (_, payload, expected) => {
    expect(code(payload)).toBe(expected);
  });

  test('readings, names and texts at their limits', () => {
    const many = (n: number) =>
      encodeProtobuf(Array.from({ length: n }, () => ({ metric: 'a', timeUs: null, value: 1 })));
    expect(code(many(1000))).toBe('taken');
    expect(code(many(1001))).toBe('too_many_readings');
    const text = (n: number) => encodeProtobuf([{ metric: 'a', timeUs: null, value: 'x'.repeat(n) }]);
    expect(code(text(8192))).toBe('taken');
    expect(code(text(8193))).toBe('value_not_allowed');
    const name = (n: number) => encodeProtobuf([{ metric: 'x'.repeat(n), timeUs: null, value: 1 }]);
    expect(code(name(256))).toBe('taken');
    expect(code(name(257))).toBe('metric_name');
    const time = (timeUs: number) => encodeProtobuf([{ metric: 'a', timeUs, value: 1 }]);
    expect(code(time(NOW * 1000 + 300_000_000))).toBe('taken');
    expect(code(time(NOW * 1000 + 300_000_001))).toBe('time_in_future');
  });
});

test('the published schema is the one that is read here', () => {
  const fields = (type: string) =>
    PROTO.lookupType(`muster.v1.${type}`).fieldsArray.map(
      (f) => `${f.id} ${f.repeated ? 'repeated ' : ''}${f.type} ${f.name}`,
    );
  expect(fields('Telemetry').sort()).toEqual(['1 repeated Reading readings', '2 int64 base_time_us']);
  expect(fields('Reading').sort()).toEqual([
    '1 string metric',
    '2 sint64 time_us',
    '3 double number',
    '4 sint64 integer',
    '5 bool flag',
    '6 string text',
    '7 string unit',
  ]);
});
