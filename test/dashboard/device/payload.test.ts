import { describe, expect, it } from 'vitest';
import { bytesOf, excerpt, hexRows, isReadable, type Payload } from '../../../dashboard/parts/device/payload.ts';
import { visible, visibleLine } from '../../../dashboard/visible.ts';

const text = (sent: string): Payload => ({ base64: Buffer.from(sent).toString('base64'), text: sent });
const bytes = (...sent: number[]): Payload => ({ base64: Buffer.from(sent).toString('base64'), text: null });

describe('a payload', () => {
  it('is shown as text when it is text', () => {
    expect(isReadable(text('{"temp": 21}\n'))).toBe(true);
    expect(isReadable(text('a\tb'))).toBe(true);
    expect(isReadable(text('\u0000\u0001\u0002ab'))).toBe(false);
    expect(isReadable(bytes(0xff, 0xfe))).toBe(false);
    expect(isReadable(text(''))).toBe(true);
  });

  it('hides nothing: controls and signs that turn text around are shown', () => {
    expect(visible('a\u0000b\u001b[31m\u007f')).toBe('a␀b␛[31m␡');
    expect(visible('pay \u202eexe.txt')).toBe('pay ⟨U+202E⟩exe.txt');
    expect(visible('a\u200bb\ufeff')).toBe('a⟨U+200B⟩b⟨U+FEFF⟩');
    expect(visible('two\nlines')).toBe('two\nlines');
    expect(visibleLine('two\nli\tnes')).toBe('two␊li␉nes');
    expect(visible('überhitzt 🔥')).toBe('überhitzt 🔥');
  });

  it('stays text when it looks like markup', () => {
    expect(visible('<img src=x onerror=alert(1)>')).toBe('<img src=x onerror=alert(1)>');
  });

  it('is bytes in rows of sixteen', () => {
    const rows = hexRows(Uint8Array.from({ length: 18 }, (_, i) => i + 0x40));
    expect(rows).toEqual([
      '0000  40 41 42 43 44 45 46 47  48 49 4a 4b 4c 4d 4e 4f  |@ABCDEFGHIJKLMNO|',
      `0010  50 51${' '.repeat(43)}  |PQ|`,
    ]);
    expect(hexRows(new Uint8Array())).toEqual([]);
    expect(bytesOf(bytes(0, 127, 128, 255))).toEqual(Uint8Array.of(0, 127, 128, 255));
  });

  it('has a beginning for lists', () => {
    expect(excerpt(text('short'), 20)).toBe('short');
    expect(excerpt(text('x'.repeat(50)), 20)).toBe(`${'x'.repeat(20)}…`);
    expect(excerpt(bytes(0xde, 0xad), 20)).toBe('de ad');
    expect(excerpt(bytes(...Array.from({ length: 50 }, () => 1)), 9)).toBe('01 01 01 …');
    expect(excerpt(bytes(), 9)).toBe('');
  });
});
