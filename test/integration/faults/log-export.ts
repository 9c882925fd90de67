export interface ExportedRow {
  readonly id: number;
  readonly device: string;
  readonly metric: string;
  readonly timeUs: number;
  readonly value: unknown;
}

/** The rows of `GET /api/v1/export/log`. Throws when the export broke off, which its missing last line tells. */
export function exportedRows(ndjson: string): ExportedRow[] {
  const lines = ndjson.trimEnd().split('\n');
  const last = JSON.parse(lines.pop()!) as { end?: boolean; rows?: number };
  if (last.end !== true || last.rows !== lines.length) throw new Error('the export is not whole');
  return lines.map((line) => JSON.parse(line) as ExportedRow);
}

/** How often each number of a device's messages is in the log. */
export function timesStored(rows: readonly ExportedRow[], device: string): Map<number, number> {
  const times = new Map<number, number>();
  for (const row of rows) {
    if (row.device === device) times.set(row.value as number, (times.get(row.value as number) ?? 0) + 1);
  }
  return times;
}
