import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'mqtt-packet';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { HubChild } from './faults/hub-child.ts';
import { connectionOf, figure, historyOf, offlineReason, openConnections, presenceOf } from './faults/hub-view.ts';
import { RawWebSocket } from './faults/raw-web-socket.ts';
import { connectDevice, Witness } from './faults/test-device.ts';
import { enter, isAcknowledged, telemetry } from './faults/words.ts';

const OUTBOX_MAX_BYTES = 512 * 1024;
const SLOW_MS = 2000;
const FLAGS = {
  allowAnonymous: true,
  // So many that a window of QoS 1 does not fit into the kernel's buffers either.
  limitsMaxInFlight: 500,
  limitsMaxMessageBytes: 65_536,
  limitsMaxUnidentifiedBytes: 65_536,
  outboxHighWaterBytes: 64 * 1024,
  outboxMaxBytes: OUTBOX_MAX_BYTES,
  slowConsumerTimeoutMs: SLOW_MS,
};
/** More than the kernel holds for one connection on both sides together. */
const FLOOD_BYTES = 16 * 1024 * 1024;
const MESSAGE_BYTES = 60 * 1024;

const NEWS = { cmd: 'publish', topic: 'news', dup: false, retain: false } as const;

let hub: TestHub;
let witnesses: Witness[];
beforeAll(async () => {
  hub = await startTestHub(FLAGS);
  witnesses = await Witness.ofEachProtocol(hub.wsUrl);
});
afterAll(() => hub.close());

/** Publishes at QoS 1 until `bytes` were acknowledged, 16 messages under way. */
async function publishMuch(port: number, bytes: number): Promise<void> {
  const raw = await enter('mqtt', port, 'publisher');
  const payload = Buffer.alloc(MESSAGE_BYTES, 'm');
  for (let sent = 0; sent < bytes; raw.frames.length = 0) {
    for (let i = 1; i <= 16; i++, sent += payload.length) {
      raw.send(generate({ ...NEWS, payload, qos: 1, messageId: i }));
    }
    await until('the PUBACKs', () => isAcknowledged('mqtt', raw, 16));
  }
  raw.destroy();
}

async function subscriber(protocol: 'mqtt' | 'stomp', port: number, id: string, qos: 0 | 1): Promise<RawWebSocket> {
  const raw = await enter(protocol, port, id);
  const before = raw.frames.length;
  if (protocol === 'mqtt') {
    raw.send(generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'news', qos }] }));
  } else {
    raw.send('SUBSCRIBE\nid:1\ndestination:/topic/news\nack:auto\nreceipt:s\n\n\0');
  }
  await until('the subscription is granted', () => raw.frames.length > before);
  return raw;
}

test('a subscriber that reads gets a burst whole, at QoS 0 too: what the kernel takes at once is no congestion', async () => {
  const reading = await subscriber('mqtt', hub.port, 'burst-reader', 0);
  const publishers = await Promise.all([1, 2, 3, 4].map((n) => enter('mqtt', hub.port, `burst-${n}`)));
  const packet = generate({ ...NEWS, payload: Buffer.alloc(1024, 'b'), qos: 0 });
  for (const raw of publishers) raw.send(Buffer.concat(Array.from({ length: 200 }, () => packet)));
  await until('all publishers are heard', async () => {
    const open = await openConnections(hub);
    const heard = open.filter(({ principal, bytesIn }) => principal?.id.startsWith('burst-') && bytesIn > 200_000);
    return heard.length === publishers.length;
  });
  await until('800 messages', () => reading.received.length >= 4 + 5 + 800 * packet.length, 2000).catch(
    () => undefined,
  );
  expect((await connectionOf(hub, 'burst-reader'))?.dropped).toBe(0);
  expect(reading.received.length).toBe(4 + 5 + 800 * packet.length);
  for (const raw of [reading, ...publishers]) raw.destroy();
});

describe('subscribers that stop reading while others publish', () => {
  test('cost a bounded outbox, disturb nobody, and are closed as slow consumers', async () => {
    const kinds = [
      ['mqtt', 0],
      ['mqtt', 1],
      ['stomp', 0],
    ] as const;
    const ids = kinds.map(([protocol, qos]) => `stuck-${protocol}-${qos}`);
    const stuck = await Promise.all(kinds.map(([protocol, qos], i) => subscriber(protocol, hub.port, ids[i]!, qos)));
    for (const raw of stuck) raw.pause();
    const reading = await subscriber('mqtt', hub.port, 'reads', 1);

    let mostQueued = 0;
    const dropped = new Map<string, number>();
    const look = async (): Promise<boolean> => {
      const open = (await openConnections(hub)).filter(({ principal }) => ids.includes(principal?.id ?? ''));
      for (const connection of open) {
        mostQueued = Math.max(mostQueued, connection.queuedBytes);
        dropped.set(connection.principal!.id, connection.dropped);
      }
      return open.length === 0;
    };
    const flood = publishMuch(hub.port, FLOOD_BYTES);
    const start = performance.now();
    await until('all are closed', look, SLOW_MS + 8000);
    expect(performance.now() - start).toBeGreaterThan(SLOW_MS - 500);
    await flood;

    expect(mostQueued).toBeGreaterThan(0);
    expect(mostQueued).toBeLessThanOrEqual(OUTBOX_MAX_BYTES);
    for (const id of ids) {
      expect(await offlineReason(hub, id), id).toBe('slow_consumer');
      expect(dropped.get(id), id).toBeGreaterThan(0);
    }
    const counted = ['slow', 'queue'].map((why) => figure(hub, `muster_messages_dropped_total{why="${why}"}`));
    const inAll = (await Promise.all(counted)).reduce((sum, n) => sum + n);
    expect(inAll).toBeGreaterThanOrEqual([...dropped.values()].reduce((sum, n) => sum + n));
    // Who reads but sends no PUBACK is no slow reader: the window stands still, the queue fills, the connection stays.
    expect((await presenceOf(hub, 'reads')).online).toBe(true);
    for (const raw of [...stuck, reading]) raw.destroy();
  });
});

describe('a client that publishes and never reads its acknowledgements', () => {
  test.each(['mqtt', 'stomp'] as const)('%s: is read no further, then closed', async (protocol) => {
    const id = `deaf-${protocol}`;
    const raw = await enter(protocol, hub.port, id);
    raw.pause();
    const load = { goesOn: true };
    const flood = (async () => {
      const message = protocol === 'mqtt' ? publishes() : sends();
      while (load.goesOn && !raw.gone) {
        raw.send(message);
        await until('the message has left', () => raw.gone || !load.goesOn || raw.socket.writableLength === 0, 20_000);
      }
    })();
    let mostQueued = 0;
    let paused = false;
    await until(
      'it is closed',
      async () => {
        const connection = await connectionOf(hub, id);
        mostQueued = Math.max(mostQueued, connection?.queuedBytes ?? 0);
        paused ||= connection?.paused ?? false;
        return connection === undefined;
      },
      15_000,
    );
    load.goesOn = false;
    raw.destroy();
    await flood;
    expect(paused).toBe(true);
    expect(mostQueued).toBeLessThanOrEqual(OUTBOX_MAX_BYTES);
    expect(await offlineReason(hub, id)).toBe('slow_consumer');
  });
});

/** PUBLISH packets at QoS 1 for one WebSocket message; each earns a PUBACK of four bytes. */
function publishes(): Buffer {
  const packet = (messageId: number): Buffer =>
    generate({ cmd: 'publish', topic: 'a', payload: '', qos: 1, dup: false, retain: false, messageId });
  return Buffer.concat(Array.from({ length: 5000 }, (_, i) => packet(i + 1)));
}

/** SEND frames with long receipt ids, which come back in the RECEIPTs. */
function sends(): Buffer {
  const send = `SEND\ndestination:/topic/a\nreceipt:${'r'.repeat(7000)}\n\n\0`;
  return Buffer.from(send.repeat(8));
}

test('a newer connection takes over from one whose socket is paused', async () => {
  const older = await enter('stomp', hub.port, 'twice');
  older.pause();
  const { epoch } = await presenceOf(hub, 'twice');
  const message = sends();
  await until('its socket is paused', async () => {
    for (let i = 0; i < 10; i++) older.send(message);
    return (await connectionOf(hub, 'twice'))?.paused === true;
  });

  const start = performance.now();
  const newer = await connectDevice(hub.wsUrl, { protocol: 'mqtt', id: 'twice' });
  expect(performance.now() - start).toBeLessThan(1000);
  await newer.sendAndWait();
  expect(await presenceOf(hub, 'twice')).toMatchObject({ online: true, protocol: 'mqtt', epoch: epoch + 1 });
  older.resume();
  await until('the older socket is cut', () => older.gone);
  await until('its end is in the history', async () => {
    return (await historyOf(hub, 'twice')).some((past) => past.epoch === epoch && past.reason === 'taken_over');
  });
  expect(await presenceOf(hub, 'twice')).toMatchObject({ online: true, epoch: epoch + 1 });
  expect(newer.end).toBeNull();
  newer.terminate();
});

test('the witnesses of each protocol were never disturbed', async () => {
  for (const witness of witnesses) {
    expect(await witness.stop(), witness.device.id).toBeGreaterThan(100);
    expect(witness.device.end).toBeNull();
    expect(witness.slowestMs, witness.device.id).toBeLessThan(1500);
    witness.device.terminate();
  }
});

describe('the memory of the hub', () => {
  const data = mkdtempSync(join(tmpdir(), 'muster-test-'));
  let child: HubChild;
  beforeAll(async () => {
    child = await HubChild.start({ data, flags: { ...FLAGS, slowConsumerTimeoutMs: 60_000 } });
  });
  afterAll(async () => {
    await child.kill('SIGKILL');
    rmSync(data, { recursive: true, force: true });
  });

  test('is bounded however much 40 stuck subscribers miss', async () => {
    const stuck = await Promise.all(
      Array.from({ length: 40 }, (_, i) => subscriber('mqtt', child.port, `stuck-${i}`, i % 2 === 0 ? 0 : 1)),
    );
    for (const raw of stuck) raw.pause();
    // Once around, so that what Node needs for itself is there.
    await publishMuch(child.port, 8 * 1024 * 1024);
    const before = residentBytes(child.pid);
    await publishMuch(child.port, 32 * 1024 * 1024);
    const grown = residentBytes(child.pid) - before;
    // Unbounded outboxes would hold 40 times what was published: more than a gigabyte.
    expect(grown).toBeLessThan(200 * 1024 * 1024);
    const open = await openConnections(child);
    expect(open.filter(({ queuedBytes }) => queuedBytes > 0).length).toBe(40);
    for (const { queuedBytes } of open) expect(queuedBytes).toBeLessThanOrEqual(OUTBOX_MAX_BYTES);
    for (const raw of stuck) raw.destroy();
  });

  test('so are acknowledgements', async () => {
    const device = await enter('mqtt', child.port, 'still-served');
    device.send(telemetry('mqtt', 1));
    await until('an acknowledgement', () => isAcknowledged('mqtt', device, 1));
    device.destroy();
  });
});

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}
