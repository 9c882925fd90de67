import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import {
  command,
  connectionsOf,
  exported,
  isOnline,
  latest,
  newDevice,
  rejected,
  statesOf,
} from './clients/hub-view.ts';
import { mqttDevice, MqttPeer } from './clients/mqtt.ts';
import { afterThisTest } from './clients/opened.ts';

describe('a device with MQTT.js', () => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await startTestHub();
  });
  afterAll(() => hub.close());

  it('has its readings on disk when the PUBACK comes, and shortly after with QoS 0', async () => {
    const device = await mqttDevice(hub, await newDevice(hub, 'readings'));
    await device.publish('devices/me/telemetry', { temperature: 21.5, door: { open: true }, mode: 'eco' });
    expect(await latest(hub, 'readings')).toEqual({ temperature: 21.5, 'door.open': true, mode: 'eco' });
    await device.publish('devices/readings/telemetry', { temperature: 22 }, 0);
    await until('the QoS 0 reading', async () => (await latest(hub, 'readings')).temperature === 22);
    const rows = await exported(hub, 'readings');
    expect(rows.map(({ metric, value }) => [metric, value])).toEqual([
      ['temperature', 21.5],
      ['door.open', true],
      ['mode', 'eco'],
      ['temperature', 22],
    ]);
  });

  it('keeps its own times', async () => {
    const device = await mqttDevice(hub, await newDevice(hub, 'own-times'));
    await device.publish('devices/me/telemetry', { ts: 1_700_000_000_123.5, a: 1 });
    await device.publish('devices/me/telemetry', { ts: '2023-11-14T22:13:21Z', a: 2 });
    const rows = await exported(hub, 'own-times');
    expect(rows.map(({ timeUs }) => timeUs)).toEqual([1_700_000_000_123_500, 1_700_000_001_000_000]);
  });

  it('pipelines a thousand QoS 1 readings and loses none', async () => {
    const device = await mqttDevice(hub, await newDevice(hub, 'pipeline'));
    const numbers = Array.from({ length: 1000 }, (_, i) => i);
    await Promise.all(numbers.map((n) => device.publish('devices/me/telemetry', { n })));
    expect((await exported(hub, 'pipeline')).map(({ value }) => value)).toEqual(numbers);
  });

  it('gets a PUBACK for what cannot be read, and it stands in the rejected list', async () => {
    const device = await mqttDevice(hub, await newDevice(hub, 'garbled'));
    await device.publish('devices/me/telemetry', 'this is not JSON');
    await device.publish('devices/me/telemetry/avro', '{}');
    await device.publish('devices/somebody-else/telemetry', { a: 1 });
    await device.publish('somewhere/free', 'x');
    const list = await rejected(hub, 'garbled');
    expect(list.map(({ code, topic, payload }) => [code, topic, payload.text])).toEqual([
      ['topic_not_allowed', 'somewhere/free', 'x'],
      ['topic_not_allowed', 'devices/somebody-else/telemetry', '{"a":1}'],
      ['unsupported_format', 'devices/garbled/telemetry/avro', '{}'],
      ['malformed_payload', 'devices/garbled/telemetry', 'this is not JSON'],
    ]);
    expect(await exported(hub, 'garbled')).toEqual([]);
    await device.publish('devices/me/telemetry', { alive: true });
    expect(await latest(hub, 'garbled')).toEqual({ alive: true });
  });

  it('answers a command: queued, sent, received, succeeded', async () => {
    const device = await mqttDevice(hub, await newDevice(hub, 'commanded'));
    await device.subscribe('devices/me/commands/+/+');
    device.client.on('message', (topic, payload) => {
      const [, , , id, name] = topic.split('/');
      if (name !== 'add') return;
      const { a, b } = JSON.parse(payload.toString()) as { a: number; b: number };
      // After the PUBACK, which MQTT.js sends when this handler has returned.
      setImmediate(() => {
        void device.publish(`devices/me/commands/${id}/result`, { status: 'succeeded', value: a + b });
      });
    });
    const done = await command(hub, 'commanded', 'add', { a: 2, b: 40 });
    expect(done).toMatchObject({ state: 'succeeded', result: 42, attempts: 1 });
    expect(device.received[0]!.topic).toBe(`devices/me/commands/${done.id}/add`);
    expect(await statesOf(hub, done.id)).toEqual(['queued', 'sent', 'received', 'succeeded']);
  });

  it('may answer a command before it acknowledges it', async () => {
    const device = await mqttDevice(hub, await newDevice(hub, 'hasty'));
    await device.subscribe('devices/me/commands/+/+');
    device.client.on('message', (topic) => {
      const result = topic.replace(/[^/]+$/, 'result');
      if (topic !== result) device.client.publish(result, '{"status":"rejected"}', { qos: 1 });
    });
    expect(await command(hub, 'hasty', 'jump')).toMatchObject({ state: 'rejected', result: null });
    await device.publish('devices/me/telemetry', { n: 1 });
    expect(device.closed).toBe(false);
  });

  it('gets a command again, marked DUP, when it resumes its session without having acknowledged it', async () => {
    const kept = { clean: false, clientId: 'resuming' } as const;
    const token = await newDevice(hub, 'resuming');
    const first = await mqttDevice(hub, token, kept);
    first.client.handleMessage = () => undefined; // never calls back, so never acknowledges
    await first.subscribe('devices/me/commands/+/+');
    const waiting = command(hub, 'resuming', 'open');
    await first.gets(1);
    first.cut();
    await until('offline', async () => !(await isOnline(hub, 'resuming')));
    const second = new MqttPeer(`${hub.wsUrl}/mqtt`, { username: 'd', password: token, ...kept });
    const dups: boolean[] = [];
    second.client.on('message', (topic, _payload, { dup }) => {
      if (topic.endsWith('/result')) return;
      dups.push(dup);
      second.client.publish(topic.replace(/open$/, 'result'), '{"status":"succeeded"}', { qos: 1 });
    });
    expect(await waiting).toMatchObject({ state: 'succeeded', attempts: 2 });
    expect(second.connack!.sessionPresent).toBe(true);
    expect(dups).toEqual([true]);
  });

  it('that received a command and says nothing: it times out, and the late result is shown as late', async () => {
    const device = await mqttDevice(hub, await newDevice(hub, 'dawdler'));
    await device.subscribe('devices/me/commands/+/think');
    const { body } = await hub.api('POST', '/api/v1/devices/dawdler/commands?wait=5', {
      name: 'think',
      responseTimeoutMs: 300,
    });
    expect(body.command).toMatchObject({ state: 'timed_out', result: null });
    const { id } = body.command;
    await device.publish(`devices/me/commands/${id}/result`, { status: 'succeeded', value: 42 });
    const shown = (await hub.api('GET', `/api/v1/commands/${id}`)).body.command;
    expect(shown).toMatchObject({ state: 'timed_out', result: null, lateStatus: 'succeeded', lateResult: 42 });
    await device.publish('devices/me/commands/no-such-command/result', { status: 'succeeded' });
    expect(await rejected(hub, 'dawdler')).toMatchObject([{ code: 'unknown_command' }]);
  });

  it('that stays away: its commands expire, are cancelled, or wait across a restart of the hub', async () => {
    const patient = await startTestHub();
    afterThisTest(() => patient.close());
    const token = await newDevice(patient, 'away');
    const path = '/api/v1/devices/away/commands';
    const expired = await patient.api('POST', `${path}?wait=5`, { name: 'now-or-never', ttlMs: 200 });
    expect(expired.body.command).toMatchObject({ state: 'expired', attempts: 0 });
    const { body: regretted } = await patient.api('POST', path, { name: 'regretted' });
    const { body: cancelled } = await patient.api('POST', `/api/v1/commands/${regretted.command.id}/cancel`);
    expect(cancelled.command.state).toBe('cancelled');
    for (const name of ['first', 'second']) await patient.api('POST', path, { name });
    await patient.restart();
    const device = await mqttDevice(patient, token);
    await device.subscribe('devices/me/commands/+/+');
    await device.gets(2);
    expect(device.received.map(({ topic }) => topic.split('/').at(-1))).toEqual(['first', 'second']);
  });

  it('finds a command that waited for its subscription', async () => {
    const token = await newDevice(hub, 'late-subscriber');
    const waiting = command(hub, 'late-subscriber', 'blink', { times: 3 });
    const device = await mqttDevice(hub, token);
    await device.subscribe('devices/late-subscriber/commands/#');
    const [message] = await device.gets(1);
    expect(message).toMatchObject({ payload: '{"times":3}', qos: 1 });
    const id = message!.topic.split('/')[3]!;
    await device.publish(`devices/me/commands/${id}/result`, { status: 'failed', value: 'no lamp' });
    expect(await waiting).toMatchObject({ id, state: 'failed', result: 'no lamp' });
  });

  it('is taken over by its second connection, whose place the first one cannot disturb any more', async () => {
    const token = await newDevice(hub, 'twin');
    const first = await mqttDevice(hub, token, { clientId: 'first' });
    const second = await mqttDevice(hub, token, { clientId: 'second' });
    await until('the first is closed', () => first.closed);
    await second.publish('devices/me/telemetry', { still: 'here' });
    expect(await latest(hub, 'twin')).toEqual({ still: 'here' });
    await until('the history', async () => (await connectionsOf(hub, 'twin'))[1]?.reason === 'taken_over');
    const [now, before] = await connectionsOf(hub, 'twin');
    expect(now).toMatchObject({ epoch: 2, reason: null });
    expect(before).toMatchObject({ epoch: 1, reason: 'taken_over' });
    expect(await isOnline(hub, 'twin')).toBe(true);
    await second.client.endAsync();
    await until('offline', async () => !(await isOnline(hub, 'twin')));
    expect((await hub.api('GET', '/api/v1/devices/twin')).body.presence).toMatchObject({
      epoch: 2,
      reason: 'client_disconnect',
      initiator: 'device',
    });
  });

  it('keeps one of many connections that race for its place, and the hub knows which', async () => {
    const token = await newDevice(hub, 'racer');
    const peers = Array.from({ length: 8 }, () => new MqttPeer(hub.wsUrl, { username: 'd', password: token }));
    const open = (): MqttPeer[] => peers.filter(({ closed }) => !closed);
    await until('one is left', () => open().length === 1 && open()[0]!.connack !== null);
    await open()[0]!.publish('devices/me/telemetry', { winner: true });
    expect(await latest(hub, 'racer')).toEqual({ winner: true });
    const ended = async () => (await connectionsOf(hub, 'racer')).slice(1).every(({ reason }) => reason !== null);
    await until('the history is whole', ended);
    const [now, ...before] = await connectionsOf(hub, 'racer');
    expect(now!.reason).toBe(null);
    expect(new Set(before.map(({ reason }) => reason))).toEqual(new Set(['taken_over']));
    const { body } = await hub.api('GET', '/api/v1/devices/racer');
    expect(body.presence).toMatchObject({ online: true, epoch: now!.epoch });
  });

  it('leaves a will in its own tree: an event that says that it is gone', async () => {
    const device = await mqttDevice(hub, await newDevice(hub, 'mourned'), {
      will: { topic: 'devices/me/events/gone', payload: Buffer.from('{"battery":2}'), qos: 1 },
    });
    device.cut();
    const events = async () => (await hub.api('GET', '/api/v1/devices/mourned/events')).body.items;
    await until('the event', async () => (await events()).length === 1);
    expect(await events()).toMatchObject([{ name: 'gone', payload: { text: '{"battery":2}' } }]);
  });

  it('reads its own tree by the name by which it asked', async () => {
    const device = await mqttDevice(hub, await newDevice(hub, 'selfish'));
    await device.subscribe('devices/me/telemetry');
    await device.publish('devices/selfish/telemetry', { n: 1 });
    await device.gets(1);
    await device.client.unsubscribeAsync('devices/me/telemetry');
    await device.subscribe('devices/selfish/telemetry');
    await device.publish('devices/me/telemetry', { n: 2 });
    await device.gets(2);
    expect(device.received.map(({ topic, payload }) => [topic, payload])).toEqual([
      ['devices/me/telemetry', '{"n":1}'],
      ['devices/selfish/telemetry', '{"n":2}'],
    ]);
  });

  it('may not listen to others', async () => {
    const device = await mqttDevice(hub, await newDevice(hub, 'curious'));
    for (const filter of ['devices/+/telemetry', 'devices/readings/#', '#', '$SYS/#']) {
      await expect(device.subscribe(filter), filter).rejects.toThrow();
    }
    expect(await device.subscribe('devices/curious/#')).toBe(1);
  });
});
