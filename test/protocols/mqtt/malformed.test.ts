import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CLOSE_REASONS, closeReason, type CloseReason } from '#protocols/close-reasons.js';
import { ProtocolError } from '#protocols/errors.js';
import { DEFAULT_LIMITS } from '#protocols/limits.js';
import type { Level } from '#protocols/mqtt/packet.js';
import { readConnect, readVersion } from '#protocols/mqtt/packets.js';
import { PublishReader } from '#protocols/mqtt/publish.js';
import { PacketReader } from '#protocols/mqtt/reader.js';
import { CONNACK_CODES, connackCode, DISCONNECT_CODES, disconnectCode, REASON } from '#protocols/mqtt/reason-codes.js';
import { bin, pair, properties, read, refused, str, u16, u8, whole, WITH_PROPERTIES } from './raw.ts';

const LEVELS = [3, 4, 5] as const;
const NONE = properties();
/** Property lengths stand in MQTT 5.0 alone. */
const none = (level: Level): Buffer => (level === 5 ? NONE : Buffer.alloc(0));
const surrogate = Buffer.from([0xed, 0xa0, 0x80]);
const badText: [string, Buffer][] = [
  ['a surrogate', bin(surrogate)],
  ['a lone continuation byte', bin(Buffer.from([0x61, 0x80]))],
  ['an overlong form', bin(Buffer.from([0xc0, 0x80]))],
  ['U+0000', str('a\0b')],
  ['U+0000 behind much text', str(`${'a'.repeat(100)}\0`)],
];

function connect(level: Level, flags: number, ...rest: Buffer[]): Buffer {
  const name = level === 3 ? 'MQIsdp' : 'MQTT';
  return whole(0x10, str(name), Buffer.from([level, flags]), u16(60), none(level), ...rest);
}

/** Everything that a level allows. */
function sound(level: Level): Buffer[] {
  return [
    connect(level, 0x02, str('c')),
    connect(level, 0xf6, str('c'), none(level), str('w'), bin(u8(0)), str('u'), bin(surrogate)),
    whole(0x30, str('a'), none(level)),
    whole(0x3d, str('/'), u16(1), none(level), surrogate),
    whole(0x40, u16(1)),
    whole(0x50, u16(0xffff)),
    whole(0x62, u16(1)),
    whole(0x70, u16(1)),
    whole(0x82, u16(1), none(level), str('#'), u8(2)),
    whole(0xa2, u16(1), none(level), str('a'), str('b')),
    whole(0xc0),
    whole(0xe0),
  ];
}

describe.each(LEVELS)('MQTT at level %i', (level) => {
  const sides: [what: string, bytes: Buffer, reason: CloseReason, only?: readonly Level[]][] = [
    ['reserved type 0', whole(0x00), 'malformed'],
    ['reserved type 15', whole(0xf0), 'malformed', [3, 4]],
    ['CONNACK from a client', whole(0x20, u16(0)), 'protocol_error'],
    ['SUBACK from a client', whole(0x90, u16(1), u8(0)), 'protocol_error'],
    ['UNSUBACK from a client', whole(0xb0, u16(1)), 'protocol_error'],
    ['PINGRESP from a client', whole(0xd0), 'protocol_error'],
    ['CONNECT with DUP', whole(0x18), 'malformed'],
    ['PUBACK with flags [MQTT-2.1.3-1]', whole(0x42, u16(1)), 'malformed'],
    ['PUBREL without its flags [MQTT-3.6.1-1]', whole(0x60, u16(1)), 'malformed'],
    ['SUBSCRIBE without its flags [MQTT-3.8.1-1]', whole(0x80, u16(1), none(level), str('f'), u8(0)), 'malformed'],
    ['UNSUBSCRIBE without its flags [MQTT-3.10.1-1]', whole(0xa0, u16(1), none(level), str('f')), 'malformed'],
    ['SUBSCRIBE with DUP', whole(0x8a, u16(1), none(level), str('f'), u8(0)), 'malformed', [4, 5]],
    ['PINGREQ with flags', whole(0xc1), 'malformed'],
    ['PINGREQ with a body', whole(0xc0, u8(0)), 'malformed'],
    ['DISCONNECT with flags [MQTT-3.14.1-1]', whole(0xe1), 'malformed'],
    ['DISCONNECT with a body', whole(0xe0, u8(0)), 'malformed', [3, 4]],

    ['the reserved connect flag [MQTT-3.1.2-3]', connect(level, 0x03, str('c')), 'malformed'],
    ['will QoS without a will [MQTT-3.1.2-11]', connect(level, 0x0a, str('c')), 'malformed'],
    ['will retain without a will [MQTT-3.1.2-13]', connect(level, 0x22, str('c')), 'malformed'],
    ['will QoS 3 [MQTT-3.1.2-12]', connect(level, 0x1e, str('c'), none(level), str('w'), bin(u8(1))), 'malformed'],
    ['a password without a user name [MQTT-3.1.2-22]', connect(level, 0x42, str('c'), bin(u8(1))), 'malformed', [3, 4]],
    ['a will topic with a wildcard', connect(level, 0x06, str('c'), none(level), str('w/#'), bin(u8(1))), 'malformed'],
    ['an empty will topic', connect(level, 0x06, str('c'), none(level), str(''), bin(u8(1))), 'malformed'],
    ['bytes after the last field of CONNECT', connect(level, 0x02, str('c'), u8(0)), 'malformed'],
    ['CONNECT without the user name it announces', connect(level, 0x82, str('c')), 'malformed', [4, 5]],
    ['an empty CONNECT', whole(0x10), 'malformed'],
    ['another protocol', whole(0x10, str('MQTX'), u8(level), u8(2), u16(0), str('c')), 'unsupported_version'],
    ['another level', whole(0x10, str('MQTT'), u8(6), u8(2), u16(0), str('c')), 'unsupported_version'],
    [
      'the name of 3.1 with the level of 3.1.1',
      whole(0x10, str('MQIsdp'), u8(4), u8(2), u16(0), str('c')),
      'unsupported_version',
    ],

    ['QoS 3 [MQTT-3.3.1-4]', whole(0x36, str('t'), u16(1), none(level)), 'malformed'],
    ['DUP at QoS 0 [MQTT-3.3.1-2]', whole(0x38, str('t'), none(level)), 'malformed'],
    ['PUBLISH with packet id 0 [MQTT-2.2.1-3]', whole(0x32, str('t'), u16(0), none(level)), 'malformed'],
    ['a topic name with + [MQTT-3.3.2-2]', whole(0x30, str('a/+'), none(level)), 'malformed'],
    ['a topic name with # [MQTT-3.3.2-2]', whole(0x30, str('a#'), none(level)), 'malformed'],
    ['an empty topic name [MQTT-4.7.3-1]', whole(0x30, str(''), none(level)), 'malformed', [3, 4]],
    ['neither topic name nor alias', whole(0x30, str(''), NONE), 'protocol_error', [5]],
    ['an empty PUBLISH', whole(0x30), 'malformed'],
    ['a topic name that ends outside', whole(0x30, u16(9), u8(0x61)), 'malformed'],
    ['PUBLISH that ends before its packet id', whole(0x32, str('t'), u8(0)), 'malformed'],
    ['a topic alias that is cut short', whole(0x30, str('t'), Buffer.from([3, 0x23, 1])), 'malformed', [5]],
    ['PUBLISH that ends before its property length', whole(0x30, str('t')), 'malformed', [5]],

    ['SUBSCRIBE with packet id 0', whole(0x82, u16(0), none(level), str('f'), u8(0)), 'malformed'],
    ['SUBSCRIBE without a filter [MQTT-3.8.3-3]', whole(0x82, u16(1)), 'malformed'],
    ['SUBSCRIBE without a filter [MQTT-3.8.3-2]', whole(0x82, u16(1), NONE), 'protocol_error', [5]],
    ['SUBSCRIBE without the last options', whole(0x82, u16(1), none(level), str('f')), 'malformed'],
    [
      'QoS 3 in SUBSCRIBE',
      whole(0x82, u16(1), none(level), str('f'), u8(3)),
      level === 5 ? 'protocol_error' : 'malformed',
    ],
    [
      'reserved bits in SUBSCRIBE [MQTT-3-8.3-4]',
      whole(0x82, u16(1), none(level), str('f'), u8(4)),
      'malformed',
      [3, 4],
    ],
    ['reserved bits in SUBSCRIBE [MQTT-3.8.3-5]', whole(0x82, u16(1), none(level), str('f'), u8(0x40)), 'malformed'],
    ['the highest of them', whole(0x82, u16(1), none(level), str('f'), u8(0x80)), 'malformed'],
    ['retain handling 3', whole(0x82, u16(1), NONE, str('f'), u8(0x30)), 'protocol_error', [5]],
    ['UNSUBSCRIBE with packet id 0', whole(0xa2, u16(0), none(level), str('f')), 'malformed'],
    ['UNSUBSCRIBE without a filter [MQTT-3.10.3-2]', whole(0xa2, u16(1)), 'malformed'],
    ['UNSUBSCRIBE without a filter', whole(0xa2, u16(1), NONE), 'protocol_error', [5]],
    ['half a filter in UNSUBSCRIBE', whole(0xa2, u16(1), none(level), u8(0)), 'malformed'],

    ['PUBACK with packet id 0', whole(0x40, u16(0)), 'malformed'],
    ['PUBREC of one byte', whole(0x50, u8(1)), 'malformed'],
    ['an empty PUBREL', whole(0x62), 'malformed'],
    ['PUBCOMP of three bytes', whole(0x70, u16(1), u8(0)), 'malformed', [3, 4]],
    ['bytes after the properties of PUBACK', whole(0x40, u16(1), u8(0), NONE, u8(0)), 'malformed', [5]],
    ['a PUBACK code that is none [MQTT-3.4.2-1]', whole(0x40, u16(1), u8(0x92)), 'protocol_error', [5]],
    ['a PUBREC code that is none [MQTT-3.5.2-1]', whole(0x50, u16(1), u8(0x01)), 'protocol_error', [5]],
    ['a PUBREL code that is none [MQTT-3.6.2-1]', whole(0x62, u16(1), u8(0x80)), 'protocol_error', [5]],
    ['a PUBCOMP code that is none [MQTT-3.7.2-1]', whole(0x70, u16(1), u8(0x10)), 'protocol_error', [5]],
    ['a DISCONNECT code of servers [MQTT-3.14.2-1]', whole(0xe0, u8(0x8b)), 'protocol_error', [5]],
    ['an AUTH code that is none [MQTT-3.15.2-1]', whole(0xf0, u8(0x80)), 'protocol_error', [5]],
    ['AUTH with flags [MQTT-3.15.1-1]', whole(0xf1), 'malformed', [5]],
    ['bytes after the properties of DISCONNECT', whole(0xe0, u8(0), NONE, u8(0)), 'malformed', [5]],
  ];

  it('takes what is sound', () => {
    for (const bytes of sound(level)) expect(refused(level, bytes), bytes.toString('hex')).toBeNull();
  });

  it.each(sides.filter(([, , , only]) => only === undefined || only.includes(level)))(
    'refuses %s',
    (_what, bytes, reason) => {
      expect(refused(level, bytes)).toBe(reason);
    },
  );

  it.each(badText)('refuses %s in every text', (_what, text) => {
    for (const bytes of [
      whole(0x10, text, u8(level)),
      connect(level, 0x02, text),
      connect(level, 0x06, str('c'), none(level), text, bin(u8(1))),
      connect(level, 0x82, str('c'), text),
      whole(0x30, text, none(level)),
      whole(0x82, u16(1), none(level), text, u8(0)),
      whole(0xa2, u16(1), none(level), str('f'), text),
    ]) {
      expect(refused(level, bytes), bytes.toString('hex')).toBe('malformed');
    }
  });

  it('refuses whatever is cut short, at every byte', () => {
    for (const bytes of sound(level)) {
      const body = bytes.subarray(2);
      for (let end = 0; end < body.length; end++) {
        const cut = whole(bytes[0]!, body.subarray(0, end));
        // A payload has no length of its own, a list of filters is one without its last, a DISCONNECT may leave out its end.
        const type = bytes[0]! >> 4;
        if (type === 3 && end >= body.length - 3) continue;
        if (type === 10 && end === body.length - 3) continue;
        // MQTT 3.1: user name and password may be missing although their flags are set.
        if (level === 3 && type === 1 && refused(3, cut) === null && read(3, cut)['password'] === null) continue;
        expect(refused(level, cut), cut.toString('hex')).not.toBeNull();
      }
    }
  });

  it('throws nothing but ProtocolError, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...sound(level)),
        fc.array(fc.tuple(fc.nat(63), fc.nat(255)), { maxLength: 4 }),
        (bytes, edits) => {
          const copy = Buffer.from(bytes);
          for (const [at, value] of edits) copy[at % copy.length] = value;
          refused(level, copy);
        },
      ),
      { numRuns: 3000 },
    );
  });
});

describe('what MQTT 5.0 allows and 3.1.1 does not', () => {
  it('a password alone', () => {
    expect(read(5, connect(5, 0x42, str('c'), bin(u8(9))))).toMatchObject({ username: null, password: u8(9) });
  });

  it('a topic alias in the place of the topic', () => {
    const alias = Buffer.from([0x23, 0xff, 0xff]);
    const packet = { topic: '', topicAlias: 0xffff, payload: u8(7), packetId: 5, qos: 1 };
    expect(read(5, whole(0x32, str(''), u16(5), properties(alias), u8(7)))).toMatchObject({
      ...packet,
      properties: null,
    });
    expect(read(5, whole(0x32, str(''), u16(5), properties(alias, pair('a', 'b')), u8(7)))).toMatchObject(packet);
  });

  it('acknowledgements and goodbyes with reason code and properties, or without', () => {
    for (const bytes of [whole(0x50, u16(7)), whole(0x50, u16(7), u8(0)), whole(0x50, u16(7), u8(0), NONE)]) {
      expect(read(5, bytes)).toMatchObject({ type: 5, packetId: 7, reasonCode: 0, properties: {} });
    }
    const why = properties(u8(0x1f), str('full'));
    expect(read(5, whole(0x50, u16(7), u8(0x97), why))).toMatchObject({
      reasonCode: 0x97,
      properties: { reasonString: 'full' },
    });
    for (const bytes of [whole(0xe0), whole(0xe0, u8(0)), whole(0xe0, u8(0), NONE)]) {
      expect(read(5, bytes)).toMatchObject({ reasonCode: 0, properties: {} });
    }
    expect(read(5, whole(0xe0, u8(4)))).toMatchObject({ reasonCode: 4 });
    expect(read(5, whole(0xf0))).toMatchObject({ reasonCode: 0, properties: {} });
  });

  it('options of a subscription', () => {
    expect(read(5, whole(0x82, u16(1), NONE, str('f'), u8(0x2e)))).toMatchObject({
      subscriptions: [{ filter: 'f', qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2 }],
    });
  });
});

describe('MQTT 3.1', () => {
  it('lets SUBSCRIBE and UNSUBSCRIBE be repeated with DUP', () => {
    expect(refused(3, whole(0x8a, u16(1), str('f'), u8(0)))).toBeNull();
    expect(refused(3, whole(0xaa, u16(1), str('f')))).toBeNull();
  });

  it('lets the remaining length win over the flags of user name and password', () => {
    expect(read(3, connect(3, 0xc2, str('c')))).toMatchObject({ username: null, password: null });
    expect(read(3, connect(3, 0xc2, str('c'), str('u')))).toMatchObject({ username: 'u', password: null });
    expect(read(3, connect(3, 0xc2, str('c'), str('u'), bin(u8(1))))).toMatchObject({ username: 'u', password: u8(1) });
  });
});

describe('the version of a CONNECT', () => {
  it('is read of any protocol and level, whatever follows', () => {
    const bytes = whole(0x10, str('MQTT'), Buffer.from([200, 1, 2, 3]));
    expect(readVersion(bytes, 2, bytes.length)).toEqual({ name: 'MQTT', level: 200 });
    expect(() => readVersion(bytes, 2, 8)).toThrow(ProtocolError);
  });
});

describe('bounds of a topic name', () => {
  const of = (topic: string, level: Level): Buffer => whole(0x30, str(topic), none(level));

  it('are looked at, at their edges, and MQTT 5.0 says so in a word of its own', () => {
    for (const [level, reason] of [
      [3, 'limit_exceeded'],
      [4, 'limit_exceeded'],
      [5, 'topic_name_invalid'],
    ] as const) {
      const bounds = { maxTopicBytes: 6, maxTopicLevels: 3 };
      expect(refused(level, of('éééa'.slice(0, 3), level), bounds)).toBeNull();
      expect(refused(level, of('éééa', level), bounds)).toBe(reason);
      expect(refused(level, of('a//b', level), bounds)).toBeNull();
      expect(refused(level, of('a///', level), bounds)).toBe(reason);
    }
  });
});

describe('PublishReader', () => {
  it('knows a repeated topic from one that is like it', () => {
    const reader = new PublishReader(DEFAULT_LIMITS);
    for (const topic of ['a/b', 'a/b', 'a/c', 'a/', 'a/b', 'é', 'é', 'Ã©', 'a/b']) {
      const bytes = whole(0x32, str(topic), u16(3), u8(1));
      expect(reader.read(bytes, 0x32, 2, bytes.length).topic).toBe(topic);
    }
  });

  it('leaves nothing of one packet in the next', () => {
    const reader = new PublishReader(DEFAULT_LIMITS);
    reader.level = 5;
    const full = whole(0x3d, str('t'), u16(9), properties(Buffer.from([0x23, 0, 1]), pair('a', 'b')), u8(1));
    expect(reader.read(full, 0x3d, 2, full.length)).toMatchObject({ topicAlias: 1, dup: true, qos: 2, packetId: 9 });
    const bare = whole(0x30, str('t'), NONE);
    expect({ ...reader.read(bare, 0x30, 2, bare.length) }).toEqual({
      topic: 't',
      topicAlias: 0,
      qos: 0,
      retain: false,
      dup: false,
      packetId: 0,
      payload: Buffer.alloc(0),
      properties: null,
    });
  });
});

describe('remaining length', () => {
  const feed = (hex: string, strict: boolean): CloseReason | number => {
    const reader = new PacketReader(2 ** 28 + 4);
    reader.strictLength = strict;
    let packets = 0;
    try {
      for (const byte of Buffer.from(hex, 'hex')) {
        reader.feed(Buffer.from([byte]), { expect: () => undefined, packet: () => ++packets > 0 });
      }
    } catch (error) {
      if (error instanceof ProtocolError) return error.reason;
      throw error;
    }
    return packets;
  };

  it('may be longer than it must be until MQTT 5.0 [MQTT-1.5.5-1]', () => {
    for (const padded of ['c08000', 'c0808000', 'c080808000']) {
      expect([feed(padded, false), feed(padded, true)], padded).toEqual([1, 'malformed']);
    }
    expect(feed('c000c000', true)).toBe(2);
    expect(feed(`308001${'00'.repeat(128)}`, true)).toBe(1);
  });

  it('has four bytes at most', () => {
    expect([feed('30ffffff7f', true), feed('30ffffffff', true)]).toEqual([0, 'malformed']);
  });

  it('is looked at in the CONNECT of MQTT 5.0 as well, whose level is only known then', () => {
    const bytes = connect(5, 0x02, str('c'));
    const padded = Buffer.concat([bytes.subarray(0, 1), Buffer.from([bytes[1]! | 0x80, 0]), bytes.subarray(2)]);
    const reader = new PacketReader(1000);
    let body = 0;
    reader.feed(padded, { expect: () => undefined, packet: (_data, _start, at) => (body = at) > 0 });
    expect(body).toBe(3);
    expect(refused(5, bytes)).toBeNull();
    expect(() => readConnect(padded, body, padded.length, DEFAULT_LIMITS)).toThrow('MQTT-1.5.5-1');
    const old = connect(4, 0x02, str('c'));
    expect(
      refused(4, Buffer.concat([old.subarray(0, 1), Buffer.from([old[1]! | 0x80, 0]), old.subarray(2)])),
    ).toBeNull();
  });
});

describe('reason codes', () => {
  const reasons = Object.keys(CLOSE_REASONS) as CloseReason[];

  it('every close reason has one that CONNACK and one that DISCONNECT may say', () => {
    for (const reason of reasons) {
      expect(CONNACK_CODES.has(connackCode(reason)), reason).toBe(true);
      expect(connackCode(reason), reason).toBeGreaterThanOrEqual(0x80);
      expect(DISCONNECT_CODES.has(disconnectCode(reason)), reason).toBe(true);
    }
  });

  it('is the one of the table where the packet has it', () => {
    for (const reason of reasons) {
      const { mqtt5 } = closeReason(reason);
      if (DISCONNECT_CODES.has(mqtt5)) expect(disconnectCode(reason), reason).toBe(mqtt5);
      if (CONNACK_CODES.has(mqtt5) && mqtt5 >= 0x80) expect(connackCode(reason), reason).toBe(mqtt5);
      expect(Object.values(REASON), reason).toContain(mqtt5);
    }
  });

  it('what a client did wrong has a code of its own', () => {
    expect(disconnectCode('malformed')).toBe(0x81);
    expect(disconnectCode('protocol_error')).toBe(0x82);
    expect(disconnectCode('topic_name_invalid')).toBe(0x90);
    expect(disconnectCode('receive_maximum_exceeded')).toBe(0x93);
    expect(disconnectCode('topic_alias_invalid')).toBe(0x94);
    expect(disconnectCode('too_large')).toBe(0x95);
    expect(connackCode('bad_authentication_method')).toBe(0x8c);
    expect(connackCode('hub_shutdown')).toBe(0x88);
  });
});

describe('every packet of MQTT 5.0', () => {
  it('is taken with an empty property part', () => {
    for (const [place, make] of Object.entries(WITH_PROPERTIES)) {
      expect(refused(5, make(NONE)), place).toBe(place === 'AUTH' ? 'protocol_error' : null);
    }
  });
});
