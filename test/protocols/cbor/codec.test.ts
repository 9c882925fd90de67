import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  decodeDeviceMessage,
  decodeHubMessage,
  encodeAck,
  encodeCommand,
  encodeDone,
  encodeData,
  encodeError,
  encodeEvent,
  encodeHello,
  encodeNack,
  encodeReceived,
  encodeResult,
  encodeWelcome,
  senmlRecords,
} from '#protocols/cbor/codec.js';
import { PayloadError, ProtocolError } from '#protocols/errors.js';
import { DEFAULT_LIMITS } from '#protocols/limits.js';
import { array, bytes, float64, hex, int, map, NULL, text, uint } from './wire.ts';

const NOW = Date.UTC(2026, 0, 1);

const read = (data: Buffer) => decodeDeviceMessage(data, DEFAULT_LIMITS);

/** The reason and words of the ProtocolError that a device's message is answered with. */
function fault(data: Buffer): string {
  try {
    read(data);
  } catch (error) {
    if (error instanceof ProtocolError) return `${error.reason}: ${error.message}`;
    throw error;
  }
  return 'taken';
}

/** Bytes as they must be on the wire, what encodes them, and what is read from them. */
const FROM_DEVICE = [
  {
    name: 'HELLO, the least',
    wire: '8200 a2 6673747265616d 627131 646e657874 01',
    encoded: encodeHello({ stream: 'q1', next: 1 }),
    message: { type: 'hello', hello: { stream: 'q1', next: 1 } },
  },
  {
    name: 'HELLO with everything',
    wire: `8200 a5 6673747265616d 627131 646e657874 1b0000000100000000 65746f6b656e 656d73745f78 626964 626431
      686669726d77617265 63312e32`,
    encoded: encodeHello({ stream: 'q1', next: 2 ** 32, token: 'mst_x', id: 'd1', firmware: '1.2' }),
    message: { type: 'hello', hello: { stream: 'q1', next: 2 ** 32, token: 'mst_x', id: 'd1', firmware: '1.2' } },
  },
  {
    name: 'DATA',
    wire: '830101 82 a3 22 1a6955b900 00 6474656d70 02 fb4035800000000000 a2 00 646f70656e 04 f5',
    encoded: encodeData(
      1,
      senmlRecords([
        { metric: 'temp', timeUs: NOW * 1000, value: 21.5 },
        { metric: 'open', timeUs: NOW * 1000, value: true },
      ]),
    ),
    message: {
      type: 'data',
      seq: 1,
      records: [
        new Map<number, unknown>([
          [-3, NOW / 1000],
          [0, 'temp'],
          [2, 21.5],
        ]),
        new Map<number, unknown>([
          [0, 'open'],
          [4, true],
        ]),
      ],
    },
  },
  {
    name: 'RECEIVED',
    wire: '8202 63632d31',
    encoded: encodeReceived('c-1'),
    message: { type: 'received', commandId: 'c-1' },
  },
  {
    name: 'RESULT',
    wire: '8403 63632d31 69737563636565646564 a1 6161 82 01 1b0000000100000000',
    encoded: encodeResult('c-1', 'succeeded', { a: [1, 2 ** 32] }),
    message: { type: 'result', commandId: 'c-1', status: 'succeeded', value: { a: [1, 2 ** 32] } },
  },
  {
    name: 'EVENT',
    wire: '8404 02 64626f6f74 f6',
    encoded: encodeEvent(2, 'boot', null),
    message: { type: 'event', seq: 2, name: 'boot', value: null },
  },
];

const FROM_HUB = [
  {
    name: 'WELCOME',
    wire: `8210 a6 6474696d65 1b0000019b76da3000 66726573756d65 01 6677696e646f77 1840 636d6178 1a00040000
      66646576696365 626431 6565706f6368 07`,
    encoded: encodeWelcome({
      timeMs: 0x19b76da3000,
      resumeSeq: 1,
      window: 64,
      maxMessageBytes: 262144,
      device: 'd1',
      epoch: 7,
    }),
    message: {
      type: 'welcome',
      timeMs: 0x19b76da3000,
      resumeSeq: 1,
      window: 64,
      maxMessageBytes: 262144,
      device: 'd1',
      epoch: 7,
    },
  },
  { name: 'ACK', wire: '8211 05', encoded: encodeAck(5), message: { type: 'ack', seq: 5 } },
  {
    name: 'ACK of a large seq',
    wire: '8211 1b001fffffffffffff',
    encoded: encodeAck(Number.MAX_SAFE_INTEGER),
    message: { type: 'ack', seq: Number.MAX_SAFE_INTEGER },
  },
  {
    name: 'NACK',
    wire: '8412 06 65656d707479 6178',
    encoded: encodeNack(6, 'empty', 'x', null),
    message: { type: 'nack', seq: 6, code: 'empty', text: 'x', expected: null, commandId: null },
  },
  {
    name: 'NACK gap',
    wire: '8512 09 63676170 6178 04',
    encoded: encodeNack(9, 'gap', 'x', 4),
    message: { type: 'nack', seq: 9, code: 'gap', text: 'x', expected: 4, commandId: null },
  },
  {
    name: 'NACK of a RESULT',
    wire: '8512 00 6f756e6b6e6f776e5f636f6d6d616e64 6178 63632d31',
    encoded: encodeNack(0, 'unknown_command', 'x', 'c-1'),
    message: { type: 'nack', seq: 0, code: 'unknown_command', text: 'x', expected: null, commandId: 'c-1' },
  },
  { name: 'DONE', wire: '8215 63632d31', encoded: encodeDone('c-1'), message: { type: 'done', commandId: 'c-1' } },
  {
    name: 'COMMAND',
    wire: '8513 63632d31 65626c696e6b a1 6574696d6573 03 1b0000019b76da3000',
    encoded: encodeCommand('c-1', 'blink', { times: 3 }, 0x19b76da3000),
    message: { type: 'command', id: 'c-1', name: 'blink', params: { times: 3 }, deadlineMs: 0x19b76da3000 },
  },
  {
    name: 'ERROR',
    wire: '83181f 6a74616b656e5f6f766572 6162',
    encoded: encodeError('taken_over', 'b'),
    message: { type: 'error', code: 'taken_over', text: 'b' },
  },
];

describe('byte for byte', () => {
  test.each(FROM_DEVICE)('$name', ({ wire, encoded, message }) => {
    expect(encoded.toString('hex')).toBe(hex(wire).toString('hex'));
    expect(read(hex(wire))).toEqual(message);
  });

  test.each(FROM_HUB)('$name', ({ wire, encoded, message }) => {
    expect(encoded.toString('hex')).toBe(hex(wire).toString('hex'));
    expect(decodeHubMessage(hex(wire))).toEqual(message);
  });

  test('the examples of SPEC.md are what is written and read', () => {
    const spec = readFileSync(new URL('../../../protocols/cbor/SPEC.md', import.meta.url), 'utf8');
    const section = spec.slice(spec.indexOf('## 17. Examples'));
    const blocks = [...section.matchAll(/^\[(\d+), .*\n((?:[0-9a-f]{2}(?: |\n))+)/gm)];
    const wire = new Map(blocks.map(([, type, octets]) => [Number(type), hex(octets!).toString('hex')]));
    const welcome = { timeMs: NOW, resumeSeq: 1, window: 64, maxMessageBytes: 262144, device: 'd1', epoch: 1 };
    const readings = [
      { metric: 'temp', timeUs: NOW * 1000, value: 21.5 },
      { metric: 'open', timeUs: NOW * 1000, value: true },
    ];
    const expected = new Map<number, Buffer>([
      [0, encodeHello({ stream: 'q1', next: 1 })],
      [16, encodeWelcome(welcome)],
      [1, encodeData(1, senmlRecords(readings))],
      [17, encodeAck(1)],
      [18, encodeNack(9, 'gap', 'seq 4 is expected; go on from there', 4)],
      [19, encodeCommand('c-1', 'blink', { times: 3 }, NOW + 60_000)],
      [2, encodeReceived('c-1')],
      [3, encodeResult('c-1', 'succeeded', null)],
      [4, encodeEvent(2, 'boot', { cause: 'power' })],
      [21, encodeDone('c-1')],
      [31, encodeError('protocol_error', 'HELLO may be sent once')],
    ]);
    expect(blocks).toHaveLength(expected.size);
    for (const [type, bytesOf] of expected) expect(wire.get(type), `type ${type}`).toBe(bytesOf.toString('hex'));
  });
});

describe('HELLO', () => {
  const hello = (...pairs: [string, Buffer][]): Buffer =>
    array(uint(0), map(...pairs.map(([key, value]): [Buffer, Buffer] => [text(key), value])));
  const sound: [string, Buffer][] = [
    ['stream', text('q')],
    ['next', uint(1)],
  ];

  test('unknown keys are ignored, of any kind', () => {
    const data = array(
      uint(0),
      map([text('stream'), text('q')], [text('next'), uint(1)], [text('x'), array()], [int(-5), NULL]),
    );
    expect(read(data)).toEqual({ type: 'hello', hello: { stream: 'q', next: 1 } });
  });

  test.each<[string, Buffer, string]>([
    ['no map', array(uint(0), NULL), 'HELLO must hold a map'],
    ['no stream', hello(['next', uint(1)]), 'stream in HELLO must be'],
    ['an empty stream', hello(['stream', text('')], ['next', uint(1)]), 'stream in HELLO must be'],
    ['a stream of 65', hello(['stream', text('x'.repeat(65))], ['next', uint(1)]), 'stream in HELLO must be'],
    ['a stream with a slash', hello(['stream', text('a/b')], ['next', uint(1)]), 'stream in HELLO must be'],
    ['a stream as bytes', hello(['stream', bytes(Buffer.from('q'))], ['next', uint(1)]), 'stream in HELLO must be'],
    ['no next', hello(['stream', text('q')]), 'next in HELLO must be an integer from 1 on'],
    ['next 0', hello(['stream', text('q')], ['next', uint(0)]), 'next in HELLO must be an integer from 1 on'],
    ['next -1', hello(['stream', text('q')], ['next', int(-1)]), 'next in HELLO must be an integer from 1 on'],
    ['next 1.5', hello(['stream', text('q')], ['next', float64(1.5)]), 'next in HELLO must be an integer from 1 on'],
    ['next 1e300', hello(['stream', text('q')], ['next', float64(1e300)]), 'next in HELLO must be an integer from 1'],
    ['a token of null', hello(...sound, ['token', NULL]), 'token in HELLO must be a text of 1 to 65536 bytes'],
    ['an empty id', hello(...sound, ['id', text('')]), 'id in HELLO must be a text of 1 to 256 bytes'],
    ['an id of 257', hello(...sound, ['id', text('x'.repeat(257))]), 'id in HELLO must be a text of 1 to 256 bytes'],
    ['firmware as number', hello(...sound, ['firmware', uint(2)]), 'firmware in HELLO must be a text'],
    ['a third item', array(uint(0), map(), NULL), 'HELLO has 2 items; 3 came'],
  ])('%s is a protocol error', (_, data, words) => {
    expect(fault(data)).toContain(`protocol_error: ${words}`);
  });

  test('stream, id and firmware at their limits are taken', () => {
    const longest = { stream: 'x'.repeat(64), next: 1, id: 'é'.repeat(128), firmware: 'f'.repeat(256) };
    expect(read(encodeHello(longest))).toEqual({ type: 'hello', hello: longest });
  });
});

describe('what a device may not send', () => {
  test.each<[string, Buffer, string]>([
    ['an empty array', array(), 'protocol_error: the first item'],
    ['type 6', array(uint(6)), 'protocol_error: the first item'],
    ['type -1', array(int(-1)), 'protocol_error: the first item'],
    ['a type as text', array(text('0')), 'protocol_error: the first item'],
    ['a message of the hub', encodeAck(5), 'protocol_error: the first item'],
    ['REPORTED', array(uint(5), uint(1), map()), 'protocol_error: REPORTED (type 5) is not served yet'],
    ['DATA without records', array(uint(1), uint(1)), 'protocol_error: DATA has 3 items; 2 came'],
    ['DATA with a fourth item', array(uint(1), uint(1), array(), NULL), 'protocol_error: DATA has 3 items; 4 came'],
    ['DATA with seq 0', array(uint(1), uint(0), array()), 'protocol_error: the seq of DATA'],
    ['DATA with seq null', array(uint(1), NULL, array()), 'protocol_error: the seq of DATA'],
    ['DATA with seq 2^53', array(uint(1), uint(2n ** 53n), array()), 'malformed: an integer is past 2^53'],
    ['RECEIVED without id', array(uint(2)), 'protocol_error: RECEIVED has 2 items; 1 came'],
    ['RECEIVED of a number', array(uint(2), uint(5)), 'protocol_error: a command id must be'],
    ['RECEIVED of an empty id', encodeReceived(''), 'protocol_error: a command id must be'],
    ['RECEIVED of a long id', encodeReceived('x'.repeat(65)), 'protocol_error: a command id must be'],
    ['RECEIVED of an id with a dot', encodeReceived('a.b'), 'protocol_error: a command id must be'],
    ['RESULT without value', array(uint(3), text('c'), text('failed')), 'protocol_error: RESULT has 4 items; 3 came'],
    [
      'RESULT of another status',
      array(uint(3), text('c'), text('done'), NULL),
      'protocol_error: the status of a RESULT',
    ],
    [
      'RESULT with bytes and no id',
      array(uint(3), uint(1), text('failed'), bytes(hex('01'))),
      'protocol_error: a command id',
    ],
    [
      'RESULT with NaN and a bad id',
      array(uint(3), text('c.'), text('failed'), float64(NaN)),
      'malformed: a float is NaN',
    ],
    [
      'RESULT with NaN and an item too many',
      array(uint(3), text('c'), text('failed'), float64(NaN), NULL),
      'malformed: a float',
    ],
    ['EVENT with seq 0', array(uint(4), uint(0), text('e'), NULL), 'protocol_error: the seq of EVENT'],
    ['EVENT without value', array(uint(4), uint(1), text('e')), 'protocol_error: EVENT has 4 items; 3 came'],
    ['HELLO with a tag', array(uint(0), hex('c0a0')), 'malformed: tags are not part'],
  ])('%s', (_, data, words) => {
    expect(fault(data)).toContain(words);
  });
});

describe('a sound envelope around what cannot be stored', () => {
  test.each<[string, Buffer, string]>([
    ['NaN', array(uint(1), uint(7), array(map([uint(0), text('a')], [uint(2), float64(NaN)]))), 'value_not_allowed'],
    [
      '2^53',
      array(uint(1), uint(7), array(map([uint(0), text('a')], [uint(2), uint(2n ** 53n)]))),
      'value_not_allowed',
    ],
    ['a tag', array(uint(1), uint(7), hex('d81b80')), 'malformed_payload'],
    ['bad UTF-8', array(uint(1), uint(7), hex('61ff')), 'malformed_payload'],
    ['nine levels', Buffer.concat([hex('830107'), Buffer.alloc(8, 0x81), hex('00')]), 'too_deep'],
    ['an indefinite array', hex('830107 9fff'), 'malformed_payload'],
    ['EVENT with undefined', array(uint(4), uint(7), text('e'), hex('f7')), 'value_not_allowed'],
    ['EVENT with bytes', array(uint(4), uint(7), text('e'), bytes(hex('00'))), 'value_not_allowed'],
    ['EVENT with an empty name', array(uint(4), uint(7), text(''), NULL), 'malformed_payload'],
    ['EVENT with a long name', array(uint(4), uint(7), text('e'.repeat(65)), NULL), 'malformed_payload'],
    ['EVENT with a level in its name', array(uint(4), uint(7), text('a/b'), NULL), 'malformed_payload'],
  ])('%s is a refusal of that seq, not of the connection', (_, data, code) => {
    const message = read(data);
    expect(message).toMatchObject({ type: 'unreadable', seq: 7 });
    expect(message.type === 'unreadable' && message.error.code).toBe(code);
  });

  test('but bytes that end too early, or go on, are no envelope', () => {
    expect(fault(hex('830107'))).toContain('malformed');
    expect(fault(hex('8301078000'))).toContain('malformed');
    expect(fault(hex('830107 9affffffff'))).toContain('malformed');
  });
});

describe('JSON values', () => {
  test('any JSON value of seven levels comes back, `__proto__` and all', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6, depthSize: 'small' }), (json) => {
        const value = JSON.parse(JSON.stringify(json)) as unknown;
        const result = read(encodeResult('c', 'failed', value));
        expect(result.type === 'result' && result.value).toEqual(normal(value));
        const command = decodeHubMessage(encodeCommand('c', 'n', value, 5));
        expect(command.type === 'command' && command.params).toEqual(normal(value));
      }),
    );
  });

  /** What CBOR cannot tell apart from the value: -0 and 0, half a surrogate pair and its replacement; and floats past 2^53 stay floats. */
  function normal(value: unknown): unknown {
    if (typeof value === 'number') return value + 0;
    if (typeof value === 'string') return value.toWellFormed();
    if (Array.isArray(value)) return value.map(normal);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k.toWellFormed(), normal(v)]));
  }

  test('`__proto__` in a value is a property and pollutes nothing', () => {
    const message = read(array(uint(4), uint(1), text('e'), map([text('__proto__'), map([text('x'), uint(1)])])));
    expect(message.type === 'event' && JSON.stringify(message.value)).toBe('{"__proto__":{"x":1}}');
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  test('numbers of every size are written as what they are', () => {
    for (const n of [0, 23, 24, 2 ** 31, 2 ** 32 - 1, 2 ** 32, -(2 ** 32), -(2 ** 32) - 1, Number.MAX_SAFE_INTEGER]) {
      for (const value of [n, -n]) {
        const data = encodeEvent(1, 'e', value);
        expect(data[5], `${value} is an integer on the wire`).toBeLessThan(0x40);
        expect(read(data)).toMatchObject({ value: value + 0 });
      }
    }
    expect(read(encodeEvent(1, 'e', 1e300))).toMatchObject({ value: 1e300 });
  });

  test('seven levels of parameters fit, eight do not', () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
    expect(decodeHubMessage(encodeCommand('c', 'n', nested(7), 5))).toMatchObject({ params: nested(7) });
    expect(() => encodeCommand('c', 'n', nested(8), 5)).toThrow(PayloadError);
    expect(() => encodeCommand('c', 'n', nested(5_000), 5)).toThrow(PayloadError);
  });
});

describe('what a device reads', () => {
  test('a type that it does not know is told as such', () => {
    expect(decodeHubMessage(array(uint(20), uint(1), map()))).toEqual({ type: 'unknown', number: 20 });
  });

  test.each([
    ['WELCOME without resume', array(uint(16), map([text('time'), uint(1)]))],
    ['ACK of a text', array(uint(17), text('1'))],
    ['NACK cut short', array(uint(18), uint(1), text('gap'))],
    ['ERROR of numbers', array(uint(31), uint(1), uint(2))],
    ['COMMAND with bytes', array(uint(19), text('c'), text('n'), bytes(hex('00')), uint(1))],
    ['a type as text', array(text('x'))],
    ['garbage', hex('ffff')],
  ])('%s is a ProtocolError', (_, data) => {
    expect(() => decodeHubMessage(data)).toThrow(ProtocolError);
  });

  test('whatever comes, ProtocolError is all that is thrown, on both sides', () => {
    const messages = [...FROM_DEVICE, ...FROM_HUB].map(({ encoded }) => encoded);
    const mutated = fc
      .tuple(fc.constantFrom(...messages), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }))
      .map(([message, changes]) => {
        const copy = Buffer.from(message);
        for (const [at, byte] of changes) copy[at % copy.length] = byte;
        return copy;
      });
    const random = fc.uint8Array({ maxLength: 60 }).map((b) => Buffer.from(b));
    fc.assert(
      fc.property(fc.oneof(mutated, random), (data) => {
        for (const decode of [() => read(data), () => decodeHubMessage(data)]) {
          try {
            decode();
          } catch (error) {
            if (!(error instanceof ProtocolError)) throw error;
          }
        }
      }),
      { numRuns: 5000 },
    );
  });
});
