import { plain } from './text.ts';

/** Columns for people: as wide as their longest cell, two spaces apart, the last one unpadded. Control characters in cells are made visible. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows.map((row) => row.map(plain))];
  const widths = head.map((_, i) => Math.max(...all.map((row) => (row[i] ?? '').length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd();
  return all.map(line).join('\n');
}

/** A label and a value a line, the values below each other. */
export function fields(rows: readonly (readonly [label: string, value: string])[]): string {
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => `${label.padEnd(width)}  ${plain(value)}`.trimEnd()).join('\n');
}
