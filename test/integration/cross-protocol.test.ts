import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeEvent } from '#protocols/cbor/codec.js';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { cborConnect } from './clients/cbor.ts';
import { connectionsOf, latest, newDevice } from './clients/hub-view.ts';
import { HttpDevice } from './clients/http.ts';
import { mqttApplication, mqttConnect, mqttDevice } from './clients/mqtt.ts';
import { afterThisTest } from './clients/opened.ts';
import { stompApplication, stompConnect, stompDevice } from './clients/stomp.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub();
});
afterAll(() => hub.close());

const NUMBERS = Array.from({ length: 500 }, (_, n) => String(n));

describe('a free topic joins the protocols', () => {
  it.each([
    ['with receipts, so at QoS 1', true],
    ['without, so at QoS 0', false],
  ])('500 messages of a STOMP client, sent %s, come to an MQTT client in order', async (_how, receipts) => {
    const listener = await mqttApplication(hub, 'from-stomp');
    await listener.subscribe('bridge/a/+', 1);
    const sender = await stompApplication(hub, 'to-mqtt');
    for (const n of NUMBERS) sender.sendOnly('/topic/bridge/a/b', n, receipts ? { receipt: n } : {});
    await listener.gets(500);
    expect(listener.payloads).toEqual(NUMBERS);
    expect(new Set(listener.received.map(({ qos, topic }) => `${topic} ${qos}`))).toEqual(
      new Set([`bridge/a/b ${receipts ? 1 : 0}`]),
    );
    if (receipts) await until('all receipts', () => sender.receipts.length === 500);
  });

  it.each([
    ['client-individual', 1],
    ['auto', 0],
  ] as const)('500 messages of an MQTT client come to a STOMP client in order, mode %s', async (ack, qos) => {
    const listener = await stompApplication(hub, `from-mqtt-${ack}`);
    await listener.subscribe(`/topic/bridge/${ack}/*`, ack, (message) => {
      if (ack === 'client-individual') message.ack();
    });
    const sender = await mqttApplication(hub, 'to-stomp');
    for (const n of NUMBERS) sender.client.publish(`bridge/${ack}/b`, n, { qos });
    await until('all', () => listener.received.length === 500);
    expect(listener.bodies).toEqual(NUMBERS);
    expect(listener.received[0]!.headers['destination']).toBe(`/topic/bridge/${ack}/b`);
  });

  it('mixed QoS and retain keep their order, for subscribers of both protocols', async () => {
    const mqtt = await mqttApplication(hub, 'mixed-mqtt');
    await mqtt.subscribe('mixed/#', 1);
    const stomp = await stompApplication(hub, 'mixed-stomp');
    await stomp.subscribe('/topic/mixed/>', 'client-individual', (message) => message.ack());
    const sender = await mqttApplication(hub, 'mixed-sender');
    const sent: string[] = [];
    for (let round = 0; round < 20; round++) {
      for (const [what, qos, retain] of [
        ['A', 1, true],
        ['B', 1, false],
        ['C', 0, false],
        ['D', 0, true],
      ] as const) {
        sent.push(`${what}${round}`);
        sender.client.publish('mixed/topic', sent.at(-1)!, { qos, retain });
      }
    }
    await mqtt.gets(sent.length);
    await until('all by STOMP', () => stomp.received.length === sent.length);
    expect(mqtt.payloads).toEqual(sent);
    expect(stomp.bodies).toEqual(sent);
    expect(mqtt.received.every(({ retain }) => !retain)).toBe(true);
    expect(stomp.received.every(({ headers }) => headers['retain'] === undefined)).toBe(true);
  });

  it('what one protocol retains, the other finds', async () => {
    const stomp = await stompApplication(hub, 'retaining-stomp');
    await stomp.send('/topic/kept-by/stomp', 'S', { retain: 'true' });
    const mqtt = await mqttApplication(hub, 'retaining-mqtt');
    await mqtt.publish('kept-by/mqtt', 'M', 1, true);
    await mqtt.subscribe('kept-by/+');
    await stomp.subscribe('/topic/kept-by/+');
    await until('both', () => mqtt.received.length === 2 && stomp.received.length === 2);
    for (const { retain } of mqtt.received) expect(retain).toBe(true);
    for (const { headers } of stomp.received) expect(headers['retain']).toBe('true');
    expect(mqtt.payloads.sort()).toEqual(['M', 'S']);
    expect(stomp.bodies.sort()).toEqual(['M', 'S']);
  });
});

describe('telemetry', () => {
  it('of MQTT, STOMP, CBOR and HTTP devices comes to applications as JSON, after its commit', async () => {
    const listener = await mqttApplication(hub, 'telemetry-reader');
    await listener.subscribe('devices/+/telemetry');
    const stompListener = await stompApplication(hub, 'telemetry-stomp-reader');
    await stompListener.subscribe('/devices/*/telemetry');
    const committed: Promise<[string, unknown]>[] = [];
    listener.client.on('message', (topic) => {
      const device = topic.split('/')[1]!;
      committed.push(latest(hub, device).then((values) => [device, values]));
    });

    const mqtt = await mqttDevice(hub, await newDevice(hub, 'tele-mqtt'));
    const stomp = await stompDevice(hub, await newDevice(hub, 'tele-stomp'));
    const { peer: cbor } = await cborConnect(hub, { stream: 's', next: 1, token: await newDevice(hub, 'tele-cbor') });
    await mqtt.publish('devices/me/telemetry', { ts: 1_700_000_000_000, t: 1.5 });
    await stomp.send('/devices/me/telemetry', { t: 2.5 });
    cbor.data(1, [
      { metric: 't', timeUs: 1_700_000_000_500_000, value: 3.5 },
      { metric: 'on', timeUs: 1_700_000_000_500_000, value: true },
    ]);
    const http = new HttpDevice(hub.port, { token: await newDevice(hub, 'tele-http') });
    await http.telemetry({ ts: 1_700_000_000_000, t: 4.5 });
    await listener.gets(4);
    await until('all by STOMP', () => stompListener.received.length === 4);

    const byDevice = Object.fromEntries(listener.received.map(({ topic, payload }) => [topic, JSON.parse(payload)]));
    expect(byDevice).toEqual({
      'devices/tele-mqtt/telemetry': { ts: 1_700_000_000_000, t: 1.5 },
      'devices/tele-stomp/telemetry': { t: 2.5 },
      'devices/tele-cbor/telemetry': { ts: 1_700_000_000_500, t: 3.5, on: true },
      'devices/tele-http/telemetry': { ts: 1_700_000_000_000, t: 4.5 },
    });
    expect(Object.fromEntries(await Promise.all(committed))).toEqual({
      'tele-mqtt': { t: 1.5 },
      'tele-stomp': { t: 2.5 },
      'tele-cbor': { t: 3.5, on: true },
      'tele-http': { t: 4.5 },
    });
    const bySource = stompListener.received.map(({ headers, body }) => [headers['destination'], JSON.parse(body)]);
    expect(bySource).toContainEqual(['/devices/tele-cbor/telemetry', { ts: 1_700_000_000_500, t: 3.5, on: true }]);
  });

  it('that is rejected comes to nobody, nor what a device sends twice under one seq', async () => {
    const listener = await mqttApplication(hub, 'no-repeats');
    await listener.subscribe('devices/picky/telemetry');
    const token = await newDevice(hub, 'picky');
    const { peer } = await cborConnect(hub, { stream: 's', next: 1, token });
    for (let i = 0; i < 3; i++) peer.data(1, [{ metric: 'n', timeUs: 1_700_000_000_000_000, value: 1 }]);
    peer.data(2, [{ metric: 'n', timeUs: 1_700_000_001_000_000, value: 2 }]);
    await peer.acknowledged(2);
    const mqtt = await mqttDevice(hub, token);
    await mqtt.publish('devices/me/telemetry', 'garbage');
    await mqtt.publish('devices/me/telemetry', { n: 3 });
    await listener.gets(3);
    expect(listener.payloads.map((text) => JSON.parse(text).n)).toEqual([1, 2, 3]);
  });

  it('comes to anybody who asks when the hub is open to all', async () => {
    const open = await startTestHub({ allowAnonymous: true });
    afterThisTest(() => open.close());
    const listener = await mqttConnect(open.wsUrl, { clientId: 'watching' });
    await listener.subscribe('devices/+/telemetry');
    const device = await stompConnect(open, { headers: { 'client-id': 'open-stomp' } });
    await device.send('/devices/me/telemetry', { n: 1 });
    const { peer } = await cborConnect(open, { stream: 's', next: 1, id: 'open-cbor' });
    peer.data(1, [{ metric: 'n', timeUs: null, value: 2 }]);
    await listener.gets(2);
    expect(listener.received.map(({ topic, payload }) => [topic, payload])).toEqual([
      ['devices/open-stomp/telemetry', '{"n":1}'],
      ['devices/open-cbor/telemetry', '{"n":2}'],
    ]);
    expect(await latest(open, 'open-cbor')).toEqual({ n: 2 });
  });
});

describe('events and results', () => {
  it('come to applications whatever the device speaks', async () => {
    const listener = await mqttApplication(hub, 'events-reader');
    await listener.subscribe('devices/+/events/#');
    const { peer } = await cborConnect(hub, { stream: 's', next: 1, token: await newDevice(hub, 'event-cbor') });
    peer.send(encodeEvent(1, 'door', { open: true }));
    await listener.gets(1);
    const stomp = await stompDevice(hub, await newDevice(hub, 'event-stomp'));
    await stomp.send('/devices/me/events/door', 'ajar', { 'content-type': 'text/plain' });
    await listener.gets(2);
    const http = new HttpDevice(hub.port, { token: await newDevice(hub, 'event-http') });
    await http.ask('POST', '/events/door', { body: { open: false } });
    await listener.gets(3);
    expect(listener.received.map(({ topic, payload }) => [topic, payload])).toEqual([
      ['devices/event-cbor/events/door', '{"open":true}'],
      ['devices/event-stomp/events/door', 'ajar'],
      ['devices/event-http/events/door', '{"open":false}'],
    ]);
  });
});

describe('a command', () => {
  it('that a poll was handed and nobody received goes to the MQTT connection that takes over; its result is a repeat over HTTP', async () => {
    const token = await newDevice(hub, 'two-ways');
    const http = new HttpDevice(hub.port, { token });
    const { body } = await hub.api('POST', '/api/v1/devices/two-ways/commands', { name: 'reboot' });
    const { id } = body.command as { id: string };
    const polled = await http.poll();
    expect(polled.body.commands).toMatchObject([{ id, name: 'reboot' }]);
    const state = async () => (await hub.api('GET', `/api/v1/commands/${id}`)).body.command as Record<string, unknown>;
    await until('sent', async () => (await state()).state === 'sent');
    const mqtt = await mqttDevice(hub, token);
    await mqtt.subscribe('devices/me/commands/+/reboot', 1);
    await mqtt.gets(1);
    const topic = mqtt.received[0]!.topic.replace('/reboot', '/result');
    expect(topic).toContain(id);
    await mqtt.publish(topic, { status: 'succeeded', value: 1 });
    expect((await http.result(id, 2)).body).toEqual({ taken: true });
    expect(await state()).toMatchObject({ state: 'succeeded', attempts: 2, result: 1 });
  });
});

describe('presence', () => {
  it('is told to a new subscriber as it is, and then as it changes, with epoch and reason', async () => {
    const token = await newDevice(hub, 'present');
    const stomp = await stompDevice(hub, token);
    const listener = await mqttApplication(hub, 'presence-reader');
    await listener.subscribe('devices/+/presence');
    const mine = () =>
      listener.received
        .filter(({ topic }) => topic === 'devices/present/presence')
        .map(({ payload, retain }) => ({ ...(JSON.parse(payload) as Record<string, unknown>), retain }));
    await until('retained', () => mine().length === 1);
    expect(mine()[0]).toMatchObject({ retain: true, device: 'present', online: true, epoch: 1, protocol: 'stomp' });

    await stomp.client.deactivate();
    await until('offline', () => mine().length === 2);
    expect(mine()[1]).toMatchObject({ retain: false, online: false, epoch: 1, reason: 'client_disconnect' });

    const { peer } = await cborConnect(hub, { stream: 's', next: 1, token });
    await until('online', () => mine().length === 3);
    expect(mine()[2]).toMatchObject({ online: true, epoch: 2, protocol: 'cbor', reason: null });
    peer.webSocket.terminate();
    await until('lost', () => mine().length === 4);
    expect(mine()[3]).toMatchObject({ online: false, epoch: 2, reason: 'connection_lost', initiator: 'network' });
  });

  it('a takeover across protocols ends the older epoch by its reason, and the newer one is online at once', async () => {
    const token = await newDevice(hub, 'moving');
    const listener = await stompApplication(hub, 'moving-reader');
    await listener.subscribe('/devices/moving/presence');
    const mqtt = await mqttDevice(hub, token);
    const stomp = await stompDevice(hub, token);
    await until('the first is closed', () => mqtt.closed);
    const { peer } = await cborConnect(hub, { stream: 's', next: 1, token });
    await until('the second is closed', () => stomp.closed !== null);
    await until('all changes', () => listener.received.length >= 5);
    const told = listener.bodies.map((body) => JSON.parse(body) as Record<string, unknown>);
    expect(told.map(({ epoch, protocol, online, reason }) => [epoch, protocol, online, reason])).toEqual([
      [1, 'mqtt', true, null],
      [1, 'mqtt', false, 'taken_over'],
      [2, 'stomp', true, null],
      [2, 'stomp', false, 'taken_over'],
      [3, 'cbor', true, null],
    ]);
    expect(peer.closed).toBe(null);
    const poll = new HttpDevice(hub.port, { token }).poll('?wait=30');
    await until('the third is closed', () => peer.closed !== null);
    await mqttDevice(hub, token);
    expect(await poll).toMatchObject({ status: 409, body: { code: 'taken_over' } });
    await until('all changes', () => listener.received.length >= 9);
    const later = listener.bodies.slice(5).map((body) => JSON.parse(body) as Record<string, unknown>);
    expect(later.map(({ epoch, protocol, online, reason }) => [epoch, protocol, online, reason])).toEqual([
      [3, 'cbor', false, 'taken_over'],
      [4, 'http', true, null],
      [4, 'http', false, 'taken_over'],
      [5, 'mqtt', true, null],
    ]);
    await until('the history', async () => (await connectionsOf(hub, 'moving'))[1]?.reason === 'taken_over');
  });

  it('cannot be written by clients', async () => {
    const device = await stompDevice(hub, await newDevice(hub, 'pretender'));
    const receipt = await device.send('/devices/me/presence', { online: false });
    expect(receipt.headers['muster-reason']).toBe('topic_not_allowed');
    const app = await mqttApplication(hub, 'pretending-app');
    app.client.publish('devices/pretender/presence', '{}', { qos: 1, retain: true });
    await until('closed', () => app.closed);
    const { body } = await hub.api('GET', '/api/v1/devices/pretender');
    expect(body.presence).toMatchObject({ online: true, epoch: 1 });
  });
});
