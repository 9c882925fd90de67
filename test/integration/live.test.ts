import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EventStreamReader } from '#cli/event-stream.js';
import type { AlarmChange, CommandChange, Figures, Hello, LatestChange, PresenceChange } from '#hub/live/port.js';
import { startTestHub, until, type TestHub } from '../support/hub.ts';
import { FakeProcess } from '../cli/harness.ts';
import { cborConnect } from './clients/cbor.ts';
import { newDevice } from './clients/hub-view.ts';
import { mqttDevice } from './clients/mqtt.ts';
import { afterThisTest } from './clients/opened.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await startTestHub();
});
afterAll(() => hub.close());

/** A viewer of the live feed over HTTP. */
class Viewer {
  readonly presence: PresenceChange[] = [];
  readonly latest: LatestChange[] = [];
  readonly commands: CommandChange[] = [];
  readonly alarms: AlarmChange[] = [];
  readonly figures: Figures[] = [];
  readonly resyncs: string[] = [];
  hello: Hello | null = null;
  lastId: string | null = null;
  ended = false;

  static async open(query = '', lastEventId: string | null = null): Promise<Viewer> {
    const viewer = new Viewer();
    const controller = new AbortController();
    afterThisTest(() => controller.abort());
    const response = await fetch(`http://127.0.0.1:${hub.port}/api/v1/live${query}`, {
      headers: {
        authorization: `Bearer ${hub.token}`,
        ...(lastEventId === null ? {} : { 'last-event-id': lastEventId }),
      },
      signal: controller.signal,
    });
    expect(response.status).toBe(200);
    void viewer.#read(response).catch(() => (viewer.ended = true));
    await until('hello', () => viewer.hello !== null);
    return viewer;
  }

  async #read(response: Response): Promise<void> {
    const reader = new EventStreamReader(1e6);
    const decoder = new TextDecoder();
    for await (const bytes of response.body!) {
      for (const { event, data } of reader.read(decoder.decode(bytes, { stream: true })))
        this.#take(event, JSON.parse(data));
      this.lastId = reader.lastId;
    }
    this.ended = true;
  }

  #take(event: string, data: any): void {
    if (event === 'hello') this.hello = data;
    else if (event === 'presence') this.presence.push(...data);
    else if (event === 'latest') this.latest.push(...data);
    else if (event === 'command') this.commands.push(...data);
    else if (event === 'alarm') this.alarms.push(...data);
    else if (event === 'figures') this.figures.push(data);
    else if (event === 'resync') this.resyncs.push(data.reason);
  }

  valueOf(device: string, metric: string): unknown {
    return this.latest
      .filter((change) => change.device === device)
      .flatMap((change) => change.values)
      .findLast((value) => value.metric === metric)?.value;
  }
}

describe('the live feed of a real hub', () => {
  it('shows a device come, measure in any protocol, and go, with the reason', async () => {
    const [one, two] = [await newDevice(hub, 'live-mqtt'), await newDevice(hub, 'live-cbor')];
    const viewer = await Viewer.open();
    expect(viewer.hello).toMatchObject({ resumed: false, alarms: [] });
    expect(Math.abs(viewer.hello!.nowMs - Date.now())).toBeLessThan(5000);

    const mqtt = await mqttDevice(hub, one);
    await mqtt.publish('devices/me/telemetry', { temp: 21.5, mode: 'auto' });
    const { peer } = await cborConnect(hub, { stream: 's', next: 1, token: two });
    peer.data(1, [{ metric: 'temp', value: 5, timeUs: null }]);
    await peer.acknowledged(1);
    await until(
      'values',
      () => viewer.valueOf('live-cbor', 'temp') === 5 && viewer.valueOf('live-mqtt', 'temp') === 21.5,
    );
    expect(viewer.valueOf('live-mqtt', 'mode')).toBe('auto');
    expect(viewer.presence).toMatchObject([
      { device: 'live-mqtt', presence: { online: true, epoch: 1, protocol: 'mqtt' } },
      { device: 'live-cbor', presence: { online: true, epoch: 1, protocol: 'cbor' } },
    ]);
    mqtt.cut();
    await until('offline', () => viewer.presence.some((change) => change.presence?.online === false));
    expect(viewer.presence.at(-1)).toMatchObject({
      device: 'live-mqtt',
      presence: { online: false, epoch: 1, reason: 'connection_lost' },
    });
    await hub.api('DELETE', '/api/v1/devices/live-mqtt');
    await until('deleted', () => viewer.presence.at(-1)?.presence === null);
  });

  it('what the feed shows can be read from the API at that moment', async () => {
    const mqtt = await mqttDevice(hub, await newDevice(hub, 'live-true'));
    const viewer = await Viewer.open('?devices=live-true');
    for (let value = 1; value <= 20; value++) {
      await mqtt.publish('devices/me/telemetry', { value });
      if (viewer.valueOf('live-true', 'value') === undefined) continue;
      const shown = viewer.valueOf('live-true', 'value') as number;
      const { body } = await hub.api('GET', '/api/v1/devices/live-true/latest');
      expect(body.items[0].value).toBeGreaterThanOrEqual(shown);
    }
    await until('the last value', () => viewer.valueOf('live-true', 'value') === 20);
  });

  it('shows a command in its states, and its result', async () => {
    const mqtt = await mqttDevice(hub, await newDevice(hub, 'live-command'));
    const viewer = await Viewer.open('?devices=live-command,live-none');
    const path = '/api/v1/devices/live-command/commands';
    const { body } = await hub.api('POST', path, { name: 'reboot', params: { in: 5 } });
    await until('queued', () => viewer.commands.length > 0);
    await mqtt.subscribe('devices/me/commands/#');
    const [message] = await mqtt.gets(1);
    await until('received', () => viewer.commands.at(-1)!.state === 'received');
    const result = message!.topic.replace(/[^/]+$/, 'result');
    await mqtt.publish(result, { status: 'succeeded', value: { up: true } });
    await until('the end', () => viewer.commands.at(-1)!.state === 'succeeded');
    expect(viewer.commands[0]).toMatchObject({ id: body.command.id, device: 'live-command', state: 'queued' });
    expect(viewer.commands.at(-1)).toMatchObject({ name: 'reboot', attempts: 1, result: { up: true } });
  });

  it('its figures are those of the API and of the metrics', async () => {
    const viewer = await Viewer.open('?devices=live-figures');
    const mqtt = await mqttDevice(hub, await newDevice(hub, 'live-figures'));
    for (let value = 1; value <= 50; value++) await mqtt.publish('devices/me/telemetry', { value, twice: 2 * value });
    await until('figures of that', () => (viewer.figures.at(-1)?.readingsPerS ?? 0) > 5);
    const { online, offline, byProtocol, commitMs, ackMs, messagesPerS } = viewer.figures.at(-1)!;
    expect(messagesPerS).toBeGreaterThan(5);
    expect(commitMs!.p50).toBeGreaterThan(0);
    expect(commitMs!.p99).toBeGreaterThanOrEqual(commitMs!.p50);
    expect(ackMs!.p50).toBeGreaterThan(0);
    const { counts } = (await hub.api('GET', '/api/v1/fleet')).body;
    expect({ online, offline, byProtocol }).toEqual(counts);
    const metrics = (await hub.api('GET', '/metrics')).body as string;
    for (const [protocol, n] of Object.entries(byProtocol)) {
      expect(metrics).toContain(`muster_devices_online{protocol="${protocol}"} ${n}\n`);
    }
    expect(metrics).toContain(`muster_devices ${online + offline}\n`);
  });

  it('goes on after a gap without losing a change, and takes the state anew after a restart of the hub', async () => {
    const token = await newDevice(hub, 'live-gap');
    const mqtt = await mqttDevice(hub, token);
    const first = await Viewer.open('?devices=live-gap');
    await mqtt.publish('devices/me/telemetry', { a: 1 });
    await until('a', () => first.valueOf('live-gap', 'a') === 1);
    const { lastId } = first;
    await mqtt.publish('devices/me/telemetry', { b: 2 });
    const again = await Viewer.open('?devices=live-gap', lastId);
    expect(again.hello!.resumed).toBe(true);
    await until('b', () => again.valueOf('live-gap', 'b') === 2);
    expect(again.valueOf('live-gap', 'a')).toBeUndefined();

    await hub.restart();
    await until('the end', () => again.ended);
    const later = await Viewer.open('?devices=live-gap', again.lastId);
    await until('resync', () => later.resyncs.length === 1);
    expect([later.hello!.resumed, later.resyncs]).toEqual([false, ['other_run']]);
  });

  it('`muster tail` shows it, and comes back after a restart', async () => {
    const token = await newDevice(hub, 'live-tail');
    const me = new FakeProcess();
    me.env.MUSTER_URL = `http://127.0.0.1:${hub.port}`;
    me.env.MUSTER_TOKEN = hub.token;
    const running = me.run(['tail', 'live-tail']);
    afterThisTest(() => void me.signals.emit('SIGINT'));
    const mqtt = await mqttDevice(hub, token);
    for (let value = 1; !me.out.includes('temp '); value++) await mqtt.publish('devices/me/telemetry', { temp: value });
    await hub.restart();
    await until('the restart is noticed', () => me.err.includes('trying again'));
    await until('it is back', () => me.out.includes('other_run'));
    const back = await mqttDevice(hub, token);
    await until('it is online again', () => me.out.includes('connection 2'));
    await back.publish('devices/me/telemetry', { temp: 99 });
    await until('the new value', () => me.out.includes('temp 99'));
    me.signals.emit('SIGINT');
    expect(await running).toBe(0);
  });
});
