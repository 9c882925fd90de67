import fc from 'fast-check';
import { Parser } from '@stomp/stompjs';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '#protocols/errors.js';
import { StompDecoder } from '#protocols/stomp/decoder.js';
import { DIALECTS } from '#protocols/stomp/dialect.js';
import { encodeFrame, type Header } from '#protocols/stomp/encoder.js';
import { CLIENT_COMMANDS } from '#protocols/stomp/frame.js';
import { cut, decode, decodeAll, dialect, OPTIONS, type PlainFrame } from './frames.ts';

const WIDE = { ...OPTIONS, maxHeaders: 100, maxHeaderBytes: 10_000, maxFrameBytes: 100_000 };
/** What `ACK` with this header line is read as; an error's message where it is refused. */
function headersOf(version: string, lines: string, command = 'ACK'): Record<string, string> | string {
  try {
    return decode(`${command}\n${lines}\n\n\0`, { dialect: dialect(version) })[0]!.headers;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return error.reason;
  }
}

describe('a header is read', () => {
  // The line, and what each version makes of it.
  const TABLE: [string, string, Record<string, Record<string, string> | string>][] = [
    ['a plain one', 'a:b', { '1.0': { a: 'b' }, '1.1': { a: 'b' }, '1.2': { a: 'b' } }],
    ['a colon in the value', 'a:b:c', { '1.0': { a: 'b:c' }, '1.1': { a: 'b:c' }, '1.2': { a: 'b:c' } }],
    ['\\c', 'a\\cb:c\\cd', { '1.0': { 'a\\cb': 'c\\cd' }, '1.1': { 'a:b': 'c:d' }, '1.2': { 'a:b': 'c:d' } }],
    ['\\n', 'a:b\\nc', { '1.0': { a: 'b\\nc' }, '1.1': { a: 'b\nc' }, '1.2': { a: 'b\nc' } }],
    ['\\\\', 'a:b\\\\c', { '1.0': { a: 'b\\\\c' }, '1.1': { a: 'b\\c' }, '1.2': { a: 'b\\c' } }],
    ['\\r', 'a:b\\rc', { '1.0': { a: 'b\\rc' }, '1.1': 'malformed', '1.2': { a: 'b\rc' } }],
    ['an undefined escape', 'a:b\\tc', { '1.0': { a: 'b\\tc' }, '1.1': 'malformed', '1.2': 'malformed' }],
    ['a backslash at the end', 'a:b\\', { '1.0': { a: 'b\\' }, '1.1': 'malformed', '1.2': 'malformed' }],
    ['padding', 'a:  b ', { '1.0': { a: 'b' }, '1.1': { a: '  b ' }, '1.2': { a: '  b ' } }],
    ['a carriage return inside', 'a:b\rc', { '1.0': { a: 'b\rc' }, '1.1': { a: 'b\rc' }, '1.2': 'malformed' }],
    [
      'a carriage return at the end of one line',
      'a:b\r',
      { '1.0': { a: 'b' }, '1.1': { a: 'b\r' }, '1.2': { a: 'b' } },
    ],
    ['a repeated one', 'a:1\na:2', { '1.0': { a: '1' }, '1.1': { a: '1' }, '1.2': { a: '1' } }],
  ];
  for (const [name, lines, read] of TABLE) {
    it.each(DIALECTS.map(({ version }) => version))(`${name}, in STOMP %s`, (version) => {
      expect(headersOf(version, lines)).toEqual(read[version]);
    });
  }

  it.each(['1.0', '1.1', '1.2'])('in lines that all end with CR LF, in STOMP %s', (version) => {
    const bytes = 'SEND\r\na:b\r\nc:d\r\n\r\nbody\0';
    for (const chunks of [[Buffer.from(bytes)], [...Buffer.from(bytes)].map((byte) => Uint8Array.of(byte))]) {
      const decoder = new StompDecoder({ ...OPTIONS, dialect: dialect(version) });
      expect(decodeAll(chunks, decoder)).toEqual([{ command: 'SEND', headers: { a: 'b', c: 'd' }, body: 'body' }]);
    }
  });

  it.each(['1.0', '1.1', '1.2'])('of CONNECT as it is, whatever its line ends, in STOMP %s', (version) => {
    for (const command of ['CONNECT', 'STOMP']) {
      expect(headersOf(version, 'login: a\\cb\r\npasscode:\\', command)).toEqual({ login: ' a\\cb', passcode: '\\' });
    }
  });
});

describe('a body where none belongs', () => {
  const frames = ['SUBSCRIBE\nid:1\n\nbody\0', 'SUBSCRIBE\nid:1\ncontent-length:4\n\nbody\0'];

  it('is ignored in STOMP 1.0, but not past the size of a frame', () => {
    const options = { dialect: dialect('1.0') };
    for (const bytes of frames) expect(decode(bytes, options)[0]!.command).toBe('SUBSCRIBE');
    expect(() => decode(`ACK\n\n${'x'.repeat(600)}`, options)).toThrow('larger than 512 bytes');
  });

  it('is refused in STOMP 1.1 and 1.2, and in CONNECT in all', () => {
    for (const version of ['1.1', '1.2']) {
      for (const bytes of frames) expect(() => decode(bytes, { dialect: dialect(version) })).toThrow('no body');
    }
    expect(() => decode('CONNECT\n\nbody\0', { dialect: dialect('1.0') })).toThrow('no body');
    expect(() => decode('CONNECT\n\n\nx\0', { dialect: dialect('1.0') })).toThrow('no body');
  });

  it('is none when it is line ends, in CONNECT', () => {
    for (const version of ['1.0', '1.1', '1.2']) {
      const options = { dialect: dialect(version) };
      for (const command of ['CONNECT', 'STOMP']) expect(decode(`${command}\n\n\r\n\n\0`, options)).toHaveLength(1);
      if (version !== '1.0') expect(() => decode('ACK\nid:1\n\n\n\0', options)).toThrow('no body');
    }
  });
});

describe('a header is written', () => {
  const headers: Header[] = [['a:b', 'c:\r\n\\d\0']];

  it.each([
    ['1.0', 'MESSAGE\na\uFFFDb:c:\uFFFD\uFFFD\\d\uFFFD\n\n\0'],
    ['1.1', 'MESSAGE\na\\cb:c\\c\r\\n\\\\d\uFFFD\n\n\0'],
    ['1.2', 'MESSAGE\na\\cb:c\\c\\r\\n\\\\d\uFFFD\n\n\0'],
  ])('in STOMP %s as it can be', (version, bytes) => {
    expect(encodeFrame(dialect(version), 'MESSAGE', headers)).toBe(bytes);
  });

  it('without escapes in CONNECTED, and without line ends that would begin another', () => {
    for (const known of DIALECTS) {
      const connected = encodeFrame(known, 'CONNECTED', [['session', 'a\\c:\nversion:9']]);
      expect(connected).toBe('CONNECTED\nsession:a\\c:\uFFFDversion:9\n\n\0');
    }
  });

  it('unless it has no name', () => {
    for (const known of DIALECTS) expect(encodeFrame(known, 'MESSAGE', [['', 'x']])).toBe('MESSAGE\n\n\0');
  });
});

describe('properties of every version', () => {
  const hostile = fc.string({ unit: fc.constantFrom('\\', 'c', 'n', 'r', ':', '\n', '\r', 'x', '€', '\0', ' ') });
  const header = fc.tuple(hostile, hostile);

  it.each(DIALECTS.map((known) => [known.version, known] as const))(
    'STOMP %s: no header makes another frame or header of what follows it',
    (version, known) => {
      fc.assert(
        fc.property(fc.array(header, { maxLength: 5 }), fc.array(fc.nat(), { maxLength: 8 }), (headers, cuts) => {
          const body = Buffer.from('body');
          const bytes = Buffer.from(encodeFrame(known, 'SEND', [...headers, ['last', '1']], body));
          const read = decodeAll(cut(bytes, cuts), new StompDecoder({ ...WIDE, dialect: known }));
          expect(read).toHaveLength(1);
          expect(read[0]!.body).toBe('body');
          expect(Object.keys(read[0]!.headers).length).toBeLessThanOrEqual(headers.length + 2);
          if (!headers.some(([name]) => name === 'last')) expect(read[0]!.headers['last']).toBe('1');
          if (version !== '1.2') return;
          const expected = new Map<string, string>();
          for (const [name, value] of headers) {
            const key = name.replaceAll('\0', '\uFFFD');
            if (key !== '' && !expected.has(key)) expected.set(key, value.replaceAll('\0', '\uFFFD'));
          }
          for (const [name, value] of expected) if (name !== 'last') expect(read[0]!.headers[name]).toBe(value);
        }),
        { numRuns: 300 },
      );
    },
  );

  it('STOMP 1.1: comes back as it was, carriage returns too', () => {
    const text = fc.string({ unit: fc.constantFrom('\\', 'c', ':', '\n', '\r', 'x', '€') });
    fc.assert(
      fc.property(text, fc.array(fc.nat(), { maxLength: 8 }), (value, cuts) => {
        const bytes = Buffer.from(encodeFrame(dialect('1.1'), 'SEND', [['a', value]], Buffer.alloc(0)));
        const [read] = decodeAll(cut(bytes, cuts), new StompDecoder({ ...WIDE, dialect: dialect('1.1') }));
        expect(read!.headers['a']).toBe(value);
      }),
    );
  });

  const plainText = fc.string({ unit: 'grapheme', maxLength: 6 }).filter((s) => !/[\0\r\n:\\\uFEFF]|^\s|\s$/.test(s));
  const anyFrame = fc
    .record({
      headers: fc.array(
        fc.tuple(
          plainText.filter((s) => s !== ''),
          plainText,
        ),
        { maxLength: 4 },
      ),
      body: fc.uint8Array({ maxLength: 30 }),
      eol: fc.constantFrom('\n', '\r\n'),
      between: fc.constantFrom('', '\n', '\r\n\n'),
    })
    .map(({ headers, body, eol, between }) => {
      const lines = headers.filter(([name]) => name !== 'content-length').map(([n, v]) => `${n}:${v}${eol}`);
      lines.push(`content-length:${body.length}${eol}`);
      const head = Buffer.from(`SEND${eol}${lines.join('')}${eol}`);
      return Buffer.concat([head, body, Buffer.from(`\0${between}`)]);
    });

  it.each(DIALECTS.map((known) => [known.version, known] as const))(
    'STOMP %s: agrees with the parser of stompjs, however the bytes are cut',
    (_version, known) => {
      fc.assert(
        fc.property(fc.array(anyFrame, { maxLength: 4 }), fc.array(fc.nat(), { maxLength: 12 }), (frames, cuts) => {
          const bytes = Buffer.concat(frames);
          const expected: PlainFrame[] = [];
          const parser = new Parser(
            (raw) => {
              const headers = Object.fromEntries([...raw.headers].reverse());
              expected.push({ command: raw.command!, headers, body: Buffer.from(raw.binaryBody!).toString('latin1') });
            },
            () => undefined,
          );
          parser.parseChunk(Uint8Array.from(bytes).buffer);
          expect(decodeAll(cut(bytes, cuts), new StompDecoder({ ...WIDE, dialect: known }))).toEqual(expected);
        }),
        { numRuns: 150 },
      );
    },
  );

  it.each(DIALECTS.map((known) => [known.version, known] as const))(
    'STOMP %s: throws nothing but ProtocolError, and the same however it is cut',
    (_version, known) => {
      const piece = fc.oneof(
        fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
        fc
          .constantFrom(
            ...CLIENT_COMMANDS,
            '\n',
            '\n\n',
            '\r\n',
            '\r',
            '\0',
            ':',
            '\\',
            'content-length:',
            '3',
            ' ',
            'a',
          )
          .map((s) => Buffer.from(s)),
        anyFrame,
      );
      fc.assert(
        fc.property(fc.array(piece, { maxLength: 30 }), fc.array(fc.nat(), { maxLength: 8 }), (pieces, cuts) => {
          const run = (parts: readonly Uint8Array[]) => {
            const frames: PlainFrame[] = [];
            const decoder = new StompDecoder({ ...OPTIONS, dialect: known });
            try {
              for (const part of parts) frames.push(...decodeAll([part], decoder));
            } catch (error) {
              if (!(error instanceof ProtocolError)) throw error;
              return { refused: error.reason, context: error.context };
            }
            return { frames };
          };
          const bytes = Buffer.concat(pieces);
          expect(run(cut(bytes, cuts))).toEqual(run([bytes]));
        }),
        { numRuns: 300 },
      );
    },
  );
});
