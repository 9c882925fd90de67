import type { ExportRow } from './rows.ts';

/** How rows become text. */
export interface ExportFormat {
  readonly head: string;
  line(row: ExportRow): string;
}

export const FORMATS = ['ndjson', 'csv'] as const;
export type FormatName = (typeof FORMATS)[number];

/** NDJSON keeps the kinds of values apart; CSV (RFC 4180) is for spreadsheets. */
export const EXPORT_FORMATS: Readonly<Record<FormatName, ExportFormat>> = {
  ndjson: {
    head: '',
    line({ id, device, metric, timeUs, value }) {
      return `${JSON.stringify({ ...(id === null ? {} : { id }), device, metric, timeUs, value })}\n`;
    },
  },
  csv: {
    head: 'device,metric,time,value\r\n',
    line({ device, metric, timeUs, value }) {
      return `${[device, metric, isoOfUs(timeUs), String(value)].map(cell).join(',')}\r\n`;
    },
  },
};

function cell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** RFC 3339 in UTC with all six digits that a reading's time has. */
function isoOfUs(us: number): string {
  const ms = Math.floor(us / 1000);
  const micros = String(us - ms * 1000).padStart(3, '0');
  return new Date(ms).toISOString().replace('Z', `${micros}Z`);
}
