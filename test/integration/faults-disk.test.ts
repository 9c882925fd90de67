import { join } from 'node:path';
import Database from 'better-sqlite3';
import { generate } from 'mqtt-packet';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { connectionOf, figure, openConnections, presenceOf } from './faults/hub-view.ts';
import { exportedRows, timesStored } from './faults/log-export.ts';
import { RawWebSocket } from './faults/raw-web-socket.ts';
import { canMountSmallDisk, mountSmallDisk, type SmallDisk } from './faults/small-disk.ts';
import { connectDevice, PROTOCOLS, SUBPROTOCOL, type TestDevice } from './faults/test-device.ts';
import { closing, introduction, lastWords, telemetry } from './faults/words.ts';

/** Pings are short and the backlog is small, so that sockets are paused and pings would be missed. */
const FLAGS = {
  allowAnonymous: true,
  pingIntervalMs: 1000,
  pongTimeoutMs: 300,
  maxWebSocketMessageBytes: 4 * 1024 * 1024,
  backlogHighRows: 200,
  backlogLowRows: 50,
  limitsMinHeartBeatMs: 500,
};

/** Every message that a device sent is in the log exactly once. */
async function expectAllStoredOnce(hub: TestHub, devices: readonly TestDevice[]): Promise<void> {
  const { body } = await hub.api('GET', '/api/v1/export/log');
  const rows = exportedRows(body as string);
  for (const device of devices) {
    const times = timesStored(rows, device.id);
    expect(times.size, device.id).toBe(device.sent);
    expect(
      [...times.values()].every((n) => n === 1),
      device.id,
    ).toBe(true);
  }
}

describe('a slow disk', () => {
  const FLEET = 1000;
  let hub: TestHub;
  let devices: TestDevice[];
  beforeAll(async () => {
    hub = await startTestHub(FLAGS);
    devices = [];
    for (let first = 0; first < FLEET; first += 100) {
      const some = Array.from({ length: 100 }, (_, i) => {
        return connectDevice(hub.wsUrl, { protocol: PROTOCOLS[(first + i) % 3]!, id: `device-${first + i}` });
      });
      devices.push(...(await Promise.all(some)));
    }
  });
  afterAll(async () => {
    for (const device of devices) device.terminate();
    await hub.close();
  });

  test('1,000 devices stay online, nothing is acknowledged, and all arrives when it is over', async () => {
    // Another program takes the database's write lock, so that every commit waits.
    const other = new Database(join(hub.data, 'muster.db'));
    await Promise.all(devices.map((device) => device.sendAndWait()));
    // Two that would be missed first: one has to be heard every 1.5 s, one fills what its paused socket still takes, so that
    // not even its pongs are seen.
    const strict = await mqttSocket(hub.wsUrl, 'strict', 1);
    const full = await mqttSocket(hub.wsUrl, 'full', 0);
    other.exec('BEGIN IMMEDIATE');
    full.send(Buffer.concat(Array.from({ length: 20_000 }, (_, i) => telemetry('mqtt', i + 1))));
    const start = performance.now();
    let mostPaused = 0;
    let round = 0;
    await until(
      'pings and their time-outs have passed three times',
      async () => {
        const passedMs = performance.now() - start;
        if (passedMs > round * 1000) {
          round++;
          for (const device of devices) device.send();
          strict.send(telemetry('mqtt', round));
        }
        expect(devices.filter(({ acked }) => acked.size !== 1)).toEqual([]);
        expect((await hub.api('GET', '/api/v1/status')).body.counts.online).toBe(FLEET + 2);
        mostPaused = Math.max(mostPaused, await figure(hub, 'muster_sockets_paused'));
        return passedMs > 4500;
      },
      8000,
    );
    expect(mostPaused).toBeGreaterThan(FLEET / 4);
    // SQLite has given up waiting by now, and the hub says so.
    expect((await hub.api('GET', '/readyz')).status).toBe(503);

    other.exec('ROLLBACK');
    other.close();
    await until('everything is acknowledged', () => devices.every(({ owed }) => owed === 0));
    expect(devices.every(({ sent }) => sent === round + 1)).toBe(true);
    expect(devices.filter(({ end }) => end !== null)).toEqual([]);
    await expectAllStoredOnce(hub, devices);
    expect((await hub.api('GET', '/readyz')).status).toBe(200);
    await until('no socket is paused', async () => (await figure(hub, 'muster_sockets_paused')) === 0);
    for (const id of ['strict', 'full']) expect((await presenceOf(hub, id)).online, id).toBe(true);
    const rows = exportedRows((await hub.api('GET', '/api/v1/export/log')).body as string);
    expect(timesStored(rows, 'full').size).toBe(20_000);
    expect(timesStored(rows, 'strict').size).toBe(round);
    for (const socket of [strict, full]) socket.terminate();
  });
});

test('subscriptions of sessions that last wait for the disk too: who sends many is not read for a while', async () => {
  const hub = await startTestHub({ ...FLAGS, backlogHighBytes: 65_536, backlogLowBytes: 1024 });
  const socket = new WebSocket(hub.wsUrl, 'mqtt');
  await new Promise((resolve) => socket.once('open', resolve));
  const connect = { protocolId: 'MQTT', protocolVersion: 4, clean: false, clientId: 'eager', keepalive: 0 } as const;
  socket.send(generate({ cmd: 'connect', ...connect }));
  await new Promise((resolve) => socket.once('message', resolve));
  let answered = 0;
  // A SUBACK of one subscription has five bytes.
  socket.on('message', (data: Buffer) => (answered += data.length / 5));
  const other = new Database(join(hub.data, 'muster.db'));
  other.exec('BEGIN IMMEDIATE');
  const subscriptions = [{ topic: 't', qos: 1 }] as const;
  for (let i = 1; i <= 2000; i++) {
    socket.send(generate({ cmd: 'subscribe', messageId: i, subscriptions: [...subscriptions] }));
  }
  await until('it is paused', async () => (await figure(hub, 'muster_sockets_paused')) === 1);
  expect(answered).toBe(0);
  other.exec('ROLLBACK');
  other.close();
  await until('all are answered', () => answered === 2000);
  await until('no socket is paused', async () => (await figure(hub, 'muster_sockets_paused')) === 0);
  socket.terminate();
  await hub.close();
});

test('a pause has a limit: then the connection is closed as overloaded, in the words of its protocol', async () => {
  const limitMs = 800;
  const hub = await startTestHub({ ...FLAGS, backlogHighRows: 10, backlogLowRows: 5, pauseLimitMs: limitMs });
  const devices = await Promise.all(
    PROTOCOLS.map((protocol) => connectDevice(hub.wsUrl, { protocol, id: `held-${protocol}` })),
  );
  const other = new Database(join(hub.data, 'muster.db'));
  other.exec('BEGIN IMMEDIATE');
  const start = performance.now();
  for (const device of devices) for (let i = 0; i < 20; i++) device.send();
  for (const device of devices) {
    expect(await device.ended, device.id).toMatchObject({ code: 1013, reason: expect.stringMatching(/^overloaded: /) });
    expect(device.acked.size).toBe(0);
    expect(await presenceOf(hub, device.id)).toMatchObject({ online: false, reason: 'overloaded' });
    if (device.protocol === 'mqtt') expect(device.goodbyes).toEqual([]);
    else expect(device.goodbyes).toEqual([expect.stringContaining('overloaded')]);
  }
  expect(performance.now() - start).toBeGreaterThan(limitMs - 100);
  expect(performance.now() - start).toBeLessThan(limitMs + 1500);
  other.close();
  await hub.close();
});

/** A client of the library `ws`, which answers pings by itself. */
async function mqttSocket(url: string, clientId: string, keepalive: number): Promise<WebSocket> {
  const socket = new WebSocket(url, 'mqtt');
  await new Promise((resolve) => socket.once('open', resolve));
  const connect = { protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId, keepalive } as const;
  socket.send(generate({ cmd: 'connect', ...connect }));
  await new Promise((resolve) => socket.once('message', resolve));
  return socket;
}

describe.skipIf(!canMountSmallDisk())('a full data disk', () => {
  const SHUTDOWN_MS = 3000;
  let disk: SmallDisk;
  let hub: TestHub;
  let devices: TestDevice[];
  beforeAll(async () => {
    disk = mountSmallDisk(8);
    hub = await startTestHub({ ...FLAGS, data: join(disk.folder, 'data'), shutdownTimeoutMs: SHUTDOWN_MS });
    devices = await Promise.all(
      PROTOCOLS.map((protocol) => connectDevice(hub.wsUrl, { protocol, id: `device-${protocol}` })),
    );
    await Promise.all(devices.map((device) => device.sendAndWait()));
  });
  afterEach(() => disk.free());
  afterAll(async () => {
    for (const device of devices) device.terminate();
    await hub.close();
    disk.unmount();
  });

  /** Sends until nothing is acknowledged any more. */
  async function fill(): Promise<void> {
    disk.fill();
    await until('the hub sees that the disk is full', async () => {
      for (const device of devices) device.send();
      return (await hub.api('GET', '/readyz')).status === 503;
    });
  }

  test('nothing is acknowledged, /readyz says why, and all goes on by itself when there is space', async () => {
    await fill();
    const acked = devices.map((device) => device.acked.size);
    const { body } = await hub.api('GET', '/readyz');
    expect(body).toMatchObject({ ready: false, reasons: [{ code: 'store_not_writable' }] });
    expect(body.reasons[0].detail).toMatch(/disk of the data folder is full/);
    expect(body.reasons[0].sinceMs).toBeGreaterThan(Date.now() - 20_000);

    const start = performance.now();
    await until('pings and retries have passed', async () => {
      for (const device of devices) if (device.owed < 400) device.send();
      expect((await hub.api('GET', '/healthz')).status).toBe(200);
      return performance.now() - start > 2500;
    });
    expect(devices.map((device) => device.acked.size)).toEqual(acked);
    expect(devices.every(({ owed }) => owed > 0)).toBe(true);
    expect(devices.filter(({ end }) => end !== null)).toEqual([]);
    for (const { id } of devices) expect((await presenceOf(hub, id)).online).toBe(true);
    expect((await openConnections(hub)).filter(({ paused }) => paused).length).toBeGreaterThan(0);
    expect(await figure(hub, 'muster_store_writable')).toBe(0);
    expect(await figure(hub, 'muster_commit_failures_total')).toBeGreaterThan(0);
    expect((await hub.api('GET', '/api/v1/status')).body.store).toMatchObject({ writable: false });

    disk.free();
    await until('everything is acknowledged', () => devices.every(({ owed }) => owed === 0));
    await expectAllStoredOnce(hub, devices);
    expect((await hub.api('GET', '/readyz')).body).toEqual({ ready: true, reasons: [] });
    expect(devices.filter(({ end }) => end !== null)).toEqual([]);
    for (const device of devices) await device.sendAndWait();
    expect((await connectionOf(hub, devices[0]!.id))?.paused).toBe(false);
  });

  test('who comes meanwhile is told to come again, and so is who asks through the API', async () => {
    await fill();
    for (const protocol of PROTOCOLS) {
      const raw = await RawWebSocket.open(hub.port, SUBPROTOCOL[protocol]);
      raw.send(introduction(protocol, `late-${protocol}`));
      const { code, reason } = await closing(raw);
      expect(code, protocol).toBe(1013);
      expect(reason).toMatch(/^store_unavailable: /);
      if (protocol === 'mqtt') expect([...raw.received]).toEqual([0x20, 2, 0, 3]);
      else expect(lastWords(protocol, raw)).toBe('store_unavailable');
    }
    const posts = [
      ['/api/v1/devices', { id: 'new' }],
      ['/api/v1/devices/device-mqtt/commands', { name: 'reboot' }],
    ] as const;
    for (const [path, body] of posts) {
      const answer = await hub.api('POST', path, body);
      expect(answer.status, path).toBe(503);
      expect(answer.headers.get('retry-after')).not.toBeNull();
      expect(answer.body.detail).toMatch(/disk of the data folder is full/);
    }

    disk.free();
    await until('the hub is ready again', async () => (await hub.api('GET', '/readyz')).status === 200);
    const late = await connectDevice(hub.wsUrl, { protocol: 'mqtt', id: 'late-mqtt' });
    await late.sendAndWait();
    late.terminate();
    expect((await hub.api('POST', '/api/v1/devices', { id: 'new' })).status).toBe(201);
    const { body } = await hub.api('GET', '/api/v1/devices/device-mqtt/commands');
    expect(body.items).toEqual([]);
  });

  test('a hub that is stopped with a full disk ends in time and has acknowledged nothing that it lost', async () => {
    await fill();
    for (let i = 0; i < 20; i++) for (const device of devices) device.send();
    const acked = devices.map((device) => new Set(device.acked));
    const start = performance.now();
    await hub.hub.stop();
    expect(performance.now() - start).toBeLessThan(SHUTDOWN_MS);
    await Promise.all(devices.map(({ ended }) => ended));
    expect(devices.map(({ acked }) => acked)).toEqual(acked);
    disk.free();
    await hub.restart();
    const { body } = await hub.api('GET', '/api/v1/export/log');
    const rows = exportedRows(body as string);
    for (const device of devices) {
      const times = timesStored(rows, device.id);
      for (const seq of device.acked) expect(times.get(seq), `${device.id} ${seq}`).toBe(1);
      // Its goodbye could not be written either.
      expect(await presenceOf(hub, device.id)).toMatchObject({ online: false, reason: 'hub_crashed' });
    }
  });
});
