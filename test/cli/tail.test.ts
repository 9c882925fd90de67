import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '#test/support/hub.js';
import { FakeProcess } from './harness.ts';

/** 2026-01-01T00:00:00Z, when the tests play. */
const NOW_MS = Date.UTC(2026, 0, 1);
const NOW_US = NOW_MS * 1000;
const HEAD = 'retry: 10\n\nevent: hello\nid: r-0\ndata: {"nowMs":0,"resumed":false,"alarms":[]}\n\n';

let server: Server;
let me: FakeProcess;
/** What came to /live, and how it is answered. */
const requests: IncomingMessage[] = [];
let answer: (res: ServerResponse, req: IncomingMessage) => void;
const streams: ServerResponse[] = [];
let running: Promise<number>;

beforeEach(async () => {
  requests.length = 0;
  streams.length = 0;
  answer = (res) => void res.write(HEAD);
  server = createServer((req, res) => {
    if (!req.url!.startsWith('/api/v1/live')) {
      const known = req.url === '/api/v1/devices/pump';
      res.writeHead(known ? 200 : 404).end(known ? '{}' : '{"detail":"there is no device x"}');
      return;
    }
    requests.push(req);
    streams.push(res);
    answer(res, req);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  me = new FakeProcess();
  me.env.MUSTER_URL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  me.env.MUSTER_TOKEN = 'mst_00_x';
});
afterEach(async () => {
  me.signals.emit('SIGINT');
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** Runs `muster tail …` and waits for its stream. */
async function tail(...words: string[]): Promise<void> {
  running = me.run(['tail', ...words]);
  await Promise.race([until('the stream', () => streams.length === 1), running]);
}

function send(kind: string, data: unknown, id = ''): void {
  streams.at(-1)!.write(`event: ${kind}\n${id === '' ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);
}

const value = (metric: string, v: unknown, timeUs = NOW_US + 1_500_000) => ({ metric, value: v, timeUs });
const command = (change: object) => ({
  ...{ id: 'c-1', device: 'pump', name: 'reboot', state: 'queued', createdUs: NOW_US },
  ...{ sentUs: null, receivedUs: null, finishedUs: null, attempts: 0, result: null, lateStatus: null },
  ...change,
});
const presence = (change: object) => ({
  ...{ online: true, epoch: 3, protocol: 'mqtt', connectedMs: NOW_MS, disconnectedMs: null },
  ...{ reason: null, initiator: null },
  ...change,
});

describe('muster tail', () => {
  it('prints readings, presence, commands and alarms as they happen, until Ctrl-C', async () => {
    await tail();
    send('presence', [
      { device: 'pump', presence: presence({}) },
      {
        device: 'old',
        presence: presence({ online: false, disconnectedMs: NOW_MS, reason: 'ping_timeout', initiator: 'hub' }),
      },
      { device: 'gone', presence: null },
    ]);
    send('latest', [
      { device: 'pump', values: [value('temp', 21.5), value('ok', true)] },
      {
        device: 'valve',
        values: [value('mode', 'auto', NOW_US - 86_400_000_000), { ...value('log', 'ab'), cut: true }],
      },
    ]);
    send('command', [
      command({}),
      command({ state: 'succeeded', finishedUs: NOW_US + 2_000_000, result: { a: 1 } }),
      command({ state: 'timed_out', lateStatus: 'failed', resultCut: true }),
    ]);
    send('alarm', [
      { code: 'backlog_high', raised: true, sinceMs: NOW_MS, detail: '9 readings wait' },
      { code: 'backlog_high', raised: false, sinceMs: NOW_MS, detail: '9 readings wait' },
    ]);
    send('resync', { reason: 'too_slow' });
    await until('the last line', () => me.out.includes('too_slow'));
    expect(me.out.split('\n')).toEqual([
      '00:00:00.000  pump  online mqtt, connection 3',
      '00:00:00.000  old  offline ping_timeout (by hub)',
      '00:00:00.000  gone  deleted',
      '00:00:01.500  pump  temp 21.5  ok true',
      '2025-12-31T00:00:00.000Z  valve  mode auto',
      '00:00:01.500  valve  log ab…',
      '00:00:00.000  pump  command reboot queued  c-1',
      '00:00:02.000  pump  command reboot succeeded {"a":1}  c-1',
      '00:00:00.000  pump  command reboot timed_out, late result: failed (long result)  c-1',
      '00:00:00.000  hub  alarm backlog_high 9 readings wait',
      '00:00:00.000  hub  alarm backlog_high is over',
      'some changes are not shown here (too_slow)',
      '',
    ]);
    me.signals.emit('SIGINT');
    expect(await running).toBe(0);
    expect(me.err).toBe('');
    await until('the stream is closed', () => streams[0]!.closed);
  });

  it('--json prints one object a line', async () => {
    answer = (res) => {
      const hello = {
        nowMs: 0,
        resumed: false,
        alarms: [{ code: 'backlog_high', raised: true, sinceMs: 1, detail: '' }],
      };
      res.write(`event: hello\nid: r-0\ndata: ${JSON.stringify(hello)}\n\n`);
    };
    await tail('--json');
    send('latest', [
      { device: 'pump', values: [value('temp', 21.5)] },
      { device: 'valve', values: [] },
    ]);
    send('newer', ['something that this program does not know']);
    send('resync', { reason: 'too_old' });
    await until('the last line', () => me.out.includes('too_old'));
    expect(
      me.out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { kind: 'alarm', code: 'backlog_high', raised: true, sinceMs: 1, detail: '' },
      { kind: 'latest', device: 'pump', values: [value('temp', 21.5)] },
      { kind: 'latest', device: 'valve', values: [] },
      { kind: 'resync', reason: 'too_old' },
    ]);
  });

  it('paints on a terminal alone, and not when NO_COLOR is set', async () => {
    me.stdout.isTTY = true;
    await tail();
    send('presence', [{ device: 'pump', presence: null }]);
    await until('a line', () => me.out.includes('deleted'));
    expect(me.out).toContain('\u001b[31mdeleted\u001b[39m');
    me.signals.emit('SIGINT');
    await running;
    me.out = '';
    streams.length = 0;
    me.env.NO_COLOR = '1';
    await tail();
    send('presence', [{ device: 'pump', presence: null }]);
    await until('a line', () => me.out.includes('deleted'));
    expect(me.out).toBe('00:00:00.000  pump  deleted\n');
  });

  it('text of a device cannot steer the terminal', async () => {
    await tail();
    send('latest', [{ device: 'pump', values: [value('log', '\u001b[2Jgone\n')] }]);
    send('command', [command({ state: 'failed', result: '\u009b31m' })]);
    await until('lines', () => me.out.includes('failed'));
    expect(me.out).toContain('log \\x1b[2Jgone\\x0a\n');
    expect(me.out).toContain('failed "\\x9b31m"');
  });

  it('of one device asks for it alone, and says at once when there is none', async () => {
    await tail('pump');
    expect(requests[0]!.url).toBe('/api/v1/live?devices=pump');
    me.signals.emit('SIGINT');
    await running;
    expect(await me.run(['tail', 'x'])).toBe(1);
    expect(me.err).toBe('muster: there is no device x\n');
  });

  it('comes back with the last id when the stream breaks, and says so once', async () => {
    await tail();
    expect(requests[0]!.headers['last-event-id']).toBeUndefined();
    send('latest', [{ device: 'pump', values: [value('temp', 1)] }], 'r-7');
    streams[0]!.write(': beat\nid: r-9\n\n');
    await until('the value', () => me.out.includes('temp 1'));
    answer = (res) => void res.destroy();
    streams[0]!.destroy();
    await until('three tries', () => streams.length === 4);
    expect(requests.slice(1).map((req) => req.headers['last-event-id'])).toEqual(['r-9', 'r-9', 'r-9']);
    answer = (res) => void res.write(HEAD);
    await until('it is back', () => streams.length === 5);
    send('latest', [{ device: 'pump', values: [value('temp', 2)] }]);
    await until('the next value', () => me.out.includes('temp 2'));
    expect(me.err).toMatch(/^muster: .*; trying again\n$/);
  });

  it.each([
    [401, 'does not accept this token'],
    [403, 'needs the scope read'],
    [400, 'is no device id'],
  ])('gives up when coming back is answered with %i', async (status, words) => {
    await tail();
    answer = (res) => void res.writeHead(status).end(JSON.stringify({ detail: words }));
    streams[0]!.end();
    expect(await running).toBe(1);
    expect(me.err).toContain(words);
  });

  it('tries on while the hub restarts or has too many viewers', async () => {
    await tail();
    let tries = 0;
    answer = (res) => {
      if (++tries < 3) res.writeHead(tries === 1 ? 503 : 429).end('{"detail":"later"}');
      else res.write(HEAD);
    };
    streams[0]!.end();
    await until('it is back', () => tries === 3);
    send('presence', [{ device: 'pump', presence: null }]);
    await until('a line', () => me.out.includes('deleted'));
  });

  it('says at once when there is no hub, or what answers is none', async () => {
    answer = (res) => void res.end('event: hello\ndata: <html>\n\n');
    expect(await me.run(['tail'])).toBe(1);
    expect(me.err).toContain('does not speak as a hub does');
    me.err = '';
    expect(await me.run(['tail', '--url', 'http://127.0.0.1:1'])).toBe(1);
    expect(me.err).toContain('no hub answers');
  });
});
