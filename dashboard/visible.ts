/** Device-chosen text is never markup, and hides nothing: what cannot be seen is shown. */

/** Controls, and what turns the direction of text around: they could make a line read as something else than it is. */
const HIDDEN = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** How many signs of a text cannot be seen; white space does not count. */
export function hiddenSigns(text: string): number {
  return text.match(HIDDEN)?.filter((sign) => !'\t\r\n'.includes(sign)).length ?? 0;
}

/** Text with what cannot be seen made visible: `\n` stays a line break, NUL becomes ␀, others `⟨U+202E⟩`. */
export function visible(text: string): string {
  return text.replace(HIDDEN, (sign) => {
    const code = sign.codePointAt(0)!;
    if (sign === '\n' || sign === '\t') return sign;
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    return code === 0x7f ? '␡' : `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
  });
}

/** The same in one line. */
export function visibleLine(text: string): string {
  return visible(text).replace(/\n/g, '␊').replace(/\t/g, '␉');
}
