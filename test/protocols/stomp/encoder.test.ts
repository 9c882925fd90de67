import fc from 'fast-check';
import { FrameImpl, Parser, type IRawFrameType } from '@stomp/stompjs';
import { describe, expect, it } from 'vitest';
import { escapeHeader, STOMP_1_2, unescapeHeader } from '#protocols/stomp/dialect.js';
import { encodeFrame } from '#protocols/stomp/encoder.js';
import { SERVER_COMMANDS } from '#protocols/stomp/frame.js';
import { decode } from './frames.ts';

const escapes = STOMP_1_2.escapes!;

describe('the encoder writes', () => {
  it('a frame without a body as text', () => {
    expect(encodeFrame(STOMP_1_2, 'RECEIPT', [['receipt-id', 'r1']])).toBe('RECEIPT\nreceipt-id:r1\n\n\0');
  });

  it('content-length in octets with every body, the empty one too', () => {
    expect(encodeFrame(STOMP_1_2, 'MESSAGE', [], Buffer.from('€'))).toBe('MESSAGE\ncontent-length:3\n\n€\0');
    expect(encodeFrame(STOMP_1_2, 'MESSAGE', [], Buffer.alloc(0))).toBe('MESSAGE\ncontent-length:0\n\n\0');
  });

  it('bytes when the body is not UTF-8, or when asked to', () => {
    const bytes = encodeFrame(STOMP_1_2, 'MESSAGE', [['ü', 'x']], Buffer.from([0xff, 0x00]));
    expect(bytes).toEqual(Buffer.from('4d4553534147450ac3bc3a780a636f6e74656e742d6c656e6774683a320a0aff0000', 'hex'));
    expect(encodeFrame(STOMP_1_2, 'RECEIPT', [], null, true)).toEqual(Buffer.from('RECEIPT\n\n\0'));
    expect(encodeFrame(STOMP_1_2, 'MESSAGE', [], Buffer.from('a'), true)).toEqual(
      Buffer.from('MESSAGE\ncontent-length:1\n\na\0'),
    );
  });

  it('escapes in names and values, but none in CONNECTED', () => {
    expect(encodeFrame(STOMP_1_2, 'MESSAGE', [['a:b', 'c\r\n:\\d']])).toBe('MESSAGE\na\\cb:c\\r\\n\\c\\\\d\n\n\0');
    expect(encodeFrame(STOMP_1_2, 'CONNECTED', [['session', 'a:b\\c']])).toBe('CONNECTED\nsession:a:b\\c\n\n\0');
  });

  it('no NUL into a header, where simple parsers would end the frame', () => {
    expect(encodeFrame(STOMP_1_2, 'MESSAGE', [['x', 'a\0b']])).toBe('MESSAGE\nx:a\uFFFDb\n\n\0');
  });
});

describe('escaping', () => {
  const hostile = fc.string({ unit: fc.constantFrom('\\', 'c', 'n', 'r', ':', '\n', '\r', 'x', '€') });

  it('comes back as it was', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const escaped = escapeHeader(text, escapes);
        expect(escaped).not.toMatch(/[\r\n:]/);
        expect(unescapeHeader(escaped, escapes)).toBe(text);
      }),
    );
  });

  it('is written as stompjs writes it', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(escapeHeader(text, escapes)).toBe(FrameImpl['hdrValueEscape'](text));
      }),
    );
  });

  it('refuses what is undefined: each of the 256 octets but four', () => {
    const known = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).filter(
      (letter) => unescapeHeader(`a\\${letter}b`, escapes) !== null,
    );
    expect(known).toEqual(['\\', 'c', 'n', 'r']);
  });
});

describe('what the encoder writes', () => {
  it('is read back by our decoder and by the parser of stompjs', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 8 }).filter((s) => !/[\0\uFEFF]/.test(s));
    const header = fc.tuple(
      text.filter((s) => s !== '' && s !== 'content-length'),
      text,
    );
    fc.assert(
      fc.property(
        fc.uniqueArray(header, { selector: ([name]) => name, maxLength: 6 }),
        fc.uint8Array({ maxLength: 50 }),
        fc.boolean(),
        (headers, body, binary) => {
          const wire = encodeFrame(STOMP_1_2, 'MESSAGE', headers, Buffer.from(body), binary);
          const bytes = Buffer.from(wire);
          const options = { commands: SERVER_COMMANDS, maxHeaderBytes: 1000, maxFrameBytes: 10_000 };
          const expected = Object.fromEntries([...headers, ['content-length', String(body.length)]]);
          expect(decode(bytes, options)).toEqual([
            { command: 'MESSAGE', headers: expected, body: Buffer.from(body).toString('latin1') },
          ]);
          const raw: IRawFrameType[] = [];
          new Parser(
            (frame) => raw.push(frame),
            () => undefined,
          ).parseChunk(typeof wire === 'string' ? wire : Uint8Array.from(wire).buffer);
          expect(raw).toHaveLength(1);
          expect(Buffer.from(raw[0]!.binaryBody!)).toEqual(Buffer.from(body));
          expect(raw[0]!.headers.map(([name]) => unescapeHeader(name, escapes))).toEqual(
            Object.keys(Object.fromEntries(headers.map(([n]) => [`k${n}`, 0])))
              .map((k) => k.slice(1))
              .concat('content-length'),
          );
        },
      ),
    );
  });
});
