import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  CommandRejected,
  connect,
  fileQueue,
  memoryQueue,
  type Command,
  type ConnectOptions,
  type DeviceClient,
  type DeviceProtocol,
} from '#devices-sim/device/index.js';
import { startTestHub, until, type TestHub } from '#test/support/hub.js';

const PROTOCOLS: readonly DeviceProtocol[] = ['cbor', 'mqtt', 'stomp', 'http'];

let hub: TestHub;
const folder = mkdtempSync(join(tmpdir(), 'muster-client-'));
const clients: DeviceClient[] = [];
let devices = 0;

beforeAll(async () => {
  hub = await startTestHub();
});
afterAll(async () => {
  await hub.close();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close({ timeoutMs: 0 });
});

/** A new device at the hub. */
async function device(protocol: DeviceProtocol): Promise<{ id: string; options: ConnectOptions }> {
  const deviceId = `client-${protocol}-${++devices}`;
  const { body } = await hub.api('POST', '/api/v1/devices', { id: deviceId });
  const reconnect = { baseMs: 50, capMs: 200 };
  return { id: deviceId, options: { url: hub.wsUrl, protocol, deviceId, token: body.token, reconnect } };
}

function start(options: ConnectOptions): DeviceClient {
  const client = connect(options);
  clients.push(client);
  return client;
}

/** Raw rows, in the order of their times. */
async function readings(id: string): Promise<{ metric: string; value: unknown; timeUs: number }[]> {
  const { body } = await hub.api('GET', `/api/v1/devices/${id}/readings?limit=1000`);
  return body.items;
}

async function valuesOf(id: string, metric: string): Promise<unknown[]> {
  return (await readings(id))
    .filter((row) => row.metric === metric)
    .map((row) => row.value)
    .sort();
}

async function commandState(id: string): Promise<any> {
  return (await hub.api('GET', `/api/v1/commands/${id}`)).body.command;
}

describe.each(PROTOCOLS)('a device client over %s', (protocol) => {
  test('what it sends is on disk when its promise settles', async () => {
    const { id, options } = await device(protocol);
    const client = start(options);
    expect(client.state).toBe('connecting');
    await client.send({ temperature: 21.5, heating: false, status: 'überhitzt 🔥' }, Date.UTC(2026, 0, 1) + 0.5);
    expect(client.state).toBe('online');
    expect(await readings(id)).toHaveLength(3);
    expect(await valuesOf(id, 'status')).toEqual(['überhitzt 🔥']);
    await client.event('boot', { cause: 'power' });
    await client.send([
      { metric: 'a', value: 1, timeMs: Date.UTC(2026, 0, 2) },
      { metric: 'a', value: 2, timeMs: Date.UTC(2026, 0, 3) },
    ]);
    expect(await valuesOf(id, 'a')).toEqual([1, 2]);
    expect(client.figures).toMatchObject({ sent: 3, stored: 3, resent: 0 });
    expect(await client.close()).toBe(0);
    expect(client.state).toBe('closed');
    await until('offline', async () => (await hub.api('GET', `/api/v1/devices/${id}`)).body.presence.online === false);
  });

  test('answers commands: with a value, with a failure, with a refusal', async () => {
    const { id, options } = await device(protocol);
    const seen: Command[] = [];
    start({
      ...options,
      onCommand: async (command) => {
        seen.push(command);
        if (command.name === 'fail') throw new Error('no ink');
        if (command.name === 'refuse') throw new CommandRejected('never');
        return { did: command.params };
      },
    });
    const ids: string[] = [];
    for (const name of ['blink', 'fail', 'refuse']) {
      const { body } = await hub.api('POST', `/api/v1/devices/${id}/commands`, { name, params: { times: 3 } });
      ids.push(body.command.id);
    }
    const states = ['succeeded', 'failed', 'rejected'];
    for (const [i, commandId] of ids.entries()) {
      await until(states[i]!, async () => (await commandState(commandId)).state === states[i]);
    }
    expect(seen.map(({ name, params }) => ({ name, params }))).toEqual(
      ['blink', 'fail', 'refuse'].map((name) => ({ name, params: { times: 3 } })),
    );
  });

  test('keeps what it measures while the hub is away, and stores it once when it is back', async () => {
    const { id, options } = await device(protocol);
    const client = start(options);
    await client.send({ n: 0 });
    await hub.restart();
    const sendings = Array.from({ length: 20 }, (_, i) => client.send({ n: i + 1 }));
    await Promise.all(sendings);
    expect((await valuesOf(id, 'n')).length).toBe(21);
  });

  test('goes on after messages that gave way to newer ones, and the hub knows of the gap where the protocol can tell', async () => {
    const { id, options } = await device(protocol);
    const client = start({ ...options, queue: memoryQueue({ maxMessages: 3, whenFull: 'drop-oldest' }) });
    await client.send({ n: 0 });
    const offline = new Promise((resolve) => client.on('offline', resolve));
    const restarted = hub.restart();
    await offline;
    const sendings = [1, 2, 3, 4, 5, 6].map((n) => client.send({ n }));
    await restarted;
    await Promise.all(sendings.slice(3));
    await expect(sendings[0]).rejects.toMatchObject({ code: 'dropped' });
    expect(await valuesOf(id, 'n')).toEqual([0, 4, 5, 6]);
    const { body } = await hub.api('GET', `/api/v1/devices/${id}/gaps`);
    const tells = protocol === 'cbor' || protocol === 'http';
    expect(body.items).toMatchObject(tells ? [{ fromSeq: 2, toSeq: 4 }] : []);
  });

  test('is told when it is not wanted, and stays away', async () => {
    const { options } = await device(protocol);
    const client = start({ ...options, token: 'mst_00_wrong' });
    const refused = new Promise<string>((resolve) => client.on('refused', ({ reason }) => resolve(reason)));
    expect(await refused).toMatch(/4003|401/);
    expect(client.state).toBe('refused');
  });

  test('a queue on disk goes on in the next run of the program', async () => {
    const { id, options } = await device(protocol);
    const queue = () => fileQueue({ folder: join(folder, id) });
    const away = start({ ...options, url: 'ws://127.0.0.1:9', queue: await queue() });
    const sendings = [1, 2, 3].map((n) => away.send({ n }));
    await Promise.all(sendings.map((sending) => sending.kept));
    expect(await away.close({ timeoutMs: 0 })).toBe(3);
    await expect(sendings[0]).rejects.toMatchObject({ code: 'closed' });
    const client = start({ ...options, queue: await queue() });
    await client.send({ n: 4 });
    expect(await valuesOf(id, 'n')).toEqual([1, 2, 3, 4]);
    expect(client.queued).toBe(0);
  });
});

test('a client goes from one protocol to another with its queue', async () => {
  const { id, options } = await device('cbor');
  for (const protocol of PROTOCOLS) {
    const queue = await fileQueue({ folder: join(folder, id) });
    const client = start({ ...options, protocol, queue });
    await client.send({ n: 1 });
    await client.close();
  }
  expect(await valuesOf(id, 'n')).toHaveLength(PROTOCOLS.length);
  const { body } = await hub.api('GET', `/api/v1/devices/${id}/gaps`);
  expect(body.items).toEqual([]);
});

test('a full queue refuses in words', async () => {
  const { options } = await device('cbor');
  const client = start({ ...options, url: 'ws://127.0.0.1:9', queue: memoryQueue({ maxMessages: 1 }) });
  void client.send({ n: 1 });
  await expect(client.send({ n: 2 })).rejects.toMatchObject({ code: 'queue_full' });
});
