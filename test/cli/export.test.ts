import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeApi } from './fake-api.ts';
import { FakeProcess } from './harness.ts';

let api: FakeApi;
let me: FakeProcess;
let folder: string;

beforeEach(async () => {
  api = await FakeApi.start();
  folder = mkdtempSync(join(tmpdir(), 'muster-export-'));
  me = new FakeProcess();
  me.cwd = folder;
  me.env.MUSTER_URL = api.url;
  me.env.MUSTER_TOKEN = 'mst_00_x';
});
afterEach(async () => {
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});

const row = (id: number, value: unknown = id) => ({
  id,
  device: 'pump',
  metric: 'temp',
  timeUs: 1_767_225_600_000_001 + id,
  value,
});
const lines = (...rows: unknown[]) => rows.map((one) => `${JSON.stringify(one)}\n`).join('');
const queryOf = (n: number) => Object.fromEntries(new URLSearchParams(api.asked[n]!.path.split('?')[1]));

/** Answers an export with each of the texts in turn; a text without the end line breaks off. */
function exportsOf(...texts: string[]): void {
  let turn = 0;
  api.answers['GET /export/log'] = (_, response: ServerResponse) => {
    const text = texts[Math.min(turn++, texts.length - 1)]!;
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.write(text, () => (text.includes('"end"') ? response.end() : response.destroy()));
    return null;
  };
}

describe('muster export', () => {
  it('writes all readings in commit order as NDJSON', async () => {
    exportsOf(lines(row(1), row(2, 'a"b'), row(3, true), { end: true, rows: 3 }));
    expect(await me.run(['export'])).toBe(0);
    expect(me.out).toBe(lines(row(1), row(2, 'a"b'), row(3, true)));
    expect(queryOf(0)).toEqual({ afterId: '0' });
  });

  it('goes on after the last row when the answer breaks off', async () => {
    exportsOf(lines(row(1), row(2)), `${lines(row(3))}{"id":4,"dev`, lines(row(4), { end: true, rows: 1 }));
    expect(await me.run(['export'])).toBe(0);
    expect(me.out).toBe(lines(row(1), row(2), row(3), row(4)));
    expect(api.asked.map((_, n) => queryOf(n).afterId)).toEqual(['0', '2', '3']);
  });

  it('gives up when nothing more comes, and never calls that whole', async () => {
    exportsOf(lines(row(1)), '');
    writeFileSync(join(folder, 'all.ndjson'), 'earlier');
    expect(await me.run(['export', '--out', 'all.ndjson'])).toBe(1);
    expect(me.err).toContain('broke off after row 1');
    expect(readdirSync(folder)).toEqual(['all.ndjson']);
    expect(readFileSync(join(folder, 'all.ndjson'), 'utf8')).toBe('earlier');
  });

  it('survives any cut of the bytes', async () => {
    const text = lines(row(1, 'grün'), row(2), { end: true, rows: 2 });
    api.answers['GET /export/log'] = (_, response) => {
      response.writeHead(200);
      void (async () => {
        for (const byte of Buffer.from(text)) {
          response.write(Buffer.from([byte]));
          await new Promise((resolve) => setImmediate(resolve));
        }
        response.end();
      })();
      return null;
    };
    expect(await me.run(['export'])).toBe(0);
    expect(me.out).toBe(lines(row(1, 'grün'), row(2)));
  });

  it('writes a file whole, as CSV by its name, with times to the microsecond', async () => {
    exportsOf(lines(row(1), row(2, 'a,"b"\nc'), { end: true, rows: 2 }));
    expect(await me.run(['export', '--out', 'all.csv'])).toBe(0);
    expect(me.out).toBe('2 readings are in all.csv\n');
    expect(readFileSync(join(folder, 'all.csv'), 'utf8')).toBe(
      'device,metric,time,value\r\npump,temp,2026-01-01T00:00:00.000002Z,1\r\npump,temp,2026-01-01T00:00:00.000003Z,"a,""b""\nc"\r\n',
    );
  });

  it('reads one device page by page, also those in which nothing was found yet', async () => {
    const item = { metric: 'temp', timeUs: 5, value: 1 };
    const pages = [
      { items: [item], next: 'p1', complete: false },
      { items: [], next: 'p2', complete: false },
      { items: [{ ...item, timeUs: 6 }], next: null, complete: true },
    ];
    let turn = 0;
    api.answers['GET /devices/pump/readings'] = () => ({ body: pages[turn++] });
    expect(
      await me.run(['export', '--device', 'pump', '--metric', 'temp', '--from', '24h', '--to', '2026-01-01T00:00:00Z']),
    ).toBe(0);
    expect(me.out).toBe(lines({ device: 'pump', ...item }, { device: 'pump', ...item, timeUs: 6 }));
    expect(queryOf(0)).toEqual({
      from: '2025-12-31T00:00:00.000Z',
      to: '2026-01-01T00:00:00Z',
      metric: 'temp',
      limit: '10000',
    });
    expect(queryOf(2).after).toBe('p2');
  });

  it('waits for a reader that is slow', async () => {
    exportsOf(lines(row(1), { end: true, rows: 1 }));
    let drain: (() => void) | undefined;
    const stdout = {
      write: (text: string) => ((me.out += text), false),
      once: (_: string, listener: () => void) => (drain = listener),
    };
    Object.assign(me, { stdout });
    let ended = false;
    const running = me.run(['export']).then((code) => ((ended = true), code));
    await expect.poll(() => drain).toBeDefined();
    expect(ended).toBe(false);
    drain!();
    expect(await running).toBe(0);
  });

  it('leaves nothing behind when it is stopped', async () => {
    api.answers['GET /export/log'] = (_, response) => {
      response.writeHead(200);
      response.write(lines(row(1)));
      return null;
    };
    const running = me.run(['export', '--out', 'all.ndjson']);
    await expect.poll(() => existsSync(join(folder, 'all.ndjson.part'))).toBe(true);
    await expect.poll(() => api.asked.length).toBe(1);
    me.signals.emit('SIGINT');
    expect(await running).toBe(1);
    expect(me.err).toBe('muster: stopped; all.ndjson is not written\n');
    expect(readdirSync(folder)).toEqual([]);
    expect(me.signals.listenerCount('SIGINT')).toBe(0);
  });

  it.each<[string, string[], string, string]>([
    ['a metric without its device', ['--metric', 'temp'], '', 'give both'],
    [
      'a folder that is not there',
      ['--out', 'no/where.csv'],
      lines({ end: true, rows: 0 }),
      'does not exist: check the path',
    ],
    ['an answer that is no export', [], '<html>\n', 'is no export of a hub'],
    ['a format that is none', ['--format', 'xml'], '', 'ndjson, csv'],
  ])('says what is wrong: %s', async (_, words, text, message) => {
    exportsOf(text);
    expect(await me.run(['export', ...words])).toBe(1);
    expect(me.err).toContain(message);
    expect(me.err).not.toContain('    at ');
  });
});
