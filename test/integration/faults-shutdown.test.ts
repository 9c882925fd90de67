import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'mqtt-packet';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../support/hub.ts';
import { HubChild, type Exit } from './faults/hub-child.ts';
import { historyOf, presenceOf } from './faults/hub-view.ts';
import { exportedRows, timesStored } from './faults/log-export.ts';
import { RawWebSocket } from './faults/raw-web-socket.ts';
import { connectDevice, PROTOCOLS, type TestDevice } from './faults/test-device.ts';
import { enter, isTakenIn } from './faults/words.ts';

const SHUTDOWN_MS = 5000;
const WINDOW = 32;
/** No device id, so in anonymous mode it is an application's. */
const APPLICATION = 'app/watcher';

const data = mkdtempSync(join(tmpdir(), 'muster-test-'));
let hub: HubChild;
let devices: TestDevice[];
/** Applications, one that came before the devices and one that came after them. */
let watchers: RawWebSocket[];
let stuck: RawWebSocket;
let exit: Exit;
let tookMs: number;
const flags = { allowAnonymous: true, shutdownTimeoutMs: SHUTDOWN_MS };

/** Hears wills and presence. */
async function watcher(clientId: string): Promise<RawWebSocket> {
  const raw = await RawWebSocket.open(hub.port, 'mqtt');
  raw.send(connectPacket(clientId, false));
  await until('it is taken in', () => isTakenIn('mqtt', raw));
  const subscriptions = [
    { topic: 'wills/#', qos: 0 as const },
    { topic: 'devices/+/presence', qos: 0 as const },
  ];
  const before = raw.received.length;
  raw.send(generate({ cmd: 'subscribe', messageId: 1, subscriptions }));
  await until('it is granted', () => raw.received.length > before);
  return raw;
}

function connectPacket(clientId: string, withWill: boolean): Buffer {
  const will = {
    topic: `wills/${clientId}`,
    payload: Buffer.from(`will of ${clientId}`),
    qos: 1,
    retain: false,
  } as const;
  const connect = {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: true,
    clientId,
    keepalive: 0,
  } as const;
  return generate({ ...connect, ...(withWill ? { will } : {}) });
}

beforeAll(async () => {
  hub = await HubChild.start({ data, flags });
  watchers = [await watcher(`${APPLICATION}/first`)];
  devices = await Promise.all(
    [...PROTOCOLS, ...PROTOCOLS].map((protocol, i) => connectDevice(hub.wsUrl, { protocol, id: `${protocol}-${i}` })),
  );
  const willing = await RawWebSocket.open(hub.port, 'mqtt');
  willing.send(connectPacket('willing', true));
  await until('it is taken in', () => isTakenIn('mqtt', willing));
  stuck = await enter('stomp', hub.port, 'stuck');
  stuck.pause();
  // Never says who it is, and must not hold the hub either.
  await RawWebSocket.open(hub.port, 'v1.cbor.muster');
  watchers.push(await watcher(`${APPLICATION}/last`));

  let stopping: Promise<Exit> | null = null;
  let gone = false;
  await until('the hub has ended under load', async () => {
    for (let i = 0; i < 50; i++) {
      for (const device of devices) while (device.end === null && device.owed < WINDOW) device.send();
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (stopping === null && devices.every(({ acked }) => acked.size > 300)) {
      tookMs = performance.now();
      stopping = hub.kill('SIGTERM').then((how) => {
        gone = true;
        return how;
      });
    }
    return gone;
  });
  tookMs = performance.now() - tookMs;
  exit = await stopping!;
  await Promise.all(devices.map(({ ended }) => ended));
});
afterAll(() => rmSync(data, { recursive: true, force: true }));

test('SIGTERM under load ends the process with 0, within its limit, whoever does not answer', () => {
  expect(exit).toEqual({ code: 0, signal: null });
  expect(tookMs).toBeLessThan(SHUTDOWN_MS);
});

test('everybody is told in the words of the protocol, and every WebSocket is closed with 1001', () => {
  for (const device of devices) {
    expect(device.end, device.id).toMatchObject({ code: 1001, reason: expect.stringMatching(/^hub_shutdown: /) });
    // MQTT 3 has no word for it.
    if (device.protocol === 'mqtt') expect(device.goodbyes).toEqual([]);
    else expect(device.goodbyes, device.id).toEqual([expect.stringContaining('hub_shutdown')]);
  }
});

test('wills are sent, and who watches presence hears why the devices went before it is closed itself', () => {
  for (const raw of watchers) {
    const heard = raw.received.toString('latin1');
    expect(heard).toContain('will of willing');
    for (const { id } of devices) {
      expect(heard).toMatch(new RegExp(`"device":"${id}","online":false[^}]*"reason":"hub_shutdown"`));
    }
    expect(raw.closeFrame).toMatchObject({ code: 1001 });
  }
});

test('after the start: every acknowledged reading is in the log, and the devices are offline for the right reason', async () => {
  const again = await HubChild.start({ data, flags, token: hub.token });
  const rows = exportedRows((await again.api('GET', '/api/v1/export/log')).body as string);
  for (const device of devices) {
    const times = timesStored(rows, device.id);
    expect(
      [...device.acked].filter((seq) => !times.has(seq)),
      device.id,
    ).toEqual([]);
    expect([...times.values()].every((n) => n === 1)).toBe(true);
    expect(times.size).toBeLessThanOrEqual(device.sent);
  }
  for (const id of [...devices.map((device) => device.id), 'willing', 'stuck']) {
    expect(await presenceOf(again, id), id).toMatchObject({ online: false, reason: 'hub_shutdown', initiator: 'hub' });
    expect((await historyOf(again, id)).map(({ epoch, reason }) => [epoch, reason])).toEqual([[1, 'hub_shutdown']]);
  }
  expect(await again.kill('SIGTERM')).toEqual({ code: 0, signal: null });
});
