import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '#protocols/errors.js';
import { StompDecoder, type DecoderOptions } from '#protocols/stomp/decoder.js';
import { CLIENT_COMMANDS } from '#protocols/stomp/frame.js';
import { anyFrame } from './any-frame.ts';
import { cut, decode, decodeAll, frame, OPTIONS, type PlainFrame } from './frames.ts';

function errorOf(bytes: string | Uint8Array, options: Partial<DecoderOptions> = {}): ProtocolError {
  try {
    decode(bytes, options);
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

const GOLDEN: readonly (readonly [string, string, PlainFrame[]])[] = [
  ['a frame without a body', 'ACK\nid:7\n\n\0', [{ command: 'ACK', headers: { id: '7' }, body: '' }]],
  [
    'a body that ends at NUL',
    'SEND\ndestination:/topic/a\n\nhello\nworld\0',
    [{ command: 'SEND', headers: { destination: '/topic/a' }, body: 'hello\nworld' }],
  ],
  [
    'a counted body with NULs inside',
    'SEND\ndestination:/topic/a\ncontent-length:3\n\n\0a\0\0',
    [{ command: 'SEND', headers: { destination: '/topic/a', 'content-length': '3' }, body: '\0a\0' }],
  ],
  [
    'CR LF line ends and EOLs around frames',
    '\r\n\n\r\nACK\r\nid:7\r\n\r\n\0\r\n\nNACK\nid:8\n\n\0\n',
    [
      { command: 'ACK', headers: { id: '7' }, body: '' },
      { command: 'NACK', headers: { id: '8' }, body: '' },
    ],
  ],
  [
    'NUL between frames as nothing',
    '\0\n\0ACK\nid:7\n\n\0\0\r\n\0NACK\nid:8\n\n\0',
    [
      { command: 'ACK', headers: { id: '7' }, body: '' },
      { command: 'NACK', headers: { id: '8' }, body: '' },
    ],
  ],
  [
    'every escape, in names and values',
    'ACK\na\\cb:\\r\\n\\c\\\\\n\n\0',
    [{ command: 'ACK', headers: { 'a:b': '\r\n:\\' }, body: '' }],
  ],
  [
    'an escaped backslash before a letter is no escape (stompjs reads a colon here)',
    'ACK\nid:a\\\\cb\n\n\0',
    [{ command: 'ACK', headers: { id: 'a\\cb' }, body: '' }],
  ],
  [
    'CONNECT and STOMP without escapes',
    'CONNECT\nlogin:a\\tb\\c\n\n\0STOMP\nlogin:\\\n\n\0',
    [
      { command: 'CONNECT', headers: { login: 'a\\tb\\c' }, body: '' },
      { command: 'STOMP', headers: { login: '\\' }, body: '' },
    ],
  ],
  [
    'the first of repeated headers',
    'ACK\nid:1\nid:2\nx:\nid:3\n\n\0',
    [{ command: 'ACK', headers: { id: '1', x: '' }, body: '' }],
  ],
  [
    'spaces and bare colons as part of the value',
    'ACK\nid: a:b \n\n\0',
    [{ command: 'ACK', headers: { id: ' a:b ' }, body: '' }],
  ],
  ['UTF-8 in names and values', 'ACK\nÜ:€😀\n\n\0', [{ command: 'ACK', headers: { Ü: '€😀' }, body: '' }]],
];

describe('the decoder reads', () => {
  for (const [name, bytes, frames] of GOLDEN) {
    it(name, () => {
      expect(decode(bytes)).toEqual(frames);
    });
    it(`${name}, byte by byte`, () => {
      const chunks = [...Buffer.from(bytes)].map((byte) => Uint8Array.of(byte));
      expect(decodeAll(chunks, new StompDecoder(OPTIONS))).toEqual(frames);
    });
  }

  it('a header called __proto__ as any other', () => {
    const decoder = new StompDecoder(OPTIONS);
    const read = decoder.read(Buffer.from('ACK\n__proto__:x\nconstructor:y\n\n\0'), 0);
    expect([...read!.headers]).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
  });

  it('a whole frame without copying its body, and a cut one into memory of its own', () => {
    const whole = Buffer.from('SEND\ndestination:/topic/a\n\nhello\0');
    expect(new StompDecoder(OPTIONS).read(whole, 0)!.body.buffer).toBe(whole.buffer);

    const decoder = new StompDecoder(OPTIONS);
    const first = Buffer.from(whole.subarray(0, 30));
    expect(decoder.read(first, 0)).toBeNull();
    // The socket uses its buffer again.
    first.fill(0x2a);
    expect(decoder.read(Buffer.from(whole.subarray(30)), 0)!.body.toString()).toBe('hello');
  });

  it('a cut frame into memory that the next cut frame does not share', () => {
    const decoder = new StompDecoder(OPTIONS);
    decoder.read(Buffer.from('SEND\n\nfirst'), 0);
    const first = decoder.read(Buffer.from([0]), 0)!;
    decoder.read(Buffer.from('SEND\n\nother'), 0);
    expect(first.body.toString()).toBe('first');
  });

  it('up to the end of one frame, so that the caller may stop there', () => {
    const decoder = new StompDecoder(OPTIONS);
    const bytes = Buffer.from(`${frame('ACK', { id: '1' })}rest`);
    expect(decoder.read(bytes, 0)!.command).toBe('ACK');
    expect(bytes.subarray(decoder.position).toString()).toBe('rest');
    expect(decoder.idle).toBe(true);
  });

  it('a large frame byte by byte in linear time', () => {
    const length = 1 << 20;
    const decoder = new StompDecoder({ ...OPTIONS, maxFrameBytes: 2 * length });
    decoder.read(Buffer.from('SEND\ndestination:/topic/a\n\n'), 0);
    const byte = Buffer.from('x');
    const start = performance.now();
    for (let i = 0; i < length; i++) decoder.read(byte, 0);
    // Copying what is held at each byte would move 550 GB.
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(decoder.read(Buffer.from([0]), 0)!.body.length).toBe(length);
  });
});

describe('the decoder refuses', () => {
  const MALFORMED: readonly (readonly [string, string | Uint8Array, RegExp])[] = [
    ['an unknown command', 'FOO\n\n\0', /FOO.*SEND/],
    ['a command in lower case', 'send\n\n\0', /send/],
    ['a command of the other side', 'MESSAGE\n\n\0', /MESSAGE/],
    ['an HTTP request', 'GET / HTTP/1.1\r\n', /GET/],
    ['bytes that never end a line', 'x'.repeat(33), /no STOMP/],
    ['an MQTT CONNECT', Buffer.from('101000044d515454040000000004', 'hex'), /NUL/],
    ['an undefined escape', 'ACK\nid:a\\tb\n\n\0', /undefined escape/],
    ['a backslash at the end of a value', 'ACK\nid:a\\\n\n\0', /undefined escape/],
    ['an undefined escape in a name', 'ACK\n\\x:a\n\n\0', /undefined escape/],
    ['a header line without a colon', 'ACK\nid\n\n\0', /line 1 has no ':'/],
    ['a header without a name', 'ACK\n:x\n\n\0', /empty name/],
    ['a bare carriage return in a header', 'ACK\nid:a\rb\n\n\0', /carriage return/],
    ['a bare carriage return between frames', '\rACK\n\n\0', /carriage return/],
    ['bad UTF-8 in a header', Buffer.from('ACK\nid:\xff\n\n\0', 'latin1'), /UTF-8/],
    ['an overlong form in a header', Buffer.from('ACK\nid:\xc0\xaf\n\n\0', 'latin1'), /UTF-8/],
    ['a surrogate in a header', Buffer.from('ACK\nid:\xed\xa0\x80\n\n\0', 'latin1'), /UTF-8/],
    ['NUL in a header: the blank line is missing', 'SEND\ndestination:/topic/a\0', /blank line/],
    ['NUL in a finished header line', 'SEND\ndestination:/topic/a\0\n', /blank line/],
    ['a content-length that is no number', 'SEND\ncontent-length:abc\n\n', /content-length/],
    ['a negative content-length', 'SEND\ncontent-length:-1\n\n', /content-length/],
    ['a hexadecimal content-length', 'SEND\ncontent-length:0x1\n\n', /content-length/],
    ['a fraction as content-length', 'SEND\ncontent-length:1e1\n\n', /content-length/],
    ['a counted body without NUL behind it', 'SEND\ncontent-length:2\n\nabc', /no NUL follows/],
    ['a body where none may be', 'ACK\nid:1\n\nx', /no body/],
    ['a counted body where none may be', 'ACK\nid:1\ncontent-length:1\n\n', /no body/],
  ];
  for (const [name, bytes, words] of MALFORMED) {
    it(name, () => {
      const error = errorOf(bytes);
      expect(error.reason).toBe('malformed');
      expect(error.message).toMatch(words);
    });
  }

  it('naming the receipt of the frame, before or behind the fault', () => {
    expect(errorOf('FOO\nreceipt:r1\n\n\0').context).toEqual({ 'receipt-id': 'r1' });
    expect(errorOf('SEND\nbroken\nreceipt:r2\n\n\0').context).toEqual({ 'receipt-id': 'r2' });
    expect(errorOf('SEND\nreceipt:a\\cb\nx:\\q\n\n\0').context).toEqual({ 'receipt-id': 'a:b' });
    expect(errorOf('SEND\nreceipt:r3\ncontent-length:1000\n\n').context).toMatchObject({ 'receipt-id': 'r3' });
    expect(errorOf('ACK\nreceipt:r4\n\nx').context).toEqual({ 'receipt-id': 'r4' });
    expect(errorOf('SEND\nreceipt:r5\ncontent-length:0\n\nx').context).toEqual({ 'receipt-id': 'r5' });
    const many = `${'x:y\n'.repeat(9)}receipt:r6\n`;
    expect(errorOf(`SEND\n${many}\n\0`).context).toEqual({ 'receipt-id': 'r6', 'muster-limit': 'maxHeaders' });
    expect(errorOf('ACK\n\n\0FOO\n\n\0').context).toEqual({});
  });

  it('without repeating what a header held, which may be a secret', () => {
    for (const bytes of ['CONNECT\npasscode mst_1_secret\n\n\0', 'SEND\npasscode:mst_1_secret\\q\n\n\0']) {
      expect(errorOf(bytes).message).not.toContain('secret');
    }
  });
});

describe('the limits, at their edge', () => {
  it('maxHeaders', () => {
    expect(decode(`ACK\n${'x:y\n'.repeat(8)}\n\0`)).toHaveLength(1);
    expect(errorOf(`ACK\n${'x:y\n'.repeat(9)}\n\0`).reason).toBe('limit_exceeded');
  });

  it('maxHeaderBytes, the line end not counted, thrown as the bytes arrive', () => {
    const line = `id:${'x'.repeat(61)}`;
    for (const end of ['\n', '\r\n']) {
      expect(decode(`ACK\n${line}${end}\n\0`)).toHaveLength(1);
      expect(errorOf(`ACK\n${line}x${end}`).reason).toBe('limit_exceeded');
    }
    expect(errorOf(`ACK\n${line}x`).reason).toBe('limit_exceeded');
    const decoder = new StompDecoder(OPTIONS);
    const chunks = [...Buffer.from(`ACK\r\n${line}\r\n\r\n\0`)].map((byte) => Uint8Array.of(byte));
    expect(decodeAll(chunks, decoder)).toHaveLength(1);
  });

  it('maxFrameBytes with content-length, thrown before the body is sent', () => {
    const fits = 'SEND\ncontent-length:489\n\n';
    expect(fits.length + 489 + 1).toBe(515);
    expect(errorOf(fits).reason).toBe('too_large');
    expect(decode(`SEND\ncontent-length:486\n\n${'x'.repeat(486)}\0`)).toHaveLength(1);
    expect(errorOf('SEND\ncontent-length:487\n\n').reason).toBe('too_large');
    expect(errorOf('SEND\ncontent-length:999999999999999\n\n').reason).toBe('too_large');
  });

  it('maxFrameBytes without content-length, thrown with the byte that is too much', () => {
    expect(decode(`SEND\n\n${'x'.repeat(505)}\0`)).toHaveLength(1);
    expect(errorOf(`SEND\n\n${'x'.repeat(506)}\0`).reason).toBe('too_large');
    const decoder = new StompDecoder(OPTIONS);
    decodeAll([Buffer.from(`SEND\n\n${'x'.repeat(506)}`)], decoder);
    expect(() => decoder.read(Buffer.from('x'), 0)).toThrow('larger than 512 bytes');
  });

  it('maxFrameBytes over header lines alone', () => {
    const lines = 'x:yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\n'.repeat(9);
    expect(errorOf(`ACK\n${lines}`, { maxHeaders: 100 }).reason).toBe('too_large');
  });

  it('may be raised while a frame is under way', () => {
    const decoder = new StompDecoder(OPTIONS);
    decodeAll([Buffer.from(`SEND\n\n${'x'.repeat(400)}`)], decoder);
    decoder.maxFrameBytes = 1000;
    expect(decodeAll([Buffer.from(`${'x'.repeat(400)}\0`)], decoder)[0]!.body).toHaveLength(800);
  });

  it('count each frame by itself; line ends between frames count for none', () => {
    const one = `SEND\n\n${'x'.repeat(505)}\0`;
    expect(decode(`${one}${'\n'.repeat(600)}${one}`)).toHaveLength(2);
  });
});

describe('properties of the decoder', () => {
  it('throws nothing but ProtocolError, whatever comes and however it is cut', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
      fc
        .constantFrom(
          ...CLIENT_COMMANDS,
          '\n',
          '\n\n',
          '\r\n',
          '\0',
          ':',
          '\\',
          'content-length:',
          '3',
          'receipt:',
          'a',
        )
        .map((s) => Buffer.from(s)),
      anyFrame(['SEND', 'ACK', 'SUBSCRIBE', 'CONNECT']),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.array(fc.nat(), { maxLength: 8 }), (pieces, cuts) => {
        const chunks = cut(Buffer.concat(pieces), cuts);
        const run = (parts: readonly Uint8Array[]) => {
          const frames: PlainFrame[] = [];
          const decoder = new StompDecoder(OPTIONS);
          try {
            for (const part of parts) frames.push(...decodeAll([part], decoder));
          } catch (error) {
            if (!(error instanceof ProtocolError)) throw error;
            return { refused: error.reason };
          }
          return { frames };
        };
        // The verdict does not depend on the cuts.
        expect(run(chunks)).toEqual(run([Buffer.concat(chunks)]));
      }),
      { numRuns: 500 },
    );
  });
});
