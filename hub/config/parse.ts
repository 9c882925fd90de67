import type { OptionKind } from './option.ts';

/** What the text should have looked like, for the error message; thrown by `parseText`. */
export class TextError extends Error {
  override readonly name = 'TextError';
}

const DURATION_MS: Readonly<Record<string, number>> = { '': 1, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const BYTES: Readonly<Record<string, number>> = { '': 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
const YES = new Set(['true', '1', 'yes', 'on']);
const NO = new Set(['false', '0', 'no', 'off']);

/** Reads the text of a flag or an environment variable. Durations come out in milliseconds, sizes in bytes. Throws TextError. */
export function parseText(kind: OptionKind, text: string): string | number | boolean | string[] {
  switch (kind) {
    case 'text':
      return text;
    case 'list':
      return text
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== '');
    case 'flag':
      return parseFlag(text);
    case 'integer':
      return parseNumber(text, { '': 1 }, 'a whole number, such as 100');
    case 'duration':
      return parseNumber(
        text,
        DURATION_MS,
        'a duration, such as 500, 500ms, 10s, 5m, 1h or 1d (milliseconds without unit)',
      );
    case 'bytes':
      return parseNumber(text, BYTES, 'a size, such as 65536, 64KiB, 1MiB or 1GiB (bytes without unit)');
  }
}

function parseFlag(text: string): boolean {
  const word = text.toLowerCase();
  if (YES.has(word)) return true;
  if (NO.has(word)) return false;
  throw new TextError('expected true or false');
}

function parseNumber(text: string, units: Readonly<Record<string, number>>, expected: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(text.trim());
  const factor = match === null ? undefined : Object.hasOwn(units, match[2]!) ? units[match[2]!] : undefined;
  if (match === null || factor === undefined) throw new TextError(`expected ${expected}`);
  return Number(match[1]) * factor;
}
