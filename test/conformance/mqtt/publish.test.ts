import { expect, it } from 'vitest';
import { bin, properties, str, u16, u8, varint, whole } from '../../protocols/mqtt/raw.ts';
import { oneHub, overEveryWire } from './wires.ts';

oneHub();

overEveryWire((mqtt) => {
  const is5 = mqtt.level === 5;
  const none = is5 ? properties() : Buffer.alloc(0);
  const surrogate = bin(Buffer.from([0xed, 0xa0, 0x80]));

  it('QoS 0 is answered by nothing, QoS 1 by PUBACK, QoS 2 by PUBREC and PUBCOMP, with their packet ids [3.1.1: 2.3.1-6, 3.3.4-1, 4.3.2-2, 4.3.3-2] [5.0: 2.2.1-5, 3.3.4-1, 3.4.2-1, 3.5.2-1, 3.7.2-1, 4.3.2-4, 4.3.3-8, 4.3.3-11]', async () => {
    const topic = mqtt.own('t');
    const client = await mqtt.connect();
    client.sendPublish(topic, '0');
    await client.raw.nothing();
    client.sendPublish(topic, '1', { qos: 1, packetId: 0x1234 });
    const puback = await client.raw.next('puback');
    expect(puback.messageId).toBe(0x1234);
    client.sendPublish(topic, '2', { qos: 2, packetId: 0xffff });
    const pubrec = await client.raw.next('pubrec');
    client.raw.send({ cmd: 'pubrel', messageId: 0xffff });
    const pubcomp = await client.raw.next('pubcomp');
    expect([pubrec.messageId, pubcomp.messageId]).toEqual([0xffff, 0xffff]);
    if (is5)
      expect([puback, pubrec, pubcomp].map(({ reasonCode }) => [0, 0x10].includes(reasonCode!))).toEqual([
        true,
        true,
        true,
      ]);
  });

  it('a packet id may be used again when its exchange is over, whatever DUP says [3.1.1: 4.3.2-2, 4.3.3-2] [5.0: 4.3.2-5, 4.3.3-12]', async () => {
    const topic = mqtt.own('t');
    const watcher = await mqtt.connect();
    await watcher.subscribe(topic, 2);
    const client = await mqtt.connect();
    const seen: string[] = [];
    for (const qos of [1, 1, 2, 2, 1] as const) {
      const payload = `${qos} ${seen.length}`;
      seen.push(payload);
      await client.publish(topic, payload, { qos, packetId: 7, dup: seen.length % 2 === 0 });
    }
    expect(await watcher.texts(5)).toEqual(seen);
  });

  it('QoS 2 repeated before its PUBREL is answered and delivered once, also on the next connection [3.1.1: 4.3.3-2] [5.0: 4.3.3-10]', async () => {
    const [id, topic] = [mqtt.own('c'), mqtt.own('t')];
    const watcher = await mqtt.connect();
    await watcher.subscribe(topic, 2);
    const first = await mqtt.lasting(id);
    first.sendPublish(topic, 'once', { qos: 2, packetId: 9 });
    await first.raw.next('pubrec');
    first.sendPublish(topic, 'once', { qos: 2, packetId: 9, dup: true });
    expect(await first.raw.next('pubrec')).toMatchObject({ messageId: 9 });
    await first.raw.cut();
    const second = await mqtt.lasting(id);
    second.sendPublish(topic, 'once', { qos: 2, packetId: 9, dup: true });
    expect(await second.raw.next('pubrec')).toMatchObject({ messageId: 9 });
    second.raw.send({ cmd: 'pubrel', messageId: 9 });
    expect(await second.raw.next('pubcomp')).toMatchObject({ messageId: 9 });
    await second.publish(topic, 'next', { qos: 2, packetId: 9 });
    expect(await watcher.texts(2)).toEqual(['once', 'next']);
    await watcher.raw.nothing();
  });

  it('PUBREL is answered even when there is nothing to release [3.1.1: 4.3.3-2] [5.0: 4.3.3-11]', async () => {
    const { raw } = await mqtt.connect();
    raw.send({ cmd: 'pubrel', messageId: 99 });
    expect(await raw.next('pubcomp')).toMatchObject({ messageId: 99, ...(is5 ? { reasonCode: 0x92 } : {}) });
  });

  it('acknowledgements come in the order of the messages [3.1.1: 4.6.0-2, 4.6.0-3] [5.0: 4.6.0-2, 4.6.0-3]', async () => {
    const topic = mqtt.own('t');
    const client = await mqtt.connect();
    for (let id = 1; id <= 12; id++) client.sendPublish(topic, 'x', { qos: id % 3 === 0 ? 2 : 1, packetId: id });
    for (let id = 1; id <= 12; id++) {
      expect((await client.raw.next(id % 3 === 0 ? 'pubrec' : 'puback')).messageId).toBe(id);
    }
  });

  it('the DUP of a message that comes says nothing of the one that goes [3.1.1: 3.3.1-3] [5.0: 3.3.1-3]', async () => {
    const topic = mqtt.own('t');
    const watcher = await mqtt.connect();
    await watcher.subscribe(topic, 2);
    const client = await mqtt.connect();
    await client.publish(topic, 'x', { qos: 1, dup: true });
    await client.publish(topic, 'y', { qos: 2, dup: true });
    expect([await watcher.take(), await watcher.take()].map(({ dup }) => dup)).toEqual([false, false]);
  });

  it('payloads pass as they are: empty, binary, large', async () => {
    const topic = mqtt.own('t');
    const client = await mqtt.connect();
    await client.subscribe(topic, 0);
    const large = mqtt.wire.writing === 'byte by byte' ? 3000 : 200_000;
    for (const payload of [Buffer.alloc(0), Buffer.from([0, 0xff, 0xed, 0xa0, 0x80]), Buffer.alloc(large, 0xa5)]) {
      client.sendPublish(topic, payload);
      expect((await client.message()).payload.equals(payload)).toBe(true);
    }
  });

  it('topics are bytes: nothing is normalized, U+FEFF stays [3.1.1: 1.5.3-3, 4.7.3-4] [5.0: 1.5.4-3, 4.7.3-4]', async () => {
    const base = mqtt.own('t');
    const topics = [
      `${base}/é`,
      `${base}/e\u0301`,
      `${base}/\ufeffx`,
      `${base}/x`,
      `${base}/É`,
      `${base}/ `,
      `${base}/`,
    ];
    const client = await mqtt.connect();
    for (const [i, topic] of topics.entries()) {
      await client.subscribe(topic, 0);
      for (const each of topics.slice(i)) client.sendPublish(each, each);
      const { raw } = await client.message();
      expect(raw.includes(str(topic))).toBe(true);
      for (const each of topics.slice(i + 1)) client.sendPublish(each, each);
      await client.raw.nothing();
      await client.unsubscribe(topic);
    }
  });

  const wrong: [what: string, bytes: Buffer, code?: number][] = [
    ['packet id 0 [3.1.1: 2.3.1-1] [5.0: 2.2.1-3]', whole(0x32, str('t'), u16(0), none)],
    ['QoS 3 [3.1.1: 3.3.1-4] [5.0: 3.3.1-4]', whole(0x36, str('t'), u16(1), none)],
    ['DUP at QoS 0 [3.1.1: 3.3.1-2] [5.0: 3.3.1-2]', whole(0x38, str('t'), none)],
    ['+ in its topic [3.1.1: 3.3.2-2, 4.7.1-1] [5.0: 3.3.2-2, 4.7.0-1]', whole(0x30, str('a/+/b'), none), 0x90],
    ['# in its topic [3.1.1: 3.3.2-2, 4.7.1-1] [5.0: 3.3.2-2, 4.7.0-1]', whole(0x30, str('a/#'), none), 0x90],
    ['an empty topic [3.1.1: 4.7.3-1] [5.0: 4.7.3-1]', whole(0x30, str(''), none), 0x82],
    ['a topic that is not UTF-8 [3.1.1: 1.5.3-1, 3.3.2-1] [5.0: 1.5.4-1, 3.3.2-1]', whole(0x30, surrogate, none)],
    ['U+0000 in its topic [3.1.1: 1.5.3-2, 4.7.3-2] [5.0: 1.5.4-2, 4.7.3-2]', whole(0x30, str('a\0b'), none)],
    ['no topic at all [3.1.1: 3.3.2-1] [5.0: 3.3.2-1]', whole(0x30, u8(0))],
    [
      'a topic longer than this hub takes [3.1.1: 4.7.3-3] [5.0: 4.7.3-3]',
      whole(0x30, str('x'.repeat(2000)), none),
      0x90,
    ],
  ];
  it.each(wrong)(
    'PUBLISH with %s closes [3.1.1: 4.8.0-1] [5.0: 4.13.1-1, 4.13.2-1, 3.14.2-1]',
    async (_what, bytes, code) => {
      const { raw } = await mqtt.connect();
      raw.send(bytes);
      const said = await raw.closed();
      expect(said.map(({ cmd }) => cmd)).toEqual(is5 ? ['disconnect'] : []);
      if (is5) expect([0x81, code]).toContain((said[0] as { reasonCode?: number }).reasonCode);
    },
  );

  const acks: [what: string, bytes: Buffer][] = [
    ['PUBACK with reserved bits [3.1.1: 2.2.2-1, 2.2.2-2] [5.0: 2.1.3-1]', whole(0x42, u16(1))],
    ['PUBREC with reserved bits [3.1.1: 2.2.2-1, 2.2.2-2] [5.0: 2.1.3-1]', whole(0x51, u16(1))],
    ['PUBREL without its bits [3.1.1: 3.6.1-1] [5.0: 3.6.1-1]', whole(0x60, u16(1))],
    ['PUBCOMP with reserved bits [3.1.1: 2.2.2-1, 2.2.2-2] [5.0: 2.1.3-1]', whole(0x78, u16(1))],
    ['PINGREQ with reserved bits [3.1.1: 2.2.2-1, 2.2.2-2] [5.0: 2.1.3-1]', whole(0xc2)],
    ['a reserved packet type', whole(0x00)],
    ['a remaining length of five bytes', Buffer.concat([u8(0x30), Buffer.from([0xff, 0xff, 0xff, 0xff, 0x01])])],
  ];
  it.each(acks)('%s closes as malformed', async (_what, bytes) => {
    const { raw } = await mqtt.connect();
    raw.send(bytes);
    expect(await raw.closed()).toMatchObject(is5 ? [{ cmd: 'disconnect', reasonCode: 0x81 }] : []);
  });

  it('a packet that is larger than the hub takes closes as soon as its length is there', async () => {
    const { raw } = await mqtt.connect();
    raw.send(Buffer.concat([u8(0x30), varint(1024 * 1024)]));
    expect(await raw.closed()).toMatchObject(is5 ? [{ cmd: 'disconnect', reasonCode: 0x95 }] : []);
  });

  it('a message that may not be published is acknowledged all the same, in MQTT 5 with the reason [3.1.1: 3.3.5-2] [5.0: 4.3.3-9]', async () => {
    const topic = '$SYS/broker/version';
    const client = await mqtt.connect();
    for (const packetId of [5, 5]) {
      client.sendPublish(topic, 'mine', { qos: 2, packetId });
      const pubrec = await client.raw.next('pubrec');
      expect(pubrec.messageId).toBe(5);
      if (is5) expect(pubrec.reasonCode).toBe(0x87);
      else {
        client.raw.send({ cmd: 'pubrel', messageId: 5 });
        await client.raw.next('pubcomp');
      }
    }
    expect(await client.publish(topic, 'mine', { qos: 1 })).toBe(is5 ? 0x87 : 0);
    // The packet id that was refused is free.
    const [own, watcher] = [mqtt.own('t'), await mqtt.connect()];
    await watcher.subscribe(own, 2);
    await client.publish(own, 'new', { qos: 2, packetId: 5 });
    expect(await watcher.texts(1)).toEqual(['new']);
  });
});
