import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeCursor, encodeCursor, MOST_HANDED_OUT } from '#protocols/http/cursor.js';
import { decodeUnit, encodeUnit, type Unit } from '#protocols/http/units.js';

const id = fc.stringMatching(/^[A-Za-z0-9-]{1,64}$/);

describe('a cursor', () => {
  it('names what an answer held, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(id, { maxLength: MOST_HANDED_OUT }), (ids) => {
        expect(decodeCursor(encodeCursor(ids))).toEqual(ids);
      }),
    );
  });

  it('needs no escapes in a URL, a header or an event stream', () => {
    const cursor = encodeCursor(['3f2a-9', 'B']);
    expect(cursor).toBe('3f2a-9.B');
    expect(encodeURIComponent(cursor)).toBe(cursor);
  });

  it('of nothing is empty, and an empty one is a cursor', () => {
    expect(encodeCursor([])).toBe('');
    expect(decodeCursor('')).toEqual([]);
  });

  it('holds 16 ids and not 17, each of 64 characters and not 65', () => {
    const longest = 'x'.repeat(64);
    expect(decodeCursor(Array(16).fill(longest).join('.'))).toHaveLength(16);
    expect(decodeCursor(Array(17).fill('x').join('.'))).toBeNull();
    expect(decodeCursor(`${longest}x`)).toBeNull();
  });

  it.each(['.', 'a.', '.a', 'a..b', 'a b', 'a\nb', 'é', 'a/b', '%2e'])('%j is none', (text) => {
    expect(decodeCursor(text)).toBeNull();
  });

  it('is read in time, whatever was sent', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 4000 }), (text) => {
        const ids = decodeCursor(text);
        expect(ids === null || ids.join('.') === text).toBe(true);
      }),
    );
  });
});

describe('units', () => {
  it.each<Unit>([
    { kind: 'command', cursor: 'a.b', json: '{"id":"b","name":"x","params":{"text":"line\\n2"},"deadline":5}' },
    { kind: 'done', cursor: '' },
    { kind: 'done', cursor: 'a' },
    { kind: 'beat' },
    { kind: 'goodbye', reason: 'taken_over', detail: 'two\nlines' },
    { kind: 'goodbye', reason: 'hub_shutdown', detail: '' },
  ])('$kind is read as it was written', (unit) => {
    expect(decodeUnit(encodeUnit(unit))).toEqual(unit);
  });

  it.each(['', 'x', 'gno_such_reason\n'])('%j is a fault of ours', (text) => {
    expect(() => decodeUnit(text)).toThrow(/no unit/);
  });
});
