import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Random } from '#devices-sim/random.js';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { historyOf, openConnections, presenceOf, type PastConnection } from './faults/hub-view.ts';
import { connectDevice, PROTOCOLS, TestDevice } from './faults/test-device.ts';
import { enter } from './faults/words.ts';

const START_US = (Date.now() - 60_000) * 1000;

let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub({ allowAnonymous: true });
});
afterAll(() => hub.close());
beforeEach(async () => {
  await until('no connection is left', async () => (await openConnections(hub)).length === 0);
});

/** The history from the first connection on, once all its ends but that of `stillOpen` are on disk. */
async function settledHistory(device: string, connections: number, stillOpen: number): Promise<PastConnection[]> {
  await until(`${connections} connections of ${device}, of which ${stillOpen} are open`, async () => {
    const past = await historyOf(hub, device);
    return past.length === connections && past.filter(({ reason }) => reason === null).length === stillOpen;
  });
  return (await historyOf(hub, device)).reverse();
}

function race(id: string, count: number): TestDevice[] {
  return Array.from({ length: count }, (_, i) => {
    return new TestDevice(hub.wsUrl, { protocol: PROTOCOLS[i % 3]!, id }, START_US);
  });
}

test('20 connections of one device at once, in all protocols: the last epoch alone is online', async () => {
  const racers = race('racer', 20);
  await until('one is left', async () => {
    const left = racers.filter(({ end }) => end === null);
    return left.length === 1 && (await presenceOf(hub, 'racer')).epoch === 20;
  });
  const winner = racers.find(({ end }) => end === null)!;
  await winner.ready();
  for (const loser of racers) {
    if (loser !== winner)
      expect(loser.end).toMatchObject({ code: 4009, reason: expect.stringMatching(/^taken_over: /) });
  }
  expect(await presenceOf(hub, 'racer')).toMatchObject({ online: true, epoch: 20, protocol: winner.protocol });
  expect((await openConnections(hub)).map(({ principal, epoch }) => [principal?.id, epoch])).toEqual([['racer', 20]]);

  const history = await settledHistory('racer', 20, 1);
  expect(history.map(({ epoch }) => epoch)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  expect(history.slice(0, 19).every(({ reason }) => reason === 'taken_over')).toBe(true);
  await winner.sendAndWait();
  winner.terminate();
  await until('it is offline', async () => !(await presenceOf(hub, 'racer')).online);
  expect(await presenceOf(hub, 'racer')).toMatchObject({ epoch: 20, reason: 'connection_lost' });
});

test('a late end of the older connection changes nothing', async () => {
  // It reads nothing, so it knows nothing of the takeover, and its own end comes long after.
  const older = await enter('mqtt', hub.port, 'late');
  older.pause();
  const newer = await connectDevice(hub.wsUrl, { protocol: 'cbor', id: 'late' });
  await settledHistory('late', 2, 1);
  older.destroy();
  await newer.sendAndWait();
  await newer.sendAndWait();
  expect(await presenceOf(hub, 'late')).toMatchObject({ online: true, epoch: 2, protocol: 'cbor', reason: null });
  const [first, second] = await settledHistory('late', 2, 1);
  expect(first).toMatchObject({ epoch: 1, reason: 'taken_over' });
  expect(second).toMatchObject({ epoch: 2, reason: null });
  expect(newer.end).toBeNull();
  newer.terminate();
});

test('connections that vanish in the middle of it: what is shown, what is open and what is on disk agree', async () => {
  const random = new Random(11, 'vanish');
  for (let round = 0; round < 10; round++) {
    const id = `vanish-${round}`;
    const holder = await connectDevice(hub.wsUrl, { protocol: PROTOCOLS[round % 3]!, id });
    const racers = race(id, 8);
    // Some go away at once after they have introduced themselves, before the hub can have answered.
    for (const racer of racers) {
      if (random.next() < 0.5) racer.socket.once('open', () => setImmediate(() => racer.terminate()));
    }
    await until('every handshake has ended or was answered', async () => {
      const settled = racers.every(({ end, isReady }) => end !== null || isReady);
      const open = (await openConnections(hub)).filter(({ principal }) => principal?.id === id);
      return settled && open.length <= 1 && (await openConnections(hub)).every(({ principal }) => principal !== null);
    });
    // Commits come in order: after this one there is none on its way of those who vanished.
    const after = await connectDevice(hub.wsUrl, { protocol: 'cbor', id: 'after' });
    const open = (await openConnections(hub)).filter(({ principal }) => principal?.id === id);
    const shown = await presenceOf(hub, id);
    expect(shown.online, id).toBe(open.length === 1);
    const history = await settledHistory(id, shown.epoch, open.length);
    if (open.length === 1) {
      expect(open[0]!.epoch, id).toBe(shown.epoch);
      expect(history.at(-1), id).toMatchObject({ epoch: shown.epoch, reason: null });
    }
    for (const racer of [holder, ...racers, after]) racer.terminate();
    await until('all are gone', async () => (await openConnections(hub)).length === 0);
    await settledHistory(id, (await historyOf(hub, id)).length, 0);
  }
});

test('a device that always reconnects the moment it is closed keeps one connection and rising epochs', async () => {
  const id = 'flapping';
  let stop = false;
  const ends: number[] = [];
  let flappers = PROTOCOLS.length;
  const flap = async (protocol: (typeof PROTOCOLS)[number]): Promise<void> => {
    while (!stop) {
      const device = new TestDevice(hub.wsUrl, { protocol, id }, START_US);
      ends.push((await device.ended).code);
    }
    flappers--;
  };
  const flapping = PROTOCOLS.map(flap);
  await until('many takeovers', () => ends.length >= 100);
  stop = true;
  // Whoever was still on the way when it stopped has taken over, or has been taken over, by then.
  await until('one is left', async () => flappers === 1 && (await openConnections(hub)).length === 1);
  const { epoch } = await presenceOf(hub, id);
  expect(epoch).toBeGreaterThan(90);
  const history = await settledHistory(id, 100, 1);
  history.forEach((past, i) => expect(past.epoch).toBe(epoch - 99 + i));
  expect((await openConnections(hub))[0]).toMatchObject({ epoch });
  expect((await presenceOf(hub, id)).online).toBe(true);
  const [last] = await openConnections(hub);
  await hub.api('DELETE', `/api/v1/connections/${last!.id}`);
  await Promise.all(flapping);
  expect(await presenceOf(hub, id)).toMatchObject({ online: false, reason: 'closed_by_operator', initiator: 'hub' });
});

test.each(['disabled', 'deleted'])(
  'a device that is %s while its connection is written does not slip in',
  async (change) => {
    const id = `just-${change}`;
    const path = `/api/v1/devices/${id}`;
    const { status, body } = await hub.api('POST', '/api/v1/devices', { id });
    expect(status).toBe(201);
    // Commits wait, so that both are under way at once, the operator's change first.
    const lock = new Database(join(hub.data, 'muster.db'));
    lock.exec('BEGIN IMMEDIATE');
    const changed = change === 'disabled' ? hub.api('PATCH', path, { disabled: true }) : hub.api('DELETE', path);
    await hub.api('GET', path);
    const device = new TestDevice(hub.wsUrl, { protocol: 'mqtt', id, token: body.token }, START_US);
    await until('the hub has heard its introduction', async () => {
      return (await openConnections(hub)).some(({ messagesIn }) => messagesIn === 1);
    });
    lock.exec('ROLLBACK');
    lock.close();
    expect((await changed).status).toBeLessThan(300);
    expect(await device.ended).toMatchObject({ code: 4003, reason: expect.stringContaining(`device_${change}`) });
    expect(device.goodbyes).toEqual(['CONNACK 5 (not authorized)']);
    if (change === 'disabled') expect((await presenceOf(hub, id)).online).toBe(false);
    else expect((await hub.api('GET', path)).status).toBe(404);
    expect(await openConnections(hub)).toEqual([]);
  },
);
