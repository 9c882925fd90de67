import fc from 'fast-check';
import { FrameImpl, Parser } from '@stomp/stompjs';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '#protocols/errors.js';
import { StompDecoder } from '#protocols/stomp/decoder.js';
import { DIALECTS, isEscaped, STOMP_1_0, STOMP_1_1, STOMP_1_2, type Dialect } from '#protocols/stomp/dialect.js';
import { encodeFrame, type Header } from '#protocols/stomp/encoder.js';
import { CLIENT_COMMANDS, COMMANDS_WITH_BODY, SERVER_COMMANDS } from '#protocols/stomp/frame.js';
import { anyFrame, headerText } from './any-frame.ts';
import { cut, decodeAll, OPTIONS, type PlainFrame } from './frames.ts';

/** What text of headers is made of here: what is escaped, and what escapes look like. */
const HOSTILE = ['a', 'b', ' ', 'é', '€', '😀', ':', '\\', '\n', '\r', 'n', 'r', 'c'];
const DIRECTIONS = [
  ['clients', CLIENT_COMMANDS],
  ['servers', SERVER_COMMANDS],
] as const;
const COMBINATIONS = DIALECTS.flatMap((dialect) =>
  DIRECTIONS.map(([side, commands]) => ({ dialect, version: dialect.version, side, commands })),
);

/** What the parser of stompjs makes of these chunks: it neither unescapes nor decides between repeated headers. */
function theirs(chunks: readonly Uint8Array[], dialect: Dialect | null = null): PlainFrame[] {
  const frames: PlainFrame[] = [];
  const parser = new Parser(
    ({ command = '', headers, binaryBody }) => {
      const said: Record<string, string> = Object.create(null) as Record<string, string>;
      for (const [name, value] of headers) {
        const read = (text: string): string => (dialect === null ? text : meaning(dialect, command, text));
        const blanks = dialect?.padsHeaders === true && isEscaped(command);
        said[read(name)] ??= blanks ? read(value).trim() : read(value);
      }
      frames.push({ command, headers: { ...said }, body: Buffer.from(binaryBody ?? []).toString('latin1') });
    },
    () => undefined,
  );
  for (const chunk of chunks) parser.parseChunk(Uint8Array.from(chunk).buffer);
  return frames;
}

/** Value Encoding, in the plainest words. */
function meaning(dialect: Dialect, command: string, text: string): string {
  if (!isEscaped(command) || dialect === STOMP_1_0) return text;
  return text.replaceAll(/\\(.)/g, (_, letter: string) => ({ r: '\r', n: '\n', c: ':', '\\': '\\' })[letter]!);
}

function ours(chunks: readonly Uint8Array[], dialect: Dialect, commands = CLIENT_COMMANDS): PlainFrame[] {
  const wide = { maxHeaders: 100, maxHeaderBytes: 1e4, maxFrameBytes: 1e5 };
  return decodeAll(chunks, new StompDecoder({ ...OPTIONS, ...wide, dialect, commands }));
}

describe.each(COMBINATIONS)('frames of $side in STOMP $version', ({ dialect, commands }) => {
  it('are read as the parser of stompjs reads them, however the bytes are cut', () => {
    const frame = anyFrame([...commands], dialect);
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 4 }), fc.array(fc.nat(), { maxLength: 12 }), (frames, cuts) => {
        const bytes = Buffer.concat(frames);
        const chunks = cut(bytes, cuts);
        const expected = theirs([bytes], dialect);
        expect(expected).toHaveLength(frames.length);
        expect(ours(chunks, dialect, commands)).toEqual(expected);
        expect(theirs(chunks, dialect)).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });

  it('that this side writes are read by the parser of stompjs as they were meant', () => {
    const text = fc.string({ unit: fc.constantFrom(...HOSTILE), maxLength: 8 });
    const headers = fc.array(fc.tuple(text, text), { maxLength: 5 });
    const body = fc.uint8Array({ maxLength: 40 });
    const command = fc.constantFrom(...commands);
    fc.assert(
      fc.property(command, headers, body, fc.boolean(), (name, said, octets, binary) => {
        // What cannot be written in 1.0 and in CONNECT is replaced, which the encoder's own tests show.
        const plain = dialect === STOMP_1_0 || !isEscaped(name);
        // In 1.1 a carriage return before LF would be read as a part of the line end.
        const bare = plain ? /[\r\n]/ : dialect === STOMP_1_1 ? /\r/ : /(?!)/;
        const written = said.filter(
          ([key, value]) => key.trim() !== '' && !bare.test(key + value) && !(plain && key.includes(':')),
        );
        const content = COMMANDS_WITH_BODY.has(name) ? Buffer.from(octets) : null;
        const bytes = Buffer.from(encodeFrame(dialect, name, written as Header[], content, binary));
        const [frame, ...more] = theirs([bytes], dialect);
        const expected: Record<string, string> = Object.create(null) as Record<string, string>;
        const blanks = dialect.padsHeaders && isEscaped(name);
        for (const [key, value] of written) expected[key] ??= blanks ? value.trim() : value;
        if (content !== null) expected['content-length'] ??= String(content.length);
        expect(more).toEqual([]);
        expect(frame).toEqual({
          command: name,
          headers: { ...expected },
          body: (content ?? Buffer.alloc(0)).toString('latin1'),
        });
        // And by the decoder of this side.
        expect(ours([bytes], dialect, commands)).toEqual([frame]);
      }),
      { numRuns: 200 },
    );
  });
});

describe.each(DIALECTS)('what stompjs writes in STOMP $version', (dialect) => {
  const escapes = dialect === STOMP_1_2;

  it('is read as it was meant, in text and binary, however it is cut', () => {
    // It escapes values in 1.2 alone, and names never.
    const value = escapes ? fc.string({ unit: fc.constantFrom(...HOSTILE), maxLength: 8 }) : headerText;
    const name = headerText.filter((text) => text.trim() === text && text !== '' && text !== '__proto__');
    const headers = fc.dictionary(name, value, { maxKeys: 5, noNullPrototype: true });
    const commands = fc.constantFrom(...[...CLIENT_COMMANDS].filter((command) => isEscaped(command)));
    const cuts = fc.array(fc.nat(), { maxLength: 12 });
    fc.assert(
      fc.property(
        commands,
        headers,
        fc.uint8Array({ maxLength: 40 }),
        fc.boolean(),
        cuts,
        (command, said, octets, binary, at) => {
          const content = COMMANDS_WITH_BODY.has(command) ? Buffer.from(octets) : Buffer.alloc(0);
          const text = content.toString();
          const body = binary && content.length > 0 ? { binaryBody: Uint8Array.from(content) } : { body: text };
          const wire = FrameImpl.marshall({ command, headers: said, escapeHeaderValues: escapes, ...body });
          const bytes = typeof wire === 'string' ? Buffer.from(wire) : Buffer.from(wire);
          const [frame, ...more] = ours(cut(bytes, at), dialect);
          expect(more).toEqual([]);
          const values = Object.entries(said).map(([key, given]) => [key, dialect.padsHeaders ? given.trim() : given]);
          expect(frame!.headers).toMatchObject(Object.fromEntries(values));
          expect(frame!.body).toBe(('body' in body ? Buffer.from(text) : content).toString('latin1'));
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('known differences: what stompjs’ parser takes and the hub does not, or reads otherwise', () => {
  const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
  const refused: readonly (readonly [why: string, bytes: Buffer, theirs: Partial<PlainFrame> | null])[] = [
    ['a command that STOMP does not know', latin1('FOO\n\n\0'), { command: 'FOO' }],
    ['a command in lower case', latin1('send\n\n\0'), { command: 'send' }],
    ['NUL in a header', latin1('ACK\nid:a\0b\n\n\0'), { headers: { id: 'a\0b' } }],
    ['a bare carriage return in a header', latin1('ACK\nid:a\rb\n\n\0'), { headers: { id: 'ab' } }],
    ['a bare carriage return between frames', latin1('\rACK\nid:1\n\n\0'), { command: 'ACK' }],
    ['a header line without a colon', latin1('ACK\nid\nx:1\n\n\0'), { headers: { 'id\nx': '1' } }],
    ['a header without a name', latin1('ACK\n:1\n\n\0'), { headers: { '': '1' } }],
    ['headers that are not UTF-8', latin1('ACK\nid:\xff\n\n\0'), { headers: { id: '\uFFFD' } }],
    ['a body where none belongs', latin1('ACK\nid:1\n\nbody\0'), { body: 'body' }],
    ['a content-length that is no number', latin1('SEND\ncontent-length:1x\n\na\0'), { body: 'a' }],
    ['a content-length that is not one at all', latin1('SEND\ncontent-length:x\n\na\0'), null],
    ['another octet where NUL should follow', latin1('SEND\ncontent-length:1\n\nabACK\nid:1\n\n\0'), { body: 'a' }],
    ['an undefined escape', latin1('ACK\nid:a\\tb\n\n\0'), { headers: { id: 'a\\tb' } }],
  ];
  it.each(refused)('%s is refused', (_why, bytes, read) => {
    expect(() => ours([bytes], STOMP_1_2)).toThrow(ProtocolError);
    const [frame] = theirs([bytes]);
    if (read === null) expect(frame).toBeUndefined();
    else expect(frame).toMatchObject(read);
  });

  it('U+FEFF at the beginning of a header belongs to it, where TextDecoder drops it', () => {
    const bytes = Buffer.from('ACK\nid:\uFEFFa\n\n\0');
    expect(ours([bytes], STOMP_1_2)[0]!.headers).toEqual({ id: '\uFEFFa' });
    expect(theirs([bytes])[0]!.headers).toEqual({ id: 'a' });
  });

  it('a lone carriage return is an octet of a header in STOMP 1.0 and 1.1, where stompjs drops it', () => {
    const bytes = latin1('ACK\nid:a\rb\n\n\0');
    for (const dialect of [STOMP_1_0, STOMP_1_1]) expect(ours([bytes], dialect)[0]!.headers).toEqual({ id: 'a\rb' });
    expect(theirs([bytes])[0]!.headers).toEqual({ id: 'ab' });
  });

  it('an escaped backslash before a letter is a backslash, where stompjs unescapes twice', () => {
    expect(ours([latin1('ACK\nid:a\\\\cb\n\n\0')], STOMP_1_2)[0]!.headers).toEqual({ id: 'a\\cb' });
    const raw = { command: 'ACK', headers: [['id', 'a\\\\cb']] as [string, string][], binaryBody: new Uint8Array() };
    expect(FrameImpl.fromRawFrame(raw, true).headers).toEqual({ id: 'a\\:b' });
  });

  it('blanks around a value are kept since STOMP 1.1, where stompjs takes them off in all versions', () => {
    const bytes = latin1('ACK\nid: a \n\n\0');
    expect(ours([bytes], STOMP_1_1)[0]!.headers).toEqual({ id: ' a ' });
    const raw = { command: 'ACK', headers: [['id', ' a ']] as [string, string][], binaryBody: new Uint8Array() };
    expect(FrameImpl.fromRawFrame(raw, true).headers).toEqual({ id: 'a' });
  });
});
