import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeArray, readHead } from '#protocols/cbor/cbor.js';
import { checkShape } from '#protocols/cbor/guard.js';
import { PayloadError, ProtocolError } from '#protocols/errors.js';
import { DEFAULT_LIMITS } from '#protocols/limits.js';
import { array, bytes, float64, head, hex, int, map, NULL, plainDecode, tag, text, TRUE, uint } from './wire.ts';

/** `ok`, or which error: `malformed` (a ProtocolError) or the code of a PayloadError. */
function verdict(data: Buffer, limits: Partial<typeof DEFAULT_LIMITS> = {}): string {
  try {
    checkShape(data, { ...DEFAULT_LIMITS, ...limits });
  } catch (error) {
    if (error instanceof PayloadError) return error.code;
    if (error instanceof ProtocolError) return error.reason;
    throw error;
  }
  return 'ok';
}

const value = (encoded: string): unknown => decodeArray(Buffer.concat([hex('81'), hex(encoded)]), DEFAULT_LIMITS)[0];

describe('what is read', () => {
  // Values of RFC 8949, appendix A.
  test.each([
    ['00', 0],
    ['17', 23],
    ['1818', 24],
    ['1903e8', 1000],
    ['1a000f4240', 1000000],
    ['1b000000e8d4a51000', 1000000000000],
    ['20', -1],
    ['3863', -100],
    ['3903e7', -1000],
    ['3affffffff', -4294967296],
    ['1b001fffffffffffff', Number.MAX_SAFE_INTEGER],
    ['3b001ffffffffffffe', Number.MIN_SAFE_INTEGER],
    ['f93c00', 1],
    ['f93e00', 1.5],
    ['f97bff', 65504],
    ['f90001', 5.960464477539063e-8],
    ['f90400', 0.00006103515625],
    ['f9c400', -4],
    ['fa47c35000', 100000],
    ['fa7f7fffff', 3.4028234663852886e38],
    ['fb3ff199999999999a', 1.1],
    ['fb7e37e43c8800759c', 1e300],
    ['f4', false],
    ['f5', true],
    ['f6', null],
    ['60', ''],
    ['6449455446', 'IETF'],
    ['62c3bc', 'ü'],
    ['63e6b0b4', '水'],
    ['64f0908591', '\u{10151}'],
    ['80', []],
    ['8301820203820405', [1, [2, 3], [4, 5]]],
    ['4401020304', Buffer.from([1, 2, 3, 4])],
    [
      'a201020304',
      new Map([
        [1, 2],
        [3, 4],
      ]),
    ],
    [
      'a26161016162820203',
      new Map<string, unknown>([
        ['a', 1],
        ['b', [2, 3]],
      ]),
    ],
  ])('%s', (encoded, expected) => {
    expect(value(encoded)).toEqual(expected);
  });

  test('longer encodings than needed are the same numbers', () => {
    for (const encoded of ['1805', '190005', '1a00000005', '1b0000000000000005']) expect(value(encoded)).toBe(5);
    expect(value('980101')).toEqual([1]);
    expect(value('9b000000000000000101')).toEqual([1]);
    expect(value('7b000000000000000161')).toBe('a');
  });

  test('`__proto__` is a key like any other, and the label 0 is not the text "0"', () => {
    expect(value('a1695f5f70726f746f5f5f01')).toEqual(new Map([['__proto__', 1]]));
    expect(value('a20001613002')).toEqual(
      new Map<unknown, unknown>([
        [0, 1],
        ['0', 2],
      ]),
    );
  });
});

describe('what is no CBOR, or not one array, is malformed', () => {
  test.each([
    ['nothing', ''],
    ['an integer', '01'],
    ['a map', 'a0'],
    ['a text', '6161'],
    ['null', 'f6'],
    ['a tagged array', 'c080'],
    ['a cut head', '98'],
    ['a cut 4-byte head', '811a0000'],
    ['a missing item', '8201'],
    ['a cut text', '816261'],
    ['a cut byte string', '814401'],
    ['a cut float', '81fb0000'],
    ['a map without its value', '81a101'],
    ['reserved 28', '811c'],
    ['reserved 29 in a text', '817d'],
    ['reserved 30 in major 7', '81fe'],
    ['a break', '81ff'],
    ['a byte after the array', '8000'],
    ['a second array', '8080'],
  ])('%s', (_, encoded) => {
    expect(verdict(hex(encoded))).toBe('malformed');
  });

  test('each prefix of a message is malformed, the whole is not', () => {
    const message = array(
      uint(1),
      uint(300),
      array(map([int(-3), float64(1.5)], [uint(0), text('té')], [uint(4), TRUE])),
    );
    expect(verdict(message)).toBe('ok');
    for (let length = 0; length < message.length; length++) {
      expect(verdict(message.subarray(0, length)), `${length} bytes`).toBe('malformed');
    }
  });

  test.each([
    ['array of 2^32 - 1', '9affffffff'],
    ['array of 2^63', '9b8000000000000000'],
    ['array within', '829affffffff00'],
    ['map of 2^32 - 1', '81baffffffff'],
    ['map of 2^53', '81bb0020000000000000'],
    ['text of 2^31', '817a80000000'],
    ['text of 2^64 - 1', '817bffffffffffffffff'],
    ['bytes of 2^40', '815b0000010000000000'],
    ['nested promises', '9a000fffff'.repeat(7)],
  ])('a huge declared length allocates nothing: %s', (_, encoded) => {
    const before = process.memoryUsage();
    for (let i = 0; i < 100; i++) expect(verdict(hex(encoded))).toBe('malformed');
    const after = process.memoryUsage();
    expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(32 * 1024 * 1024);
  });
});

describe('what this protocol leaves out is refused with its reason', () => {
  test.each([
    ['an indefinite array', '9f01ff', 'malformed_payload'],
    ['an indefinite array within', '819f01ff', 'malformed_payload'],
    ['an indefinite map', '81bf0102ff', 'malformed_payload'],
    ['an indefinite text', '817f6161ff', 'malformed_payload'],
    ['indefinite bytes', '815f4101ff', 'malformed_payload'],
    ['tag 0, a date', '81c074323031332d30332d32315432303a30343a30305a', 'malformed_payload'],
    ['tag 2, a bignum', '81c249010000000000000000', 'malformed_payload'],
    ['tag 27, which would build a RegExp', '81d81b8366526567457870612e6167', 'malformed_payload'],
    ['tag 28, which would build a cycle', '81d81c81d81d00', 'malformed_payload'],
    ['tag 258, which would build a Set', '81d901028101', 'malformed_payload'],
    ['tag 259, a map', '81d90103a0', 'malformed_payload'],
    ['a record of cbor-x', '81d9dfff8319e00081616101', 'malformed_payload'],
    ['undefined', '81f7', 'value_not_allowed'],
    ['simple(0)', '81e0', 'value_not_allowed'],
    ['simple(16)', '81f0', 'value_not_allowed'],
    ['simple(255)', '81f8ff', 'value_not_allowed'],
    ['half NaN', '81f97e00', 'value_not_allowed'],
    ['half infinity', '81f97c00', 'value_not_allowed'],
    ['float NaN', '81fa7fc00000', 'value_not_allowed'],
    ['float -infinity', '81faff800000', 'value_not_allowed'],
    ['double NaN', '81fb7ff8000000000000', 'value_not_allowed'],
    ['double infinity', '81fb7ff0000000000000', 'value_not_allowed'],
    ['2^53', '811b0020000000000000', 'value_not_allowed'],
    ['-2^53', '813b001fffffffffffff', 'value_not_allowed'],
    ['2^64 - 1', '811bffffffffffffffff', 'value_not_allowed'],
    ['-2^64', '813bffffffffffffffff', 'value_not_allowed'],
    ['a text cut inside a character', '8161c3', 'malformed_payload'],
    ['a surrogate as UTF-8', '8163eda080', 'malformed_payload'],
    ['an overlong NUL', '8162c080', 'malformed_payload'],
    ['a byte order mark', '8164efbbbf61', 'malformed_payload'],
    ['a doubled label', '81a201020103', 'malformed_payload'],
    ['a doubled label, written longer', '81a20102180103', 'malformed_payload'],
    ['a doubled negative label', '81a221022103', 'malformed_payload'],
    ['a doubled large key', '81a21903e8001903e800', 'malformed_payload'],
    ['a doubled text key', '81a2616101616102', 'malformed_payload'],
    ['a doubled empty key', '81a260016002', 'malformed_payload'],
    ['a float as key', '81a1f93c0001', 'malformed_payload'],
    ['a byte string as key', '81a1410101', 'malformed_payload'],
    ['an array as key', '81a18001', 'malformed_payload'],
    ['null as key', '81a1f601', 'malformed_payload'],
  ])('%s', (_, encoded, code) => {
    expect(verdict(hex(encoded))).toBe(code);
  });

  test('keys are compared within their own map only', () => {
    expect(verdict(array(map([uint(0), map([uint(0), uint(1)])], [uint(1), map([uint(0), uint(1)])])))).toBe('ok');
  });

  test('keys -32 to 31 and far ones are all told apart', () => {
    const keys = [...Array.from({ length: 80 }, (_, i) => i - 40), 1000, -1000, 2 ** 32, 2 ** 40];
    expect(verdict(array(map(...keys.map((k): [Buffer, Buffer] => [int(k), NULL]))))).toBe('ok');
    for (const again of keys) {
      const doubled = map(...[...keys, again].map((k): [Buffer, Buffer] => [int(k), NULL]));
      expect(verdict(array(doubled)), `key ${again}`).toBe('malformed_payload');
    }
  });
});

describe('bounds', () => {
  const nested = (levels: number): Buffer => Buffer.concat([Buffer.alloc(levels - 1, 0x81), hex('80')]);

  test('eight levels are read, nine are too deep, in arrays and in maps', () => {
    expect(verdict(nested(8))).toBe('ok');
    expect(verdict(nested(9))).toBe('too_deep');
    expect(verdict(Buffer.concat([hex('81'), hex('a100'.repeat(6)), hex('a0')]))).toBe('ok');
    expect(verdict(Buffer.concat([hex('81'), hex('a100'.repeat(7)), hex('a0')]))).toBe('too_deep');
  });

  test('a level that was closed does not count', () => {
    expect(verdict(array(...Array.from({ length: 20 }, () => nested(7))))).toBe('ok');
  });

  test('a quarter of a million levels do no harm', () => {
    expect(verdict(nested(250_000))).toBe('too_deep');
    expect(verdict(Buffer.concat([hex('81'), Buffer.alloc(250_000, 0xc1), hex('00')]))).toBe('malformed_payload');
  });

  test('the number of items is bounded by the number of readings', () => {
    const items = (n: number): Buffer => Buffer.concat([head(4, n - 1), Buffer.alloc(n - 1)]);
    const most = 1024 + 31 * 10;
    expect(verdict(items(most), { maxReadings: 10 })).toBe('ok');
    expect(verdict(items(most + 1), { maxReadings: 10 })).toBe('too_many_readings');
  });

  test('a map has few integers far from zero as keys: a Set hashes them in a way that a sender can foresee, and make slow', () => {
    const far = (count: number): [Buffer, Buffer][] => Array.from({ length: count }, (_, i) => [int(1000 + i), NULL]);
    const near = Array.from({ length: 64 }, (_, i): [Buffer, Buffer] => [int(i - 32), NULL]);
    const texts = Array.from({ length: 100 }, (_, i): [Buffer, Buffer] => [text(`key${i}`), NULL]);
    expect(verdict(array(map(...far(64), ...near, ...texts), map(...far(64))))).toBe('ok');
    expect(verdict(array(map(...far(65))))).toBe('malformed_payload');
    expect(verdict(array(map(...texts, ...far(64), [int(-1000), NULL])))).toBe('malformed_payload');
  });

  test('a map of very many keys takes time in proportion', () => {
    const pairs = Array.from({ length: 15_000 }, (_, i): [Buffer, Buffer] => [text(`key${i}`), NULL]);
    const data = array(map(...pairs));
    const start = process.hrtime.bigint();
    expect(verdict(data)).toBe('ok');
    expect(Number(process.hrtime.bigint() - start) / 1e6).toBeLessThan(500);
  });
});

describe('the head of a message whose rest is unreadable', () => {
  test.each([
    ['8301 05 f7', { items: 3, type: 1, about: 5 }],
    ['8404 19 0100 ff', { items: 4, type: 4, about: 256 }],
    ['9803 01 1b001fffffffffffff', { items: 3, type: 1, about: Number.MAX_SAFE_INTEGER }],
    ['8403 63632d31 66', { items: 4, type: 3, about: 'c-1' }],
    ['8403 7803 632d31 f7', { items: 4, type: 3, about: 'c-1' }],
  ])('%s', (encoded, expected) => {
    expect(readHead(hex(encoded))).toEqual(expected);
  });

  test.each([
    '',
    '83',
    '8301',
    '83011b',
    '83011b0020000000000000',
    '830120',
    '8303 63632d',
    '8303 7bffffffffffffffff',
    '8303 7f6163ff',
    '83 6161 01',
    'a301 05',
    '9f01 05',
    '83 1c 05',
  ])('is not there in %j', (encoded) => {
    expect(readHead(hex(encoded))).toBeNull();
  });
});

describe('guard and decoder agree', () => {
  const item: fc.Arbitrary<Buffer> = fc.letrec<{ item: Buffer; leaf: Buffer }>((tie) => ({
    leaf: fc.oneof(
      fc.maxSafeInteger().map(int),
      fc.integer({ min: -30, max: 30 }).map(int),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(uint),
      fc.tuple(fc.nat(200), fc.constantFrom(1, 2, 4, 8)).map(([n, length]) => head(0, n, length)),
      fc.double().map(float64),
      fc.uint8Array({ minLength: 2, maxLength: 2 }).map((b) => Buffer.concat([hex('f9'), b])),
      fc.uint8Array({ minLength: 4, maxLength: 4 }).map((b) => Buffer.concat([hex('fa'), b])),
      fc.string({ unit: 'grapheme', maxLength: 100 }).map(text),
      fc.uint8Array({ maxLength: 80 }).map((b) => Buffer.concat([head(3, b.length), b])),
      fc.uint8Array({ maxLength: 8 }).map(bytes),
      fc.nat(31).map((n) => Buffer.from([0xe0 | n])),
    ),
    item: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      tie('leaf'),
      fc.array(tie('item'), { maxLength: 6 }).map((items) => array(...items)),
      fc.array(fc.tuple(tie('leaf'), tie('item')), { maxLength: 6 }).map((pairs) => map(...pairs)),
      { weight: 1, arbitrary: fc.tuple(fc.nat(300), tie('item')).map(([n, i]) => tag(n, i)) },
    ),
  })).item;
  const message = fc.array(item, { maxLength: 5 }).map((items) => array(...items));
  const mutated = fc.tuple(message, fc.nat(), fc.nat(255)).map(([data, at, byte]) => {
    const copy = Buffer.from(data);
    copy[at % copy.length] = byte;
    return copy;
  });

  /** Everything that passes is decoded by cbor-x to the same as by the plain decoder; everything else is refused. */
  function agree(data: Buffer): void {
    let decoded: unknown;
    try {
      decoded = decodeArray(data, DEFAULT_LIMITS);
    } catch (error) {
      if (error instanceof PayloadError || error instanceof ProtocolError) return;
      throw error;
    }
    expect(decoded).toEqual(plainDecode(data));
  }

  test('on random items, and on such with one byte changed', () => {
    fc.assert(fc.property(fc.oneof(message, mutated), agree), { numRuns: 5000 });
  });

  test('on random bytes', () => {
    const data = fc.tuple(fc.integer({ min: 0x80, max: 0x9f }), fc.uint8Array({ maxLength: 60 }));
    fc.assert(
      fc.property(data, ([first, rest]) => agree(Buffer.from([first, ...rest]))),
      { numRuns: 5000 },
    );
  });

  test('the decoder never meets what the guard did not foresee', () => {
    const seen: string[] = [];
    fc.assert(
      fc.property(fc.oneof(message, mutated), (data) => {
        if (verdict(data) !== 'ok') return;
        seen.push('ok');
        expect(() => decodeArray(data, DEFAULT_LIMITS)).not.toThrow();
      }),
      { numRuns: 3000 },
    );
    expect(seen.length).toBeGreaterThan(100);
  });
});
