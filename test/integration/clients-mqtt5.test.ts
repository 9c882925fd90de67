import mqtt, { type IClientOptions, type IPublishPacket } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { exported } from './clients/hub-view.ts';
import { mqttConnect, MqttPeer } from './clients/mqtt.ts';
import { afterThisTest } from './clients/opened.ts';

const VERSIONS = [
  { version: '3.1.1', protocolVersion: 4 },
  { version: '5.0', protocolVersion: 5 },
] as const;
/** QoS 2 at once: fewer than the hub's receive maximum, which MQTT.js pays no heed to. */
const COUNT = 60;
const NUMBERS = Array.from({ length: COUNT }, (_, n) => String(n));

let serial = 0;
const own = (name: string): string => `${name}-${++serial}`;

/** An open hub's address, by transport. */
function urlOf(hub: TestHub, transport: 'WebSocket' | 'TCP'): string {
  return transport === 'TCP' ? hub.hub.streamUrls.find((url) => url.startsWith('mqtt:'))! : `${hub.wsUrl}/mqtt`;
}

/** Options of a client whose session is kept. */
function lasting(protocolVersion: 4 | 5, clientId: string): IClientOptions {
  const properties = protocolVersion === 5 ? { properties: { sessionExpiryInterval: 3600 } } : {};
  return { protocolVersion, clientId, clean: false, reconnectPeriod: 50, ...properties };
}

describe.each(VERSIONS)('MQTT.js as MQTT $version', ({ protocolVersion }) => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await startTestHub({ allowAnonymous: true, mqttPort: 0 });
  });
  afterAll(() => hub.close());

  describe.each(['WebSocket', 'TCP'] as const)('over %s', (transport) => {
    const connect = (options: IClientOptions = {}): Promise<MqttPeer> =>
      mqttConnect(urlOf(hub, transport), { protocolVersion, clientId: own('c'), ...options });

    it.each([0, 1, 2] as const)('carries messages of every QoS, each once and in order: %i', async (qos) => {
      const topic = own('t');
      const receiver = await connect();
      await receiver.subscribe(topic, 2);
      const sender = await connect();
      await Promise.all(NUMBERS.map((n) => sender.client.publishAsync(topic, n, { qos })));
      await receiver.gets(COUNT);
      expect(receiver.payloads).toEqual(NUMBERS);
      expect(receiver.received.every((message) => message.qos === qos)).toBe(true);
    });

    it('has its will published when it vanishes, retained as it asked', async () => {
      const topic = own('w');
      const watcher = await connect();
      await watcher.subscribe(topic, 2);
      const will = { topic, payload: Buffer.from('gone'), qos: 2, retain: true } as const;
      const doomed = await connect({ will });
      doomed.cut();
      await watcher.gets(1);
      expect(watcher.received).toEqual([{ topic, payload: 'gone', qos: 2, retain: false }]);
      const late = await connect();
      await late.subscribe(topic, 1);
      await late.gets(1);
      expect(late.received).toEqual([{ topic, payload: 'gone', qos: 1, retain: true }]);
      const polite = await connect({ will: { ...will, payload: Buffer.from('never') } });
      await polite.client.endAsync();
      await watcher.client.publishAsync(topic, 'end', { qos: 1 });
      await watcher.gets(2);
      expect(watcher.payloads).toEqual(['gone', 'end']);
    });

    it('shares a subscription: each message goes to one of the group', async () => {
      const topic = own('shared');
      const workers = [await connect(), await connect(), await connect()];
      for (const worker of workers) await worker.subscribe(`$share/group/${topic}/+`, 1);
      const sender = await connect();
      await Promise.all(NUMBERS.map((n) => sender.client.publishAsync(`${topic}/${n}`, n, { qos: 1 })));
      const count = (): number => workers.reduce((sum, worker) => sum + worker.received.length, 0);
      await until('all of them', () => count() === COUNT);
      expect(workers.flatMap(({ payloads }) => payloads).sort()).toEqual([...NUMBERS].sort());
      expect(workers.every(({ received }) => received.length > 5)).toBe(true);
    });
  });
});

describe.each(VERSIONS)('MQTT.js as MQTT $version and a hub that is restarted', ({ protocolVersion }) => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await startTestHub({ allowAnonymous: true });
  });
  afterAll(() => hub.close());

  const connect = (options: IClientOptions): Promise<MqttPeer> => mqttConnect(`${hub.wsUrl}/mqtt`, options);

  it('goes on in its session: subscriptions, what waited, what is retained', async () => {
    const [id, topic] = [own('kept'), own('t')];
    const first = await connect(lasting(protocolVersion, id));
    await first.subscribe(`${topic}/#`, 2);
    await first.client.endAsync();
    const sender = await connect({ protocolVersion, clientId: own('sender') });
    for (const [i, n] of NUMBERS.slice(0, 20).entries()) {
      await sender.client.publishAsync(`${topic}/waits`, n, { qos: i % 2 === 0 ? 1 : 2 });
    }
    await sender.client.publishAsync(`${topic}/retained`, 'state', { qos: 1, retain: true });
    await sender.client.endAsync();
    await hub.restart();
    const again = await connect(lasting(protocolVersion, id));
    expect(again.connack?.sessionPresent).toBe(true);
    await again.gets(21);
    // MQTT.js tells of QoS 2 when it is released, so the two kinds come in an order of their own.
    expect([...again.payloads].sort()).toEqual([...NUMBERS.slice(0, 20), 'state'].sort());
    const ofQos1 = again.received.filter(({ qos }) => qos === 1).map(({ payload }) => payload);
    expect(ofQos1).toEqual([...NUMBERS.slice(0, 20).filter((n) => Number(n) % 2 === 0), 'state']);
    const late = await connect({ protocolVersion, clientId: own('late') });
    await late.subscribe(`${topic}/retained`);
    await late.gets(1);
    expect(late.received[0]).toMatchObject({ payload: 'state', retain: true });
    await late.client.publishAsync(`${topic}/live`, 'live', { qos: 2 });
    await again.gets(22);
    expect(again.payloads.at(-1)).toBe('live');
    await again.client.endAsync();
    expect((await connect({ ...lasting(protocolVersion, id), clean: true })).connack?.sessionPresent).toBe(false);
  });

  it('loses nothing of QoS 2 and gets nothing twice while the hub stops and starts under it', async () => {
    const topic = own('t');
    const receiver = await connect(lasting(protocolVersion, own('receiver')));
    await receiver.subscribe(topic, 2);
    const sender = await connect(lasting(protocolVersion, own('sender')));
    const done = NUMBERS.map((n) => sender.client.publishAsync(topic, n, { qos: 2 }));
    await until('some of them', () => receiver.received.length > 5);
    await hub.restart();
    await Promise.all(done);
    await receiver.gets(COUNT);
    await sender.client.publishAsync(topic, 'end', { qos: 2 });
    await until('the end', () => receiver.payloads.includes('end'));
    expect([...receiver.payloads].sort()).toEqual([...NUMBERS, 'end'].sort());
  });

  it('has its will published when the hub comes back without it', async () => {
    const topic = own('w');
    const watcher = await connect(lasting(protocolVersion, own('watcher')));
    await watcher.subscribe(topic, 1);
    const will = { topic, payload: Buffer.from('gone'), qos: 1, retain: false } as const;
    const properties = { willDelayInterval: 1 };
    const doomed = await connect({
      ...lasting(protocolVersion, own('doomed')),
      will: protocolVersion === 5 ? { ...will, properties } : will,
    });
    doomed.client.options.reconnectPeriod = 0;
    doomed.cut();
    await hub.restart();
    await watcher.gets(1);
    expect(watcher.payloads).toEqual(['gone']);
  });
});

describe('MQTT.js as MQTT 5.0 alone', () => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await startTestHub({ allowAnonymous: true, mqttPort: 0 });
  });
  afterAll(() => hub.close());

  const connect = (options: IClientOptions = {}): Promise<MqttPeer> =>
    mqttConnect(`${hub.wsUrl}/mqtt`, { protocolVersion: 5, clientId: own('c'), ...options });

  it('asks and is answered: response topic and correlation data', async () => {
    const [asks, answers] = [own('asks'), own('answers')];
    const service = await connect();
    service.client.on('message', (_topic, payload, { properties }) => {
      const { responseTopic, correlationData } = properties ?? {};
      if (responseTopic === undefined || correlationData === undefined) return;
      const sum = payload
        .toString()
        .split('+')
        .map(Number)
        .reduce((a, b) => a + b, 0);
      service.client.publish(responseTopic, String(sum), { qos: 1, properties: { correlationData } });
    });
    await service.subscribe(asks, 2);
    const asking = await connect();
    const found = new Map<string, string>();
    asking.client.on('message', (_topic, payload, { properties }) => {
      found.set(properties!.correlationData!.toString(), payload.toString());
    });
    await asking.subscribe(answers, 1);
    for (const [a, b] of [
      [1, 2],
      [20, 22],
      [0, 0],
    ]) {
      const properties = { responseTopic: answers, correlationData: Buffer.from(`${a} and ${b}`) };
      await asking.client.publishAsync(asks, `${a}+${b}`, { qos: 2, properties });
    }
    await until('three answers', () => found.size === 3);
    expect(Object.fromEntries(found)).toEqual({ '1 and 2': '3', '20 and 22': '42', '0 and 0': '0' });
  });

  it('uses topic aliases in both directions', async () => {
    const topic = own('a/rather/long/topic/that/is/sent/again/and/again');
    const receiver = await connect({ properties: { topicAliasMaximum: 10 } });
    await receiver.subscribe(topic, 1);
    let short = 0;
    receiver.client.on('packetreceive', (packet) => {
      if (packet.cmd === 'publish' && packet.topic === '') short++;
    });
    const sender = await connect({ autoAssignTopicAlias: true });
    let shortOut = 0;
    sender.client.on('packetsend', (packet) => {
      if (packet.cmd === 'publish' && packet.topic === '') shortOut++;
    });
    for (const n of NUMBERS) await sender.client.publishAsync(topic, n, { qos: 1 });
    await receiver.gets(COUNT);
    expect(receiver.payloads).toEqual(NUMBERS);
    expect(receiver.received.every((message) => message.topic === topic)).toBe(true);
    expect(shortOut).toBe(COUNT - 1);
    expect(short).toBe(COUNT - 1);
  });

  it.each([1, 2] as const)('gets all, one at a time, when that is its receive maximum: QoS %i', async (qos) => {
    const topic = own('t');
    // MQTT.js closes the connection when it is sent more.
    const receiver = await connect({
      properties: { receiveMaximum: 1 },
      customHandleAcks: (_topic, _message, _packet, done) => void setTimeout(() => done(0), 3),
    });
    let wrong: Error | null = null;
    receiver.client.on('error', (error) => (wrong = error));
    await receiver.subscribe(topic, qos);
    const sender = await connect();
    await Promise.all(NUMBERS.map((n) => sender.client.publishAsync(topic, n, { qos })));
    await receiver.gets(COUNT);
    expect([receiver.payloads, wrong, receiver.closed]).toEqual([NUMBERS, null, false]);
  });

  it('may send a thousand readings at once, past the receive maximum, and none is lost', async () => {
    const id = own('pipeline');
    const device = await connect({ clientId: id });
    const numbers = Array.from({ length: 1000 }, (_, n) => n);
    await Promise.all(numbers.map((n) => device.publish('devices/me/telemetry', { n })));
    expect((await exported(hub, id)).map(({ value }) => value)).toEqual(numbers);
  });

  it('has a will that waits for its delay, with its properties, unless it is back before', async () => {
    const [waits, returns] = [own('w'), own('w')];
    const watcher = await connect();
    const seen: IPublishPacket[] = [];
    watcher.client.on('message', (_topic, _payload, packet) => seen.push(packet));
    await watcher.subscribe(waits, 1);
    await watcher.subscribe(returns, 1);
    const willOf = (topic: string): IClientOptions => ({
      ...lasting(5, own('c')),
      reconnectPeriod: 0,
      will: {
        topic,
        payload: Buffer.from('gone'),
        qos: 1,
        retain: false,
        properties: { willDelayInterval: 1, contentType: 'text/plain', userProperties: { why: 'unknown' } },
      },
    });
    const [gone, back] = [willOf(waits), willOf(returns)];
    const since = performance.now();
    (await connect(gone)).cut();
    (await connect(back)).cut();
    const returned = await connect({ ...back, will: undefined as never });
    expect(returned.connack?.sessionPresent).toBe(true);
    await watcher.gets(1);
    expect(performance.now() - since).toBeGreaterThan(900);
    expect(seen[0]).toMatchObject({
      topic: waits,
      properties: { contentType: 'text/plain', userProperties: { why: 'unknown' } },
    });
    await watcher.client.publishAsync(returns, 'end', { qos: 1 });
    await watcher.gets(2);
    expect(watcher.payloads).toEqual(['gone', 'end']);
  });

  it('is given a client id, keeps user properties, sees subscription identifiers and its own messages only if it likes', async () => {
    const topic = own('t');
    const peer = await connect({ clientId: '' });
    expect(peer.connack?.properties?.assignedClientIdentifier).toMatch(/./);
    const seen: IPublishPacket[] = [];
    peer.client.on('message', (_topic, _payload, packet) => seen.push(packet));
    await peer.client.subscribeAsync(topic, { qos: 1, nl: true, properties: { subscriptionIdentifier: 5 } });
    await peer.client.subscribeAsync(`${topic}/own`, { qos: 1, properties: { subscriptionIdentifier: 6 } });
    await peer.client.publishAsync(topic, 'hidden', { qos: 1 });
    const userProperties = { a: ['1', '2'], b: '3' };
    await peer.client.publishAsync(`${topic}/own`, 'seen', { qos: 1, properties: { userProperties } });
    await (await connect()).client.publishAsync(topic, 'another’s', { qos: 1 });
    await peer.gets(2);
    expect(seen.map(({ payload, properties }) => [payload.toString(), properties?.subscriptionIdentifier])).toEqual([
      ['seen', 6],
      ['another’s', 5],
    ]);
    expect({ ...seen[0]!.properties?.userProperties }).toEqual(userProperties);
  });

  it('is told why it is closed, and why a publish is refused', async () => {
    const id = own('c');
    const first = await connect({ clientId: id });
    let goodbye: number | undefined;
    first.client.on('disconnect', (packet) => (goodbye = packet.reasonCode));
    const second = await connect({ clientId: id });
    await until('the goodbye', () => goodbye !== undefined && first.closed);
    expect(goodbye).toBe(0x8e);
    await expect(second.client.publishAsync('$SYS/mine', 'x', { qos: 1 })).rejects.toMatchObject({ code: 0x87 });
    const refused = new MqttPeer(hub.wsUrl, { protocolVersion: 5, username: 'x', password: 'no token' });
    await until('the refusal', () => refused.error !== null);
    expect(refused.error).toMatchObject({ code: 0x86 });
  });

  it('of one version talks to the other', async () => {
    const topic = own('t');
    const old = await mqtt.connectAsync(urlOf(hub, 'TCP'), { protocolVersion: 4, clientId: own('old') });
    afterThisTest(() => old.endAsync(true));
    const seen: string[] = [];
    old.on('message', (name, payload) => seen.push(`${name} ${payload.toString()}`));
    await old.subscribeAsync(`${topic}/5`, { qos: 2 });
    const peer = await connect();
    await peer.subscribe(`${topic}/4`, 2);
    const properties = { contentType: 'x', userProperties: { a: 'b' }, messageExpiryInterval: 10 };
    await peer.client.publishAsync(`${topic}/5`, 'from 5', { qos: 2, properties });
    await old.publishAsync(`${topic}/4`, 'from 4', { qos: 2 });
    await until('both', () => seen.length === 1 && peer.received.length === 1);
    expect([seen[0], peer.payloads[0]]).toEqual([`${topic}/5 from 5`, 'from 4']);
  });
});
