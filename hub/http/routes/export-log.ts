import { once } from 'node:events';
import type { Response } from 'express';
import * as z from 'zod';
import type { LogRow, StoreReader } from '#hub/store/port.js';
import { json } from '../answers.ts';
import type { ApiLimits } from '../limits.ts';
import { route, type Route } from '../route.ts';
import { exportLine } from '../schemas/readings.ts';
import { queryInstant, queryInteger } from '../validate.ts';

const NDJSON = 'application/x-ndjson';

const query = z.strictObject({
  afterId: queryInteger(0, Number.MAX_SAFE_INTEGER).optional().describe('Only rows after this one'),
  from: queryInstant.optional(),
  to: queryInstant.optional(),
});

/** The log as it is, nothing merged: for backups, and for proving what is on disk. */
export function exportRoutes(limits: ApiLimits): readonly Route[] {
  return [
    route(
      'GET',
      '/api/v1/export/log',
      {
        id: 'exportLog',
        tag: 'Readings',
        summary: 'All readings in commit order, as NDJSON',
        scope: 'read',
        query,
        answers: { 200: json(exportLine, 'One object a line; the last one says that nothing is missing', {}, NDJSON) },
      },
      async ({ api, query, res }) => {
        const { afterId = 0, from = 0, to = Infinity } = query;
        const lastId = await api.reader.lastLogId();
        res.status(200).setHeader('content-type', NDJSON);
        const wanted = (row: LogRow): boolean => row.timeUs >= from && row.timeUs < to;
        await writeLog(res, api.reader, { afterId, lastId, wanted, pageRows: limits.exportPageRows });
        return null;
      },
    ),
  ];
}

/**
 * Writes pages until `lastId`, each only when the client has taken the one before. Stops without a word when the client
 * goes. The last line says that nothing is missing; an export that broke off has none.
 */
async function writeLog(
  res: Response,
  reader: StoreReader,
  span: { afterId: number; lastId: number; wanted: (row: LogRow) => boolean; pageRows: number },
): Promise<void> {
  let rows = 0;
  for (let afterId = span.afterId; afterId < span.lastId;) {
    const page = await reader.log(afterId, span.pageRows);
    if (page.length === 0) break;
    afterId = page.at(-1)!.id;
    const lines = page.filter((row) => row.id <= span.lastId && span.wanted(row)).map(line);
    rows += lines.length;
    if (!(await taken(res, lines.join('')))) return;
  }
  res.end(`${JSON.stringify({ end: true, rows })}\n`);
}

function line({ id, device, metric, timeUs, value }: LogRow): string {
  return `${JSON.stringify({ id, device, metric, timeUs, value })}\n`;
}

/** Resolves once the client has room for more: true. False: it is gone. */
async function taken(res: Response, text: string): Promise<boolean> {
  if (isGone(res)) return false;
  // A write can end it, and `close` would then never come again.
  if (text === '' || res.write(text)) return !isGone(res);
  if (isGone(res)) return false;
  const stop = new AbortController();
  const { signal } = stop;
  try {
    await Promise.race([once(res, 'drain', { signal }), once(res, 'close', { signal })]);
  } finally {
    stop.abort();
  }
  return !isGone(res);
}

function isGone(res: Response): boolean {
  return res.destroyed;
}
