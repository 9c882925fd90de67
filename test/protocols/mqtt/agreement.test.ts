import fc from 'fast-check';
import mqttPacket, { type Packet } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '#protocols/errors.js';
import { DEFAULT_LIMITS } from '#protocols/limits.js';
import { encodeConnack, encodePuback, encodePublish, encodeSuback, encodeUnsuback } from '#protocols/mqtt/encode.js';
import { PublishReader } from '#protocols/mqtt/publish.js';
import { PacketReader } from '#protocols/mqtt/reader.js';
import {
  checkConnect,
  checkFixedHeader,
  checkSubscribe,
  checkUnsubscribe,
  readAcknowledgement,
} from '#protocols/mqtt/validate.js';
import { connect, packet, publish, puback } from './bench.ts';

/** Whole packets in `bytes`, as the reader cuts them; null when it refuses them or something is left over. */
function cut(bytes: Buffer): { start: number; body: number; end: number }[] | null {
  const found: { start: number; body: number; end: number }[] = [];
  const reader = new PacketReader(1 << 20);
  try {
    reader.feed(bytes, {
      expect: () => {
        throw new ProtocolError('malformed', 'not whole');
      },
      packet: (_data, start, body, end) => found.push({ start, body, end }) > 0,
    });
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
  return found.length === 1 ? found : null;
}

/** What mqtt-packet makes of the same bytes. */
function plainReading(bytes: Buffer): { packets: Packet[]; errors: string[] } {
  const packets: Packet[] = [];
  const errors: string[] = [];
  const parser = mqttPacket.parser({ protocolVersion: 4 });
  parser.on('packet', (parsed) => packets.push(parsed));
  parser.on('error', (error: Error) => errors.push(error.message));
  parser.parse(bytes);
  return { packets, errors };
}

/** Calls `read` with one whole packet; undefined when it was refused with a ProtocolError. Anything else thrown fails the test. */
function validated<T>(bytes: Buffer, read: (data: Buffer, body: number, end: number) => T): T | undefined {
  const found = cut(bytes)?.[0];
  if (found === undefined) return undefined;
  try {
    checkFixedHeader(bytes[0]!, 4);
    return read(bytes, found.body, found.end);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

const text = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'b', '/', '+', '#', '$', 'é', '漢', '😀', '\0', '\ufeff'), maxLength: 8 }),
  fc.string({ unit: 'grapheme', maxLength: 8 }),
);
const payload = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
const id = fc.integer({ min: 1, max: 0xffff });

const publishes = fc
  .record({
    topic: text.filter((t) => t.length > 0),
    payload,
    qos: fc.constantFrom(0, 1, 2),
    retain: fc.boolean(),
    dup: fc.boolean(),
    messageId: id,
  })
  .map((fields) => {
    try {
      return publish(fields);
    } catch {
      return publish();
    }
  });

const connects = fc
  .record({
    clientId: fc.string({ minLength: 1, maxLength: 8 }),
    clean: fc.boolean(),
    keepalive: fc.nat(0xffff),
    username: fc.option(fc.string({ minLength: 1, maxLength: 8 }), { nil: undefined }),
    password: fc.option(
      payload.filter((p) => p.length > 0),
      { nil: undefined },
    ),
    will: fc.option(
      fc.record({ topic: fc.constantFrom('w', 'w/é'), payload, qos: fc.constantFrom(0, 1, 2), retain: fc.boolean() }),
      {
        nil: undefined,
      },
    ),
  })
  .map(({ password, ...rest }) => connect(rest.username === undefined ? rest : { ...rest, password }));

const filters = fc.array(
  text.filter((t) => t.length > 0),
  { minLength: 1, maxLength: 4 },
);
const subscribes = fc
  .tuple(id, filters, fc.constantFrom(0, 1, 2))
  .map(([messageId, topics, qos]) =>
    packet({ cmd: 'subscribe', messageId, subscriptions: topics.map((topic) => ({ topic, qos })) }),
  );
const unsubscribes = fc
  .tuple(id, filters)
  .map(([messageId, unsubscriptions]) => packet({ cmd: 'unsubscribe', messageId, unsubscriptions }));

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

/** Bytes that begin like a packet of this type and are random after that. */
function random(first: fc.Arbitrary<number>): fc.Arbitrary<Buffer> {
  return fc
    .tuple(first, fc.uint8Array({ maxLength: 40 }))
    .map(([type, body]) => Buffer.from([type, body.length, ...body]));
}

const RUNS = { numRuns: 3000 };

describe('what the validator passes, mqtt-packet reads the same', () => {
  it('PUBLISH by the fast path', () => {
    let agreed = 0;
    const reader = new PublishReader(DEFAULT_LIMITS);
    const first = fc.integer({ min: 0x30, max: 0x3f });
    fc.assert(
      fc.property(fc.oneof(mutated(publishes), publishes, random(first)), (bytes) => {
        if (bytes[0]! >> 4 !== 3) return;
        const fast = validated(bytes, (data, body, end) => {
          const request = reader.read(data, data[0]!, body, end);
          return { ...request, payload: Buffer.from(request.payload), packetId: reader.packetId };
        });
        if (fast === undefined) return;
        agreed++;
        const { packets, errors } = plainReading(bytes);
        expect(errors).toEqual([]);
        expect(packets).toHaveLength(1);
        expect(packets[0]).toMatchObject({
          cmd: 'publish',
          topic: fast.topic,
          qos: fast.qos,
          retain: fast.retain,
          dup: (bytes[0]! & 8) !== 0,
        });
        const plain = packets[0] as { payload: Buffer; messageId?: number };
        expect(Buffer.compare(fast.payload, plain.payload)).toBe(0);
        if (fast.qos > 0) expect(plain.messageId).toBe(fast.packetId);
      }),
      RUNS,
    );
    expect(agreed).toBeGreaterThan(300);
  });

  it.each([
    ['CONNECT', connects, fc.constant(0x10), 1, checkConnect],
    ['SUBSCRIBE', subscribes, fc.constant(0x82), 8, checkSubscribe],
    ['UNSUBSCRIBE', unsubscribes, fc.constant(0xa2), 10, checkUnsubscribe],
  ] as const)('%s', (name, valid, first, type, check) => {
    let agreed = 0;
    fc.assert(
      fc.property(fc.oneof(valid, mutated(valid), random(first)), (bytes) => {
        if (bytes[0]! >> 4 !== type) return;
        const passed = validated(bytes, (data, body, end) => {
          const shape = check(data, body, end);
          // Names and levels that are not served get no further than the version check.
          if (typeof shape === 'object') return shape.name === 'MQTT' && shape.level === 4;
          return true;
        });
        if (passed !== true) return;
        agreed++;
        const { packets, errors } = plainReading(bytes);
        expect(errors).toEqual([]);
        expect(packets.map((p) => p.cmd)).toEqual([name.toLowerCase()]);
      }),
      RUNS,
    );
    expect(agreed).toBeGreaterThan(300);
  });

  it('PUBACK', () => {
    fc.assert(
      fc.property(fc.oneof(id.map(puback), mutated(id.map(puback))), (bytes) => {
        if (bytes[0]! >> 4 !== 4) return;
        const packetId = validated(bytes, (data, body, end) => readAcknowledgement(data, 0, body, end));
        if (packetId !== undefined)
          expect(plainReading(bytes).packets).toMatchObject([{ cmd: 'puback', messageId: packetId }]);
      }),
      RUNS,
    );
  });
});

describe('what the hub writes, mqtt-packet writes too', () => {
  it('PUBLISH', () => {
    fc.assert(
      fc.property(
        fc.record({
          topic: fc.constantFrom('a', 'devices/me/commands/k/reboot', 'é/漢'),
          payload,
          qos: fc.constantFrom(0, 1),
          retain: fc.boolean(),
          dup: fc.boolean(),
          packetId: id,
        }),
        (fields) => {
          const dup = fields.dup && fields.qos === 1;
          const ours = encodePublish({ ...fields, dup, qos: fields.qos });
          expect(ours.equals(publish({ ...fields, dup, messageId: fields.packetId }))).toBe(true);
        },
      ),
    );
  });

  it('the acknowledgements', () => {
    expect(encodePuback(0x1234)).toEqual(puback(0x1234));
    expect(encodeUnsuback(0x1234)).toEqual(packet({ cmd: 'unsuback', messageId: 0x1234 }));
    const granted = Array.from({ length: 200 }, (_, i) => [0, 1, 0x80][i % 3]!);
    expect(encodeSuback(7, granted)).toEqual(packet({ cmd: 'suback', messageId: 7, granted }));
    expect(encodeConnack(true, 0)).toEqual(packet({ cmd: 'connack', sessionPresent: true, returnCode: 0 }));
  });
});
