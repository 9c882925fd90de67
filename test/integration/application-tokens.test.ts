import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { latest, newDevice } from './clients/hub-view.ts';
import { mqttConnect, mqttDevice, type MqttPeer } from './clients/mqtt.ts';
import { stompConnect, type StompPeer } from './clients/stomp.ts';

const RULES = { publish: ['home/+/set'], subscribe: ['home/#', 'devices/+/telemetry'] };
/** The grant of MQTT 3.1.1 that says no. */
const REFUSED = 0x80;

describe('an application token with rules', () => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await startTestHub();
  });
  afterAll(() => hub.close());

  async function newToken(label: string, more: object = { topics: RULES }): Promise<{ keyId: string; token: string }> {
    const { status, body } = await hub.api('POST', '/api/v1/tokens', { kind: 'application', label, ...more });
    expect(status).toBe(201);
    return body;
  }
  const mqtt = (token: string, clientId: string, more = {}): Promise<MqttPeer> =>
    mqttConnect(`${hub.wsUrl}/mqtt`, { clientId, username: 'home', password: token, ...more });
  const stomp = (token: string, clientId: string): Promise<StompPeer> =>
    stompConnect(hub, { headers: { login: 'home', passcode: token, 'client-id': clientId } });
  const closings = async (reason: string): Promise<number> => {
    const { body } = await hub.api('GET', '/metrics');
    const line = new RegExp(`^muster_connections_closed_total\\{[^}]*reason="${reason}"[^}]*\\} (\\d+)`, 'm').exec(
      body,
    );
    return Number(line?.[1] ?? 0);
  };

  it('is known by its label', async () => {
    const { token } = await newToken('Home Assistant');
    await mqtt(token, 'by-label');
    const { body } = await hub.api('GET', '/api/v1/connections');
    const connection = body.items.find(({ clientId }: { clientId: string }) => clientId === 'by-label');
    expect(connection.principal).toMatchObject({ kind: 'application', id: 'Home Assistant' });
  });

  describe('over MQTT', () => {
    it('subscribes to what one rule covers, and to nothing else', async () => {
      const { token } = await newToken('mqtt-subscriber');
      const app = await mqtt(token, 'mqtt-subscriber');
      for (const filter of ['home/#', 'home', 'home/+/state', 'devices/+/telemetry', 'devices/d/telemetry']) {
        expect(await app.subscribe(filter), filter).toBe(1);
      }
      for (const filter of ['#', '+/x', 'garden', 'devices/#', 'devices/+/+', 'devices/+/presence', '$SYS/#']) {
        expect(await app.subscribe(filter).catch(() => REFUSED), filter).toBe(REFUSED);
      }
      expect(app.closed).toBe(false);
    });

    it('hears what it subscribed to, of devices and of others', async () => {
      const { token } = await newToken('mqtt-listener');
      const app = await mqtt(token, 'mqtt-listener');
      await app.subscribe('home/#');
      await app.subscribe('devices/+/telemetry');
      await app.subscribe('#').catch(() => undefined);
      const device = await mqttDevice(hub, await newDevice(hub, 'meter'));
      await device.publish('devices/me/telemetry', { watts: 5 });
      await device.publish('devices/me/events/door', {});
      const other = await mqtt(hub.token, 'other');
      await other.publish('garden/x', 'unheard');
      await other.publish('home/lamp/state', 'on');
      await app.gets(2);
      expect(app.received.map(({ topic }) => topic)).toEqual(['devices/meter/telemetry', 'home/lamp/state']);
    });

    it('publishes where a rule matches, and loses the connection elsewhere', async () => {
      const { token } = await newToken('mqtt-publisher');
      await newDevice(hub, 'not-written');
      const listener = await mqtt(hub.token, 'mqtt-listens-all');
      for (const filter of ['home/#', 'garden/#', 'end']) await listener.subscribe(filter);
      const app = await mqtt(token, 'mqtt-publisher');
      await app.publish('home/lamp/set', 'on');
      await listener.gets(1);
      for (const topic of ['home/lamp', 'home/a/b/set', 'garden/lamp/set', 'devices/not-written/telemetry']) {
        const again = await mqtt(token, 'mqtt-publisher');
        again.client.publish(topic, '{"n":1}', { qos: 1 });
        await until(`closed over ${topic}`, () => again.closed);
      }
      await listener.publish('end', 'end');
      await until('the end', () => listener.payloads.includes('end'));
      expect(listener.received.map(({ topic }) => topic)).toEqual(['home/lamp/set', 'end']);
      expect(await latest(hub, 'not-written')).toEqual({});
    });

    it('writes for devices where its rules name their topics', async () => {
      const { token } = await newToken('bridge', { topics: { publish: ['devices/+/telemetry'], subscribe: [] } });
      await newDevice(hub, 'bridged');
      const app = await mqtt(token, 'bridge');
      await app.publish('devices/bridged/telemetry', { n: 7 });
      expect(await latest(hub, 'bridged')).toEqual({ n: 7 });
      app.client.publish('devices/bridged/events/x', '{}', { qos: 1 });
      await until('closed', () => app.closed);
    });

    it('leaves no will on a topic that it may not use', async () => {
      const { token } = await newToken('mqtt-will');
      const listener = await mqtt(hub.token, 'hears-wills');
      for (const filter of ['home/#', 'garden/#', 'end']) await listener.subscribe(filter);
      const will = (topic: string) => ({
        will: { topic, payload: Buffer.from('gone'), qos: 1 as const, retain: false },
      });
      for (const topic of ['garden/x', 'home/x/set']) (await mqtt(token, `will-${topic.length}`, will(topic))).cut();
      await listener.gets(1);
      await listener.publish('end', 'end');
      await until('the end', () => listener.payloads.includes('end'));
      expect(listener.received.map(({ topic }) => topic)).toEqual(['home/x/set', 'end']);
    });

    it('does not go on with a kept session in which another token of its name subscribed to more', async () => {
      const wide = await newToken('shared', {});
      const narrow = await newToken('shared');
      const sender = await mqtt(hub.token, 'to-shared');
      const kept = { clean: false } as const;
      const first = await mqtt(wide.token, 'shared', kept);
      await first.subscribe('secret/#');
      await first.client.endAsync();
      await sender.publish('secret/x', 'kept for the first');

      const second = await mqtt(narrow.token, 'shared', kept);
      expect(second.connack!.sessionPresent).toBe(false);
      await second.subscribe('home/#');
      await sender.publish('secret/x', 'unheard');
      await sender.publish('home/x', 'heard');
      await second.gets(1);
      expect(second.payloads).toEqual(['heard']);
      await second.client.endAsync();
      const third = await mqtt(narrow.token, 'shared', kept);
      expect(third.connack!.sessionPresent).toBe(true);
    });
  });

  describe('over STOMP', () => {
    it('subscribes and sends within its rules', async () => {
      const { token } = await newToken('stomp-user');
      const app = await stomp(token, 'stomp-user');
      await app.subscribe('/topic/home/>');
      await app.subscribe('/devices/*/telemetry');
      await app.send('/topic/home/lamp/set', 'on');
      await until('it hears itself', () => app.bodies.includes('on'));
    });

    it.each(['/topic/>', '/topic/garden', '/devices/>', '/devices/*/*'])(
      'is closed over a subscription to %s',
      async (destination) => {
        const { token } = await newToken(`stomp-${destination.length}`);
        const app = await stomp(token, `stomp-${destination}`);
        await expect(app.subscribe(destination)).rejects.toThrow(/closed/);
        expect(app.closed).toMatchObject({ code: 1008 });
      },
    );

    it.each(['home/lamp', 'garden/lamp/set'])('is closed over a message to %s', async (topic) => {
      const { token } = await newToken(`stomp-to-${topic.length}`);
      const listener = await mqtt(hub.token, `hears-${topic}`);
      await listener.subscribe(topic);
      const app = await stomp(token, `stomp-${topic}`);
      await expect(app.send(`/topic/${topic}`, 'x')).rejects.toThrow(/closed/);
      await listener.publish(topic, 'end');
      await listener.gets(1);
      expect(listener.payloads).toEqual(['end']);
    });
  });

  describe('when it is revoked', () => {
    it('takes its connections with it, in every protocol, and no others', async () => {
      const [gone, stays] = [await newToken('revoked'), await newToken('revoked')];
      const before = await closings('bad_credentials');
      const peers = [await mqtt(gone.token, 'gone-mqtt'), await stomp(gone.token, 'gone-stomp')];
      const inHeader = await mqttConnect(`${hub.wsUrl}/mqtt`, {
        clientId: 'gone-header',
        wsOptions: { headers: { authorization: `Bearer ${gone.token}` } },
      });
      const other = await mqtt(stays.token, 'stays');
      expect((await hub.api('DELETE', `/api/v1/tokens/${gone.keyId}`)).status).toBe(204);
      for (const peer of [...peers, inHeader]) await until('closed', () => Boolean(peer.closed));
      expect((peers[1] as StompPeer).closed).toMatchObject({ code: 4003 });
      expect(await closings('bad_credentials')).toBe(before + 3);
      await other.publish('home/x/set', 'still there');
      expect(other.closed).toBe(false);
      await expect(mqtt(gone.token, 'gone-mqtt')).rejects.toThrow();
      expect((await hub.api('DELETE', `/api/v1/tokens/${gone.keyId}`)).status).toBe(404);
    });

    it('or expires', async () => {
      const { token } = await newToken('short-lived', { topics: RULES, ttlMs: 1500 });
      const app = await mqtt(token, 'short-lived');
      await app.publish('home/x/set', 'in time');
      await until('closed', () => app.closed);
      await expect(mqtt(token, 'short-lived')).rejects.toThrow();
    });
  });

  it('is still good after a restart, with its rules', async () => {
    const { token } = await newToken('outlives');
    await hub.restart();
    const app = await mqtt(token, 'outlives');
    expect(await app.subscribe('home/#')).toBe(1);
    expect(await app.subscribe('#').catch(() => REFUSED)).toBe(REFUSED);
  });
});

describe('an API token that may not do everything', () => {
  it('lets no client in, and the refused handshake says why', async () => {
    const hub = await startTestHub();
    try {
      const { body } = await hub.api('POST', '/api/v1/tokens', { kind: 'api', label: 'reader', scopes: ['read'] });
      const options = { clientId: 'x', username: 'x' };
      await expect(mqttConnect(`${hub.wsUrl}/mqtt`, { ...options, password: body.token })).rejects.toMatchObject({
        code: 5,
      });
      const headers = { authorization: `Bearer ${body.token}` };
      await expect(mqttConnect(`${hub.wsUrl}/mqtt`, { clientId: 'x', wsOptions: { headers } })).rejects.toThrow();
      const refused = await hub.api('GET', '/api/v1/refused');
      expect(refused.body.items[0].detail).toMatch(/application token/);
    } finally {
      await hub.close();
    }
  });
});
