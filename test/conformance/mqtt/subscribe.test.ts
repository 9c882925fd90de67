import { describe, expect, it } from 'vitest';
import { bin, properties, str, u16, u8, whole } from '../../protocols/mqtt/raw.ts';
import { oneHub, overEveryWire } from './wires.ts';

oneHub();

overEveryWire((mqtt) => {
  const is5 = mqtt.level === 5;
  const none = is5 ? properties() : Buffer.alloc(0);
  const surrogate = bin(Buffer.from([0xed, 0xa0, 0x80]));

  it('SUBACK says for each filter, in their order, what was granted [3.1.1: 2.3.1-7, 3.8.4-1, 3.8.4-2, 3.8.4-4, 3.8.4-5, 3.9.3-1, 3.9.3-2] [5.0: 2.2.1-6, 3.8.4-1, 3.8.4-2, 3.8.4-5, 3.8.4-6, 3.8.4-7, 3.9.3-1, 3.9.3-2]', async () => {
    const base = mqtt.own('t');
    const { raw } = await mqtt.connect();
    const tooLong = `${base}/${'x'.repeat(2000)}`;
    const topics = [`${base}/a`, tooLong, `${base}/b`, `${base}/+`];
    const subscriptions = topics.map((topic, i) => ({ topic, qos: ([2, 1, 0, 1] as const)[i]! }));
    raw.send({ cmd: 'subscribe', messageId: 0xabcd, subscriptions });
    const suback = await raw.next('suback');
    expect(suback).toMatchObject({ messageId: 0xabcd, granted: [2, is5 ? 0x8f : 0x80, 0, 1] });
    const sender = await mqtt.connect();
    await sender.publish(`${base}/c`, 'x', { qos: 0 });
    expect((await raw.next('publish')).topic).toBe(`${base}/c`);
  });

  it('a subscription to the same filter replaces the one before [3.1.1: 3.8.4-3] [5.0: 3.8.4-3]', async () => {
    const topic = mqtt.own('t');
    const client = await mqtt.connect();
    const sender = await mqtt.connect();
    for (const qos of [0, 2, 1] as const) {
      await client.subscribe(topic, qos);
      await sender.publish(topic, 'x', { qos: 2 });
      expect((await client.take()).qos).toBe(qos);
      await client.raw.nothing();
    }
  });

  const wrong: [what: string, bytes: Buffer, code?: number][] = [
    ['SUBSCRIBE without its bits [3.1.1: 3.8.1-1] [5.0: 3.8.1-1]', whole(0x80, u16(1), none, str('t'), u8(0))],
    ['SUBSCRIBE without a filter [3.1.1: 3.8.3-3] [5.0: 3.8.3-2]', whole(0x82, u16(1), none), 0x82],
    ['SUBSCRIBE with packet id 0 [3.1.1: 2.3.1-1] [5.0: 2.2.1-3]', whole(0x82, u16(0), none, str('t'), u8(0))],
    [
      'SUBSCRIBE with a filter that is not UTF-8 [3.1.1: 3.8.3-1] [5.0: 3.8.3-1]',
      whole(0x82, u16(1), none, surrogate, u8(0)),
    ],
    ['SUBSCRIBE with U+0000 [3.1.1: 4.7.3-2] [5.0: 4.7.3-2]', whole(0x82, u16(1), none, str('a\0'), u8(0))],
    ['SUBSCRIBE with an empty filter [3.1.1: 4.7.3-1] [5.0: 4.7.3-1]', whole(0x82, u16(1), none, str(''), u8(0)), 0x8f],
    ['SUBSCRIBE with QoS 3 [3.1.1: 3.8.3-4]', whole(0x82, u16(1), none, str('t'), u8(3)), 0x82],
    ['SUBSCRIBE with reserved bits [3.1.1: 3.8.3-4] [5.0: 3.8.3-5]', whole(0x82, u16(1), none, str('t'), u8(0xc0))],
    [
      'SUBSCRIBE to a#: # is not alone [3.1.1: 4.7.1-2] [5.0: 4.7.1-1]',
      whole(0x82, u16(1), none, str('a#'), u8(0)),
      0x8f,
    ],
    [
      'SUBSCRIBE to a/#/b: # is not the last [3.1.1: 4.7.1-2] [5.0: 4.7.1-1]',
      whole(0x82, u16(1), none, str('a/#/b'), u8(0)),
      0x8f,
    ],
    [
      'SUBSCRIBE to a+/b: + is not alone [3.1.1: 4.7.1-3] [5.0: 4.7.1-2]',
      whole(0x82, u16(1), none, str('a+/b'), u8(0)),
      0x8f,
    ],
    ['UNSUBSCRIBE without its bits [3.1.1: 3.10.1-1] [5.0: 3.10.1-1]', whole(0xa0, u16(1), none, str('t'))],
    ['UNSUBSCRIBE without a filter [3.1.1: 3.10.3-2] [5.0: 3.10.3-2]', whole(0xa2, u16(1), none), 0x82],
    [
      'UNSUBSCRIBE with a filter that is not UTF-8 [3.1.1: 3.10.3-1] [5.0: 3.10.3-1]',
      whole(0xa2, u16(1), none, surrogate),
    ],
    ['UNSUBSCRIBE with packet id 0 [3.1.1: 2.3.1-1] [5.0: 2.2.1-3]', whole(0xa2, u16(0), none, str('t'))],
  ];
  it.each(wrong)('%s closes', async (_what, bytes, code) => {
    const { raw } = await mqtt.connect();
    raw.send(bytes);
    const said = await raw.closed();
    expect(said.map(({ cmd }) => cmd)).toEqual(is5 ? ['disconnect'] : []);
    if (is5) expect([0x81, code]).toContain((said[0] as { reasonCode?: number }).reasonCode);
  });

  it.each([
    ['#', ['a', 'a/b', '/', 'a//b', '/a'], []],
    ['+', ['a'], ['a/b', '/', '/a']],
    ['a/#', ['a', 'a/b', 'a/b/c', 'a/'], ['b', 'aa', 'A', '/a']],
    ['+/+', ['/a', 'a/', 'a/b', '/'], ['a', 'a/b/c', '//']],
    ['/+', ['/a', '/'], ['a', 'a/b', '//']],
    ['a/+/c/#', ['a/b/c', 'a//c', 'a/b/c/d/e'], ['a/b', 'a/b/d', 'b/b/c']],
    ['a/b', ['a/b'], ['a', 'a/b/', 'a/b/c', 'A/b', 'a/B']],
    ['+/#', ['a', 'a/b', '/'], []],
  ] as const)(
    '%s matches what it should, and nothing else [3.1.1: 3.3.2-3, 3.8.3-2] [5.0: 3.3.2-3]',
    async (filter, yes, no) => {
      // Under a level of its own; # alone has a test of its own in `$`.
      const base = mqtt.own('m');
      const client = await mqtt.connect();
      await client.subscribe(`${base}/${filter}`, 0);
      const sender = await mqtt.connect();
      for (const topic of [...no, ...yes]) sender.sendPublish(`${base}/${topic}`, topic);
      await sender.raw.nothing();
      for (const topic of yes) expect((await client.message()).topic).toBe(`${base}/${topic}`);
      await client.raw.nothing();
    },
  );

  it('topics that begin with $ are not matched by a wildcard in the first place [3.1.1: 4.7.2-1] [5.0: 4.7.2-1]', async () => {
    const [base, end] = [mqtt.own('$x'), mqtt.own('end')];
    const wild = await mqtt.connect();
    const subscriptions = ['#', '+/#', '+/+', '+'].map((topic) => ({ topic, qos: 0 as const }));
    wild.raw.send({ cmd: 'subscribe', messageId: 1, subscriptions });
    while ((await wild.raw.any('suback')).cmd !== 'suback');
    const named = await mqtt.connect();
    await named.subscribe(`${base}/#`, 0);
    const sender = await mqtt.connect();
    sender.sendPublish(base, 'x');
    sender.sendPublish(`${base}/a`, 'y');
    sender.sendPublish(end, 'end');
    expect(await named.texts(2)).toEqual(['x', 'y']);
    const topics: string[] = [];
    while (topics.at(-1) !== end) topics.push((await wild.message()).topic);
    expect(topics.filter((topic) => topic.startsWith('$'))).toEqual([]);
  });

  describe('unsubscribing', () => {
    it('is answered, whether there was such a subscription or not [3.1.1: 2.3.1-7, 3.10.4-4, 3.10.4-5, 3.10.4-6] [5.0: 2.2.1-6, 3.10.4-4, 3.10.4-5, 3.10.4-6, 3.11.3-1, 3.11.3-2]', async () => {
      const base = mqtt.own('t');
      const client = await mqtt.connect();
      await client.subscribe([`${base}/a`, `${base}/b`]);
      expect(await client.unsubscribe(`${base}/none`)).toEqual(is5 ? [0x11] : []);
      const filters = [`${base}/b`, `${base}/none`, `${base}/a`];
      expect(await client.unsubscribe(filters)).toEqual(is5 ? [0, 0x11, 0] : []);
      await (await mqtt.connect()).publish(`${base}/a`, 'x');
      await client.raw.nothing();
    });

    it('takes away the filter that is written exactly so, and no other [3.1.1: 3.10.4-1, 3.10.4-2] [5.0: 3.10.4-1, 3.10.4-2]', async () => {
      const base = mqtt.own('t');
      const client = await mqtt.connect();
      await client.subscribe([`${base}/+`, `${base}/A`]);
      await client.unsubscribe([`${base}/a`, `${base}/#`, `${base}/A/`]);
      const sender = await mqtt.connect();
      await sender.publish(`${base}/a`, 'by the wildcard');
      expect(await client.texts(1)).toEqual(['by the wildcard']);
      await client.unsubscribe(`${base}/+`);
      await sender.publish(`${base}/a`, 'by nothing');
      await sender.publish(`${base}/A`, 'by its name');
      expect(await client.texts(1)).toEqual(['by its name']);
      await client.raw.nothing();
    });

    it('lets what was sent already be finished [3.1.1: 3.10.4-3] [5.0: 3.10.4-3]', async () => {
      const topic = mqtt.own('t');
      const id = mqtt.own('c');
      const client = await mqtt.lasting(id);
      await client.subscribe(topic, 2);
      const sender = await mqtt.connect();
      await sender.publish(topic, 'one', { qos: 1 });
      await sender.publish(topic, 'two', { qos: 2 });
      const [one, two] = [await client.message(), await client.message()];
      await client.unsubscribe(topic);
      await client.raw.cut();
      const again = await mqtt.lasting(id);
      const ids = [one.messageId, two.messageId];
      const [first, second] = [await again.message(), await again.message()];
      expect([first.messageId, second.messageId]).toEqual(ids);
      again.raw.answer('puback', first);
      again.raw.answer('pubrec', second);
      expect((await again.raw.next('pubrel')).messageId).toBe(ids[1]);
      again.raw.answer('pubcomp', second);
      await sender.publish(topic, 'three');
      await again.raw.nothing();
    });
  });
});
