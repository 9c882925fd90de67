import { mkdtempSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { exported, latest, newDevice } from './clients/hub-view.ts';
import { HttpDevice, type HttpAnswer } from './clients/http.ts';
import { HubChild } from './faults/hub-child.ts';
import { connectionOf, figure, offlineReason } from './faults/hub-view.ts';
import { exportedRows, timesStored } from './faults/log-export.ts';
import { canMountSmallDisk, mountSmallDisk } from './faults/small-disk.ts';

let hub: TestHub | null = null;
afterEach(async () => {
  await hub?.close();
  hub = null;
});

async function start(flags: Parameters<typeof startTestHub>[0]): Promise<TestHub> {
  hub = await startTestHub(flags);
  return hub;
}

const anonymous = (port: number, id: string): HttpDevice => new HttpDevice(port, { id });
const retryAfter = ({ headers }: HttpAnswer): number => Number(headers['retry-after']);

/** Is there such a device, and is it online? */
const up = async (id: string): Promise<boolean> =>
  (await hub!.api('GET', `/api/v1/devices/${id}`)).body.presence?.online === true;

describe('a hub that is killed', () => {
  it('between a post and its answer has what it acknowledged, and stores nothing twice', async () => {
    const data = mkdtempSync(join(tmpdir(), 'muster-test-'));
    let child = await HubChild.start({ data, flags: { allowAnonymous: true } });
    const { token } = child;
    let next = 1;
    try {
      for (let round = 0; round < 3; round++) {
        const device = anonymous(child.port, 'd');
        const { body } = await device.ask('POST', '/streams/s', { body: { next } });
        expect(body.resume, 'what was acknowledged is not asked for again').toBeGreaterThanOrEqual(next);
        expect(body.resume, 'nothing is stored that was not sent').toBeLessThanOrEqual(next + 1);
        next = body.resume;
        const agent = new Agent({ keepAlive: true });
        const killed = later(200 + 150 * round).then(() => child.kill('SIGKILL'));
        for (;;) {
          // The answer is lost, or the post never came: only the hub knows.
          const answer = await device.telemetry({ n: next }, { seq: next, agent }).catch(() => null);
          if (answer === null) break;
          expect(answer.body).toEqual({ readings: 1, duplicate: false, ack: next });
          next++;
        }
        await killed;
        agent.destroy();
        child = await HubChild.start({ data, token, flags: { allowAnonymous: true } });
      }
      const device = anonymous(child.port, 'd');
      const { body } = await device.ask('POST', '/streams/s', { body: { next } });
      const again = await device.telemetry({ n: 1 }, { seq: 1 });
      expect(again.body).toMatchObject({ duplicate: true, ack: 1 });
      const rows = exportedRows((await child.api('GET', '/api/v1/export/log')).body as string);
      const times = timesStored(rows, 'd');
      expect(next).toBeGreaterThan(20);
      for (let n = 1; n < (body.resume as number); n++) expect(times.get(n), `reading ${n}`).toBe(1);
      expect(times.size).toBe((body.resume as number) - 1);
    } finally {
      await child.kill('SIGKILL');
      rmSync(data, { recursive: true, force: true });
    }
  });

  it('while a device polls: the device is offline until it polls again, and its command is not lost', async () => {
    const data = mkdtempSync(join(tmpdir(), 'muster-test-'));
    const flags = { allowAnonymous: true };
    let child = await HubChild.start({ data, flags });
    const { token } = child;
    try {
      await anonymous(child.port, 'd').poll();
      const made = await fetch(`http://127.0.0.1:${child.port}/api/v1/devices/d/commands`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: '{"name":"one"}',
      });
      expect(made.status).toBe(201);
      const { body } = await anonymous(child.port, 'd').poll();
      const poll = anonymous(child.port, 'd')
        .poll(`?wait=30`)
        .catch(() => null);
      await until('the command is handed over', async () => (await poll) !== null);
      await child.kill('SIGKILL');
      child = await HubChild.start({ data, token, flags });
      const presence = (await child.api('GET', '/api/v1/devices/d')).body.presence;
      expect(presence).toMatchObject({ online: false, protocol: 'http', reason: 'hub_crashed' });
      const again = await anonymous(child.port, 'd').poll();
      expect(again.body.commands).toMatchObject([{ name: 'one' }]);
      const received = await anonymous(child.port, 'd').poll(`?cursor=${body.cursor as string}`);
      expect(received.body.commands, 'by the cursor of the run before').toEqual([]);
    } finally {
      await child.kill('SIGKILL');
      rmSync(data, { recursive: true, force: true });
    }
  });
});

describe('a hub that stops', () => {
  it('tells polls and event streams to come back, and answers what is in hand', async () => {
    const { port } = await start({ allowAnonymous: true });
    const poll = anonymous(port, 'a').poll('?wait=60');
    const events = anonymous(port, 'b').events();
    await events.headers;
    await until('both are online', async () => (await up('a')) && (await up('b')));
    const post = anonymous(port, 'c').telemetry({ a: 1 });
    await until('it came', async () => (await hub!.api('GET', '/api/v1/devices/c')).status === 200);
    const begun = performance.now();
    const stopped = hub!.hub.stop();
    const answer = await poll;
    expect(answer).toMatchObject({ status: 503, body: { code: 'hub_shutdown' } });
    expect(retryAfter(answer)).toBe(5);
    expect((await post).status).toBe(200);
    await until('the stream has ended', () => events.ended);
    expect(events.events).toMatchObject([{ event: 'goodbye', data: { code: 'hub_shutdown' } }]);
    await stopped;
    expect(performance.now() - begun).toBeLessThan(3000);
  });
});

describe('a slow disk', () => {
  it('holds answers back, and nothing is told before it is written', async () => {
    const { port, data } = await start({ allowAnonymous: true });
    const device = anonymous(port, 'd');
    await device.telemetry({ n: 0 });
    const other = new Database(join(data, 'muster.db'));
    other.exec('BEGIN IMMEDIATE');
    let told = false;
    const post = device.telemetry({ n: 1 }, { seq: 1 }).finally(() => (told = true));
    await later(500);
    expect(told).toBe(false);
    other.exec('ROLLBACK');
    other.close();
    expect((await post).body).toEqual({ readings: 1, duplicate: false, ack: 1 });
  });

  it('that takes too long gets nothing acknowledged; what comes again is stored once', async () => {
    const { port, data } = await start({ allowAnonymous: true, pauseLimitMs: 500 });
    const device = anonymous(port, 'd');
    await device.telemetry({ n: 0 });
    const other = new Database(join(data, 'muster.db'));
    other.exec('BEGIN IMMEDIATE');
    const late = await device.telemetry({ n: 1 }, { seq: 1 });
    expect(late).toMatchObject({ status: 503, body: { code: 'store_unavailable' } });
    expect(retryAfter(late)).toBe(5);
    expect(late.body).not.toHaveProperty('ack');
    other.exec('ROLLBACK');
    other.close();
    await until('the hub writes again', async () => (await device.telemetry({ n: 1 }, { seq: 1 })).status === 200);
    const rows = await exported(hub!, 'd');
    expect(rows.map(({ value }) => value)).toEqual([0, 1]);
  });

  it('with a high backlog slows further posts, then refuses them', async () => {
    const flags = { allowAnonymous: true, backlogHighRows: 5, backlogLowRows: 1 };
    const { port, data } = await start({ ...flags, pauseLimitMs: 1000 });
    const device = anonymous(port, 'd');
    await device.telemetry({ n: 0 });
    const other = new Database(join(data, 'muster.db'));
    other.exec('BEGIN IMMEDIATE');
    const readings = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`m${i}`, i]));
    const first = device.telemetry(readings);
    await later(100);
    const begun = performance.now();
    const second = await device.telemetry(readings);
    expect(second).toMatchObject({ status: 503, body: { code: 'overloaded' } });
    expect(retryAfter(second)).toBe(5);
    expect(performance.now() - begun).toBeGreaterThan(900);
    const third = device.telemetry({ last: 1 });
    await later(200);
    other.exec('ROLLBACK');
    other.close();
    expect((await third).status, 'it was only slowed').toBe(200);
    expect((await first).status).toBe(503);
    expect(await latest(hub!, 'd')).toMatchObject({ m9: 9, last: 1 });
  });
});

describe.skipIf(!canMountSmallDisk())('a full data disk', () => {
  it('refuses posts and new connections, acknowledges nothing, and recovers by itself', async () => {
    const disk = mountSmallDisk(8);
    try {
      const { port } = await start({ allowAnonymous: true, pauseLimitMs: 1000, data: join(disk.folder, 'data') });
      const device = anonymous(port, 'd');
      let seq = 1;
      while (seq < 4) expect((await device.telemetry({ n: seq }, { seq: seq++ })).status).toBe(200);
      disk.fill();
      let refused: HttpAnswer | null = null;
      await until('a post is refused', async () => {
        const answer = await device.telemetry({ n: seq }, { seq });
        if (answer.status === 200) seq++;
        else refused = answer;
        return refused !== null;
      });
      expect(refused).toMatchObject({ status: 503, body: { code: 'store_unavailable' } });
      expect(retryAfter(refused!)).toBe(5);
      expect(await device.poll()).toMatchObject({ status: 503, body: { code: 'store_unavailable' } });
      expect(await device.ask('POST', '/streams/s', { body: { next: 1 } })).toMatchObject({ status: 503 });
      disk.free();
      await until('it is taken', async () => (await device.telemetry({ n: seq }, { seq })).status === 200);
      const rows = (await exported(hub!, 'd')).map(({ value }) => value);
      expect(rows).toEqual(Array.from({ length: seq }, (_, i) => i + 1));
    } finally {
      await hub?.close();
      hub = null;
      disk.unmount();
    }
  });
});

describe('limits', () => {
  it('the connections of all count polls', async () => {
    const { port } = await start({ allowAnonymous: true, maxConnections: 2 });
    const polls = ['a', 'b'].map((id) => anonymous(port, id).poll('?wait=2'));
    await until('both are online', async () => (await up('a')) && (await up('b')));
    const third = await anonymous(port, 'c').poll();
    expect(third).toMatchObject({ status: 503, body: { code: 'too_many_connections' } });
    expect(retryAfter(third)).toBe(5);
    expect((await hub!.api('GET', '/api/v1/refused')).body.counts).toMatchObject({ too_many_connections: 1 });
    await anonymous(port, 'c')
      .poll()
      .catch(() => null);
    await Promise.all(polls);
  });

  it('the connections of an address count polls, each device once', async () => {
    const { port } = await start({ allowAnonymous: true, maxConnectionsPerAddress: 2 });
    const device = anonymous(port, 'a');
    const poll = device.poll('?wait=20');
    await until('it is online', () => up('a'));
    for (let i = 0; i < 5; i++) expect((await device.poll()).status).toBe(200);
    await poll;
    const events = anonymous(port, 'b').events();
    await events.headers;
    const over = await anonymous(port, 'c').poll();
    expect(over).toMatchObject({ status: 429, body: { code: 'too_many_from_address' } });
    expect((await device.ask('DELETE', '/connection')).status).toBe(204);
    expect((await anonymous(port, 'c').poll()).status, 'there is room again').toBe(200);
    events.close();
  });

  it('a place is given back with the answer, or when the device goes away', async () => {
    const { port } = await start({ allowAnonymous: true, maxConnectionsPerAddress: 3, httpGraceMs: 1000 });
    for (let i = 0; i < 20; i++) expect((await anonymous(port, 'a').telemetry({ i })).status).toBe(200);
    for (let i = 0; i < 5; i++) {
      const cuts: (() => void)[] = [];
      const polls = ['x', 'y'].map((id) => anonymous(port, id).poll('?wait=30', { cut: (abort) => cuts.push(abort) }));
      await until('both are online', async () => (await up('x')) && (await up('y')));
      for (const cut of cuts) cut();
      await Promise.allSettled(polls);
    }
    await until('both are offline', async () => !(await up('x')) && !(await up('y')));
    expect(await figure(hub!, 'muster_connections{protocol="http"}')).toBe(0);
    const three = ['a', 'b', 'c'].map((id) => anonymous(port, id).poll('?wait=1'));
    expect((await Promise.all(three)).map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  it('as many posts may be in hand as there may be connections', async () => {
    const { port, data } = await start({ allowAnonymous: true, maxConnectionsPerAddress: 2 });
    const device = anonymous(port, 'd');
    await device.telemetry({ n: 0 });
    const other = new Database(join(data, 'muster.db'));
    other.exec('BEGIN IMMEDIATE');
    const posts = [1, 2].map((n) => device.telemetry({ n }));
    await later(200);
    expect(await device.telemetry({ n: 3 })).toMatchObject({ status: 429, body: { code: 'too_many_from_address' } });
    other.exec('ROLLBACK');
    other.close();
    expect((await Promise.all(posts)).map(({ status }) => status)).toEqual([200, 200]);
    expect((await device.telemetry({ n: 3 })).status).toBe(200);
  });

  it('the messages a second of a device: 429, and it gets through at the rate', async () => {
    const { port } = await start({ allowAnonymous: true, maxMessagesPerSecond: 5 });
    const device = anonymous(port, 'd');
    const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => device.telemetry({ n: i })));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThanOrEqual(4);
    expect(refused[0]).toMatchObject({ body: { code: 'slow_down' }, headers: { 'retry-after': '1' } });
    expect((await anonymous(port, 'e').telemetry({ n: 1 })).status, 'another device').toBe(200);
    await later(1000);
    expect((await device.telemetry({ n: 99 })).status).toBe(200);
  });
});

describe('anonymous mode', () => {
  it('takes the name of a device from its header, and registers it', async () => {
    const { port } = await start({ allowAnonymous: true, maxAnonymousDevices: 2 });
    expect((await anonymous(port, 'a').telemetry({ n: 1 })).status).toBe(200);
    expect((await anonymous(port, 'b').poll()).status).toBe(200);
    expect((await anonymous(port, 'c').telemetry({ n: 1 })).body.code).toBe('registration_limit');
    expect((await anonymous(port, 'c').poll()).body.code).toBe('registration_limit');
    expect((await anonymous(port, 'me').telemetry({ n: 1 })).body.code).toBe('client_id_refused');
    expect((await anonymous(port, 'a b').telemetry({ n: 1 })).body.code).toBe('client_id_refused');
    const nobody = await fetch(`http://127.0.0.1:${port}/device/v1/commands`);
    expect(nobody.status).toBe(401);
    expect(await nobody.json()).toMatchObject({ code: 'credentials_required' });
  });

  it('lets nobody be a device that has a token', async () => {
    const { port } = await start({ allowAnonymous: true });
    await newDevice(hub!, 'd');
    expect(await anonymous(port, 'd').poll()).toMatchObject({ status: 401, body: { code: 'credentials_required' } });
  });
});

describe('behind a proxy', () => {
  const forwarded = { 'x-forwarded-for': '198.51.100.7' };

  it('that is trusted, the address is the client’s', async () => {
    const { port } = await start({ allowAnonymous: true, trustedProxies: '127.0.0.1' });
    await anonymous(port, 'd').poll('', { headers: forwarded });
    const { items } = (await hub!.api('GET', '/api/v1/connections')).body;
    expect(items).toMatchObject([{ address: '198.51.100.7', path: '/device/v1/commands' }]);
  });

  it('that nobody trusts, it is not', async () => {
    const { port } = await start({ allowAnonymous: true });
    await anonymous(port, 'd').poll('', { headers: forwarded });
    expect((await hub!.api('GET', '/api/v1/connections')).body.items).toMatchObject([{ address: '127.0.0.1' }]);
  });

  it('the client’s address is whose connections are counted', async () => {
    const { port } = await start({ allowAnonymous: true, trustedProxies: '127.0.0.1', maxConnectionsPerAddress: 1 });
    await anonymous(port, 'a').poll('', { headers: forwarded });
    expect((await anonymous(port, 'b').poll('', { headers: forwarded })).status).toBe(429);
    expect((await anonymous(port, 'b').poll('', { headers: { 'x-forwarded-for': '198.51.100.8' } })).status).toBe(200);
  });
});

it('a client that offers HTTP/2 with its request is served over HTTP/1.1', async () => {
  const { port } = await start({ allowAnonymous: true });
  const headers = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__' };
  expect((await anonymous(port, 'd').telemetry({ n: 1 }, { headers })).status).toBe(200);
});

describe('a device that does not read its event stream', () => {
  it('is handed no more than fits, holds no memory, is closed, and finds everything at its next poll', async () => {
    const outboxMaxBytes = 1024 * 1024;
    const flags = { limitsMaxMessageBytes: outboxMaxBytes, outboxMaxBytes, slowConsumerTimeoutMs: 1500 };
    const { port } = await start({ allowAnonymous: true, ...flags });
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(
      'GET /device/v1/commands HTTP/1.1\r\nHost: h\r\nMuster-Device: d\r\nAccept: text/event-stream\r\n\r\n',
    );
    socket.pause();
    await until('it is online', () => up('d'));
    const params = 'x'.repeat(250_000);
    for (let i = 0; i < 30; i++) {
      const made = await hub!.api('POST', '/api/v1/devices/d/commands', { name: `c${i}`, params });
      expect(made.status).toBe(201);
    }
    expect((await connectionOf(hub!, 'd'))?.queuedBytes ?? 0).toBeLessThan(outboxMaxBytes);
    const { items } = (await hub!.api('GET', '/api/v1/devices/d/commands')).body as { items: { state: string }[] };
    expect(items.filter(({ state }) => state === 'queued').length).toBeGreaterThanOrEqual(14);
    expect(await offlineReason(hub!, 'd')).toBe('slow_consumer');
    await until('it was cut off', () => {
      socket.resume();
      return socket.closed;
    });
    const got: string[] = [];
    for (let cursor = ''; got.length < 30;) {
      const { body } = await anonymous(port, 'd').poll(`?wait=5&cursor=${cursor}`);
      got.push(...body.commands.map(({ name }: { name: string }) => name));
      cursor = body.cursor;
    }
    expect(got).toEqual(Array.from({ length: 30 }, (_, i) => `c${i}`));
  });
});

describe('a bad link', () => {
  /** Asks until an answer comes through: each try is cut off after a random time, in one case of three. */
  async function stubborn(
    random: () => number,
    ask: (cut: (abort: () => void) => void) => Promise<HttpAnswer>,
  ): Promise<HttpAnswer> {
    for (;;) {
      const cut = (abort: () => void): void => {
        if (random() < 0.33) setTimeout(abort, random() * 6);
      };
      const answer = await ask(cut).catch(() => null);
      if (answer !== null && answer.status !== 429) return answer;
    }
  }

  it('loses no reading, doubles none, and loses no command', async () => {
    const seed = 20_260_101;
    const { port } = await start({ allowAnonymous: true });
    const device = anonymous(port, 'd');
    const random = seeded(seed);
    await device.poll();
    const commands = Promise.all(
      Array.from({ length: 30 }, async (_, i) => {
        await later(i * 15);
        const { body } = await hub!.api('POST', '/api/v1/devices/d/commands', { name: `c${i}` });
        return body.command.id as string;
      }),
    );
    const readings = (async () => {
      for (let seq = 1; seq <= 200; seq++) {
        const { body } = await stubborn(random, (cut) => device.telemetry({ n: seq }, { seq, cut }));
        expect(body.ack).toBe(seq);
      }
    })();
    const done = new Set<string>();
    for (let cursor = ''; done.size < 30;) {
      const { status, body } = await stubborn(random, (cut) => device.poll(`?wait=1&cursor=${cursor}`, { cut }));
      expect(status).toBe(200);
      for (const { id } of body.commands) {
        if (done.has(id)) continue;
        const path = `/commands/${id as string}/result`;
        const taken = await stubborn(random, (cut) => device.ask('POST', path, { body: { status: 'succeeded' }, cut }));
        expect(taken.body).toEqual({ taken: true });
        done.add(id);
      }
      cursor = body.cursor;
    }
    await readings;
    expect((await exported(hub!, 'd')).map(({ value }) => value)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    expect([...done].sort()).toEqual((await commands).sort());
    for (const id of done) {
      expect((await hub!.api('GET', `/api/v1/commands/${id}`)).body.command.state).toBe('succeeded');
    }
  });
});

describe('whatever comes', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary-ascii', maxLength: 80 }).map((raw) => raw.replace(/[^\x20-\x7e]/g, '')),
    fc.constantFrom(
      '',
      '0',
      '1',
      '-1',
      '1e3',
      '01',
      '9007199254740991',
      '9007199254740992',
      's',
      'a.b',
      '..',
      'application/json',
      'application/cbor',
    ),
  );
  /** Where nearly everything is refused at once, and the rest would not be reached. */
  const rarely = fc.oneof({ weight: 15, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: text });
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.json({ maxDepth: 4 }).map((json) => Buffer.from(json)),
  );
  const path = fc.oneof(
    fc.constantFrom(
      '/telemetry',
      '/telemetry/cbor',
      '/telemetry/senml+json',
      '/events/x',
      '/streams/s',
      '/commands/x/result',
      '/commands/x/received',
      '/commands',
      '/connection',
    ),
    text.map((raw) => `/${encodeURIComponent(raw)}`),
    text.map((raw) => `/commands?cursor=${encodeURIComponent(raw)}&wait=0`),
    text.map((raw) => `/telemetry/${encodeURIComponent(raw)}`),
  );
  const ANSWERS = new Set([200, 204, 400, 401, 403, 404, 405, 409, 413, 415, 422]);

  it('is answered in words, and hurts nobody', async () => {
    const { port } = await start({ allowAnonymous: true });
    const asked = fc.record({
      method: fc.constantFrom('GET', 'POST', 'DELETE', 'PUT', 'PATCH'),
      path,
      body,
      headers: fc.record(
        {
          'muster-stream': text,
          'muster-seq': text,
          'muster-device': fc.oneof(fc.constant('d'), text),
          'content-type': text,
          'last-event-id': text,
          accept: fc.oneof(fc.constant('application/json'), text),
          authorization: rarely,
          'content-encoding': rarely,
        },
        { requiredKeys: [] },
      ),
    });
    await fc.assert(
      fc.asyncProperty(asked, async ({ method, path, body, headers }) => {
        // An event stream has no end.
        const given = Object.entries(headers).filter(([, value]) => value !== null && !value.includes('event-stream'));
        const answer = await anonymous(port, 'd').ask(method, path, {
          body,
          headers: Object.fromEntries(given) as Record<string, string>,
        });
        if (!ANSWERS.has(answer.status)) throw new Error(`${answer.status} ${answer.text}`);
        if (answer.status >= 400)
          expect(answer.body).toMatchObject({ status: answer.status, code: expect.any(String) });
      }),
      { numRuns: 400 },
    );
    expect((await anonymous(port, 'e').telemetry({ n: 1 })).status).toBe(200);
  });
});

/** mulberry32: the same numbers for the same seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
