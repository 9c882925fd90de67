import { generate } from 'mqtt-packet';
import { WebSocket } from 'ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { connectionNow, connectionsOf, exported, isOnline, latest, newDevice } from './clients/hub-view.ts';
import { mqttConnect, mqttDevice, MqttPeer } from './clients/mqtt.ts';
import { afterThisTest } from './clients/opened.ts';

describe('MQTT.js over WebSocket', () => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await startTestHub();
  });
  afterAll(() => hub.close());

  describe('says who it is', () => {
    it.each([
      { version: '5.0', protocolId: 'MQTT', protocolVersion: 5, subprotocol: 'mqtt' },
      { version: '3.1.1', protocolId: 'MQTT', protocolVersion: 4, subprotocol: 'mqtt' },
      { version: '3.1', protocolId: 'MQIsdp', protocolVersion: 3, subprotocol: 'mqttv3.1' },
    ] as const)('by the token in the password, MQTT $version', async ({ version, subprotocol, ...protocol }) => {
      const id = `level-${protocol.protocolVersion}`;
      const token = await newDevice(hub, id);
      const device = await mqttDevice(hub, token, { ...protocol, clientId: 'any-client-id' });
      expect(await connectionNow(hub, id)).toMatchObject({
        subprotocol,
        clientId: 'any-client-id',
        description: { level: version },
      });
      await device.publish('devices/me/telemetry', { temperature: protocol.protocolVersion });
      expect(await latest(hub, id)).toEqual({ temperature: protocol.protocolVersion });
    });

    it.each([
      ['a Bearer header', (token: string) => ({ headers: { Authorization: `Bearer ${token}` } }), ''],
      ['a Basic header', (token: string) => ({ headers: { Authorization: basic('device', token) } }), ''],
      ['access_token in the query', () => ({}), 'access_token'],
    ] as const)('in the handshake, by %s', async (how, wsOptions, query) => {
      const id = `handshake-${how.split(' ').join('-')}`;
      const token = await newDevice(hub, id);
      const url = `${hub.wsUrl}/mqtt${query === '' ? '' : `?${query}=${token}`}`;
      const device = await mqttConnect(url, { wsOptions: wsOptions(token) });
      await device.publish('devices/me/telemetry', { x: 1 });
      expect(await latest(hub, id)).toEqual({ x: 1 });
    });

    it('twice, when both say the same, and is refused when they contradict each other', async () => {
      const one = await newDevice(hub, 'twice-one');
      const other = await newDevice(hub, 'twice-other');
      const wsOptions = { headers: { Authorization: `Bearer ${one}` } };
      await mqttDevice(hub, one, { wsOptions });
      await expect(mqttDevice(hub, other, { wsOptions })).rejects.toMatchObject({ code: 5 });
    });

    it('wrongly, and is told so: bad credentials 4, none 5', async () => {
      const wrong = `mst_0123456789abcdef_${'x'.repeat(43)}`;
      await expect(mqttDevice(hub, wrong)).rejects.toMatchObject({ code: 4 });
      await expect(mqttConnect(hub.wsUrl, {})).rejects.toMatchObject({ code: 5 });
    });

    it('wrongly in MQTT 5, and is told so in its words: bad credentials 0x86, none 0x87', async () => {
      const wrong = `mst_0123456789abcdef_${'x'.repeat(43)}`;
      await expect(mqttDevice(hub, wrong, { protocolVersion: 5 })).rejects.toMatchObject({ code: 0x86 });
      await expect(mqttConnect(hub.wsUrl, { protocolVersion: 5 })).rejects.toMatchObject({ code: 0x87 });
    });
  });

  describe('keep-alive', () => {
    it('keeps a silent client that says PINGREQ', async () => {
      const device = await mqttDevice(hub, await newDevice(hub, 'pinging'), { keepalive: 1 });
      let pongs = 0;
      device.client.on('packetreceive', (packet) => {
        if (packet.cmd === 'pingresp') pongs++;
      });
      await until('three PINGRESPs', () => pongs >= 3);
      expect(device.closed).toBe(false);
    });

    it('closes a client that says nothing, although its library answers WebSocket pings', async () => {
      const token = await newDevice(hub, 'dead');
      const webSocket = new WebSocket(hub.wsUrl, ['mqtt']);
      afterThisTest(() => webSocket.terminate());
      let code = 0;
      webSocket.on('close', (number) => (code = number));
      webSocket.on('open', () => {
        const connect = {
          cmd: 'connect',
          protocolId: 'MQTT',
          protocolVersion: 4,
          clean: true,
          clientId: 'dead',
        } as const;
        webSocket.send(generate({ ...connect, keepalive: 1, username: 'dead', password: Buffer.from(token) }));
      });
      await until('online', () => isOnline(hub, 'dead'));
      const pinging = setInterval(() => webSocket.ping(), 100);
      afterThisTest(() => clearInterval(pinging));
      await until('closed', () => code !== 0);
      expect(code).toBe(4008);
      await until('the reason', async () => (await connectionsOf(hub, 'dead'))[0]?.reason === 'keep_alive_timeout');
    });
  });

  it('reconnects by itself after the hub was restarted and goes on', async () => {
    const restarted = await startTestHub();
    afterThisTest(() => restarted.close());
    const token = await newDevice(restarted, 'survivor');
    const device = await mqttDevice(restarted, token, { reconnectPeriod: 50 });
    await device.publish('devices/me/telemetry', { n: 1 });
    await restarted.restart();
    await device.publish('devices/me/telemetry', { n: 2 });
    expect((await exported(restarted, 'survivor')).map(({ value }) => value)).toEqual([1, 2]);
    expect(await latest(restarted, 'survivor')).toEqual({ n: 2 });
    const [now, before] = await connectionsOf(restarted, 'survivor');
    expect([now!.epoch, before!.epoch, before!.reason]).toEqual([2, 1, 'hub_shutdown']);
  });

  it('lets anybody in when the hub is open to all, a device by its client id', async () => {
    const open = await startTestHub({ allowAnonymous: true });
    afterThisTest(() => open.close());
    const device = await mqttConnect(open.wsUrl, { clientId: 'anybody' });
    await device.publish('devices/me/telemetry', { n: 1 });
    expect(await latest(open, 'anybody')).toEqual({ n: 1 });
    const listener = await mqttConnect(open.wsUrl, { clientId: 'not/a device' });
    await listener.subscribe('#');
    await device.publish('free/topic', 'hello');
    await listener.gets(1);
    expect(listener.payloads).toContain('hello');
    const peer = new MqttPeer(open.wsUrl, { clientId: 'x', username: 'x', password: 'not a token' });
    await until('refused', () => peer.error !== null);
    expect(peer.error).toMatchObject({ code: 4 });
  });
});

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}
