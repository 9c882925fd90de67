import { generate } from 'mqtt-packet';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { figure, offlineReason, openConnections, presenceOf } from './faults/hub-view.ts';
import { PING, PONG, RawWebSocket } from './faults/raw-web-socket.ts';
import { PROTOCOLS, SUBPROTOCOL } from './faults/test-device.ts';
import { closing, enter, introduction, isTakenIn, lastWords, telemetry } from './faults/words.ts';

const IDENTIFY_MS = 700;
const PING_INTERVAL_MS = 1000;
const PONG_TIMEOUT_MS = 300;
/** Resolution of the deadlines, and what a busy machine adds. */
const SLACK_MS = 1500;

let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub({
    allowAnonymous: true,
    identifyTimeoutMs: IDENTIFY_MS,
    maxUnidentified: 4,
    pingIntervalMs: PING_INTERVAL_MS,
    pongTimeoutMs: PONG_TIMEOUT_MS,
    limitsMinHeartBeatMs: 500,
  });
});
afterAll(() => hub.close());

/** The last test's connections are off the hub's list; what they opened would count in the next one. */
async function alone(): Promise<void> {
  await until('no connection is left', async () => (await openConnections(hub)).length === 0);
}

describe.each(PROTOCOLS)('a client that never identifies itself: %s', (protocol) => {
  test('is closed with 4001 in time, however busily it drips bytes', async () => {
    await alone();
    const silent = await RawWebSocket.open(hub.port, SUBPROTOCOL[protocol]);
    const dripping = await RawWebSocket.open(hub.port, SUBPROTOCOL[protocol]);
    const start = performance.now();
    // A byte of a stream that never becomes an introduction; where a message is a unit, WebSocket pings do the same.
    const slow = introduction(protocol, 'never', 1000);
    let at = 0;
    const drip = setInterval(() => {
      if (protocol === 'cbor') dripping.send(Buffer.from('x'), PING);
      else dripping.send(slow.subarray(at, ++at));
    }, 40);
    for (const raw of [silent, dripping]) {
      const { code, reason } = await closing(raw);
      expect(code).toBe(4001);
      expect(reason).toMatch(/^identify_timeout: /);
      expect(lastWords(protocol, raw)).toBe(protocol === 'mqtt' ? null : 'identify_timeout');
    }
    clearInterval(drip);
    const tookMs = performance.now() - start;
    expect(tookMs).toBeGreaterThan(IDENTIFY_MS - 100);
    expect(tookMs).toBeLessThan(IDENTIFY_MS + SLACK_MS);
  });
});

test('as many as may be unidentified are taken, the next gets 503, and who identifies itself makes room', async () => {
  await alone();
  const raws = await Promise.all([1, 2, 3, 4].map(() => RawWebSocket.open(hub.port, 'mqtt')));
  await expect(RawWebSocket.open(hub.port, 'mqtt')).rejects.toThrow(' 503 ');
  const { headers, body } = await refusal();
  expect(Number(headers['retry-after'])).toBeGreaterThan(0);
  expect(JSON.parse(body)).toMatchObject({ status: 503, code: 'too_many_unidentified' });

  raws[0]!.send(introduction('mqtt', 'makes-room'));
  await until('it is taken in', () => isTakenIn('mqtt', raws[0]!));
  raws.push(await RawWebSocket.open(hub.port, 'mqtt'));
  await expect(RawWebSocket.open(hub.port, 'mqtt')).rejects.toThrow(' 503 ');

  raws[1]!.destroy();
  await until('one who leaves makes room too', async () => {
    const again = await RawWebSocket.open(hub.port, 'mqtt').catch(() => null);
    if (again !== null) raws.push(again);
    return again !== null;
  });
  const { body: refused } = await hub.api('GET', '/api/v1/refused');
  expect(refused.items[0]).toMatchObject({ code: 'too_many_unidentified', status: 503, offered: 'mqtt' });
  expect(refused.counts.too_many_unidentified).toBeGreaterThanOrEqual(3);
  for (const raw of raws) raw.destroy();
});

function refusal(): Promise<{ headers: Record<string, unknown>; body: string }> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(hub.wsUrl, 'mqtt');
    socket.on('error', () => undefined);
    socket.on('open', () => reject(new Error('it was let in')));
    socket.on('unexpected-response', (_request, response) => {
      let body = '';
      response.on('data', (part: Buffer) => (body += part.toString()));
      response.on('end', () => resolve({ headers: response.headers, body }));
    });
  });
}

describe('a half-open peer', () => {
  test('that answers no ping is shown offline within the limit, in each protocol', async () => {
    await alone();
    const ids = PROTOCOLS.map((protocol) => `half-open-${protocol}`);
    const raws = await Promise.all(PROTOCOLS.map((protocol, i) => enter(protocol, hub.port, ids[i]!)));
    for (const id of ids) expect((await presenceOf(hub, id)).online).toBe(true);
    const start = performance.now();
    for (const id of ids) expect(await offlineReason(hub, id)).toBe('ping_timeout');
    expect(performance.now() - start).toBeLessThan(PING_INTERVAL_MS + PONG_TIMEOUT_MS + SLACK_MS);
    for (const raw of raws) {
      expect(raw.frames.some(({ opcode }) => opcode === PING)).toBe(true);
      await until('its socket is cut', () => raw.gone);
    }
    expect(await presenceOf(hub, ids[0]!)).toMatchObject({ online: false, initiator: 'hub' });
  });

  test('that answers pings, or sends anything else, stays', async () => {
    await alone();
    const pongs = await Promise.all(PROTOCOLS.map((protocol) => enter(protocol, hub.port, `pongs-${protocol}`)));
    const talker = await enter('mqtt', hub.port, 'talks');
    let seq = 0;
    const talk = setInterval(() => {
      for (const raw of pongs) {
        const ping = raw.frames.findIndex(({ opcode }) => opcode === PING);
        if (ping >= 0) raw.send(raw.frames.splice(ping, 1)[0]!.payload, PONG);
      }
      // No pong, but telemetry: any byte is life.
      talker.send(telemetry('mqtt', ++seq));
    }, 50);
    const start = performance.now();
    await until('two ping intervals have passed', () => performance.now() - start > 2.5 * PING_INTERVAL_MS);
    clearInterval(talk);
    for (const id of [...PROTOCOLS.map((protocol) => `pongs-${protocol}`), 'talks']) {
      expect((await presenceOf(hub, id)).online, id).toBe(true);
    }
    for (const raw of [...pongs, talker]) raw.destroy();
  });
});

describe('a dead client whose library still answers WebSocket pings', () => {
  test('MQTT: is closed after 1.5 times its keep-alive, while one that keeps its word stays', async () => {
    await alone();
    const dead = await mqttWithKeepAlive('dead');
    const alive = await mqttWithKeepAlive('alive');
    let pings = 0;
    dead.on('ping', () => pings++);
    const closed = new Promise<[number, Buffer]>((resolve) => {
      dead.once('close', (code, reason) => resolve([code, reason]));
    });
    const start = performance.now();
    // Bytes of a packet that never becomes whole prove nothing [MQTT-3.1.2-24].
    dead.send(Buffer.of(0x30, 100, 0, 90));
    const drip = setInterval(() => {
      dead.send(Buffer.from('x'));
      alive.send(Buffer.of(0xc0, 0));
    }, 200);
    const [code, reason] = await closed;
    expect(code).toBe(4008);
    expect(reason.toString()).toMatch(/^keep_alive_timeout: /);
    expect(performance.now() - start).toBeGreaterThan(1400);
    expect(performance.now() - start).toBeLessThan(1500 + SLACK_MS);
    expect(pings).toBeGreaterThan(0);
    expect(await offlineReason(hub, 'dead')).toBe('keep_alive_timeout');
    await until('twice the keep-alive has passed', () => performance.now() - start > 2000);
    expect((await presenceOf(hub, 'alive')).online).toBe(true);
    clearInterval(drip);
    alive.terminate();
  });

  test('STOMP: is told in an ERROR frame after twice its heart-beat', async () => {
    await alone();
    const raw = await RawWebSocket.open(hub.port, 'v12.stomp');
    raw.send('CONNECT\naccept-version:1.2\nhost:h\nclient-id:dead-stomp\nheart-beat:500,0\n\n\0');
    const pong = setInterval(() => raw.send(Buffer.of(), PONG), 100);
    const { code } = await closing(raw);
    clearInterval(pong);
    expect(code).toBe(4008);
    expect(lastWords('stomp', raw)).toBe('heart_beat_timeout');
    expect(await offlineReason(hub, 'dead-stomp')).toBe('heart_beat_timeout');
  });
});

/** A client of the library `ws`, which answers pings by itself, with a keep-alive of 1 s. */
async function mqttWithKeepAlive(clientId: string): Promise<WebSocket> {
  const socket = new WebSocket(hub.wsUrl, 'mqtt');
  await new Promise((resolve) => socket.once('open', resolve));
  const connect = { protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId, keepalive: 1 } as const;
  socket.send(generate({ cmd: 'connect', ...connect }));
  await new Promise((resolve) => socket.once('message', resolve));
  return socket;
}

test('the figures count each reason', async () => {
  await alone();
  expect(await figure(hub, 'muster_connections_closed_total{reason="identify_timeout"}')).toBe(6);
  expect(await figure(hub, 'muster_connections_closed_total{reason="ping_timeout"}')).toBe(3);
  expect(await figure(hub, 'muster_connections_closed_total{reason="keep_alive_timeout"}')).toBe(1);
  expect(await figure(hub, 'muster_connections_closed_total{reason="heart_beat_timeout"}')).toBe(1);
});
