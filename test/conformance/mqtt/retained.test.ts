import { describe, expect, it } from 'vitest';
import { onEveryWire, oneHub, overEveryWire, sleep } from './wires.ts';

oneHub();

overEveryWire((mqtt) => {
  it('a retained message is kept with its QoS and comes with RETAIN to who subscribes later [3.1.1: 3.3.1-5, 3.3.1-6, 3.3.1-8] [5.0: 3.3.1-5, 3.3.1-9]', async () => {
    const sender = await mqtt.connect();
    const base = mqtt.own('r');
    for (const qos of [0, 1, 2] as const) await sender.publish(`${base}/${qos}`, `kept ${qos}`, { qos, retain: true });
    const client = await mqtt.connect();
    await client.subscribe(`${base}/+`, 2);
    const found = [await client.take(), await client.take(), await client.take()];
    expect(found.map(({ topic, payload, qos, retain }) => [topic, payload.toString(), qos, retain]).sort()).toEqual(
      [0, 1, 2].map((qos) => [`${base}/${qos}`, `kept ${qos}`, qos, true]),
    );
    const lower = await mqtt.connect();
    await lower.subscribe(`${base}/2`, 1);
    expect(await lower.take()).toMatchObject({ qos: 1, retain: true });
  });

  it('who has subscribed already gets it without RETAIN [3.1.1: 3.3.1-9] [5.0: 3.3.1-12]', async () => {
    const topic = mqtt.own('r');
    const client = await mqtt.connect();
    await client.subscribe(topic, 1);
    await client.publish(mqtt.own('x'), 'x');
    await (await mqtt.connect()).publish(topic, 'x', { retain: true });
    expect(await client.take()).toMatchObject({ retain: false });
  });

  it('a newer one replaces it, at QoS 0 too; one without RETAIN does not touch it [3.1.1: 3.3.1-7, 3.3.1-12] [5.0: 3.3.1-5, 3.3.1-8]', async () => {
    const topic = mqtt.own('r');
    const sender = await mqtt.connect();
    const kept = async (): Promise<string> => {
      const client = await mqtt.connect();
      await client.subscribe(topic);
      const message = await client.take();
      await client.raw.nothing();
      return message.payload.toString();
    };
    await sender.publish(topic, 'one', { qos: 1, retain: true });
    await sender.publish(topic, 'two', { qos: 1, retain: false });
    expect(await kept()).toBe('one');
    await sender.publish(topic, 'three', { qos: 0, retain: true });
    await sender.publish(topic, '', { qos: 1, retain: false });
    await sender.raw.nothing();
    expect(await kept()).toBe('three');
  });

  it('an empty one is delivered, removes what was kept, and is not kept [3.1.1: 3.3.1-10, 3.3.1-11] [5.0: 3.3.1-6, 3.3.1-7]', async () => {
    const topic = mqtt.own('r');
    const sender = await mqtt.connect();
    await sender.publish(topic, 'x', { retain: true });
    const client = await mqtt.connect();
    await client.subscribe(topic);
    expect(await client.texts(1)).toEqual(['x']);
    await sender.publish(topic, '', { retain: true });
    expect(await client.take()).toMatchObject({ payload: Buffer.alloc(0), retain: false });
    const late = await mqtt.connect();
    await late.subscribe(topic);
    await late.raw.nothing();
  });

  it('it stays when the session of who sent it ends [3.1.1: 3.1.2-7]', async () => {
    const topic = mqtt.own('r');
    const sender = await mqtt.connect();
    await sender.publish(topic, 'stays', { retain: true });
    await sender.disconnect();
    const client = await mqtt.connect();
    await client.subscribe(topic);
    expect(await client.texts(1)).toEqual(['stays']);
  });

  it('it comes again with the same subscription made again, and nothing is lost meanwhile [3.1.1: 3.8.4-3] [5.0: 3.8.4-3, 3.8.4-4]', async () => {
    const topic = mqtt.own('r');
    const sender = await mqtt.connect();
    await sender.publish(`${topic}/kept`, 'kept', { retain: true });
    const client = await mqtt.connect();
    await client.subscribe(`${topic}/#`, 1);
    expect(await client.texts(1)).toEqual(['kept']);
    for (let i = 0; i < 10; i++) sender.sendPublish(`${topic}/live`, String(i), { qos: 1 });
    client.raw.send({ cmd: 'subscribe', messageId: 77, subscriptions: [{ topic: `${topic}/#`, qos: 0 }] });
    for (let i = 0; i < 10; i++) await sender.raw.next('puback');
    await sender.publish(`${topic}/live`, 'end');
    const seen: string[] = [];
    let isAnswered = false;
    while (!(seen.includes('end') && seen.includes('kept') && isAnswered)) {
      const packet = await client.raw.any();
      if (packet.cmd === 'suback') isAnswered = true;
      if (packet.cmd !== 'publish') continue;
      client.raw.finish(packet);
      seen.push(packet.payload.toString());
    }
    expect(seen.filter((text) => text !== 'kept')).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'end']);
    expect(seen.filter((text) => text === 'kept')).toEqual(['kept']);
    await sender.publish(`${topic}/live`, 'lower', { qos: 2 });
    expect((await client.message()).qos).toBe(0);
    await client.raw.nothing();
  });
});

describe('MQTT 5.0 alone', () => {
  overEveryWire(
    (mqtt) => {
      it('retain handling says when it comes: 0 always, 1 with a new subscription, 2 never [5.0: 3.3.1-9, 3.3.1-10, 3.3.1-11]', async () => {
        const topic = mqtt.own('r');
        await (await mqtt.connect()).publish(topic, 'kept', { retain: true });
        const client = await mqtt.connect();
        const subscribed = async (rh: 0 | 1 | 2): Promise<number> => {
          await client.subscribe(topic, { qos: 0, rh });
          return (await client.raw.untilPong()).length;
        };
        expect(await subscribed(2)).toBe(0);
        expect(await subscribed(1)).toBe(0);
        expect(await subscribed(0)).toBe(1);
        await client.unsubscribe(topic);
        expect(await subscribed(1)).toBe(1);
        expect(await subscribed(0)).toBe(1);
        expect(await subscribed(1)).toBe(0);
      });

      it('retain as published shows RETAIN as it was sent [5.0: 3.3.1-12, 3.3.1-13]', async () => {
        const topic = mqtt.own('r');
        const [as, not] = [await mqtt.connect(), await mqtt.connect()];
        await as.subscribe(topic, { qos: 1, rap: true });
        await not.subscribe(topic, { qos: 1, rap: false });
        const sender = await mqtt.connect();
        for (const retain of [true, false]) {
          await sender.publish(topic, 'x', { retain });
          expect((await as.take()).retain).toBe(retain);
          expect((await not.take()).retain).toBe(false);
        }
      });

      it('it does not come with a shared subscription', async () => {
        const topic = mqtt.own('r');
        await (await mqtt.connect()).publish(topic, 'kept', { retain: true });
        const client = await mqtt.connect();
        await client.subscribe(`$share/g/${topic}`);
        await client.raw.nothing();
      });

      it('it comes with its properties and with each subscription’s identifier', async () => {
        const topic = mqtt.own('r');
        const properties = {
          contentType: 'a/b',
          responseTopic: 'c',
          userProperties: { d: 'e' },
          messageExpiryInterval: 50,
        };
        await (await mqtt.connect()).publish(topic, 'kept', { retain: true, properties });
        const client = await mqtt.connect();
        await client.subscribe(topic, 1, { subscriptionIdentifier: 12 });
        const found = await client.take();
        expect(found.properties).toMatchObject({
          contentType: 'a/b',
          responseTopic: 'c',
          userProperties: { d: 'e' },
          subscriptionIdentifier: 12,
        });
        expect(found.properties?.messageExpiryInterval).toBeGreaterThan(45);
      });
    },
    [5],
  );
});

describe('what takes its time', () => {
  it('a retained message that has expired is not kept [5.0: 3.3.2-5]', () =>
    onEveryWire(
      async (mqtt) => {
        const topic = mqtt.own('r');
        await (
          await mqtt.connect()
        ).publish(topic, 'brief', { retain: true, properties: { messageExpiryInterval: 1 } });
        await sleep(1300);
        const client = await mqtt.connect();
        await client.subscribe(topic);
        await client.raw.nothing();
      },
      [5],
    ));
});
