import fc from 'fast-check';
import type { Dialect } from '#protocols/stomp/dialect.js';
import { COMMANDS_WITH_BODY } from '#protocols/stomp/frame.js';

/** Text of headers that every reader takes alike: no line ends, colons, backslashes or NUL; U+FEFF, which TextDecoder drops. */
export const headerText = fc
  .string({ unit: 'grapheme', maxLength: 6 })
  .filter((text) => !/[\0\r\n:\\\uFEFF]/.test(text));

/** What a header may hold as it is written in that version: whole escapes, and in 1.0 lone backslashes. */
function writtenText(dialect: Dialect | null): fc.Arbitrary<string> {
  const letters = dialect === null ? [] : [...(dialect.escapes?.keys() ?? ['', 'n', 't'])];
  // Blanks are read in their own ways, too.
  const escape = fc.constantFrom(' ', ...letters.map((letter) => `\\${letter}`));
  return fc
    .array(fc.oneof({ weight: 3, arbitrary: headerText }, escape), { maxLength: 4 })
    .map((parts) => parts.join(''));
}

/** Bytes of one sound frame, escapes of `dialect` in it (null: none), LF or CR LF at all its line ends, and some behind it. */
export function anyFrame(commands: readonly string[], dialect: Dialect | null = null): fc.Arbitrary<Buffer> {
  const text = writtenText(dialect);
  return fc
    .record({
      command: fc.constantFrom(...commands),
      headers: fc.array(
        fc.tuple(
          text.filter((name) => name !== ''),
          text,
        ),
        { maxLength: 5 },
      ),
      repeated: fc.boolean(),
      body: fc.uint8Array({ maxLength: 40 }),
      counted: fc.boolean(),
      eol: fc.constantFrom('\n', '\r\n'),
      between: fc.constantFrom('', '\n', '\r\n\n', '\0', '\n\0\n'),
    })
    .map(({ command, headers, repeated, body, counted, eol, between }) => {
      const content = !COMMANDS_WITH_BODY.has(command)
        ? Buffer.alloc(0)
        : Buffer.from(counted ? body : body.filter((octet) => octet !== 0));
      const lines = headers
        .filter(([name]) => name.trim() !== 'content-length')
        .map(([name, value]) => `${name}:${value}${eol}`);
      if (repeated && lines.length > 0) lines.push(lines[0]!.replace(':', ':again '));
      if (counted) lines.push(`content-length:${content.length}${eol}`);
      return Buffer.concat([
        Buffer.from(`${command}${eol}${lines.join('')}${eol}`),
        content,
        Buffer.from(`\0${between}`),
      ]);
    });
}
