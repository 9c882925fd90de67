import fc from 'fast-check';
import mqttPacket, { type Packet } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';
import type { Properties } from '#protocols/mqtt/packet.js';
import {
  encodeAck,
  encodeConnack,
  encodeDisconnect,
  encodePublish,
  encodeSuback,
  encodeUnsuback,
  publishBytes,
} from '#protocols/mqtt/encode.js';
import { PROPERTIES } from '#protocols/mqtt/properties.js';
import { propertiesBytes, writeProperties } from '#protocols/mqtt/write-properties.js';
import { bin, pair, properties, read, refused, str, u16, u32, u8, varint, WITH_PROPERTIES } from './raw.ts';

/** MQTT 5.0, table 2-4: identifier, its name here, a value as bytes and as read, and where a client may put it. */
const TABLE: readonly [id: number, name: keyof Properties, bytes: Buffer, value: unknown, places: string][] = [
  [0x01, 'payloadFormatIndicator', u8(1), 1, 'PUBLISH WILL'],
  [0x02, 'messageExpiryIntervalS', u32(0xffff_ffff), 0xffff_ffff, 'PUBLISH WILL'],
  [0x03, 'contentType', str('text/é'), 'text/é', 'PUBLISH WILL'],
  [0x08, 'responseTopic', str('r/漢'), 'r/漢', 'PUBLISH WILL'],
  [0x09, 'correlationData', bin(Buffer.from([0, 255])), Buffer.from([0, 255]), 'PUBLISH WILL'],
  [0x0b, 'subscriptionIdentifiers', varint(268_435_455), [268_435_455], 'SUBSCRIBE'],
  [0x11, 'sessionExpiryIntervalS', u32(0), 0, 'CONNECT DISCONNECT'],
  [0x12, 'assignedClientIdentifier', str('x'), null, ''],
  [0x13, 'serverKeepAliveS', u16(60), null, ''],
  [0x15, 'authenticationMethod', str('SCRAM'), 'SCRAM', 'CONNECT AUTH'],
  [0x16, 'authenticationData', bin(u8(7)), Buffer.from([7]), 'CONNECT AUTH'],
  [0x17, 'requestProblemInformation', u8(0), false, 'CONNECT'],
  [0x18, 'willDelayIntervalS', u32(0x01020304), 0x01020304, 'WILL'],
  [0x19, 'requestResponseInformation', u8(1), true, 'CONNECT'],
  [0x1a, 'responseInformation', str('x'), null, ''],
  [0x1c, 'serverReference', str('x'), null, ''],
  [0x1f, 'reasonString', str(''), '', 'PUBACK PUBREC PUBREL PUBCOMP DISCONNECT AUTH'],
  [0x21, 'receiveMaximum', u16(0xffff), 0xffff, 'CONNECT'],
  [0x22, 'topicAliasMaximum', u16(0), 0, 'CONNECT'],
  [0x23, 'topicAlias', u16(0x0102), 0x0102, 'PUBLISH'],
  [0x24, 'maximumQos', u8(1), null, ''],
  [0x25, 'retainAvailable', u8(1), null, ''],
  [0x27, 'maximumPacketSize', u32(1), 1, 'CONNECT'],
  [0x28, 'wildcardSubscriptionAvailable', u8(1), null, ''],
  [0x29, 'subscriptionIdentifiersAvailable', u8(1), null, ''],
  [0x2a, 'sharedSubscriptionAvailable', u8(1), null, ''],
];

/** AUTH must name its method, and data need one. */
function besides(place: string, name: string): Buffer[] {
  const needed = (place === 'AUTH' && name !== 'authenticationMethod') || name === 'authenticationData';
  return needed ? [u8(0x15), str('m')] : [];
}

/** The properties that were read from a packet in this place. */
function propertiesOf(place: string, bytes: Buffer): Record<string, unknown> {
  const packet = read(5, bytes);
  const holder = place === 'WILL' ? (packet['will'] as Record<string, unknown>) : packet;
  return (holder['properties'] ?? {}) as Record<string, unknown>;
}

const PLACES = Object.keys(WITH_PROPERTIES);

describe.each(TABLE)('property 0x%s, %s', (id, name, bytes, value, allowed) => {
  const wellPlaced = PLACES.filter((place) => allowed.split(' ').includes(place));
  const misplaced = PLACES.filter((place) => !wellPlaced.includes(place));

  it('is read where it belongs', () => {
    for (const place of wellPlaced) {
      const packet = WITH_PROPERTIES[place]!(properties(...besides(place, name), u8(id), bytes));
      if (name === 'topicAlias') {
        expect(read(5, packet)).toMatchObject({ topicAlias: value, properties: null });
      } else expect(propertiesOf(place, packet)[name], place).toEqual(value);
      // In company as well, behind something else.
      const company = WITH_PROPERTIES[place]!(properties(pair('a', 'b'), ...besides(place, name), u8(id), bytes));
      expect(propertiesOf(place, company), place).toMatchObject({ userProperties: [['a', 'b']], [name]: value });
    }
  });

  it('is refused everywhere else', () => {
    for (const place of misplaced) {
      const packet = WITH_PROPERTIES[place]!(properties(...besides(place, ''), u8(id), bytes));
      // These two belong there, and are for the server to send.
      const isServers =
        (place === 'PUBLISH' && name === 'subscriptionIdentifiers') ||
        (place === 'DISCONNECT' && name === 'serverReference');
      expect(refused(5, packet), place).toBe(isServers ? 'protocol_error' : 'malformed');
    }
  });

  it('may not come twice', () => {
    for (const place of wellPlaced) {
      const packet = WITH_PROPERTIES[place]!(properties(...besides(place, name), u8(id), bytes, u8(id), bytes));
      expect(refused(5, packet), place).toBe('protocol_error');
    }
  });

  it('may not be cut short, whatever the lengths say', () => {
    for (const place of wellPlaced) {
      const content = Buffer.concat([...besides(place, name), u8(id), bytes]);
      for (let end = content.length - bytes.length; end < content.length; end++) {
        expect(refused(5, WITH_PROPERTIES[place]!(properties(content.subarray(0, end)))), place).toBe('malformed');
      }
    }
  });
});

describe('user properties', () => {
  it('keep their order and come as often as they like, everywhere', () => {
    const pairs = [
      ['b', '1'],
      ['a', ''],
      ['b', '2'],
      ['', 'é'],
      ['__proto__', 'x'],
    ] as const;
    const parts = pairs.map(([name, value]) => pair(name, value));
    for (const place of PLACES) {
      const packet = WITH_PROPERTIES[place]!(properties(...besides(place, ''), ...parts));
      expect(propertiesOf(place, packet)['userProperties'], place).toEqual(pairs);
    }
  });

  it('are bounded where they are kept', () => {
    const two = properties(pair('a', '1'), pair('a', '2'));
    for (const place of ['CONNECT', 'WILL', 'PUBLISH']) {
      const packet = WITH_PROPERTIES[place]!(two);
      expect([refused(5, packet, { maxHeaders: 2 }), refused(5, packet, { maxHeaders: 1 })], place).toEqual([
        null,
        'limit_exceeded',
      ]);
    }
  });
});

describe('values that are not allowed', () => {
  it.each([
    ['payload format indicator 2', 'PUBLISH', [u8(0x01), u8(2)], 'protocol_error'],
    ['request problem information 2', 'CONNECT', [u8(0x17), u8(2)], 'protocol_error'],
    ['request response information 2', 'CONNECT', [u8(0x19), u8(2)], 'protocol_error'],
    ['receive maximum 0', 'CONNECT', [u8(0x21), u16(0)], 'protocol_error'],
    ['maximum packet size 0', 'CONNECT', [u8(0x27), u32(0)], 'protocol_error'],
    ['subscription identifier 0', 'SUBSCRIBE', [u8(0x0b), varint(0)], 'protocol_error'],
    ['topic alias 0 alone', 'PUBLISH', [u8(0x23), u16(0)], 'topic_alias_invalid'],
    ['topic alias 0 in company', 'PUBLISH', [u8(0x23), u16(0), pair('a', 'b')], 'topic_alias_invalid'],
    ['a response topic with a wildcard', 'PUBLISH', [u8(0x08), str('a/+')], 'malformed'],
    ['an empty response topic', 'WILL', [u8(0x08), str('')], 'malformed'],
    ['text that is not UTF-8', 'PUBLISH', [u8(0x03), bin(Buffer.from([0xed, 0xa0, 0x80]))], 'malformed'],
    ['text with U+0000', 'PUBLISH', [u8(0x03), str('a\0')], 'malformed'],
    ['a user property that is not UTF-8', 'PUBLISH', [u8(0x26), str('a'), bin(Buffer.from([0xff]))], 'malformed'],
    ['authentication data without a method', 'CONNECT', [u8(0x16), bin(u8(1))], 'protocol_error'],
    ['no authentication method', 'AUTH', [u8(0x1f), str('x')], 'protocol_error'],
    ['property 0', 'PUBLISH', [u8(0)], 'malformed'],
    ['a property past the table', 'PUBLISH', [u8(0x7f), u8(0)], 'malformed'],
    ['a property identifier of two bytes', 'PUBLISH', [u8(0x81), u8(0), u8(1)], 'malformed'],
  ] as const)('%s', (_what, place, parts, reason) => {
    expect(refused(5, WITH_PROPERTIES[place]!(properties(...parts)))).toBe(reason);
  });

  it('a property length that is longer than it must be, too long or never ends', () => {
    for (const place of PLACES) {
      for (const length of ['8000', '818000', 'ff7f', 'ffffff7f', '80808080', '8080808000']) {
        const packet = WITH_PROPERTIES[place]!(Buffer.from(length, 'hex'));
        expect(refused(5, packet), `${place} ${length}`).toBe('malformed');
      }
    }
  });

  it('a property that reaches past the property length', () => {
    for (const place of PLACES) {
      const packet = WITH_PROPERTIES[place]!(Buffer.concat([varint(3), u8(0x26), str('name'), str('value')]));
      expect(refused(5, packet), place).toBe('malformed');
    }
  });
});

describe('what the hub writes', () => {
  /** A value of every property, and what mqtt-packet calls it. */
  const all: Record<keyof Properties, [value: unknown, plainName: string, plainValue?: unknown]> = {
    payloadFormatIndicator: [1, 'payloadFormatIndicator', true],
    messageExpiryIntervalS: [70_000, 'messageExpiryInterval'],
    contentType: ['text/é', 'contentType'],
    responseTopic: ['r/漢', 'responseTopic'],
    correlationData: [Buffer.from([0, 1]), 'correlationData'],
    subscriptionIdentifiers: [[1, 268_435_455, 128], 'subscriptionIdentifier'],
    sessionExpiryIntervalS: [0xffff_ffff, 'sessionExpiryInterval'],
    assignedClientIdentifier: ['id', 'assignedClientIdentifier'],
    serverKeepAliveS: [65_535, 'serverKeepAlive'],
    authenticationMethod: ['m', 'authenticationMethod'],
    authenticationData: [Buffer.from([9]), 'authenticationData'],
    requestProblemInformation: [false, 'requestProblemInformation'],
    willDelayIntervalS: [5, 'willDelayInterval'],
    requestResponseInformation: [true, 'requestResponseInformation'],
    responseInformation: ['i', 'responseInformation'],
    serverReference: ['s', 'serverReference'],
    reasonString: ['why', 'reasonString'],
    receiveMaximum: [300, 'receiveMaximum'],
    topicAliasMaximum: [7, 'topicAliasMaximum'],
    topicAlias: [2, 'topicAlias'],
    maximumQos: [1, 'maximumQoS'],
    retainAvailable: [false, 'retainAvailable'],
    userProperties: [
      [
        ['b', '1'],
        ['a', 'é'],
        ['b', '2'],
      ],
      'userProperties',
      Object.assign(Object.create(null) as object, { b: ['1', '2'], a: 'é' }),
    ],
    maximumPacketSize: [256 * 1024, 'maximumPacketSize'],
    wildcardSubscriptionAvailable: [true, 'wildcardSubscriptionAvailable'],
    subscriptionIdentifiersAvailable: [false, 'subscriptionIdentifiersAvailable'],
    sharedSubscriptionAvailable: [true, 'sharedSubscriptionAvailable'],
  };
  const names = Object.keys(all) as (keyof Properties)[];

  function plain(bytes: Buffer): Record<string, unknown> {
    const packets: Packet[] = [];
    const parser = mqttPacket.parser({ protocolVersion: 5 });
    parser.on('packet', (packet) => packets.push(packet));
    parser.on('error', (error: Error) => {
      throw error;
    });
    expect(parser.parse(bytes)).toBe(0);
    expect(packets).toHaveLength(1);
    return packets[0] as unknown as Record<string, unknown>;
  }

  const packets: Record<string, (some: Properties) => Buffer> = {
    connack: (some) => encodeConnack(5, true, 0, some),
    publish: (some) =>
      encodePublish({
        level: 5,
        topic: 'a/é',
        payload: Buffer.from('payload'),
        qos: 2,
        retain: true,
        dup: false,
        packetId: 77,
        properties: some,
      }),
    puback: (some) => encodeAck(5, 4, 77, 0x10, some),
    pubrec: (some) => encodeAck(5, 5, 77, 0x83, some),
    pubrel: (some) => encodeAck(5, 6, 77, 0x92, some),
    pubcomp: (some) => encodeAck(5, 7, 77, 0, some),
    suback: (some) => encodeSuback(5, 77, [0, 1, 2, 0x87], some),
    unsuback: (some) => encodeUnsuback(5, 77, [0, 0x11], some),
    disconnect: (some) => encodeDisconnect(0x8b, some),
  };

  it('has every property of the table', () => {
    expect(PROPERTIES.map((row) => row.name).sort()).toEqual([...names].sort());
    expect(PROPERTIES).toHaveLength(27);
  });

  it.each(Object.keys(packets))('mqtt-packet reads in a %s, whatever the properties are', (cmd) => {
    fc.assert(
      fc.property(fc.shuffledSubarray(names), (chosen) => {
        const some = Object.fromEntries(chosen.map((name) => [name, all[name][0]])) as Properties;
        const bytes = packets[cmd]!(some);
        const expected = Object.fromEntries(
          chosen.map((name) => [all[name][1], all[name].length === 3 ? all[name][2] : all[name][0]]),
        );
        const packet = plain(bytes);
        expect(packet['cmd']).toBe(cmd);
        expect(packet['properties'] ?? {}).toEqual(expected);
        if (cmd === 'publish') {
          expect(packet).toMatchObject({ topic: 'a/é', qos: 2, retain: true, dup: false, messageId: 77 });
          expect(packet['payload']).toEqual(Buffer.from('payload'));
        }
        if (cmd === 'suback') expect(packet['granted']).toEqual([0, 1, 2, 0x87]);
        if (cmd === 'unsuback') expect(packet['granted']).toEqual([0, 0x11]);
        if (cmd === 'connack') expect(packet).toMatchObject({ sessionPresent: true, reasonCode: 0 });
      }),
    );
  });

  it('leaves out what is undefined', () => {
    const some = { reasonString: undefined, topicAlias: 3, userProperties: [] } as unknown as Properties;
    expect(propertiesBytes(some)).toBe(3);
    const bytes = Buffer.alloc(3);
    expect(writeProperties(bytes, 0, some)).toBe(3);
    expect(bytes).toEqual(Buffer.from([0x23, 0, 3]));
  });

  it('has a remaining length of as many bytes as it needs', () => {
    const of = (bytes: number): number =>
      encodePublish({
        level: 4,
        topic: 't',
        payload: Buffer.alloc(bytes - 3),
        qos: 0,
        retain: false,
        dup: false,
        packetId: 0,
        properties: undefined,
      }).length - bytes;
    expect([3, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152].map(of)).toEqual([2, 2, 3, 3, 4, 4, 5]);
  });

  it('is as large as was said, at every step of its lengths', () => {
    for (const bytes of [0, 100, 126, 127, 128, 129, 16_382, 16_383, 16_384, 60_000]) {
      const fields = {
        topic: 't',
        qos: 1,
        retain: false,
        dup: false,
        packetId: 1,
        properties: { correlationData: Buffer.alloc(bytes) },
      } as const;
      for (const level of [3, 4, 5] as const) {
        for (const payload of [Buffer.alloc(0), Buffer.alloc(bytes), Buffer.alloc(2_097_152 - bytes)]) {
          const packet = encodePublish({ ...fields, level, payload });
          expect(publishBytes({ ...fields, level, payload })).toBe(packet.length);
          expect(publishBytes({ ...fields, level, payload, qos: 0 })).toBe(packet.length - 2);
        }
      }
    }
  });
});
