import { expect, it } from 'vitest';
import { oneHub, overEveryWire, type Client } from './wires.ts';

oneHub();

/** What the clients of a group got, each its list, acknowledged; `count` messages in all. */
async function gathered(clients: readonly Client[], count: number): Promise<string[][]> {
  const lists: string[][] = [];
  for (const client of clients) {
    const messages = await client.raw.untilPong();
    for (const message of messages) client.raw.finish(message);
    lists.push(messages.map(({ payload }) => payload.toString()));
  }
  expect(lists.flat().length).toBe(count);
  return lists;
}

overEveryWire(
  (mqtt) => {
    it('No Local keeps a client’s own messages from it, and only those [5.0: 3.8.3-3]', async () => {
      const topic = mqtt.own('t');
      const client = await mqtt.connect();
      await client.subscribe(topic, { qos: 1, nl: true });
      await client.publish(topic, 'mine');
      await (await mqtt.connect()).publish(topic, 'another’s');
      expect(await client.texts(1)).toEqual(['another’s']);
      await client.subscribe(topic, { qos: 1, nl: false });
      client.sendPublish(topic, 'mine');
      expect(await client.texts(1)).toEqual(['mine']);
    });

    it('No Local on a shared subscription closes with 0x82 [5.0: 3.8.3-4]', async () => {
      const { raw } = await mqtt.connect();
      raw.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '$share/g/t', qos: 1, nl: true }] });
      expect(await raw.closed()).toMatchObject([{ cmd: 'disconnect', reasonCode: 0x82 }]);
    });

    it('identifiers of all subscriptions that match come with the message [5.0: 3.3.4-3, 3.3.4-4, 3.3.4-5]', async () => {
      const base = mqtt.own('t');
      const client = await mqtt.connect();
      await client.subscribe(`${base}/#`, 1, { subscriptionIdentifier: 1 });
      await client.subscribe(`${base}/+`, 1, { subscriptionIdentifier: 268_435_455 });
      await client.subscribe(`${base}/a`, 1);
      const sender = await mqtt.connect();
      await sender.publish(`${base}/a`, 'x');
      const both = (await client.take()).properties?.subscriptionIdentifier;
      expect([both].flat().sort()).toEqual([1, 268_435_455]);
      await sender.publish(`${base}/a/b`, 'x');
      expect([(await client.take()).properties?.subscriptionIdentifier].flat()).toEqual([1]);
      await client.subscribe(`${base}/#`, 1);
      await sender.publish(`${base}/a/b`, 'x');
      expect((await client.take()).properties?.subscriptionIdentifier).toBeUndefined();
    });

    it('identifiers are part of the session', async () => {
      const [id, topic] = [mqtt.own('c'), mqtt.own('t')];
      const first = await mqtt.lasting(id);
      await first.subscribe(topic, 1, { subscriptionIdentifier: 77 });
      await first.disconnect();
      await (await mqtt.connect()).publish(topic, 'x');
      expect((await (await mqtt.lasting(id)).take()).properties?.subscriptionIdentifier).toBe(77);
    });

    it.each(['$share//t', '$share/g', '$share/g/', '$share/g+/t', '$share/#/t', '$share/+/t', '$share/'])(
      'SUBSCRIBE to %s is no shared subscription and closes [5.0: 4.8.2-1, 4.8.2-2]',
      async (topic) => {
        const { raw } = await mqtt.connect();
        raw.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 1 }] });
        const said = await raw.closed();
        expect(said).toMatchObject([{ cmd: 'disconnect' }]);
        expect([0x81, 0x82, 0x8f]).toContain((said[0] as { reasonCode?: number }).reasonCode);
      },
    );

    it('each message goes to one of a group, to each group, and to who does not share', async () => {
      const topic = mqtt.own('t');
      const [one, two, other, alone] = [
        await mqtt.connect(),
        await mqtt.connect(),
        await mqtt.connect(),
        await mqtt.connect(),
      ];
      await one.subscribe(`$share/g/${topic}/#`);
      await two.subscribe(`$share/g/${topic}/#`);
      await other.subscribe(`$share/h/${topic}/#`);
      await alone.subscribe(`${topic}/#`);
      const sender = await mqtt.connect();
      const all = Array.from({ length: 20 }, (_, i) => String(i));
      for (const payload of all) await sender.publish(`${topic}/x`, payload);
      const lists = await gathered([one, two], 20);
      expect(
        lists
          .flat()
          .map(Number)
          .sort((a, b) => a - b),
      ).toEqual(all.map(Number));
      expect(lists.every((list) => list.length > 0)).toBe(true);
      expect(await other.texts(20)).toEqual(all);
      expect(await alone.texts(20)).toEqual(all);
      await two.unsubscribe(`$share/g/${topic}/#`);
      for (const payload of all.slice(0, 5)) await sender.publish(`${topic}/x`, payload);
      expect((await gathered([one, two], 5))[1]).toEqual([]);
    });

    it('each of a group gets it at the QoS that it was granted [5.0: 4.8.2-3]', async () => {
      const topic = mqtt.own('t');
      const [zero, one] = [await mqtt.connect(), await mqtt.connect()];
      await zero.subscribe(`$share/g/${topic}`, 0);
      await one.subscribe(`$share/g/${topic}`, 1);
      const sender = await mqtt.connect();
      for (let i = 0; i < 6; i++) await sender.publish(topic, String(i), { qos: 2 });
      const [ofZero, ofOne] = [await zero.raw.untilPong(), await one.raw.untilPong()];
      expect(ofZero.length + ofOne.length).toBe(6);
      expect(ofZero.every(({ qos }) => qos === 0)).toBe(true);
      expect(ofOne.every(({ qos }) => qos === 1)).toBe(true);
    });

    it('QoS 2 that was begun with one of a group is finished with it, or with nobody [5.0: 4.8.2-4, 4.8.2-5]', async () => {
      const topic = mqtt.own('t');
      const [id, gone] = [mqtt.own('c'), mqtt.own('c')];
      const sender = await mqtt.connect();
      const first = await mqtt.lasting(id);
      await first.subscribe(`$share/g/${topic}`, 2);
      await sender.publish(topic, 'begun', { qos: 2 });
      const { messageId } = await first.message();
      const other = await mqtt.connect();
      await other.subscribe(`$share/g/${topic}`, 2);
      await first.raw.cut();
      const again = await mqtt.lasting(id);
      expect(await again.take()).toMatchObject({ messageId, dup: true, payload: Buffer.from('begun') });
      await other.raw.nothing();
      await again.unsubscribe(`$share/g/${topic}`);
      await other.unsubscribe(`$share/g/${topic}`);
      const dying = await mqtt.lasting(gone);
      await dying.subscribe(`$share/g/${topic}`, 2);
      await sender.publish(topic, 'lost', { qos: 2 });
      await dying.message();
      await other.subscribe(`$share/g/${topic}`, 2);
      await dying.raw.cut();
      await mqtt.connect({ id: gone, clean: true });
      await other.raw.nothing();
    });

    it('what one of a group refuses goes to no other [5.0: 4.8.2-6]', async () => {
      const topic = mqtt.own('t');
      const sender = await mqtt.connect();
      const [one, other] = [await mqtt.connect(), await mqtt.connect()];
      await one.subscribe(`$share/g/${topic}`, 2);
      await sender.publish(topic, 'a', { qos: 1 });
      await sender.publish(topic, 'b', { qos: 2 });
      const [a, b] = [await one.message(), await one.message()];
      await other.subscribe(`$share/g/${topic}`, 2);
      one.raw.answer('puback', a, 0x80);
      one.raw.answer('pubrec', b, 0x80);
      await one.raw.nothing();
      await other.raw.nothing();
    });
  },
  [5],
);
