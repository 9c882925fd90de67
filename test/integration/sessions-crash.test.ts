import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../support/hub.ts';
import { HubChild } from './faults/hub-child.ts';

let data: string;
let hub: HubChild;
let clients: MqttClient[];
const FLAGS = { shutdownTimeoutMs: 2000 };

beforeEach(async () => {
  data = mkdtempSync(join(tmpdir(), 'muster-test-'));
  clients = [];
  hub = await HubChild.start({ data, flags: FLAGS });
});
afterEach(async () => {
  for (const client of clients) await client.endAsync(true);
  await hub.kill('SIGKILL');
  rmSync(data, { recursive: true, force: true });
});

async function dieAndComeBack(): Promise<void> {
  await hub.kill('SIGKILL');
  hub = await HubChild.start({ data, flags: FLAGS, token: hub.token });
}

/** An application that finds the hub again wherever it is. */
function application(clientId: string, options: IClientOptions = {}): MqttClient {
  const client = mqtt.connect(`${hub.wsUrl}/mqtt`, {
    clientId,
    username: 'app',
    password: hub.token,
    clean: false,
    protocolVersion: 4,
    reconnectPeriod: 20,
    connectTimeout: 3000,
    resubscribe: false,
    transformWsUrl: () => `${hub.wsUrl}/mqtt`,
    ...options,
  });
  client.on('error', () => undefined);
  clients.push(client);
  return client;
}

async function connected(client: MqttClient): Promise<boolean> {
  const present = new Promise<boolean>((resolve) =>
    client.once('connect', ({ sessionPresent }) => resolve(sessionPresent)),
  );
  return present;
}

const V5: IClientOptions = { protocolVersion: 5, properties: { sessionExpiryInterval: 3600 } };

describe.each([
  ['3.1.1', {}],
  ['5.0', V5],
] as const)('MQTT %s, through kill -9', (_, options) => {
  test('nothing of QoS 1 is lost, nothing of QoS 2 is lost or doubled, and each keeps its order', async () => {
    const COUNT = 600;
    const got: string[] = [];
    const subscriber = application('subscriber', options);
    subscriber.on('message', (_topic, payload) => got.push(payload.toString()));
    await connected(subscriber);
    await subscriber.subscribeAsync('run/#', { qos: 2 });

    let finished = 0;
    const publish = async (name: string, qos: 1 | 2): Promise<void> => {
      const client = application(name, options);
      await connected(client);
      let next = 0;
      // Some under way at a time, like a client that sends as it measures.
      const lane = async (): Promise<void> => {
        while (next < COUNT) {
          const text = `${name} ${String(next++).padStart(4, '0')}`;
          await client.publishAsync(`run/${name}`, text, { qos }).catch((error: unknown) => {
            // MQTT.js calls it an error that the hub had forgotten the packet id already; in a recovery it is none (MQTT 5.0, 3.7.2.1).
            if ((error as { code?: number }).code !== 0x92) throw error;
          });
          finished++;
        }
      };
      await Promise.all(Array.from({ length: 10 }, lane));
    };
    const publishing = Promise.all([publish('once', 1), publish('exactly', 2)]);
    for (let round = 1; round <= 4; round++) {
      await until('the next part is through', () => finished >= (round * 2 * COUNT) / 5, 30_000);
      await dieAndComeBack();
    }
    await publishing;
    await until('everything came', () => new Set(got).size >= 2 * COUNT, 30_000);
    // What may still come would be doubled.
    await new Promise((resolve) => setTimeout(resolve, 300));

    for (const name of ['once', 'exactly']) {
      const all = Array.from({ length: COUNT }, (_, i) => `${name} ${String(i).padStart(4, '0')}`);
      const own = got.filter((text) => text.startsWith(name));
      expect([...new Set(own)]).toEqual(all);
      if (name === 'exactly') expect(own).toHaveLength(COUNT);
    }
    const { body } = await hub.api('GET', '/api/v1/sessions');
    for (const session of body.items) expect(session).toMatchObject({ queuedMessages: 0, inFlight: 0, dropped: 0 });
  }, 120_000);

  test('subscriptions, what waits, and retained messages are there again', async () => {
    const first = application('away', options);
    expect(await connected(first)).toBe(false);
    await first.subscribeAsync(['a/+', 'b'], { qos: 1 });
    await first.unsubscribeAsync('b');
    await first.endAsync(true);
    const sender = application('sender', options);
    await connected(sender);
    for (let i = 0; i < 300; i++) void sender.publishAsync('a/x', String(i), { qos: i % 2 === 0 ? 1 : 2 });
    await sender.publishAsync('b', 'nobody', { qos: 1 });
    await sender.publishAsync('kept', 'there', { qos: 1, retain: true });
    await sender.publishAsync('gone', 'x', { qos: 1, retain: true });
    await sender.publishAsync('gone', '', { qos: 1, retain: true });
    await dieAndComeBack();

    const { body } = await hub.api('GET', '/api/v1/sessions');
    expect(body.items.find((s: { clientId: string }) => s.clientId === 'away')).toMatchObject({
      connected: false,
      lasts: true,
      subscriptions: 1,
      queuedMessages: 300,
    });
    const got: string[] = [];
    const again = application('away', options);
    again.on('message', (_topic, payload) => got.push(payload.toString()));
    expect(await connected(again)).toBe(true);
    await until('all came', () => got.length >= 300);
    expect(got).toEqual(Array.from({ length: 300 }, (_, i) => String(i)));
    await again.subscribeAsync(['kept', 'gone'], { qos: 1 });
    await until('the retained message came', () => got.length >= 301);
    expect(got.slice(300)).toEqual(['there']);
  }, 60_000);

  test('a will whose connection was cut by it is published when the hub is there again', async () => {
    const watcher = application('watcher', options);
    const got: string[] = [];
    watcher.on('message', (topic, payload) => got.push(`${topic} ${payload.toString()}`));
    await connected(watcher);
    await watcher.subscribeAsync('wills/#', { qos: 1 });
    const will = (text: string): IClientOptions => ({
      clean: true,
      reconnectPeriod: 0,
      will: { topic: `wills/${text}`, payload: Buffer.from(text), qos: 1, retain: false },
    });
    const [cut, polite] = [application('cut', will('cut')), application('polite', will('polite'))];
    await Promise.all([connected(cut), connected(polite)]);
    await polite.endAsync();
    await until('the goodbye was heard', async () => {
      const { body } = await hub.api('GET', '/api/v1/connections');
      return body.items.every((c: { clientId: string }) => c.clientId !== 'polite');
    });
    await dieAndComeBack();
    await until('the will came', () => got.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(got).toEqual(['wills/cut cut']);
  }, 60_000);
});

test('a stop in peace keeps sessions and what waits for them as well', async () => {
  const first = application('away');
  await connected(first);
  await first.subscribeAsync('a', { qos: 2 });
  await first.endAsync();
  const sender = application('sender', { clean: true });
  await connected(sender);
  await sender.publishAsync('a', 'm', { qos: 2 });
  await sender.endAsync();
  expect(await hub.kill('SIGTERM')).toMatchObject({ code: 0 });
  hub = await HubChild.start({ data, flags: FLAGS, token: hub.token });
  const again = application('away');
  const got: string[] = [];
  again.on('message', (_topic, payload) => got.push(payload.toString()));
  expect(await connected(again)).toBe(true);
  await until('it came', () => got.length > 0);
  expect(got).toEqual(['m']);
});
