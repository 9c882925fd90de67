import { hiddenSigns, visibleLine } from '../../visible.ts';

/** Bytes as a device sent them; `text` null: they are not UTF-8. */
export interface Payload {
  readonly base64: string;
  readonly text: string | null;
}

const ROW = 16;

export function bytesOf({ base64 }: Payload): Uint8Array {
  return Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
}

/** Text is worth showing as text: UTF-8 with hardly anything in it that cannot be printed. */
export function isReadable({ text }: Payload): boolean {
  if (text === null) return false;
  return hiddenSigns(text) * 10 <= text.length;
}

/** Rows of 16 bytes: `0010  de ad be ef …  |....|`. */
export function hexRows(bytes: Uint8Array): readonly string[] {
  const rows: string[] = [];
  for (let at = 0; at < bytes.length; at += ROW) {
    const row = [...bytes.subarray(at, at + ROW)];
    const hex = row.map((byte, i) => `${i === ROW / 2 ? ' ' : ''}${byte.toString(16).padStart(2, '0')}`).join(' ');
    const signs = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    rows.push(`${at.toString(16).padStart(4, '0')}  ${hex.padEnd(3 * ROW)}  |${signs}|`);
  }
  return rows;
}

/** The beginning of a payload in one line, for a list. */
export function excerpt(payload: Payload, length: number): string {
  if (payload.text !== null && isReadable(payload)) {
    const line = visibleLine(payload.text.slice(0, length));
    return payload.text.length > length ? `${line}…` : line;
  }
  const bytes = bytesOf(payload);
  const shown = [...bytes.subarray(0, Math.floor(length / 3))]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join(' ');
  return shown.length < bytes.length * 3 - 1 ? `${shown} …` : shown;
}
