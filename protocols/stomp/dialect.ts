/** How one STOMP version writes octets that cannot stand in a header (STOMP 1.2, Value Encoding). Everything else of the frame format is shared. */
export interface Dialect {
  readonly version: string;
  /** The letter after a backslash → what it stands for. Null: no escaping, a backslash is a backslash. */
  readonly escapes: ReadonlyMap<string, string> | null;
}

export const STOMP_1_2: Dialect = {
  version: '1.2',
  escapes: new Map([
    ['r', '\r'],
    ['n', '\n'],
    ['c', ':'],
    ['\\', '\\'],
  ]),
};

/** "All frames except the CONNECT and CONNECTED frames" are escaped; a STOMP frame is a CONNECT (STOMP 1.2, CONNECT or STOMP Frame). */
const EXEMPT: ReadonlySet<string> = new Set(['CONNECT', 'STOMP', 'CONNECTED']);

/** The escapes that apply to a frame, or null. */
export function escapesOf(dialect: Dialect, command: string): ReadonlyMap<string, string> | null {
  return EXEMPT.has(command) ? null : dialect.escapes;
}

/** Null where a backslash is followed by anything undefined: such a frame "MUST be treated as a fatal protocol error". */
export function unescapeHeader(text: string, escapes: ReadonlyMap<string, string>): string | null {
  let out = '';
  let from = 0;
  for (let at = text.indexOf('\\'); at !== -1; at = text.indexOf('\\', from)) {
    const meant = escapes.get(text.charAt(at + 1));
    if (meant === undefined) return null;
    out += text.slice(from, at) + meant;
    from = at + 2;
  }
  return out + text.slice(from);
}

export function escapeHeader(text: string, escapes: ReadonlyMap<string, string>): string {
  let out = text;
  // The backslash first: the others bring backslashes of their own.
  if (out.includes('\\')) out = out.replaceAll('\\', '\\\\');
  for (const [letter, meant] of escapes) {
    if (meant !== '\\' && out.includes(meant)) out = out.replaceAll(meant, `\\${letter}`);
  }
  return out;
}
