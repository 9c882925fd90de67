import fc from 'fast-check';
import mqttPacket, { type Packet } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '#protocols/errors.js';
import {
  encodeAck,
  encodeConnack,
  encodeDisconnect,
  encodePublish,
  encodeSuback,
  encodeUnsuback,
} from '#protocols/mqtt/encode.js';
import type { Level, Properties, UserProperties } from '#protocols/mqtt/packet.js';
import { properties as part, read, str, u16, u32, u8, varint, whole, WITH_PROPERTIES } from './raw.ts';

type Fields = Record<string, unknown>;

/** What mqtt-packet makes of the same bytes. */
function plainReading(bytes: Buffer, level: Level): { packets: Fields[]; errors: string[] } {
  const packets: Packet[] = [];
  const errors: string[] = [];
  const parser = mqttPacket.parser({ protocolVersion: level });
  parser.on('packet', (parsed) => packets.push(parsed));
  parser.on('error', (error: Error) => errors.push(error.message));
  parser.parse(bytes);
  return { packets: packets as unknown as Fields[], errors };
}

/** What our code makes of them; null when it refuses them. */
function ownReading(bytes: Buffer, level: Level): Fields | null {
  try {
    return read(level, bytes);
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}

const PLAIN_NAMES: Partial<Record<keyof Properties, string>> = {
  messageExpiryIntervalS: 'messageExpiryInterval',
  sessionExpiryIntervalS: 'sessionExpiryInterval',
  willDelayIntervalS: 'willDelayInterval',
};

/** Our properties in the form that mqtt-packet has for them. */
function plainProperties(properties: Properties): Fields | undefined {
  const plain: Fields = {};
  for (const [name, value] of Object.entries(properties) as [keyof Properties, unknown][]) {
    if (name === 'payloadFormatIndicator') plain[name] = value === 1;
    else if (name === 'subscriptionIdentifiers') plain['subscriptionIdentifier'] = (value as number[])[0];
    else if (name === 'userProperties') plain[name] = grouped(value as UserProperties);
    else plain[PLAIN_NAMES[name] ?? name] = value;
  }
  return Object.keys(plain).length === 0 ? undefined : plain;
}

/** By name, as mqtt-packet has them; an empty value gives way to the next of its name there. */
function grouped(pairs: UserProperties): Fields {
  const plain = Object.create(null) as Record<string, string | string[]>;
  for (const [name, value] of pairs) {
    const before = plain[name];
    if (Array.isArray(before)) before.push(value);
    else if (before === undefined || before === '') plain[name] = value;
    else plain[name] = [before, value];
  }
  return plain;
}

/** What we read, as mqtt-packet says it. */
function plainForm({ name, ...fields }: Fields): Fields {
  const cmd = (name as string).toLowerCase();
  const properties = plainProperties(fields['properties'] ?? {});
  const id = { messageId: fields['packetId'] };
  switch (cmd) {
    case 'connect': {
      const will = fields['will'] as (Fields & { properties: Properties }) | null;
      return {
        cmd,
        protocolVersion: fields['level'],
        clean: fields['cleanStart'],
        keepalive: fields['keepAliveS'],
        clientId: fields['clientId'],
        username: fields['username'] ?? undefined,
        password: fields['password'] ?? undefined,
        will: will === null ? undefined : { ...will, properties: plainProperties(will.properties) },
        properties,
      };
    }
    case 'publish': {
      const alias = fields['topicAlias'] === 0 ? undefined : { topicAlias: fields['topicAlias'] };
      const { topic, qos, retain, dup, payload } = fields;
      const more = properties === undefined ? alias : properties;
      return { cmd, topic, qos, retain, dup, payload, properties: more, ...(qos === 0 ? {} : id) };
    }
    case 'subscribe': {
      const subscriptions = (fields['subscriptions'] as Fields[]).map((one) => ({ topic: one['filter'], ...one }));
      return { cmd, ...id, properties, subscriptions };
    }
    case 'unsubscribe':
      return { cmd, ...id, properties, unsubscriptions: fields['filters'] };
    case 'disconnect':
    case 'auth':
      return { cmd, properties, reasonCode: fields['reasonCode'] };
    case 'pingreq':
      return { cmd };
    default:
      return { cmd, ...id, properties, reasonCode: fields['reasonCode'] };
  }
}

/** What mqtt-packet reads, with our names for the options of a subscription and no more than is compared. */
function compared(packet: Fields, like: Fields, level: Level): Fields {
  const out: Fields = {};
  for (const name of Object.keys(like)) out[name] = packet[name];
  if (packet['cmd'] === 'subscribe') {
    out['subscriptions'] = (packet['subscriptions'] as Fields[]).map(({ topic, qos, nl, rap, rh }) => ({
      topic,
      filter: topic,
      qos,
      noLocal: nl ?? false,
      retainAsPublished: rap ?? false,
      retainHandling: rh ?? 0,
    }));
  }
  if (packet['will'] !== undefined) {
    const { topic, payload, qos, retain, properties } = packet['will'] as Fields;
    out['will'] = { topic, payload, qos, retain, properties };
  }
  if (level !== 5 && 'reasonCode' in like) out['reasonCode'] ??= 0;
  return out;
}

/** Where mqtt-packet cannot read what MQTT allows. */
function isBeyondPlain(bytes: Buffer, level: Level, own: Fields): boolean {
  const type = bytes[0]! >> 4;
  // An AUTH without anything.
  if (level === 5 && type === 15 && bytes[1] === 0) return true;
  if (level !== 3) return false;
  // MQTT 3.1: DUP on SUBSCRIBE and UNSUBSCRIBE; flags of user name and password without these.
  if (type === 8 || type === 10) return (bytes[0]! & 8) !== 0;
  const flags = bytes[bytes.indexOf('MQIsdp') + 7]!;
  return (
    type === 1 && ((own['username'] === null && flags >= 0x80) || (own['password'] === null && (flags & 0x40) > 0))
  );
}

function agree(bytes: Buffer, level: Level): boolean {
  const own = ownReading(bytes, level);
  if (own === null) return false;
  if (isBeyondPlain(bytes, level, own)) return true;
  const { packets, errors } = plainReading(bytes, level);
  expect(errors).toEqual([]);
  expect(packets).toHaveLength(1);
  const expected = plainForm(own);
  expect(compared(packets[0]!, expected, level)).toEqual(expected);
  return true;
}

const text = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'b', '/', '+', '#', '$', 'é', '漢', '😀', '\0', '\ufeff'), maxLength: 8 }),
  fc.string({ unit: 'grapheme', maxLength: 8 }),
);
const bytesOf = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((raw) => Buffer.from(raw));
const field = fc.oneof(
  { weight: 9, arbitrary: text.filter((one) => !one.includes('\0')).map(str) },
  { weight: 1, arbitrary: bytesOf(12).map((raw) => Buffer.concat([u16(raw.length), raw])) },
  { weight: 1, arbitrary: text.map(str) },
);
const id = fc
  .oneof({ weight: 19, arbitrary: fc.integer({ min: 1, max: 0xffff }) }, { weight: 1, arbitrary: fc.constant(0) })
  .map(u16);
const level = fc.constantFrom<Level>(4, 5, 5, 3);

/** Properties by the way in which they are written. */
const BITS = [0x01, 0x17, 0x19];
const SHORTS = [0x21, 0x22, 0x23];
const LONGS = [0x02, 0x11, 0x18, 0x27];
const TEXTS = [0x03, 0x08, 0x15, 0x1f, 0x09, 0x16];
/** Those that a client may put into a packet of a type; 0: into a will. */
const WELL_PLACED: Readonly<Record<number, readonly number[]>> = {
  0: [0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26],
  1: [0x11, 0x15, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27],
  3: [0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26],
  8: [0x0b, 0x26],
  10: [0x26],
  14: [0x11, 0x1f, 0x26],
  15: [0x15, 0x16, 0x1f, 0x26],
};

/** A property as it is written, of a form that its identifier asks for. */
function propertyOf(code: number): fc.Arbitrary<Buffer> {
  const value: fc.Arbitrary<Buffer> = BITS.includes(code)
    ? fc.constantFrom(0, 1, 1, 1, 2).map(u8)
    : SHORTS.includes(code)
      ? fc.nat(0xffff).map(u16)
      : LONGS.includes(code)
        ? fc.nat(0xffff_ffff).map(u32)
        : TEXTS.includes(code)
          ? field
          : code === 0x26
            ? fc.tuple(fc.constantFrom('a', 'b', '__proto__'), field).map(([name, f]) => Buffer.concat([str(name), f]))
            : fc.nat(268_435_455).map(varint);
  return value.map((bytes) => Buffer.concat([u8(code), bytes]));
}

const anyProperty = fc.oneof(
  fc.constantFrom(...BITS, ...SHORTS, ...LONGS, ...TEXTS, 0x0b, 0x26).chain(propertyOf),
  bytesOf(4),
);
const ACK_PROPERTIES = [0x1f, 0x26];

/** Mostly properties that belong into a packet of this type. */
function some(type: number, maxLength = 3): fc.Arbitrary<Buffer> {
  const fitting = fc.constantFrom(...(WELL_PLACED[type] ?? ACK_PROPERTIES)).chain(propertyOf);
  const one = fc.oneof({ weight: 9, arbitrary: fitting }, { weight: 1, arbitrary: anyProperty });
  return fc.array(one, { maxLength }).map((all) => part(...all));
}
const payload = bytesOf(200);

/** One packet of a client, mostly sound, for a level. */
const packets: Record<string, (at: Level) => fc.Arbitrary<Buffer>> = {
  CONNECT: (at) =>
    fc
      .tuple(fc.nat(255), fc.nat(0xffff).map(u16), some(1), field, some(0), text.map(str), field, field, field)
      .map(([anyFlags, keepAlive, properties, clientId, willProperties, topic, message, username, password]) => {
        // Half of the random flags contradict themselves: make most of them sound.
        const flags = anyFlags & (anyFlags % 5 === 0 ? 0xff : (anyFlags & 4) === 0 ? 0xc2 : 0xf6);
        const has = (flag: number, ...parts: Buffer[]): Buffer[] => ((flags & flag) === 0 ? [] : parts);
        return whole(
          0x10,
          ...[str(at === 3 ? 'MQIsdp' : 'MQTT'), u8(at), u8(flags), keepAlive, ...(at === 5 ? [properties] : [])],
          ...[clientId, ...has(4, ...(at === 5 ? [willProperties] : []), topic, message)],
          ...[...has(0x80, username), ...has(0x40, password)],
        );
      }),
  PUBLISH: (at) =>
    fc
      .tuple(fc.integer({ min: 0x30, max: 0x3f }), field, id, some(3), payload)
      .map(([first, topic, packetId, properties, bytes]) =>
        whole(
          first,
          topic,
          ...((first & 6) === 0 ? [] : [packetId]),
          ...(at === 5 ? [first % 3 === 0 ? u8(0) : properties] : []),
          bytes,
        ),
      ),
  SUBSCRIBE: (at) =>
    fc
      .tuple(id, some(8, 1), fc.array(fc.tuple(field, fc.nat(at === 5 ? 0x3f : 3)), { maxLength: 3 }))
      .map(([packetId, properties, all]) =>
        whole(
          0x82,
          packetId,
          ...(at === 5 ? [properties] : []),
          ...all.flatMap(([filter, options]) => [filter, u8(options)]),
        ),
      ),
  UNSUBSCRIBE: (at) =>
    fc
      .tuple(id, some(10), fc.array(field, { maxLength: 3 }))
      .map(([packetId, properties, filters]) => whole(0xa2, packetId, ...(at === 5 ? [properties] : []), ...filters)),
  'PUBACK and its kin': (at) =>
    fc
      .tuple(
        fc.constantFrom(0x40, 0x50, 0x62, 0x70),
        id,
        fc.constantFrom(0, 0x10, 0x80, 0x92, 0x99, 0x84),
        some(4),
        fc.nat(2),
      )
      .map(([first, packetId, code, properties, parts]) =>
        whole(first, packetId, ...(at === 5 ? [u8(code), properties] : []).slice(0, parts)),
      ),
  'DISCONNECT, AUTH and PINGREQ': (at) =>
    fc
      .tuple(
        fc.constantFrom(0xe0, 0xf0, 0xc0),
        fc.constantFrom(0, 4, 0x18, 0x19, 0x81, 0x8e),
        fc.oneof(some(14), some(15)),
        fc.nat(2),
      )
      .map(([first, code, properties, parts]) =>
        whole(first, ...(at === 5 && first !== 0xc0 ? [u8(code), properties] : []).slice(0, parts)),
      ),
};

/** The bytes as they are, with some changed, or cut and mended so that the remaining length fits again. */
function mutated(bytes: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  const changes = fc.array(fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.nat(4))), { maxLength: 3 });
  return fc.tuple(bytes, changes, fc.boolean(), fc.nat(6)).map(([original, edits, resize, by]) => {
    const copy = Buffer.from(original);
    for (const [at, value] of edits) copy[at % Math.min(copy.length, 24)] = value;
    if (!resize || copy.length < 8 || copy.length - by - 2 > 127) return copy;
    const shorter = Buffer.from(copy.subarray(0, copy.length - by));
    shorter[1] = shorter.length - 2;
    return shorter;
  });
}

const RUNS = { numRuns: 4000 };

describe('what is read, mqtt-packet reads the same', () => {
  it.each(Object.keys(packets))('%s', (name) => {
    const agreed = { 3: 0, 4: 0, 5: 0 };
    const arbitrary = level.chain((at) =>
      fc.tuple(fc.constant(at), fc.oneof(packets[name]!(at), mutated(packets[name]!(at)))),
    );
    fc.assert(
      fc.property(arbitrary, ([at, bytes]) => {
        if (agree(bytes, at)) agreed[at]++;
      }),
      RUNS,
    );
    for (const count of Object.values(agreed)) expect(count, JSON.stringify(agreed)).toBeGreaterThan(100);
  });

  it('any type, followed by anything', () => {
    fc.assert(
      fc.property(level, fc.nat(255), bytesOf(40), (at, first, body) => {
        agree(whole(first, body), at);
      }),
      { numRuns: 20_000 },
    );
  });

  it('properties alone, in every packet that has them', () => {
    let agreed = 0;
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(WITH_PROPERTIES)), some(3, 2), (place, properties) => {
        if (agree(WITH_PROPERTIES[place]!(properties), 5)) agreed++;
      }),
      RUNS,
    );
    expect(agreed).toBeGreaterThan(300);
  });
});

describe('what the hub writes, mqtt-packet writes too', () => {
  const generate = (fields: Fields, at: Level): Buffer =>
    mqttPacket.generate(fields as unknown as Packet, { protocolVersion: at });

  it('PUBLISH', () => {
    fc.assert(
      fc.property(
        fc.record({
          level,
          topic: fc.constantFrom('a', 'devices/me/commands/k/reboot', 'é/漢'),
          payload,
          qos: fc.constantFrom(0, 1, 2),
          retain: fc.boolean(),
          dup: fc.boolean(),
          packetId: fc.integer({ min: 1, max: 0xffff }),
        }),
        (fields) => {
          const dup = fields.dup && fields.qos > 0;
          const ours = encodePublish({ ...fields, dup, properties: undefined });
          const { packetId: messageId, level: at, ...rest } = fields;
          expect(ours).toEqual(generate({ cmd: 'publish', ...rest, dup, messageId }, at));
        },
      ),
    );
  });

  it('the acknowledgements', () => {
    const granted = Array.from({ length: 200 }, (_, i) => [0, 1, 2, 0x80][i % 4]!);
    const acks = ['puback', 'pubrec', 'pubrel', 'pubcomp'];
    for (const at of [3, 4, 5] as const) {
      const messageId = 0x1234;
      for (const [i, cmd] of acks.entries()) {
        const type = (i + 4) as 4 | 5 | 6 | 7;
        const bare = whole(type === 6 ? 0x62 : type << 4, u16(messageId));
        expect(encodeAck(at, type, messageId, 0)).toEqual(bare);
        if (at !== 5) expect(encodeAck(at, type, messageId, 0x92, { reasonString: 'x' })).toEqual(bare);
        else {
          expect(plainReading(encodeAck(at, type, messageId, type > 5 ? 0x92 : 0x87), 5).packets).toMatchObject([
            { cmd, messageId, reasonCode: type > 5 ? 0x92 : 0x87 },
          ]);
        }
      }
      expect(encodeSuback(at, 7, granted)).toEqual(generate({ cmd: 'suback', messageId: 7, granted }, at));
      const returnCode = at === 5 ? { reasonCode: 0x87 } : { returnCode: 5 };
      expect(encodeConnack(at, false, at === 5 ? 0x87 : 5)).toEqual(
        generate({ cmd: 'connack', sessionPresent: false, ...returnCode }, at),
      );
    }
    const ended = { cmd: 'unsuback', messageId: 0x1234, granted: [0, 17] };
    expect(encodeUnsuback(5, 0x1234, [0, 17])).toEqual(generate(ended, 5));
    expect(encodeUnsuback(4, 0x1234, [0, 17])).toEqual(generate(ended, 4));
    expect(encodeDisconnect(0x8d)).toEqual(Buffer.from([0xe0, 1, 0x8d]));
    expect(encodeDisconnect(0x8d, {})).toEqual(Buffer.from([0xe0, 2, 0x8d, 0]));
  });
});
