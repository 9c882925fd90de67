import { get, type IncomingMessage } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { API_LIMITS } from '#hub/http/limits.js';
import { API_TOKEN, FakeHub, logRows, NOW_MS, serveApi } from './fakes.ts';

let hub: FakeHub;
let api: Awaited<ReturnType<typeof serveApi>>;

beforeEach(async () => {
  hub = new FakeHub();
  api = await serveApi(hub);
});
afterEach(() => api.close());

async function exported(query = ''): Promise<{ rows: { id: number }[]; end: unknown }> {
  const answer = await api.call('GET', `/api/v1/export/log${query}`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('application/x-ndjson');
  const lines = answer.text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { id: number });
  return { rows: lines.slice(0, -1), end: lines.at(-1) };
}

describe('the export of the log', () => {
  it('gives raw rows in commit order and says at the end how many they were', async () => {
    hub.log_ = [...logRows(2), { id: 7, device: 'b', metric: 'door', timeUs: 5, value: 'open' }];
    const { rows, end } = await exported();
    expect(rows).toEqual([
      { id: 1, device: 'pump', metric: 'temp', timeUs: NOW_MS * 1000, value: 0 },
      { id: 2, device: 'pump', metric: 'temp', timeUs: NOW_MS * 1000 + 1, value: 1 },
      { id: 7, device: 'b', metric: 'door', timeUs: 5, value: 'open' },
    ]);
    expect(end).toEqual({ end: true, rows: 3 });
  });

  it.each([0, 1, API_LIMITS.exportPageRows, API_LIMITS.exportPageRows + 1, 12_345])(
    'of %i rows is whole',
    async (count) => {
      hub.log_ = logRows(count);
      const { rows, end } = await exported();
      expect(rows.map((row) => row.id)).toEqual(hub.log_.map((row) => row.id));
      expect(end).toEqual({ end: true, rows: count });
    },
  );

  it('goes on after an id, also past the end', async () => {
    hub.log_ = logRows(10);
    expect((await exported('?afterId=7')).rows.map((row) => row.id)).toEqual([8, 9, 10]);
    expect((await exported('?afterId=10')).end).toEqual({ end: true, rows: 0 });
    expect((await exported('?afterId=9007199254740990')).end).toEqual({ end: true, rows: 0 });
  });

  it('finds the last row past holes in the ids', async () => {
    hub.log_ = [...logRows(3), ...logRows(2, 1_000_000), ...logRows(1, 2 ** 40)];
    expect((await exported()).rows.map((row) => row.id)).toEqual([1, 2, 3, 1_000_000, 1_000_001, 2 ** 40]);
    expect((await exported('?afterId=999999')).rows).toHaveLength(3);
  });

  it('takes only readings of a span of time when asked to', async () => {
    hub.log_ = logRows(10);
    const us = (n: number) => new Date(NOW_MS).toISOString().replace('000Z', `00000${n}Z`);
    expect((await exported(`?from=${us(3)}&to=${us(6)}`)).rows.map((row) => row.id)).toEqual([4, 5, 6]);
    expect((await exported(`?from=${us(3)}`)).end).toEqual({ end: true, rows: 7 });
  });

  it('of a growing log ends with the rows of the time of the request', async () => {
    hub.log_ = logRows(API_LIMITS.exportPageRows * 2);
    const read = hub.reader.log;
    hub.reader.log = async (afterId, limit) => {
      const page = await read(afterId, limit);
      if (limit > 1) hub.log_ = [...hub.log_, ...logRows(limit, hub.log_.length + 1)];
      return page;
    };
    expect((await exported()).end).toEqual({ end: true, rows: API_LIMITS.exportPageRows * 2 });
  });

  it('breaks off without a last line when the store fails in the middle', async () => {
    hub.log_ = logRows(API_LIMITS.exportPageRows * 3);
    const read = hub.reader.log;
    hub.reader.log = (afterId, limit) =>
      limit > 1 && afterId > 0 ? Promise.reject(new Error('the disk is gone')) : read(afterId, limit);
    await expect(api.call('GET', '/api/v1/export/log')).rejects.toThrow();
    expect(hub.logText).toContain('the disk is gone');
  });

  it('waits for a client that does not read, and stops when it leaves', async () => {
    const value = 'x'.repeat(2000);
    hub.log_ = logRows(20 * API_LIMITS.exportPageRows).map((row) => ({ ...row, value }));
    const read = hub.reader.log;
    let pages = 0;
    hub.reader.log = (afterId, limit) => {
      if (limit > 1) pages++;
      return read(afterId, limit);
    };
    const response = await new Promise<IncomingMessage>((resolve) => {
      get(`${api.url}/api/v1/export/log`, { headers: { authorization: `Bearer ${API_TOKEN}` } }, resolve);
    });
    response.pause();
    response.once('error', () => undefined);
    await vi.waitFor(() => expect(pages).toBeGreaterThan(0));
    await new Promise((resolve) => setTimeout(resolve, 200));
    const stalledAt = pages;
    expect(stalledAt).toBeLessThan(5);
    response.destroy();
    await vi.waitFor(() => expect(hub.logText).toContain('/api/v1/export/log'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(pages).toBe(stalledAt);
  });
});
