import { isUtf8 } from 'node:buffer';
import { escapeHeader, escapesOf, type Dialect } from './dialect.ts';

export type Header = readonly [name: string, value: string];

/**
 * One frame as one WebSocket message: text when the body is valid UTF-8 and `binary` does not ask otherwise, because
 * browser clients such as webstomp-client are written for text; else bytes.
 *
 * A body brings its content-length ("SHOULD", STOMP 1.2, Header content-length), so `headers` must not. CONNECT and
 * CONNECTED are not escaped: their values must hold no line end, which is the caller's to keep. NUL, which ends frames
 * for simple parsers wherever it stands, becomes U+FFFD in headers.
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
    head +=
      escapes === null ? `${name}:${value}\n` : `${escapeHeader(name, escapes)}:${escapeHeader(value, escapes)}\n`;
  }
  if (head.includes('\0')) head = head.replaceAll('\0', '\uFFFD');
  head += body === null ? '\n' : `content-length:${body.length}\n\n`;
  if (!binary && (body === null || isUtf8(body))) return body === null ? `${head}\0` : `${head}${body.toString()}\0`;
  return body === null
    ? Buffer.from(`${head}\0`)
    : Buffer.concat([Buffer.from(head), body, END], Buffer.byteLength(head) + body.length + 1);
}

const END = Buffer.from([0]);
