import { describe, expect, it } from 'vitest';
import { onEveryWire, oneHub, overEveryWire, sleep } from './wires.ts';

oneHub();

const QOS = [0, 1, 2] as const;

overEveryWire((mqtt) => {
  const is5 = mqtt.level === 5;

  it('a message comes at the lower one of its QoS and the granted one [3.1.1: 3.8.4-6] [5.0: 3.8.4-8]', async () => {
    const sender = await mqtt.connect();
    for (const granted of QOS) {
      const topic = mqtt.own('t');
      const client = await mqtt.connect();
      expect(await client.subscribe(topic, granted)).toEqual([granted]);
      for (const qos of QOS) {
        await sender.publish(topic, 'x', { qos });
        expect((await client.take()).qos).toBe(Math.min(qos, granted));
      }
    }
  });

  it('at QoS 0 without packet id and DUP, above it with a packet id that is not in use [3.1.1: 2.3.1-4, 2.3.1-5, 4.3.1-1, 4.3.2-1, 4.3.3-1] [5.0: 2.2.1-2, 2.2.1-4, 4.3.1-1, 4.3.2-1, 4.3.2-2, 4.3.3-1, 4.3.3-2]', async () => {
    const topic = mqtt.own('t');
    const client = await mqtt.connect();
    await client.subscribe(topic, 2);
    const sender = await mqtt.connect();
    const ids = new Set<number>();
    for (let i = 0; i < 10; i++) {
      const qos = i % 2 === 0 ? 1 : 2;
      await sender.publish(topic, 'x', { qos });
      const { messageId, dup } = await client.message();
      expect(dup).toBe(false);
      expect(messageId).toBeGreaterThan(0);
      ids.add(messageId!);
    }
    expect(ids.size).toBe(10);
    await sender.publish(topic, 'x', { qos: 0 });
    expect((await client.message()).raw[0]).toBe(0x30);
  });

  it('what was not acknowledged is not repeated until the client is back, and then under its packet id with DUP [3.1.1: 2.3.1-3, 3.3.1-1, 4.4.0-1] [5.0: 3.3.1-1, 4.3.2-3, 4.4.0-1]', async () => {
    const [id, topic] = [mqtt.own('c'), mqtt.own('t')];
    const first = await mqtt.lasting(id);
    await first.subscribe(topic, 1);
    const sender = await mqtt.connect();
    for (const payload of ['a', 'b', 'c']) await sender.publish(topic, payload);
    const sent = [await first.message(), await first.message(), await first.message()];
    first.raw.answer('puback', sent[1]!);
    await first.raw.nothing();
    await first.raw.cut();
    const second = await mqtt.lasting(id);
    for (const { payload, messageId } of [sent[0]!, sent[2]!]) {
      expect(await second.message()).toMatchObject({ payload, messageId, dup: true, qos: 1 });
    }
    await second.raw.nothing();
    second.raw.answer('puback', sent[0]!);
    second.raw.answer('puback', sent[2]!);
    await second.raw.nothing();
    await second.disconnect();
    const third = await mqtt.lasting(id);
    await third.raw.nothing();
  });

  it('QoS 2 is repeated until PUBREC, its PUBREL until PUBCOMP, and never the message after PUBREL [3.1.1: 4.3.3-1, 4.4.0-1] [5.0: 4.3.3-3, 4.3.3-4, 4.3.3-5, 4.3.3-6, 4.4.0-1, 3.6.2-1]', async () => {
    const [id, topic] = [mqtt.own('c'), mqtt.own('t')];
    const first = await mqtt.lasting(id);
    await first.subscribe(topic, 2);
    await (await mqtt.connect()).publish(topic, 'x', { qos: 2 });
    const { messageId } = await first.message();
    await first.raw.cut();
    const second = await mqtt.lasting(id);
    expect(await second.message()).toMatchObject({ messageId, qos: 2, dup: true, payload: Buffer.from('x') });
    second.raw.answer('pubrec', { messageId });
    const pubrel = await second.raw.next('pubrel');
    expect(pubrel.messageId).toBe(messageId);
    if (is5) expect(pubrel.reasonCode ?? 0).toBe(0);
    await second.raw.cut();
    const third = await mqtt.lasting(id);
    expect((await third.raw.next('pubrel')).messageId).toBe(messageId);
    await third.raw.nothing();
    third.raw.answer('pubcomp', { messageId });
    await third.raw.nothing();
    await third.disconnect();
    await (await mqtt.lasting(id)).raw.nothing();
  });

  it('what is repeated comes in the order of the first time, before what is new [3.1.1: 4.6.0-1] [5.0: 4.6.0-1]', async () => {
    const [id, topic] = [mqtt.own('c'), mqtt.own('t')];
    const first = await mqtt.lasting(id);
    await first.subscribe(topic, 2);
    const sender = await mqtt.connect();
    const all = Array.from({ length: 9 }, (_, i) => String(i));
    for (const payload of all.slice(0, 6))
      await sender.publish(topic, payload, { qos: Number(payload) % 2 === 0 ? 1 : 2 });
    for (let i = 0; i < 6; i++) await first.message();
    await first.raw.cut();
    for (const payload of all.slice(6)) await sender.publish(topic, payload, { qos: 1 });
    const second = await mqtt.lasting(id);
    expect(await second.texts(9)).toEqual(all);
  });

  it('messages of one topic come in the order in which they were sent [3.1.1: 4.6.0-5, 4.6.0-6] [5.0: 4.6.0-5, 4.6.0-6]', async () => {
    const topic = mqtt.own('t');
    for (const qos of QOS) {
      const client = await mqtt.connect();
      await client.subscribe(topic, 2);
      const sender = await mqtt.connect();
      const all = Array.from({ length: 40 }, (_, i) => String(i));
      for (const payload of all) {
        sender.sendPublish(topic, payload, { qos });
        if (qos === 2) {
          const { messageId } = await sender.raw.next('pubrec');
          sender.raw.answer('pubrel', { messageId });
          await sender.raw.next('pubcomp');
        }
      }
      expect(await client.texts(40)).toEqual(all);
    }
  });

  it('PUBREL comes in the order of PUBREC [3.1.1: 4.6.0-4] [5.0: 4.6.0-4]', async () => {
    const topic = mqtt.own('t');
    const client = await mqtt.lasting(mqtt.own('c'));
    await client.subscribe(topic, 2);
    const sender = await mqtt.connect();
    for (let i = 0; i < 4; i++) await sender.publish(topic, String(i), { qos: 2 });
    const ids: number[] = [];
    for (let i = 0; i < 4; i++) ids.push((await client.message()).messageId!);
    const order = [ids[2]!, ids[0]!, ids[3]!, ids[1]!];
    client.raw.send(...order.map((messageId) => ({ cmd: 'pubrec', messageId }) as const));
    for (const messageId of order) expect((await client.raw.next('pubrel')).messageId).toBe(messageId);
  });

  it('subscriptions that overlap bring one copy, at the highest QoS of theirs [3.1.1: 3.3.5-1] [5.0: 3.3.4-2]', async () => {
    const topic = mqtt.own('t');
    const client = await mqtt.connect();
    await client.subscribe(`${topic}/#`, 0);
    await client.subscribe(`${topic}/+`, 2);
    await client.subscribe(`${topic}/a`, 1);
    await (await mqtt.connect()).publish(`${topic}/a`, 'x', { qos: 2 });
    expect(await client.take()).toMatchObject({ qos: 2, topic: `${topic}/a` });
    await client.raw.nothing();
  });

  it('a client that has not read its messages gets them all, not more at a time than it can have', async () => {
    const [id, topic] = [mqtt.own('c'), mqtt.own('t')];
    const away = await mqtt.lasting(id);
    await away.subscribe(topic, 1);
    await away.disconnect();
    const sender = await mqtt.connect();
    const all = Array.from({ length: 150 }, (_, i) => String(i));
    for (const [i, payload] of all.entries()) {
      if (i >= 50) await sender.raw.next('puback');
      sender.sendPublish(topic, payload, { qos: 1 });
    }
    for (let i = 0; i < 50; i++) await sender.raw.next('puback');
    expect(await (await mqtt.lasting(id)).texts(150)).toEqual(all);
  });
});

describe('MQTT 5.0 alone', () => {
  overEveryWire(
    (mqtt) => {
      it('not more is under way than the receive maximum; all else goes on [5.0: 3.3.4-9, 3.3.4-10, 4.9.0-1, 4.9.0-2, 4.9.0-3]', async () => {
        const topic = mqtt.own('t');
        const client = await mqtt.connect({ properties: { receiveMaximum: 2 } });
        await client.subscribe(topic, 2);
        const sender = await mqtt.connect();
        for (const payload of ['a', 'b', 'c', 'd'])
          await sender.publish(topic, payload, { qos: payload === 'b' ? 2 : 1 });
        const [a, b] = [await client.message(), await client.message()];
        await client.raw.nothing();
        await sender.publish(topic, 'zero', { qos: 0 });
        expect((await client.message()).payload.toString()).toBe('zero');
        await client.subscribe(mqtt.own('more'));
        await client.publish(mqtt.own('elsewhere'), 'x');
        client.raw.answer('pubrec', b);
        await client.raw.next('pubrel');
        await client.raw.nothing();
        client.raw.answer('pubcomp', b);
        expect((await client.message()).payload.toString()).toBe('c');
        await client.raw.nothing();
        client.raw.answer('puback', a);
        expect((await client.message()).payload.toString()).toBe('d');
      });

      it('a message that the client refuses is finished: it makes room and is not sent again [5.0: 4.4.0-2]', async () => {
        const [id, topic] = [mqtt.own('c'), mqtt.own('t')];
        const properties = { receiveMaximum: 1 };
        const client = await mqtt.connect({ id, clean: false, expiryS: 60, properties });
        await client.subscribe(topic, 2);
        const sender = await mqtt.connect();
        for (const qos of [1, 2, 1] as const) await sender.publish(topic, String(qos), { qos });
        client.raw.answer('puback', await client.message(), 0x83);
        client.raw.answer('pubrec', await client.message(), 0x97);
        await client.take();
        await client.raw.nothing();
        await client.disconnect();
        await (await mqtt.lasting(id)).raw.nothing();
      });

      it('a message that is too large for the client is skipped as if it had been sent [5.0: 3.1.2-24, 3.1.2-25]', async () => {
        const [id, topic] = [mqtt.own('c'), mqtt.own('t')];
        const client = await mqtt.connect({
          id,
          clean: false,
          expiryS: 60,
          properties: { maximumPacketSize: 100, receiveMaximum: 1 },
        });
        await client.subscribe(topic, 2);
        const sender = await mqtt.connect();
        const room = 100 - 2 - 2 - Buffer.byteLength(topic) - 2 - 1;
        for (const qos of QOS) await sender.publish(topic, 'x'.repeat(room + (qos === 0 ? 3 : 1)), { qos });
        for (const qos of QOS) await sender.publish(topic, 'y'.repeat(room + (qos === 0 ? 2 : 0)), { qos });
        for (const qos of QOS) {
          const message = await client.take();
          expect([message.qos, message.raw.length, message.payload[0]]).toEqual([qos, 100, 'y'.charCodeAt(0)]);
        }
        await client.raw.nothing();
        await client.disconnect();
        await (await mqtt.lasting(id)).raw.nothing();
      });

      it('an answer that must be given and does not fit closes with 0x95, or silently where that does not fit either', async () => {
        const client = await mqtt.connect({ properties: { maximumPacketSize: 24 } });
        const subscriptions = Array.from({ length: 30 }, (_, i) => ({
          topic: `${mqtt.own('t')}/${i}`,
          qos: 0 as const,
        }));
        client.raw.send({ cmd: 'subscribe', messageId: 1, subscriptions });
        const said = await client.raw.closed();
        expect(said).toMatchObject([{ cmd: 'disconnect', reasonCode: 0x95 }]);
        expect(said[0]!.raw.length).toBeLessThanOrEqual(24);
      });

      it('the expiry interval that a message is sent with is what is left of it [5.0: 3.3.2-6]', async () => {
        const topic = mqtt.own('t');
        const client = await mqtt.connect();
        await client.subscribe(topic, 1);
        await (await mqtt.connect()).publish(topic, 'x', { properties: { messageExpiryInterval: 100 } });
        const left = (await client.take()).properties?.messageExpiryInterval;
        expect([99, 100]).toContain(left);
      });
    },
    [5],
  );
});

describe('what takes its time', () => {
  it('a message that waits too long is dropped, one that was sent is finished, one that lasts is told its rest [5.0: 3.3.2-5, 3.3.2-6, 4.3.3-7, 4.3.3-13]', () =>
    onEveryWire(
      async (mqtt) => {
        const [id, topic] = [mqtt.own('c'), mqtt.own('t')];
        const properties = { receiveMaximum: 1 };
        const first = await mqtt.connect({ id, clean: false, expiryS: 60, properties });
        await first.subscribe(topic, 2);
        const sender = await mqtt.connect();
        const expiring = (messageExpiryInterval: number) =>
          ({ qos: 2, properties: { messageExpiryInterval } }) as const;
        await sender.publish(topic, 'sent', expiring(1));
        await sender.publish(topic, 'late', expiring(1));
        await sender.publish(topic, 'lasts', expiring(60));
        const sent = await first.message();
        await first.raw.cut();
        // The sender's side of an exchange whose message expires meanwhile.
        sender.sendPublish(topic, 'received', { ...expiring(1), packetId: 500 });
        await sender.raw.next('pubrec');
        await sleep(2100);
        sender.raw.send({ cmd: 'pubrel', messageId: 500 });
        await sender.raw.next('pubcomp');
        const second = await mqtt.lasting(id);
        const again = await second.take();
        expect(again).toMatchObject({ payload: Buffer.from('sent'), dup: true, messageId: sent.messageId });
        const lasts = await second.take();
        expect(lasts.payload.toString()).toBe('lasts');
        expect(lasts.properties?.messageExpiryInterval).toBeGreaterThan(50);
        expect(lasts.properties?.messageExpiryInterval).toBeLessThanOrEqual(58);
        await second.raw.nothing();
      },
      [5],
    ));
});
