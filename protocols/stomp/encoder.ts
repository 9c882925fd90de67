import { isUtf8 } from 'node:buffer';
import { escapeHeader, escapesOf, type Dialect } from './dialect.ts';

export type Header = readonly [name: string, value: string];

/**
 * One frame as one WebSocket message: text when the body is valid UTF-8 and `binary` does not ask otherwise, because
 * browser clients such as webstomp-client are written for text; else bytes.
 *
 * A body brings its content-length ("SHOULD", STOMP 1.2, Header content-length), so `headers` must not. What cannot be written
 * in a header becomes U+FFFD: NUL, which ends frames for simple parsers wherever it stands, and where nothing is escaped
 * (STOMP 1.0, CONNECT, CONNECTED) line ends, and colons in names. Headers without a name are left out.
 */
export function encodeFrame(
  dialect: Dialect,
  command: string,
  headers: readonly Header[],
  body: Buffer | null = null,
  binary = false,
): string | Buffer {
  const escapes = escapesOf(dialect, command);
  let head = `${command}\n`;
  for (const [name, value] of headers) {
    if (name === '') continue;
    head +=
      escapes === null
        ? `${plain(name).replaceAll(':', UNWRITABLE)}:${plain(value)}\n`
        : `${escapeHeader(name, escapes)}:${escapeHeader(value, escapes)}\n`;
  }
  if (head.includes('\0')) head = head.replaceAll('\0', UNWRITABLE);
  head += body === null ? '\n' : `content-length:${body.length}\n\n`;
  if (!binary && (body === null || isUtf8(body))) return body === null ? `${head}\0` : `${head}${body.toString()}\0`;
  return body === null
    ? Buffer.from(`${head}\0`)
    : Buffer.concat([Buffer.from(head), body, END], Buffer.byteLength(head) + body.length + 1);
}

const END = Buffer.from([0]);
const UNWRITABLE = '\uFFFD';

function plain(text: string): string {
  return text.includes('\n') || text.includes('\r') ? text.replaceAll(/[\r\n]/g, UNWRITABLE) : text;
}
