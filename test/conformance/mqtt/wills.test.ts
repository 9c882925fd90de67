import { describe, expect, it } from 'vitest';
import { pair, properties, str, u16, u32, u8, whole } from '../../protocols/mqtt/raw.ts';
import { onEveryWire, oneHub, overEveryWire, sleep, type Client, type Mqtt } from './wires.ts';

oneHub();

type Will = { topic: string; payload: Buffer; qos: 0 | 1 | 2; retain: boolean; properties?: Record<string, unknown> };

function willOf(topic: string, more: Partial<Will> = {}): Will {
  return { topic, payload: Buffer.from('gone'), qos: 1, retain: false, ...more };
}

async function watcherOf(mqtt: Mqtt, topic: string): Promise<Client> {
  const watcher = await mqtt.connect();
  await watcher.subscribe(topic, 2);
  return watcher;
}

overEveryWire((mqtt) => {
  const is5 = mqtt.level === 5;

  it.each([0, 1, 2] as const)(
    'a will is published when the network breaks, at its QoS %i and not retained [3.1.1: 3.1.2-8, 3.1.2-9, 3.1.2-16] [5.0: 3.1.2-7, 3.1.2-8, 3.1.2-14]',
    async (qos) => {
      const topic = mqtt.own('w');
      const watcher = await watcherOf(mqtt, topic);
      const client = await mqtt.connect({ will: willOf(topic, { qos }) });
      await client.raw.cut();
      const message = await watcher.take();
      expect(message).toMatchObject({ topic, payload: Buffer.from('gone'), qos, retain: false, dup: false });
      const late = await watcherOf(mqtt, topic);
      await late.raw.nothing();
    },
  );

  it('a retained will is kept for later subscribers [3.1.1: 3.1.2-17] [5.0: 3.1.2-15]', async () => {
    const topic = mqtt.own('w');
    const watcher = await watcherOf(mqtt, topic);
    const client = await mqtt.connect({ will: willOf(topic, { retain: true }) });
    await client.raw.cut();
    expect(await watcher.take()).toMatchObject({ retain: false });
    const late = await watcherOf(mqtt, topic);
    expect(await late.take()).toMatchObject({ topic, payload: Buffer.from('gone'), retain: true });
  });

  it('a will is published when the client breaks the protocol', async () => {
    const topic = mqtt.own('w');
    const watcher = await watcherOf(mqtt, topic);
    const client = await mqtt.connect({ will: willOf(topic) });
    client.raw.send(whole(0xc1));
    await client.raw.closed();
    expect(await watcher.texts(1)).toEqual(['gone']);
  });

  it('a will is published when another connection takes over', async () => {
    const [id, topic] = [mqtt.own('c'), mqtt.own('w')];
    const watcher = await watcherOf(mqtt, topic);
    const client = await mqtt.connect({ id, will: willOf(topic) });
    await mqtt.connect({ id });
    await client.raw.closed();
    expect(await watcher.texts(1)).toEqual(['gone']);
  });

  it('DISCONNECT takes the will away [3.1.1: 3.1.2-10, 3.14.4-3] [5.0: 3.1.2-10, 3.14.4-3]', async () => {
    const topic = mqtt.own('w');
    const watcher = await watcherOf(mqtt, topic);
    const client = await mqtt.connect({ will: willOf(topic, { retain: true }) });
    await client.disconnect();
    await sleep(20);
    await watcher.raw.nothing();
    const late = await watcherOf(mqtt, topic);
    await late.raw.nothing();
  });

  it('a will is published once, and belongs to the connection that gave it [3.1.1: 3.1.2-10, 3.1.2-12] [5.0: 3.1.2-10]', async () => {
    const [id, topic] = [mqtt.own('c'), mqtt.own('w')];
    const watcher = await watcherOf(mqtt, topic);
    const first = await mqtt.connect({ id, clean: false, expiryS: 3600, will: willOf(topic) });
    await first.raw.cut();
    expect(await watcher.texts(1)).toEqual(['gone']);
    const second = await mqtt.lasting(id);
    await second.raw.cut();
    const third = await mqtt.lasting(id);
    await third.disconnect();
    await sleep(20);
    await watcher.raw.nothing();
  });

  if (!is5) return;

  it('DISCONNECT with reason 0x04 publishes the will', async () => {
    const topic = mqtt.own('w');
    const watcher = await watcherOf(mqtt, topic);
    const client = await mqtt.connect({ will: willOf(topic) });
    await client.disconnect(0x04);
    expect(await watcher.texts(1)).toEqual(['gone']);
  });

  it('a will comes with its properties, user properties in their order [5.0: 3.1.3-10]', async () => {
    const topic = mqtt.own('w');
    const watcher = await watcherOf(mqtt, topic);
    const raw = await mqtt.open();
    const users = [pair('b', '1'), pair('a', '2'), pair('b', '3')];
    const will = properties(
      u8(0x01),
      u8(1),
      u8(0x02),
      u32(60),
      u8(0x03),
      str('text/plain'),
      u8(0x08),
      str('answers/here'),
      u8(0x09),
      str('id'),
      ...users,
    );
    const fields = [str('MQTT'), u8(5), u8(0x06), u16(0), properties()];
    raw.send(whole(0x10, ...fields, str(mqtt.own('c')), will, str(topic), str('gone')));
    await raw.next('connack');
    await raw.cut();
    const message = await watcher.take();
    expect(message.properties).toMatchObject({
      payloadFormatIndicator: true,
      contentType: 'text/plain',
      responseTopic: 'answers/here',
      correlationData: Buffer.from('id'),
    });
    expect(message.properties?.messageExpiryInterval).toBeGreaterThan(55);
    expect(message.raw.includes(Buffer.concat(users))).toBe(true);
  });

  it('a delayed will is published at once when its session ends', async () => {
    const topic = mqtt.own('w');
    const watcher = await watcherOf(mqtt, topic);
    const properties = { willDelayInterval: 60 };
    const ends = await mqtt.connect({ will: willOf(topic, { properties }) });
    await ends.raw.cut();
    expect(await watcher.texts(1)).toEqual(['gone']);
    const id = mqtt.own('c');
    const lasts = await mqtt.connect({ id, clean: false, expiryS: 3600, will: willOf(topic, { properties }) });
    await lasts.raw.cut();
    await sleep(20);
    await watcher.raw.nothing();
    await mqtt.connect({ id, clean: true });
    expect(await watcher.texts(1)).toEqual(['gone']);
  });

  it('a delayed will is not published when the session goes on in time [5.0: 3.1.3-9]', async () => {
    const [id, topic] = [mqtt.own('c'), mqtt.own('w')];
    const watcher = await watcherOf(mqtt, topic);
    const will = willOf(topic, { properties: { willDelayInterval: 1 } });
    const first = await mqtt.connect({ id, clean: false, expiryS: 3600, will });
    await first.raw.cut();
    const second = await mqtt.lasting(id);
    await watcher.raw.nothing();
    await second.disconnect();
    await watcher.raw.nothing();
  });
});

describe('what takes its time', () => {
  it('a delayed will waits for its delay, or for the end of its session; a client that is back in time has none [5.0: 3.1.2-8, 3.1.3-9]', () =>
    onEveryWire(
      async (mqtt) => {
        const [delayed, ended, resumed] = [mqtt.own('w'), mqtt.own('w'), mqtt.own('w')];
        const watchers = await Promise.all([delayed, ended, resumed].map((topic) => watcherOf(mqtt, topic)));
        const dies = async (topic: string, expiryS: number, willDelayInterval: number): Promise<string> => {
          const id = mqtt.own('c');
          const will = willOf(topic, { properties: { willDelayInterval } });
          const client = await mqtt.connect({ id, clean: false, expiryS, will });
          await client.raw.cut();
          return id;
        };
        const since = Date.now();
        await dies(delayed, 60, 1);
        await dies(ended, 1, 60);
        const back = await dies(resumed, 60, 1);
        await mqtt.lasting(back);
        for (const watcher of watchers) await watcher.raw.nothing();
        expect(await watchers[0]!.texts(1)).toEqual(['gone']);
        expect(Date.now() - since).toBeGreaterThanOrEqual(900);
        expect(await watchers[1]!.texts(1)).toEqual(['gone']);
        expect(Date.now() - since).toBeGreaterThanOrEqual(900);
        await sleep(500);
        await watchers[2]!.raw.nothing();
      },
      [5],
    ));
});
