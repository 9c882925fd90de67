import { describe, expect, it } from 'vitest';
import type { RoutedMessage } from '#protocols/message.js';
import { DURABLE_PACKET_IDS } from '#protocols/session-state.js';
import { delivery } from '../../support/fake-host.ts';
import { connected, hex, message, puback, pubcomp, pubrec, subscription, taken, type Connected } from './bench.ts';

const FIRST = DURABLE_PACKET_IDS + 1;
const A = subscription('a', 2);

function five(properties: Record<string, unknown> = {}, limits = {}): Promise<Connected> {
  return connected({ level: 5, connect: { properties }, limits });
}

function offer(bench: Connected, topic: string, text = '', fields: Partial<RoutedMessage> = {}, matches = [A]): void {
  bench.host.offer(delivery(message(topic, text, fields), matches));
}

const payloads = (bench: Connected): string[] => taken(bench).map((p) => String(p.payload));

describe('a message for a client of MQTT 5.0', () => {
  it('says all that its publisher said, unchanged and in order', async () => {
    const bench = await five();
    offer(bench, 'a', 'hi', {
      contentType: 'text/plain',
      headers: [
        ['b', '1'],
        ['a', '2'],
        ['b', '3'],
      ],
      properties: { responseTopic: 'r', correlationData: Buffer.from([9]), payloadIsText: true },
    });
    const bytes = bench.link.sent[0] as Buffer;
    expect(taken(bench)).toMatchObject([
      {
        topic: 'a',
        payload: Buffer.from('hi'),
        properties: {
          payloadFormatIndicator: true,
          contentType: 'text/plain',
          responseTopic: 'r',
          correlationData: Buffer.from([9]),
        },
      },
    ]);
    // mqtt-packet groups user properties by name, so the bytes are looked at [MQTT-3.3.2-18].
    expect(bytes.includes(hex('26000162000131 26000161000132 26000162000133'))).toBe(true);
  });

  it('without properties has an empty property part', async () => {
    const bench = await five();
    offer(bench, 'a', 'hi', { qos: 0 });
    expect(bench.link.take()).toEqual([hex('30 06 0001 61 00 6869')]);
  });

  it('has the identifiers of all its subscriptions [MQTT-3.3.4-3, MQTT-3.3.4-4]', async () => {
    const bench = await five();
    const matches = [
      subscription('a', 1, { identifier: 5 }),
      subscription('#', 0),
      subscription('+', 1, { identifier: 268_435_455 }),
      subscription('a/#', 1, { identifier: 5 }),
    ];
    offer(bench, 'a', '', {}, matches);
    offer(bench, 'a', '', {}, [subscription('#', 0)]);
    const [first, second] = taken(bench);
    expect(first).toHaveProperty('properties.subscriptionIdentifier', [5, 268_435_455, 5]);
    expect(second).not.toHaveProperty('properties.subscriptionIdentifier');
  });

  it.each([
    [10_000, 0, 10],
    [10_000, 1, 10],
    [10_000, 1000, 9],
    [10_000, 9999, 1],
  ])('of %i ms that has waited %i ms is worth %i s [MQTT-3.3.2-6]', async (lifeMs, waitedMs, left) => {
    const bench = await five();
    const properties = { expiresMs: bench.host.clock + lifeMs };
    bench.host.clock += waitedMs;
    offer(bench, 'a', '', { properties });
    expect(taken(bench)).toMatchObject([{ properties: { messageExpiryInterval: left } }]);
  });

  it('that has expired is skipped, and one that may be known is sent as worth nothing', async () => {
    const bench = await five();
    const properties = { expiresMs: bench.host.clock - 5000 };
    offer(bench, 'a', 'late', { properties });
    bench.host.offer(delivery(message('a', 'known', { properties, qos: 2 }), [A], { place: 4, dup: true }));
    expect(taken(bench)).toMatchObject([{ messageId: 4, properties: { messageExpiryInterval: 0 } }]);
    expect(bench.host.droppedCount.expired).toBe(1);
  });

  it('of an MQTT 3 client carries none of it', async () => {
    const bench = await connected();
    offer(bench, 'a', 'hi', { contentType: 'x', headers: [['a', 'b']], qos: 0 }, [
      subscription('a', 1, { identifier: 3 }),
    ]);
    expect(bench.link.take()).toEqual([hex('30 05 0001 61 6869')]);
  });
});

describe('the receive maximum of the client', () => {
  it('bounds what is under way, QoS 1 and 2 together [MQTT-3.3.4-9]', async () => {
    const bench = await five({ receiveMaximum: 2 });
    offer(bench, 'a', '1');
    offer(bench, 'a', '2', { qos: 2 });
    offer(bench, 'a', '3');
    offer(bench, 'a', '4');
    offer(bench, 'a', '0', { qos: 0 });
    expect(payloads(bench)).toEqual(['1', '2', '0']);
    bench.receive(pubrec(FIRST + 1));
    expect(taken(bench)).toMatchObject([{ cmd: 'pubrel' }]);
    bench.receive(pubcomp(FIRST + 1));
    expect(payloads(bench)).toEqual(['3']);
    bench.receive(puback(FIRST));
    expect(payloads(bench)).toEqual(['4']);
  });

  it('is no more than the hub’s own bound', async () => {
    const bench = await five({ receiveMaximum: 60_000 }, { maxInFlight: 1 });
    offer(bench, 'a', '1');
    offer(bench, 'a', '2');
    expect(payloads(bench)).toEqual(['1']);
  });
});

describe('the maximum packet size of the client', () => {
  // Two bytes before the remaining length, topic, packet id, an empty property part.
  const bytesOf = (payload: number): number => 2 + 3 + 2 + 1 + payload;

  it('is kept to: what is larger is skipped, counted and finished [MQTT-3.1.2-24, MQTT-3.1.2-25]', async () => {
    const bench = await five({ maximumPacketSize: bytesOf(10) });
    offer(bench, 'a', 'x'.repeat(11));
    offer(bench, 'a', 'y'.repeat(10));
    expect(payloads(bench)).toEqual(['y'.repeat(10)]);
    expect(bench.host.droppedCount).toEqual({ slow: 0, too_large: 1, expired: 0 });
    expect(bench.host.acknowledgements.map((d) => String(d.message.payload))).toEqual(['x'.repeat(11)]);
    expect(bench.state.inFlight.size).toBe(1);
  });

  it('is kept to at QoS 0, and counts properties', async () => {
    const bench = await five({ maximumPacketSize: bytesOf(10) });
    offer(bench, 'a', 'x'.repeat(12), { qos: 0 });
    offer(bench, 'a', 'x'.repeat(13), { qos: 0 });
    offer(bench, 'a', '', { qos: 0, contentType: 'longer than the rest' });
    expect(payloads(bench)).toEqual(['x'.repeat(12)]);
    expect(bench.host.droppedCount.too_large).toBe(2);
    expect(bench.host.acknowledgements).toEqual([]);
  });

  it('does not hold up those behind, nor their window', async () => {
    const bench = await five({ maximumPacketSize: bytesOf(10), receiveMaximum: 1 });
    for (const bytes of [1, 50, 50, 2]) offer(bench, 'a', 'x'.repeat(bytes));
    expect(payloads(bench)).toEqual(['x']);
    bench.receive(puback(FIRST));
    expect(payloads(bench)).toEqual(['xx']);
    expect(bench.host.droppedCount.too_large).toBe(2);
  });

  it('closes when an answer that is owed does not fit', async () => {
    const bench = await five({ maximumPacketSize: 30 }, { maxTopicAliases: 0 });
    const filters = Array.from({ length: 40 }, (_, i) => String.fromCharCode(97 + (i % 26)));
    const body = Buffer.concat(filters.map((filter) => Buffer.from([0, 1, filter.charCodeAt(0), 0])));
    bench.receive(Buffer.concat([hex('82 a301 0001 00'), body]));
    expect(bench.link.closedWith?.reason).toBe('too_large');
    expect(taken(bench)).toMatchObject([{ cmd: 'disconnect', reasonCode: 0x95 }]);
    expect(bench.host.calls).toEqual(['ready']);
  });
});

describe('topic aliases towards the client', () => {
  const seen = (bench: Connected): unknown[] =>
    taken(bench).map(({ topic, properties }) => [
      topic,
      (properties as { topicAlias?: number } | undefined)?.topicAlias,
    ]);

  it('are used where the client takes them: the topic once, then the alias', async () => {
    const bench = await five({ topicAliasMaximum: 5 });
    for (const topic of ['a', 'b', 'a', 'a', 'b']) offer(bench, topic, '', { qos: 0 });
    expect(seen(bench)).toEqual([
      ['a', 1],
      ['b', 2],
      ['', 1],
      ['', 1],
      ['', 2],
    ]);
  });

  it('are never more than the client takes [MQTT-3.1.2-26, MQTT-3.1.2-27]: the oldest gives way', async () => {
    const bench = await five({ topicAliasMaximum: 2 });
    for (const topic of ['a', 'b', 'c', 'b', 'a', 'c', 'b']) offer(bench, topic, '', { qos: 0 });
    expect(seen(bench)).toEqual([
      ['a', 1],
      ['b', 2],
      ['c', 1],
      ['', 2],
      ['a', 2],
      ['', 1],
      ['b', 1],
    ]);
    const none = await five();
    offer(none, 'a', '', { qos: 0 });
    offer(none, 'a', '', { qos: 0 });
    expect(seen(none)).toEqual([
      ['a', undefined],
      ['a', undefined],
    ]);
  });

  it('are never more than the hub keeps', async () => {
    const bench = await five({ topicAliasMaximum: 65_535 }, { maxTopicAliases: 1 });
    for (const topic of ['a', 'b', 'a']) offer(bench, topic, '', { qos: 0 });
    expect(seen(bench).map((pair) => (pair as unknown[])[1])).toEqual([1, 1, 1]);
  });

  it('stand for the topic as the client sees it', async () => {
    const bench = await five({ topicAliasMaximum: 5 });
    const mine = subscription('devices/me/x', 0);
    const all = subscription('devices/#', 0);
    for (const matches of [[mine], [mine, all], [mine]]) offer(bench, 'devices/d1/x', '', {}, matches);
    expect(seen(bench)).toEqual([
      ['devices/me/x', 1],
      ['devices/d1/x', 2],
      ['', 1],
    ]);
  });

  it('are not given by a message that was not sent', async () => {
    const bench = await five({ topicAliasMaximum: 5, maximumPacketSize: 40 });
    offer(bench, 'topic/of/thirteen', 'x'.repeat(50), { qos: 0 });
    // With an alias of its own it would have 41 bytes; without, 38.
    offer(bench, 'topic/of/thirteen', 'x'.repeat(16), { qos: 0 });
    offer(bench, 'topic/of/thirteen', 'x'.repeat(15), { qos: 0 });
    offer(bench, 'topic/of/thirteen', 'x'.repeat(30), { qos: 0 });
    expect(seen(bench)).toEqual([
      ['topic/of/thirteen', undefined],
      ['topic/of/thirteen', 1],
      ['', 1],
    ]);
    expect(bench.host.droppedCount.too_large).toBe(1);
  });

  it('begin anew with each connection', async () => {
    const first = await five({ topicAliasMaximum: 5 });
    offer(first, 'a');
    first.session.closed('connection_lost');
    const second = await connected({
      level: 5,
      state: first.state,
      resumed: true,
      connect: { clean: false, properties: { topicAliasMaximum: 5 } },
    });
    offer(second, 'a');
    expect(seen(second)).toEqual([['a', 1]]);
  });
});
