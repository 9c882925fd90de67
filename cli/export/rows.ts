import { CliError } from '../io.ts';
import type { Client } from '../client.ts';

/** A reading as it is exported. */
export interface ExportRow {
  /** Its place in the commit order; null where equal readings were merged. */
  readonly id: number | null;
  readonly device: string;
  readonly metric: string;
  readonly timeUs: number;
  readonly value: number | boolean | string;
}

export interface Span {
  /** As the API takes them: RFC 3339, or milliseconds since 1970. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

const PAGE_ROWS = 10_000;
/** A break is bridged as long as each try brings something. */
const MOST_TRIES_WITHOUT_ROWS = 3;
/** Longer than any row: a device id, a metric and a string value, escaped. */
const LONGEST_LINE = 1024 * 1024;

/** Readings of one device, ascending in time, equal ones once. Throws CliError. */
export async function* deviceRows(
  client: Client,
  device: string,
  query: Span & { readonly metric?: string | undefined },
  signal: AbortSignal,
): AsyncGenerator<readonly ExportRow[]> {
  let after: string | null = null;
  do {
    signal.throwIfAborted();
    const search = searchOf({ ...query, limit: String(PAGE_ROWS), after });
    const page: { items: Omit<ExportRow, 'id' | 'device'>[]; next: string | null } = await client.call(
      'GET',
      `/devices/${encodeURIComponent(device)}/readings?${search}`,
    );
    yield page.items.map(({ metric, timeUs, value }) => ({ id: null, device, metric, timeUs, value }));
    after = page.next;
  } while (after !== null);
}

/**
 * Every reading of the log in commit order. The hub's last line says that nothing is missing; when the answer breaks off
 * before it, the rest is asked for. Throws CliError when nothing more comes.
 */
export async function* logRows(client: Client, span: Span, signal: AbortSignal): AsyncGenerator<readonly ExportRow[]> {
  let afterId = 0;
  let tries = 0;
  while (true) {
    const before = afterId;
    const response = await client.open(`/export/log?${searchOf({ ...span, afterId: String(afterId) })}`, {}, signal);
    for await (const { rows, ended } of parsedLines(response, signal)) {
      afterId = rows.at(-1)?.id ?? afterId;
      if (rows.length > 0) yield rows;
      if (ended) return;
    }
    tries = afterId === before ? tries + 1 : 1;
    if (tries >= MOST_TRIES_WITHOUT_ROWS)
      throw new CliError(
        `the hub broke off after row ${afterId} and gave nothing more: see how it is with \`muster status\``,
      );
  }
}

function searchOf(query: Readonly<Record<string, string | null | undefined>>): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return new URLSearchParams(given).toString();
}

/** Rows as they come, a piece of the answer at a time. Ends without `ended` when the connection does. */
async function* parsedLines(
  response: Response,
  signal: AbortSignal,
): AsyncGenerator<{ rows: ExportRow[]; ended: boolean }> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of pieces(response, signal)) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = lines.pop()!;
    if (rest.length > LONGEST_LINE) throw notAnExport();
    const rows: ExportRow[] = [];
    for (const line of lines) {
      const row = parsed(line);
      if ('end' in row) {
        yield { rows, ended: true };
        return;
      }
      rows.push(row);
    }
    yield { rows, ended: false };
  }
}

/** What of the body arrives; a break ends it quietly. */
async function* pieces(response: Response, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = response.body!.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } catch {
    signal.throwIfAborted();
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function parsed(line: string): ExportRow | { end: true } {
  try {
    const row = JSON.parse(line) as ExportRow | { end: true };
    if ('end' in row || typeof row.id === 'number') return row;
  } catch {
    // Said below.
  }
  throw notAnExport();
}

function notAnExport(): CliError {
  return new CliError('the answer is no export of a hub: is something else between you and it?');
}
