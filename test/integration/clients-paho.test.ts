import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { command, connectionsOf, exported, latest, newDevice } from './clients/hub-view.ts';
import { mqttApplication } from './clients/mqtt.ts';
import { PahoPeer, whyNoPaho } from './clients/paho.ts';

const missing = whyNoPaho();
const inCi = process.env['CI'] !== undefined && process.env['CI'] !== '';
if (missing !== null) console.warn(`clients-paho.test.ts: ${inCi ? 'fails' : 'is skipped'}: ${missing}`);

describe.skipIf(missing !== null && !inCi)('Eclipse Paho for Python over WebSocket', () => {
  let hub: TestHub;
  beforeAll(async () => {
    if (missing !== null) throw new Error(missing);
    hub = await startTestHub();
  });
  afterAll(async () => {
    if (missing === null) await hub.close();
  });

  it.each(['mqtt', 'mqttv3.1'] as const)('publishes QoS 1 as %s, and nothing of it is lost', async (protocol) => {
    const id = `paho-${protocol}`;
    const paho = new PahoPeer({ port: hub.port, password: await newDevice(hub, id), protocol });
    expect(await paho.event('connected')).toMatchObject({ rc: 0 });
    for (let n = 0; n < 200; n++) paho.publish('devices/me/telemetry', JSON.stringify({ n }), 1);
    await until('all acknowledged', () => paho.published === 200);
    expect((await exported(hub, id)).map(({ value }) => value)).toEqual(Array.from({ length: 200 }, (_, n) => n));
    expect(await latest(hub, id)).toEqual({ n: 199 });
    expect((await connectionsOf(hub, id))[0]).toMatchObject({ reason: null });
    await paho.disconnect();
    await until('the goodbye', async () => (await connectionsOf(hub, id))[0]!.reason === 'client_disconnect');
  });

  it('answers a command', async () => {
    const paho = new PahoPeer({ port: hub.port, password: await newDevice(hub, 'paho-commanded') });
    await paho.event('connected');
    expect(await paho.subscribe('devices/me/commands/+/add', 1)).toEqual([1]);
    paho.onMessage = ({ topic, payload }) => {
      const { a, b } = JSON.parse(payload) as { a: number; b: number };
      paho.publish(topic.replace(/add$/, 'result'), JSON.stringify({ status: 'succeeded', value: a + b }), 1);
    };
    expect(await command(hub, 'paho-commanded', 'add', { a: 40, b: 2 })).toMatchObject({
      state: 'succeeded',
      result: 42,
    });
  });

  it('subscribes: retained, live, in order, with the QoS that is the lower one', async () => {
    const sender = await mqttApplication(hub, 'paho-sender');
    await sender.publish('paho/state', 'kept', 1, true);
    const paho = new PahoPeer({ port: hub.port, password: hub.token, path: '/' });
    await paho.event('connected');
    expect(await paho.subscribe('paho/+', 2)).toEqual([1]);
    await until('the retained one', () => paho.messages.length === 1);
    for (let n = 0; n < 100; n++) sender.client.publish('paho/live', String(n), { qos: 1 });
    await sender.publish('paho/end', 'end', 0);
    await until('all of them', () => paho.messages.length === 102);
    expect(paho.messages[0]).toEqual({ topic: 'paho/state', payload: 'kept', qos: 1, retain: true });
    const live = paho.messages.filter(({ topic }) => topic === 'paho/live');
    expect(live.map(({ payload }) => payload)).toEqual(Array.from({ length: 100 }, (_, n) => String(n)));
    expect(live.every(({ qos, retain }) => qos === 1 && !retain)).toBe(true);
    expect(paho.messages).toContainEqual({ topic: 'paho/end', payload: 'end', qos: 0, retain: false });
  });

  it('resumes a kept session', async () => {
    const options = { port: hub.port, password: hub.token, clientId: 'paho-kept', clean: false };
    const first = new PahoPeer(options);
    expect(await first.event('connected')).toMatchObject({ resumed: false });
    await first.subscribe('paho-kept/#', 1);
    await first.disconnect();
    const sender = await mqttApplication(hub, 'paho-kept-sender');
    for (const n of ['1', '2', '3']) await sender.publish('paho-kept/in', n);
    const second = new PahoPeer(options);
    expect(await second.event('connected')).toMatchObject({ resumed: true });
    await until('what waited', () => second.messages.length === 3);
    expect(second.messages.map(({ payload }) => payload)).toEqual(['1', '2', '3']);
  });

  it('is told that its token is wrong', async () => {
    const paho = new PahoPeer({ port: hub.port, password: 'wrong' });
    expect(await paho.event('connected')).toMatchObject({ rc: 4 });
  });
});
