import mqtt from 'mqtt';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '#test/support/hub.js';

const COUNT = 3000;

let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub();
});
afterAll(() => hub.close());

const connect = (): Promise<mqtt.MqttClient> =>
  mqtt.connectAsync(hub.wsUrl, { protocolVersion: 4, password: hub.token, username: 'app', reconnectPeriod: 0 });

it('a new subscription gets every retained message, though they are more than a session may have waiting', async () => {
  const [publisher, reader] = [await connect(), await connect()];
  const topics = Array.from({ length: COUNT }, (_, i) => `kept/${i}`);
  await Promise.all(topics.map((topic) => publisher.publishAsync(topic, topic, { qos: 1, retain: true })));
  const got: string[] = [];
  reader.on('message', (topic) => got.push(topic));
  await reader.subscribeAsync('kept/#', { qos: 1 });
  await until('all retained messages', () => got.length >= COUNT);
  expect(new Set(got).size).toBe(COUNT);
  await publisher.endAsync();
  await reader.endAsync();
});
