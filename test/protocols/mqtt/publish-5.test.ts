import { describe, expect, it } from 'vitest';
import { REJECT_CODES, type RejectCode } from '#protocols/errors.js';
import { ABANDONED, DUPLICATE, NOBODY, ROUTED, STORED, type Outcome } from '#protocols/outcome.js';
import { FakeHost } from '../../support/fake-host.ts';
import { connected, hex, publish, pubrec, pubrel, taken, type Connected, type ConnectedOptions } from './bench.ts';

const five = (options: ConnectedOptions = {}): Promise<Connected> => connected({ level: 5, ...options });
const rejected = (code: RejectCode, message = 'why'): Outcome => ({ kind: 'rejected', code, message, recorded: true });
const codes = (bench: Connected): unknown[] => taken(bench).map((p) => [p.cmd, p.messageId, p.reasonCode]);

describe('PUBLISH of MQTT 5.0', () => {
  it('reaches the hub with all that it says of its message, unchanged and in order', async () => {
    const bench = await five();
    const bytes = publish(
      {
        topic: 'd/me/x',
        retain: true,
        properties: {
          payloadFormatIndicator: true,
          messageExpiryInterval: 90,
          contentType: 'text/plain',
          responseTopic: 'answers/to/me',
          correlationData: Buffer.from([0, 255]),
        },
      },
      5,
    );
    bench.session.receive(bytes, false);
    bytes.fill(0);
    expect(bench.host.published[0]).toMatchObject({
      request: {
        topic: 'd/me/x',
        payload: Buffer.from('x'),
        qos: 1,
        retain: true,
        contentType: 'text/plain',
        headers: [],
        properties: {
          payloadIsText: true,
          expiresMs: bench.host.clock + 90_000,
          responseTopic: 'answers/to/me',
          correlationData: Buffer.from([0, 255]),
        },
      },
      position: undefined,
    });
    FakeHost.settle(bench.host.published, STORED);
    expect(bench.link.take()).toEqual([hex('40 02 0001')]);
  });

  it('keeps the order of user properties, also of those with one name [MQTT-3.3.2-17, MQTT-3.3.2-18]', async () => {
    const bench = await five();
    bench.receive(hex('30 19 0001 61 15 26000162000131 26000161000132 26000162000133'));
    expect(bench.host.published[0]?.request.headers).toEqual([
      ['b', '1'],
      ['a', '2'],
      ['b', '3'],
    ]);
  });

  it('without properties asks for nothing more than in MQTT 3', async () => {
    const bench = await five();
    bench.receive(publish({ qos: 0 }, 5));
    expect(bench.host.published).toEqual([
      {
        request: { topic: 'a/b', payload: Buffer.from('x'), qos: 0, retain: false, contentType: null, headers: [] },
        pending: NOBODY,
        position: undefined,
      },
    ]);
  });

  it.each([
    ['a subscription identifier [MQTT-3.3.4-6]', '30 06 0001 61 02 0b01', 'protocol_error'],
    ['a response topic with a wildcard [MQTT-3.3.2-14]', '30 09 0001 61 05 08 0002 2b2f', 'malformed'],
    ['a payload format that is neither', '30 06 0001 61 02 0102', 'protocol_error'],
    ['a property twice', '30 08 0001 61 04 01010101', 'protocol_error'],
  ])('with %s closes', async (_what, bytes, reason) => {
    const bench = await five();
    bench.receive(hex(bytes));
    expect(bench.link.closedWith?.reason).toBe(reason);
    expect(taken(bench)).toMatchObject([{ cmd: 'disconnect' }]);
    expect(bench.host.published).toEqual([]);
  });
});

describe('PUBACK of MQTT 5.0', () => {
  it('says what became of the message, with words, in the order of arrival', async () => {
    const bench = await five();
    for (const messageId of [1, 2, 3, 4]) bench.receive(publish({ messageId }, 5));
    const [a, b, c, d] = bench.host.published.map((p) => p.pending);
    d!.settle(ROUTED);
    c!.settle({ kind: 'gap', expected: 17 });
    b!.settle(rejected('topic_not_allowed', 'not yours'));
    expect(bench.link.sent).toEqual([]);
    a!.settle(DUPLICATE);
    const [first, second, third, fourth] = taken(bench);
    expect(first).toMatchObject({ cmd: 'puback', messageId: 1, reasonCode: 0 });
    expect(second).toMatchObject({ messageId: 2, reasonCode: 0x87 });
    expect(second).toHaveProperty('properties.reasonString', 'topic_not_allowed: not yours');
    expect(third).toMatchObject({ messageId: 3, reasonCode: 0x83 });
    expect(third!.properties).toMatchObject({ reasonString: expect.stringContaining('seq 17') });
    expect(fourth).toMatchObject({ messageId: 4, reasonCode: 0 });
    expect(bench.link.closedWith).toBeNull();
  });

  it.each(Object.keys(REJECT_CODES) as RejectCode[])(
    'has a reason code for %s that a PUBACK may have',
    async (code) => {
      const bench = await five();
      bench.receive(publish({}, 5));
      FakeHost.settle(bench.host.published, rejected(code));
      const [[, , reasonCode]] = codes(bench) as [[string, number, number]];
      const expected: Partial<Record<RejectCode, number>> = {
        topic_not_allowed: 0x87,
        unknown_device: 0x87,
        unknown_command: 0x90,
        series_limit: 0x97,
        queue_full: 0x97,
        too_many_readings: 0x97,
      };
      expect(reasonCode).toBe(expected[code] ?? 0x99);
    },
  );

  it('leaves the words out for a client that wants none [MQTT-3.1.2-29]', async () => {
    const bench = await five({ connect: { properties: { requestProblemInformation: false } } });
    bench.receive(publish({}, 5));
    FakeHost.settle(bench.host.published, rejected('empty'));
    expect(bench.link.take()).toEqual([hex('40 03 0001 99')]);
  });

  it('leaves the words out where they do not fit [MQTT-3.4.2-2]', async () => {
    const words = 'empty: why';
    const fits = 2 + 2 + 1 + 1 + 3 + words.length;
    for (const [maximumPacketSize, bytes] of [
      [fits, fits],
      [fits - 1, 5],
    ]) {
      const bench = await five({ connect: { properties: { maximumPacketSize } } });
      bench.receive(publish({}, 5));
      FakeHost.settle(bench.host.published, rejected('empty'));
      expect(bench.link.take().map((unit) => unit.length)).toEqual([bytes]);
    }
  });

  it('does not come for a message that was abandoned', async () => {
    const bench = await five();
    bench.receive(publish({}, 5));
    FakeHost.settle(bench.host.published, ABANDONED);
    expect(bench.link.sent).toEqual([]);
  });
});

describe('the payload format indicator', () => {
  const wrong = { payload: hex('c328'), properties: { payloadFormatIndicator: true } };

  it('is believed only after a look: else 0x99', async () => {
    const bench = await five();
    bench.receive(publish(wrong, 5));
    expect(bench.host.published).toEqual([]);
    expect(bench.host.rejections).toMatchObject([{ request: { payload: hex('c328'), code: 'malformed_payload' } }]);
    FakeHost.settle(bench.host.rejections, rejected('malformed_payload'));
    expect(codes(bench)).toEqual([['puback', 1, 0x99]]);
  });

  it('that is wrong at QoS 0 is recorded, and closes nothing', async () => {
    const bench = await five();
    bench.receive(publish({ ...wrong, qos: 0 }, 5));
    expect(bench.host.rejections).toMatchObject([{ pending: NOBODY }]);
    expect(bench.link.closedWith).toBeNull();
  });

  it('that is wrong at QoS 2 refuses by PUBREC, which ends the exchange', async () => {
    const bench = await five({ inboundWindow: 1 });
    for (let i = 0; i < 3; i++) {
      bench.receive(publish({ ...wrong, qos: 2, messageId: 5 }, 5));
      FakeHost.settle(bench.host.rejections, rejected('malformed_payload'));
      expect(codes(bench)).toEqual([['pubrec', 5, 0x99]]);
    }
    expect(bench.host.published).toEqual([]);
  });

  it('0 says nothing of the payload', async () => {
    const bench = await five();
    bench.receive(publish({ payload: hex('c328'), properties: { payloadFormatIndicator: false } }, 5));
    expect(bench.host.published).toHaveLength(1);
    expect(bench.host.published[0]!.request).not.toHaveProperty('properties');
  });
});

describe('topic aliases of the client', () => {
  const alias = (topicAlias: number, topic = '', qos = 0): Buffer =>
    publish({ topic, qos, properties: { topicAlias } }, 5);
  const topics = (bench: Connected): string[] => bench.host.published.map((p) => p.request.topic);

  it('stand for the topic they came with, and can be given anew', async () => {
    const bench = await five({ limits: { maxTopicAliases: 2 } });
    for (const bytes of [alias(1, 'a'), alias(2, 'b'), alias(1), alias(2), alias(1, 'c'), alias(1), alias(2)]) {
      bench.receive(bytes);
    }
    expect(topics(bench)).toEqual(['a', 'b', 'a', 'b', 'c', 'c', 'b']);
  });

  it('go with other properties, and at QoS 2', async () => {
    const bench = await five();
    bench.receive(publish({ topic: 'a', qos: 0, properties: { topicAlias: 3, contentType: 'x' } }, 5));
    bench.receive(publish({ topic: '', qos: 2, messageId: 8, properties: { topicAlias: 3, contentType: 'y' } }, 5));
    bench.receive(publish({ topic: '', qos: 2, messageId: 9, properties: { topicAlias: 3 } }, 5));
    expect(topics(bench)).toEqual(['a', 'a', 'a']);
    expect(bench.host.published.map((p) => p.request.contentType)).toEqual(['x', 'y', null]);
  });

  it.each([
    ['above the maximum [MQTT-3.3.2-9]', 3, 'a', 'topic_alias_invalid', 0x94],
    ['of 0 [MQTT-3.3.2-8]', 0, 'a', 'topic_alias_invalid', 0x94],
    ['that means nothing yet', 2, '', 'protocol_error', 0x82],
  ])('%s close', async (_what, topicAlias, topic, reason, reasonCode) => {
    const bench = await five({ limits: { maxTopicAliases: 2 } });
    const property = topicAlias === 0 ? hex('30 07 0001 61 03 230000') : alias(topicAlias, topic);
    bench.receive(property);
    expect(bench.link.closedWith?.reason).toBe(reason);
    expect(taken(bench)).toMatchObject([{ cmd: 'disconnect', reasonCode }]);
    expect(bench.host.published).toEqual([]);
  });

  it('are none when the hub takes none', async () => {
    const bench = await five({ limits: { maxTopicAliases: 0 } });
    bench.receive(alias(1, 'a'));
    expect(bench.link.closedWith?.reason).toBe('topic_alias_invalid');
  });

  it('end with the connection [MQTT-3.3.2-7]', async () => {
    const first = await five();
    first.receive(alias(1, 'a'));
    const second = await five({ state: first.state, resumed: true, connect: { clean: false } });
    second.receive(alias(1));
    expect(second.link.closedWith?.reason).toBe('protocol_error');
  });

  it('need a topic or an alias', async () => {
    const bench = await five();
    bench.receive(hex('30 03 0000 00'));
    expect(bench.link.closedWith?.reason).toBe('protocol_error');
  });
});

describe('flow control towards the hub', () => {
  const send = (bench: Connected, messageId: number, qos = 2): void => bench.receive(publish({ messageId, qos }, 5));

  it('takes as many exchanges of QoS 2 as it said, and closes with 0x93 past it [MQTT-3.3.4-9]', async () => {
    const bench = await five({ inboundWindow: 2 });
    send(bench, 1);
    send(bench, 2);
    expect(bench.link.closedWith).toBeNull();
    send(bench, 3);
    expect(bench.link.closedWith?.reason).toBe('receive_maximum_exceeded');
    expect(taken(bench)).toMatchObject([{ cmd: 'disconnect', reasonCode: 0x93 }]);
    expect(bench.host.published).toHaveLength(2);
  });

  it('takes QoS 1 past it, as in MQTT 3: there are clients that pay no heed, and to be closed does not teach them', async () => {
    const bench = await five({ inboundWindow: 1 });
    for (let id = 1; id <= 100; id++) send(bench, id, 1);
    send(bench, 101, 2);
    expect(bench.link.closedWith).toBeNull();
    expect(bench.host.published).toHaveLength(101);
    send(bench, 102, 2);
    expect(bench.link.closedWith?.reason).toBe('receive_maximum_exceeded');
  });

  it('counts an exchange until its PUBCOMP, or a PUBREC that refuses', async () => {
    const bench = await five({ inboundWindow: 2, lasting: true });
    send(bench, 1);
    send(bench, 2);
    FakeHost.settle(bench.host.published, ROUTED, 1);
    FakeHost.settle(bench.host.published, rejected('empty'), 1);
    send(bench, 3);
    bench.receive(pubrel(1));
    bench.host.commit();
    send(bench, 4);
    expect(bench.link.closedWith).toBeNull();
    bench.link.take();
    send(bench, 5);
    expect(bench.link.closedWith?.reason).toBe('receive_maximum_exceeded');
  });

  it('does not count QoS 0, nor the same QoS 2 message twice', async () => {
    const bench = await five({ inboundWindow: 1 });
    send(bench, 7, 2);
    for (let i = 0; i < 5; i++) bench.receive(publish({ qos: 0 }, 5));
    bench.receive(publish({ messageId: 7, qos: 2, dup: true }, 5));
    expect(bench.link.closedWith).toBeNull();
  });

  it('stays as it was said, though the hub’s window shrinks meanwhile', async () => {
    const bench = await five({ inboundWindow: 3 });
    bench.host.inboundWindow = 1;
    for (const id of [1, 2, 3]) send(bench, id);
    expect(bench.link.closedWith).toBeNull();
  });

  it('does not count what an earlier connection left', async () => {
    const first = await five({ inboundWindow: 2 });
    send(first, 1, 2);
    send(first, 2, 2);
    FakeHost.settle(first.host.published, ROUTED);
    first.session.closed('connection_lost');
    const second = await five({ state: first.state, resumed: true, inboundWindow: 2, connect: { clean: false } });
    send(second, 3);
    send(second, 4);
    expect(second.link.closedWith).toBeNull();
    second.receive(pubrel(1));
    expect(codes(second)).toEqual([['pubcomp', 1, 0]]);
    send(second, 5);
    expect(second.link.closedWith?.reason).toBe('receive_maximum_exceeded');
  });

  it('in MQTT 3 is bounded by the packet ids, repeats too', async () => {
    const bench = await connected();
    bench.receive(publish({ qos: 2, messageId: 1 }));
    const repeat = publish({ qos: 2, messageId: 1, dup: true });
    for (let i = 1; i < 0xffff; i++) bench.session.receive(repeat, false);
    expect(bench.link.closedWith).toBeNull();
    bench.receive(repeat);
    expect(bench.link.closedWith?.reason).toBe('protocol_error');
    expect(bench.host.published).toHaveLength(1);
  });
});

describe('a numbered message', () => {
  const numbered = (userProperties: Record<string, unknown>, fields: Record<string, unknown> = {}): Buffer =>
    publish({ topic: 'devices/me/telemetry', properties: { userProperties }, ...fields }, 5);

  it.each(['devices/me/telemetry', 'devices/d1/telemetry/json', 'devices/me/events/door'])(
    'has its place from its user properties: %s',
    async (topic) => {
      const bench = await five();
      bench.receive(numbered({ stream: 'q-1', seq: '41' }, { topic }));
      expect(bench.host.published[0]).toMatchObject({
        position: { stream: 'q-1', seq: 41 },
        request: {
          headers: [
            ['stream', 'q-1'],
            ['seq', '41'],
          ],
        },
      });
    },
  );

  it.each([
    ['on a free topic', { stream: 'q', seq: '1' }, { topic: 'a/b' }],
    ['at QoS 0', { stream: 'q', seq: '1' }, { qos: 0 }],
    ['at QoS 2', { stream: 'q', seq: '1' }, { qos: 2 }],
    ['without a stream', { seq: '1' }, {}],
    ['without a number', { stream: 'q' }, {}],
  ])('is none %s', async (_what, userProperties, fields) => {
    const bench = await five();
    bench.receive(numbered(userProperties, fields));
    expect(bench.host.published).toMatchObject([{ position: undefined }]);
  });

  it.each([
    ['stream', { stream: '', seq: '1' }],
    ['stream', { stream: 'a b', seq: '1' }],
    ['seq', { stream: 'q', seq: '0' }],
    ['seq', { stream: 'q', seq: '1.5' }],
    ['seq', { stream: 'q', seq: '-1' }],
    ['seq', { stream: 'q', seq: '9007199254740992' }],
  ])('whose %s names no place is refused, not stored twice (%o)', async (_what, userProperties) => {
    const bench = await five();
    bench.receive(numbered(userProperties));
    expect(bench.host.published).toEqual([]);
    expect(bench.host.rejections).toMatchObject([{ position: undefined, request: { code: 'malformed_payload' } }]);
  });

  it('that is not in its format keeps its place: the number is used up', async () => {
    const bench = await five();
    bench.receive(
      publish(
        {
          topic: 'devices/me/telemetry',
          payload: hex('ff'),
          properties: { payloadFormatIndicator: true, userProperties: { stream: 'q', seq: '2' } },
        },
        5,
      ),
    );
    expect(bench.host.rejections).toMatchObject([{ position: { stream: 'q', seq: 2 } }]);
  });
});

describe('PUBREL and PUBREC for nothing', () => {
  it('are told so in MQTT 5.0 (0x92), and the session goes on', async () => {
    const bench = await five();
    bench.receive(pubrel(77));
    bench.receive(pubrec(78));
    expect(codes(bench)).toEqual([
      ['pubcomp', 77, 0x92],
      ['pubrel', 78, 0x92],
    ]);
    bench.receive(hex('50 03 004f 80'));
    bench.receive(hex('70 02 0001'));
    bench.receive(hex('40 02 0001'));
    expect(bench.link.sent).toEqual([]);
    expect(bench.link.closedWith).toBeNull();
  });
});
