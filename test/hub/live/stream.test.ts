import { get, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LiveHub } from '#hub/live/feed.js';
import { FigureMeter } from '#hub/live/figures.js';
import { LIVE_LIMITS } from '#hub/live/limits.js';
import { Counters } from '#hub/observe/counters.js';
import type { CommittedSeries } from '#hub/telemetry/port.js';
import { until } from '#test/support/hub.js';
import { API_TOKEN, FakeHub, serveApi } from '../http/fakes.ts';
import { LEVELS, online, seriesOf } from './parts.ts';

let hub: FakeHub;
let live: LiveHub;
let commit: (...series: CommittedSeries[]) => void;
let api: Awaited<ReturnType<typeof serveApi>>;
const open: { destroy(): void }[] = [];

beforeEach(async () => {
  hub = new FakeHub();
  let listener: ((changed: readonly CommittedSeries[]) => void) | null = null;
  commit = (...series) => listener?.(series);
  live = new LiveHub({
    clock: hub.clock,
    limits: { ...LIVE_LIMITS, maxViewers: 3 },
    alarms: [],
    figures: new FigureMeter(new Counters(), () => LEVELS, hub.clock),
    run: 'r',
    watchReadings: (given) => void (listener = given),
  });
  hub.live = live;
  api = await serveApi(hub);
});
afterEach(async () => {
  for (const client of open.splice(0)) client.destroy();
  await api.close();
});

/** A client that reads the stream as it comes. */
async function viewer(path = '/api/v1/live', headers: Record<string, string> = {}) {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = get(api.url + path, { headers: { authorization: `Bearer ${API_TOKEN}`, ...headers } }, resolve);
    request.on('error', reject);
    open.push(request);
  });
  const seen = { answer, text: '', ended: false };
  answer.setEncoding('utf8').on('data', (text: string) => (seen.text += text));
  answer.on('close', () => (seen.ended = true)).on('error', () => undefined);
  return seen;
}

/** A client that reads nothing after it has asked. */
async function deafViewer(): Promise<Socket> {
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  open.push(socket);
  socket.on('error', () => undefined).pause();
  socket.write(`GET /api/v1/live HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer ${API_TOKEN}\r\n\r\n`);
  const before = live.viewers;
  await until('the viewer is there', () => live.viewers > before);
  return socket;
}

describe('GET /api/v1/live', () => {
  it('is a stream of events that nothing on the way may gather or keep', async () => {
    const me = await viewer();
    expect(me.answer.statusCode).toBe(200);
    expect(me.answer.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    });
    live.presenceChanged('pump', online(4));
    hub.clock.advance(0);
    await until('presence', () => me.text.includes('event: presence'));
    expect(me.text).toMatch(/^retry: 2000\n\nevent: hello\nid: r-0\ndata: \{.*\}\n\nevent: presence\nid: r-1\n/);
  });

  it('beats each 15 s, with the place so far', async () => {
    const me = await viewer('/api/v1/live?devices=valve');
    commit(seriesOf('pump', 'temp'));
    hub.clock.advance(14_999);
    hub.clock.advance(1);
    await until('a beat', () => me.text.includes(': beat\nid: r-1\n\n'));
    hub.clock.advance(15_000);
    await until('another', () => me.text.split(': beat').length === 3);
  });

  it('takes device ids separated by commas, repeated or both', async () => {
    const me = await viewer('/api/v1/live?devices=a,b&devices=c');
    commit(...['a', 'b', 'c', 'd'].map((device) => seriesOf(device, 'm')));
    hub.clock.advance(0);
    await until('values', () => me.text.includes('event: latest'));
    const data = JSON.parse(/event: latest\nid: r-4\ndata: (.*)\n/.exec(me.text)![1]!);
    expect(data.map((change: { device: string }) => change.device)).toEqual(['a', 'b', 'c']);
  });

  it.each([
    ['devices=', '"" is no device id'],
    ['devices=a,,b', '"" is no device id'],
    ['devices=a%20b', '"a b" is no device id'],
    ['devices=me', '"me" is no device id'],
    [`devices=${Array.from({ length: 501 }, (_, i) => `d${i}`).join()}`, 'at most 500 devices'],
    ['device=a', 'unknown parameter'],
  ])('refuses %s', async (query, words) => {
    const { status, body } = await api.call('GET', `/api/v1/live?${query}`);
    expect(status).toBe(400);
    expect(body.detail).toContain(words);
    expect(live.viewers).toBe(0);
  });

  it('goes on where Last-Event-ID says', async () => {
    const first = await viewer();
    live.presenceChanged('pump', online(4));
    live.presenceChanged('valve', online(1));
    first.answer.destroy();
    await until('it has gone', () => live.viewers === 0);
    const me = await viewer('/api/v1/live', { 'last-event-id': 'r-1' });
    hub.clock.advance(250);
    await until('presence', () => me.text.includes('"valve"'));
    expect(me.text).toContain('"resumed":true');
    expect(me.text).not.toContain('"pump"');
  });

  it('needs a token, takes so many viewers and no more, and lets go of those who went', async () => {
    expect((await api.call('GET', '/api/v1/live', { token: null })).status).toBe(401);
    const viewers = [await viewer(), await viewer(), await viewer()];
    const refused = await api.call('GET', '/api/v1/live');
    expect([refused.status, refused.body.code]).toEqual([429, 'limit']);
    viewers[0]!.answer.destroy();
    await until('one has gone', () => live.viewers === 2);
    expect((await viewer()).answer.statusCode).toBe(200);
  });

  it('ends when the token is revoked', async () => {
    const [me, other] = [await viewer(), await viewer()];
    hub.clock.advance(15_000);
    await until('a beat', () => me.text.includes(': beat'));
    expect(live.viewers).toBe(2);
    hub.tokens.verifyApi = () => null;
    hub.clock.advance(15_000);
    await until('the end', () => me.ended && other.ended);
    expect(me.answer.complete).toBe(true);
    expect(live.viewers).toBe(0);
  });

  it('HEAD asks for the headers alone', async () => {
    const { status, headers } = await api.call('HEAD', '/api/v1/live');
    expect([status, headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
    expect(live.viewers).toBe(0);
  });

  it('ends when the hub stops, and says to come back when it is stopping already', async () => {
    const me = await viewer();
    live.close();
    await until('the end', () => me.ended);
    expect(me.answer.complete).toBe(true);
    hub.currentPhase = 'stopping';
    expect((await api.call('GET', '/api/v1/live')).status).toBe(503);
  });
});

describe('a viewer that does not read', () => {
  const many = Array.from({ length: 400 }, (_, i) => seriesOf(`device-${i}`, 'log', 'x'.repeat(1000)));
  /** What the hub holds for the clients that are there, sockets of the kernel not counted. */
  let held: () => number;

  beforeEach(() => {
    const sockets = new Set<Socket>();
    api.server.on('connection', (socket) => void sockets.add(socket));
    held = () => Math.max(0, ...[...sockets].map((socket) => socket.writableLength));
  });

  it('makes the hub hold at most 256 KiB, and is cut off after a minute', async () => {
    const deaf = await deafViewer();
    let most = 0;
    let stuck = 0;
    // Until the kernel takes no more: some megabytes on loopback.
    for (let i = 0; i < 1000 && stuck < 20; i++) {
      commit(...many);
      hub.clock.advance(250);
      const before = held();
      await new Promise((resolve) => setImmediate(resolve));
      most = Math.max(most, before, held());
      stuck = held() > 0 && held() === before ? stuck + 1 : 0;
    }
    expect(stuck).toBe(20);
    expect(most).toBeGreaterThan(64 * 1024);
    expect(most).toBeLessThanOrEqual(256 * 1024);
    hub.clock.advance(60_000);
    expect(live.viewers).toBe(1);
    hub.clock.advance(15_000);
    await until('it is cut off', () => live.viewers === 0);
    deaf.destroy();
  });

  it('gets the newest state when it reads again, and is not cut off', async () => {
    const deaf = await deafViewer();
    for (let i = 0, stuck = 0; i < 1000 && stuck < 20; i++) {
      commit(...many);
      hub.clock.advance(250);
      await new Promise((resolve) => setImmediate(resolve));
      stuck = held() > 64 * 1024 ? stuck + 1 : 0;
    }
    hub.clock.advance(30_000);
    const last = seriesOf('device-last', 'temp', 42);
    commit(last);
    let text = '';
    deaf.on('data', (bytes) => (text = (text + bytes.toString('latin1')).slice(-4096)));
    deaf.resume();
    await until('the newest', () => {
      hub.clock.advance(250);
      return text.includes('"device-last","values":[{"metric":"temp","value":42');
    });
    hub.clock.advance(120_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(live.viewers).toBe(1);
  });
});
