import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { command, connectionsOf, exported, latest, newDevice } from './clients/hub-view.ts';
import { mqttApplication } from './clients/mqtt.ts';
import { PahoPeer, whyNoPaho, type PahoOptions } from './clients/paho.ts';

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

  it.each(['3.1', '3.1.1', '5.0'] as const)('publishes QoS 1 as %s, and nothing of it is lost', async (version) => {
    const id = `paho-${version}`;
    const paho = new PahoPeer({ port: hub.port, password: await newDevice(hub, id), version });
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
    expect(await paho.subscribe('paho/+', 2)).toEqual([2]);
    await until('the retained one', () => paho.messages.length === 1);
    for (let n = 0; n < 100; n++) sender.client.publish('paho/live', String(n), { qos: 1 });
    await sender.publish('paho/end', 'end', 0);
    await until('all of them', () => paho.messages.length === 102);
    expect(paho.messages[0]).toMatchObject({ topic: 'paho/state', payload: 'kept', qos: 1, retain: true });
    const live = paho.messages.filter(({ topic }) => topic === 'paho/live');
    expect(live.map(({ payload }) => payload)).toEqual(Array.from({ length: 100 }, (_, n) => String(n)));
    expect(live.every(({ qos, retain }) => qos === 1 && !retain)).toBe(true);
    const end = { topic: 'paho/end', payload: 'end', qos: 0, retain: false };
    expect(paho.messages).toContainEqual(expect.objectContaining(end));
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

describe.skipIf(missing !== null && !inCi).each([
  { version: '3.1.1', transport: 'websockets' },
  { version: '3.1.1', transport: 'tcp' },
  { version: '5.0', transport: 'websockets' },
  { version: '5.0', transport: 'tcp' },
] as const)('Eclipse Paho for Python as MQTT $version over $transport', ({ version, transport }) => {
  let hub: TestHub;
  beforeAll(async () => {
    if (missing !== null) throw new Error(missing);
    hub = await startTestHub({ allowAnonymous: true, mqttPort: 0 });
  });
  afterAll(async () => {
    if (missing === null) await hub.close();
  });

  const connect = async (options: Partial<PahoOptions> = {}): Promise<PahoPeer> => {
    const tcpPort = Number(new URL(hub.hub.streamUrls.find((url) => url.startsWith('mqtt:'))!).port);
    const paho = new PahoPeer({ port: transport === 'tcp' ? tcpPort : hub.port, version, transport, ...options });
    expect(await paho.event('connected')).toMatchObject({ rc: 0 });
    return paho;
  };

  it('carries QoS 0, 1 and 2, each message once and in order', async () => {
    const receiver = await connect({ clientId: 'receiver' });
    const sender = await connect({ clientId: 'sender' });
    for (const qos of [0, 1, 2]) expect(await receiver.subscribe(`qos/${qos}`, qos)).toEqual([qos]);
    for (const qos of [0, 1, 2]) for (let n = 0; n < 100; n++) sender.publish(`qos/${qos}`, String(n), qos);
    await until('all of them', () => receiver.messages.length >= 300 && sender.published === 300);
    for (const qos of [0, 1, 2]) {
      const found = receiver.messages.filter(({ topic }) => topic === `qos/${qos}`);
      expect(found.map(({ payload }) => payload)).toEqual(Array.from({ length: 100 }, (_, n) => String(n)));
      expect(found.every((message) => message.qos === qos)).toBe(true);
    }
  });

  it('has a will, and a session that goes on', async () => {
    const watcher = await connect({ clientId: 'watcher' });
    await watcher.subscribe('wills/+', 1);
    const kept = { clientId: 'kept', clean: false, expiryS: 3600 };
    const will = { topic: 'wills/one', payload: 'gone', qos: 1, retain: true, delayS: 0 };
    const first = await connect({ ...kept, will });
    await first.subscribe('kept/#', 2);
    first.kill();
    await until('the will', () => watcher.messages.length === 1);
    expect(watcher.messages[0]).toMatchObject({ topic: 'wills/one', payload: 'gone', qos: 1, retain: false });
    const sender = await connect({ clientId: 'sender' });
    for (let n = 0; n < 20; n++) sender.publish('kept/in', String(n), 2);
    await until('all taken', () => sender.published === 20);
    const second = await connect(kept);
    expect(await second.event('connected')).toMatchObject({ resumed: true });
    await until('what waited', () => second.messages.length === 20);
    expect(second.messages.map(({ payload }) => payload)).toEqual(Array.from({ length: 20 }, (_, n) => String(n)));
    await second.disconnect();
  });

  if (version === '5.0')
    it('asks and is answered, with all that a message says of itself', async () => {
      const service = await connect({ clientId: 'service' });
      service.onMessage = ({ payload, properties }) => {
        const { ResponseTopic, CorrelationData } = properties;
        service.publish(ResponseTopic as string, payload.toUpperCase(), 1, false, { CorrelationData });
      };
      await service.subscribe('asks', 2);
      const asking = await connect({ clientId: 'asking', receiveMaximum: 1 });
      await asking.subscribe('answers', 1, { SubscriptionIdentifier: 7 });
      for (const id of ['a', 'b', 'c']) {
        asking.publish('asks', `text ${id}`, 2, false, { ResponseTopic: 'answers', CorrelationData: id });
      }
      await until('three answers', () => asking.messages.length === 3);
      expect(asking.messages.map(({ payload, properties }) => [payload, properties])).toEqual(
        ['a', 'b', 'c'].map((id) => [`TEXT ${id.toUpperCase()}`, { CorrelationData: id, SubscriptionIdentifier: [7] }]),
      );
      const UserProperty = [
        ['b', '1'],
        ['a', '2'],
        ['b', '3'],
      ];
      const said = { ContentType: 'text/plain', PayloadFormatIndicator: 1, UserProperty };
      await asking.subscribe('said', 0);
      asking.publish('said', 'x', 1, false, said);
      await until('it', () => asking.messages.length === 4);
      expect(asking.messages[3]!.properties).toMatchObject(said);
    });

  if (version === '5.0')
    it('shares a subscription', async () => {
      const one = await connect({ clientId: 'one' });
      const two = await connect({ clientId: 'two' });
      for (const each of [one, two]) expect(await each.subscribe('$share/g/jobs', 1)).toEqual([1]);
      const sender = await connect({ clientId: 'sender' });
      for (let n = 0; n < 40; n++) sender.publish('jobs', String(n), 1);
      await until('all of them', () => one.messages.length + two.messages.length === 40);
      const all = [...one.messages, ...two.messages].map(({ payload }) => Number(payload));
      expect(all.sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, n) => n));
      expect(Math.min(one.messages.length, two.messages.length)).toBeGreaterThan(5);
    });
});
