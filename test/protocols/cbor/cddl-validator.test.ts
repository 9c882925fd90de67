import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readItem } from '#test/support/cddl/items.js';
import { readSchema, type Schema } from '#test/support/cddl/schema.js';
import { flaw } from '#test/support/cddl/validator.js';

const folder = mkdtempSync(join(tmpdir(), 'cddl-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function schemaOf(text: string): Schema {
  const path = join(folder, `${files++}.cddl`);
  writeFileSync(path, text);
  return readSchema(path);
}

const isOf = (cddl: string, hex: string): boolean =>
  flaw(schemaOf(cddl), 'r', readItem(Buffer.from(hex, 'hex'))) === null;

describe('the validator of the tests', () => {
  test.each([
    ['r = 1', '01', '02'],
    ['r = 1', '1801', 'f93c00'],
    ['r = -2', '21', '01'],
    ['r = "a"', '6161', '6162'],
    ['r = true', 'f5', 'f4'],
    ['r = 1..3', '03', '04'],
    ['r = -3..-1', '22', '23'],
    ['r = uint', '00', '20'],
    ['r = int', '20', '40'],
    ['r = float', 'f93c00', '01'],
    ['r = tstr', '60', '40'],
    ['r = bstr', '40', '60'],
    ['r = bool', 'f4', 'f6'],
    ['r = null', 'f6', 'f4'],
    ['r = tstr .size (1..2)', '62c3a9', '63616263'],
    ['r = tstr .size (1..2)', '6161', '60'],
    ['r = tstr .regexp "[ab]{1,2}"', '626162', '63616261'],
    ['r = int / tstr', '6161', 'f6'],
    ['r = s\ns = t\nt = 7', '07', '08'],
    ['r = [a: int, b: tstr]', '82016161', '8101'],
    ['r = [a: int, b: tstr]', '82016161', '8301616101'],
    ['r = [a: int, b: tstr]', '82016161', '82616101'],
    ['r = [* int]', '80', '816161'],
    ['r = [1* int]', '820102', '80'],
    ['r = [a: tstr, * int]', '8361610102', '820102'],
    ['r = {a: int}', 'a1616101', 'a0'],
    ['r = {a: int}', 'a1616101', 'a2616101616202'],
    ['r = {a: int}', 'a1616101', 'a16161f6'],
    ['r = {? a: int, * tstr => any}', 'a16162f6', 'a16161f6'],
    ['r = {? a: int, * tstr => any}', 'a0', 'a101f6'],
    ['r = {k => tstr}\nk = -2', 'a1216161', 'a1616b6161'],
    ['r = {g, b => int}\ng = (? a => int)\na = 1\nb = 2', 'a201010202', 'a10101'],
    ['r = [m: {a: int}]', '81a1616101', '81a16161f5'],
  ])('%s takes %s and not %s', (cddl, good, bad) => {
    expect(isOf(cddl, good)).toBe(true);
    expect(isOf(cddl, bad)).toBe(false);
  });

  test('a key that stands twice is no map', () => {
    expect(isOf('r = {* tstr => any}', 'a2616101616102')).toBe(false);
  });

  test.each([
    ['a rule that is not there', 'r = [a: nowhere]'],
    ['a rule that is there twice', 'r = 1\nr = 2'],
    ['a rule of the prelude', 'r = 1\nint = 2'],
    ['choices of groups', 'r = {a: int // b: int}'],
    ['an added choice', 'r = 1\nr /= 2'],
    ['a tag', 'r = #6.1(int)'],
    ['unwrapping', 'r = ~s\ns = int'],
    ['a range without its end', 'r = 0...5'],
    ['a float', 'r = 1.5'],
    ['a range of floats', 'r = 0.5..1.5'],
    ['an operator on bytes', 'r = bstr .size (1..2)'],
    ['a size that is no range', 'r = tstr .size 2'],
    ['another operator', 'r = uint .lt 5'],
    ['a kind of the prelude that is not known', 'r = tdate'],
    ['a group that is repeated', 'r = {* g}\ng = (a: int)'],
  ])('%s is said not to be understood', (_, cddl) => {
    expect(() => isOf(cddl, 'a0')).toThrow();
  });

  test.each(['', '6261', '9f01ff', 'c100', 'f7', '0101', '1c', '61ff', '9b7fffffffffffffff'])(
    '%s is no item',
    (hex) => {
      expect(() => readItem(Buffer.from(hex, 'hex'))).toThrow();
    },
  );
});
