import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { latest, newDevice, statesOf } from './clients/hub-view.ts';
import { mqttApplication } from './clients/mqtt.ts';

describe('applications with MQTT.js', () => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await startTestHub();
  });
  afterAll(() => hub.close());

  it('are granted QoS 0, 1 and 2', async () => {
    const app = await mqttApplication(hub, 'granted');
    expect(await app.subscribe('granted/0', 0)).toBe(0);
    expect(await app.subscribe('granted/1', 1)).toBe(1);
    expect(await app.subscribe('granted/2', 2)).toBe(2);
  });

  it('may write for a device that there is, and lose the connection over one that there is not', async () => {
    await newDevice(hub, 'written-for');
    const app = await mqttApplication(hub, 'gateway');
    await app.publish('devices/written-for/telemetry', { n: 1 });
    expect(await latest(hub, 'written-for')).toEqual({ n: 1 });
    app.client.publish('devices/nobody/telemetry', '{"n":1}', { qos: 1 });
    await until('closed', () => app.closed);
  });

  it('may answer for a device, and lose the connection over a command that there is not', async () => {
    const app = await mqttApplication(hub, 'answering');
    await newDevice(hub, 'answered-for');
    const { body } = await hub.api('POST', '/api/v1/devices/answered-for/commands', { name: 'open' });
    await app.publish(`devices/answered-for/commands/${body.command.id}/result`, { status: 'succeeded' });
    expect(await statesOf(hub, body.command.id)).toEqual(['queued', 'succeeded']);
    app.client.publish('devices/answered-for/commands/no-such/result', '{"status":"succeeded"}', { qos: 1 });
    await until('closed', () => app.closed);
  });

  it('of a kept session lose nothing when their own newer connection takes over', async () => {
    const kept = { clean: false } as const;
    const first = await mqttApplication(hub, 'mover', kept);
    let taken = 0;
    first.client.handleMessage = (_packet, done) => {
      if (++taken <= 10) done(); // never calls back after ten, so acknowledges no more
    };
    await first.subscribe('moving/#');
    const sender = await mqttApplication(hub, 'moving-sender');
    const numbers = Array.from({ length: 400 }, (_, n) => String(n));
    const sending = numbers.map((n) => sender.publish('moving/in', n));
    await until('the first is stuck', () => taken === 11);
    const second = await mqttApplication(hub, 'mover', kept);
    expect(second.connack!.sessionPresent).toBe(true);
    await Promise.all(sending);
    await until('the last', () => second.payloads.includes('399'));
    const began = numbers.indexOf(second.payloads[0]!);
    expect(began).toBeLessThanOrEqual(10);
    expect(second.payloads).toEqual(numbers.slice(began));
  });

  it('are closed by an operator', async () => {
    const app = await mqttApplication(hub, 'unwanted');
    const { body } = await hub.api('GET', '/api/v1/connections');
    const { id } = body.items.find(({ clientId }: { clientId: string }) => clientId === 'unwanted');
    expect((await hub.api('DELETE', `/api/v1/connections/${id}`)).status).toBe(204);
    await until('closed', () => app.closed);
    expect((await hub.api('DELETE', `/api/v1/connections/${id}`)).status).toBe(404);
  });

  it('publish and get at QoS 2 exactly once', async () => {
    const app = await mqttApplication(hub, 'exactly-once');
    await app.subscribe('exactly/once', 2);
    for (let n = 0; n < 50; n++) await app.client.publishAsync('exactly/once', String(n), { qos: 2 });
    await app.gets(50);
    expect(app.payloads).toEqual(Array.from({ length: 50 }, (_, n) => String(n)));
    expect(app.received.every(({ qos }) => qos === 2)).toBe(true);
  });

  it('get what their wildcards match, once each, with the QoS that is the lower one', async () => {
    const app = await mqttApplication(hub, 'wild');
    await app.subscribe('wild/+/state', 1);
    await app.subscribe('wild/house/#', 0);
    const sender = await mqttApplication(hub, 'wild-sender');
    const topics = ['wild/house/state', 'wild/house', 'wild/house/a/b', 'wild/garden/state', 'wild/garden', 'wild'];
    for (const topic of topics) await sender.publish(topic, topic);
    await sender.publish('wild/end/state', 'end', 0);
    await until('the last', () => app.payloads.includes('end'));
    expect(app.received.map(({ payload, qos }) => [payload, qos])).toEqual([
      ['wild/house/state', 1],
      ['wild/house', 0],
      ['wild/house/a/b', 0],
      ['wild/garden/state', 1],
      ['end', 0],
    ]);
    await app.client.unsubscribeAsync('wild/house/#');
    await sender.publish('wild/house/a/b', 'unheard');
    await sender.publish('wild/house/state', 'heard');
    await until('what is left', () => app.payloads.includes('heard'));
    expect(app.payloads).not.toContain('unheard');
  });

  it('find retained messages, replaced and removed', async () => {
    const sender = await mqttApplication(hub, 'retainer');
    await sender.publish('kept/a', 'old', 1, true);
    await sender.publish('kept/a', 'new', 1, true);
    await sender.publish('kept/b', 'gone', 1, true);
    await sender.publish('kept/b', '', 1, true);
    await sender.publish('kept/c', 'passing', 1, false);
    const app = await mqttApplication(hub, 'kept-reader');
    await app.subscribe('kept/#');
    await app.gets(1);
    await sender.publish('kept/a', 'live', 1, true);
    await app.gets(2);
    expect(app.received).toEqual([
      { topic: 'kept/a', payload: 'new', qos: 1, retain: true },
      { topic: 'kept/a', payload: 'live', qos: 1, retain: false },
    ]);
  });

  it('leave a will, when the connection breaks and not when they say goodbye', async () => {
    const watcher = await mqttApplication(hub, 'watcher');
    await watcher.subscribe('wills/#');
    const will = (payload: string) => ({
      will: { topic: 'wills/x', payload: Buffer.from(payload), qos: 1, retain: true } as const,
    });
    const polite = await mqttApplication(hub, 'polite', will('of the polite'));
    await polite.client.endAsync();
    const broken = await mqttApplication(hub, 'broken', will('of the broken'));
    broken.cut();
    await watcher.gets(1);
    expect(watcher.received).toEqual([{ topic: 'wills/x', payload: 'of the broken', qos: 1, retain: false }]);
    const late = await mqttApplication(hub, 'late-watcher');
    await late.subscribe('wills/x');
    expect(await late.gets(1)).toMatchObject([{ payload: 'of the broken', retain: true }]);
  });

  it('resume a kept session: QoS 1 messages that were sent meanwhile come in order', async () => {
    const kept = { clean: false } as const;
    const first = await mqttApplication(hub, 'sleeper', kept);
    expect(first.connack!.sessionPresent).toBe(false);
    await first.subscribe('sleep/#', 1);
    await first.client.endAsync();
    const sender = await mqttApplication(hub, 'waker');
    const numbers = Array.from({ length: 300 }, (_, i) => String(i));
    for (const n of numbers) void sender.client.publish('sleep/in', n, { qos: 1 });
    await sender.publish('sleep/in', 'not kept', 0);
    await sender.publish('sleep/in', 'end');
    const again = await mqttApplication(hub, 'sleeper', kept);
    expect(again.connack!.sessionPresent).toBe(true);
    await again.gets(301);
    await sender.publish('sleep/in', 'live');
    await again.gets(302);
    expect(again.payloads).toEqual([...numbers, 'end', 'live']);
    await again.client.endAsync();

    const clean = await mqttApplication(hub, 'sleeper', { clean: true });
    expect(clean.connack!.sessionPresent).toBe(false);
    await clean.client.endAsync();
    const anew = await mqttApplication(hub, 'sleeper', kept);
    expect(anew.connack!.sessionPresent).toBe(false);
  });

  it('get again what they had not acknowledged when the connection broke', async () => {
    const kept = { clean: false } as const;
    const first = await mqttApplication(hub, 'no-ack', kept);
    first.client.handleMessage = () => undefined; // never calls back, so never acknowledges
    await first.subscribe('again', 1);
    const sender = await mqttApplication(hub, 'again-sender');
    for (const n of ['1', '2', '3']) await sender.publish('again', n);
    await first.gets(1);
    first.cut();
    const second = await mqttApplication(hub, 'no-ack', kept);
    await second.gets(3);
    expect(second.payloads).toEqual(['1', '2', '3']);
  });

  it('of one client id take each other over, of others live side by side', async () => {
    const first = await mqttApplication(hub, 'same');
    const other = await mqttApplication(hub, 'different');
    await mqttApplication(hub, 'same');
    await until('the first is closed', () => first.closed);
    expect(other.closed).toBe(false);
  });
});
