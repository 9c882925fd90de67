import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventStreamReader, type StreamEvent } from '#cli/event-stream.js';

const read = (...pieces: string[]): StreamEvent[] => {
  const reader = new EventStreamReader(1000);
  return pieces.flatMap((piece) => reader.read(piece));
};

/** Everything that the format allows. */
const STREAM =
  '\ufeffretry: 20\n\n: a comment\nevent: hello\nid: r-0\ndata: {"a":1}\n\n' +
  'event:latest\r\ndata:one\r\ndata:  two\r\ndata\r\n\r\n: beat\rid: r-7\r\rdata: x\nid\nunknown: y\n\ndata: lost';
const EVENTS: StreamEvent[] = [
  { event: 'hello', data: '{"a":1}', id: 'r-0' },
  { event: 'latest', data: 'one\n two\n', id: 'r-0' },
  { event: 'message', data: 'x', id: '' },
];

describe('reading text/event-stream', () => {
  it('knows events, ids, comments and every kind of line end', () => {
    expect(read(STREAM)).toEqual(EVENTS);
  });

  it('byte by byte, and in any pieces', () => {
    expect(read(...STREAM.split(''))).toEqual(EVENTS);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: STREAM.length })), (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), STREAM.length];
        const pieces = at.slice(1).map((end, i) => STREAM.slice(at[i], end));
        expect(read(...pieces)).toEqual(EVENTS);
      }),
    );
  });

  it('remembers the id of a beat, which is no event, and how long to wait', () => {
    const reader = new EventStreamReader(1000);
    expect([reader.lastId, reader.retryMs]).toEqual([null, null]);
    expect(reader.read('retry: 20\nretry: soon\n\n: beat\nid: r-9\n\nid: a\0b\n\n')).toEqual([]);
    expect([reader.lastId, reader.retryMs]).toEqual(['r-9', 20]);
  });

  it('takes whatever comes without growing past its limit', () => {
    const reader = new EventStreamReader(10);
    expect(reader.read(`${': ten\n'.repeat(1000)}data: 345678\n\n`)).toHaveLength(1);
    expect(() => reader.read('x'.repeat(11))).toThrow(RangeError);
    const lines = new EventStreamReader(10);
    expect(() => lines.read('data: 1234\n'.repeat(3))).toThrow(RangeError);
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom('\r', '\n', ':', ' ', 'data', 'id', 'x') })), (pieces) => {
        const whole = new EventStreamReader(1e6).read(pieces.join(''));
        const reader = new EventStreamReader(1e6);
        expect(pieces.flatMap((piece) => reader.read(piece))).toEqual(whole);
      }),
    );
  });
});
