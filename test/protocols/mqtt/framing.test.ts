import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { STORED } from '#protocols/outcome.js';
import { GrowingBytes } from '#protocols/mqtt/growing-bytes.js';
import { PacketReader } from '#protocols/mqtt/reader.js';
import { checkFixedHeader } from '#protocols/mqtt/validate.js';
import { FakeHost } from '../../support/fake-host.ts';
import { connect, connected, fresh, hex, packet, publish, puback, subscribe, taken } from './bench.ts';
import { pair, properties, read, str, u16, u8, whole } from './raw.ts';

const PINGREQ = hex('c000');

/** A PUBLISH at QoS 0 of exactly `bytes` bytes, fixed header included (topic `t`). */
function publishOf(bytes: number): Buffer {
  for (let payload = Math.max(0, bytes - 8); payload < bytes; payload++) {
    const whole = publish({ topic: 't', qos: 0, payload: Buffer.alloc(payload, 1) });
    if (whole.length === bytes) return whole;
  }
  throw new Error(`no PUBLISH has ${bytes} bytes`);
}

describe('a byte stream over WebSocket messages', () => {
  it('takes several packets from one message', async () => {
    const bench = await connected();
    bench.receive(Buffer.concat([PINGREQ, publish({ messageId: 5 }), PINGREQ]));
    expect(bench.link.take()).toEqual([hex('d000'), hex('d000')]);
    expect(bench.host.published).toHaveLength(1);
  });

  it('takes a CONNECT whose first byte comes alone, and whatever comes byte by byte', async () => {
    const bench = fresh();
    for (const byte of connect()) bench.receive(Buffer.from([byte]));
    await bench.settle();
    expect(bench.link.take()).toEqual([hex('20020000')]);
    const stream = Buffer.concat([
      publish({ topic: 'a/b', payload: Buffer.alloc(300, 7), messageId: 300 }),
      subscribe(['x/+', 1]),
      PINGREQ,
    ]);
    for (const byte of stream) bench.receive(Buffer.from([byte]));
    FakeHost.settle(bench.host.published, STORED);
    expect(taken(bench).map((p) => p.cmd)).toEqual(['suback', 'pingresp', 'puback']);
  });

  it('reads the same from any cut of the same bytes', async () => {
    const stream = Buffer.concat([
      publish({ topic: 'a', messageId: 1, payload: Buffer.from('one') }),
      publish({ topic: 'a', qos: 0, payload: Buffer.alloc(0) }),
      subscribe(['f/#', 0], ['g', 2]),
      puback(77),
      publish({ topic: 'b/ü', messageId: 2, payload: Buffer.alloc(20_000, 3), retain: true }),
      packet({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['g'] }),
      PINGREQ,
    ]);
    const read = async (cuts: readonly number[]): Promise<unknown> => {
      const bench = await connected();
      bench.host.immediate = true;
      let at = 0;
      for (const cut of [...cuts].sort((a, b) => a - b)) {
        bench.receive(stream.subarray(at, cut));
        at = cut;
      }
      bench.receive(stream.subarray(at));
      return {
        sent: bench.link.take(),
        published: bench.host.published.map((p) => p.request),
        heard: bench.host.heardCount,
      };
    };
    const whole = await read([]);
    expect(whole).toMatchObject({ heard: 8 });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(stream.length), { maxLength: 40 }), async (cuts) => {
        expect(await read(cuts)).toEqual(whole);
      }),
      { numRuns: 100 },
    );
  });

  it('is not hurt by empty messages, between packets or inside one', async () => {
    const bench = await connected();
    bench.receive(Buffer.alloc(0));
    bench.receive(PINGREQ.subarray(0, 1));
    bench.receive(Buffer.alloc(0));
    bench.receive(PINGREQ.subarray(1));
    bench.receive(Buffer.alloc(0));
    expect(bench.link.take()).toEqual([hex('d000')]);
  });

  it('closes on a text frame', async () => {
    const bench = await connected();
    bench.receive('hello');
    expect(bench.link.closedWith?.reason).toBe('unsupported_data');
    const unconnected = fresh();
    unconnected.receive(connect(), true);
    expect(unconnected.link.closedWith?.reason).toBe('unsupported_data');
    expect(unconnected.host.identifications).toEqual([]);
  });

  it('takes a remaining length that is longer than it must be, and refuses a fifth byte', async () => {
    const bench = await connected();
    bench.receive(hex('c0 80 80 00'));
    expect(bench.link.take()).toEqual([hex('d000')]);
    bench.receive(hex('c0 80 80 80 80'));
    expect(bench.link.closedWith?.reason).toBe('malformed');
  });

  it('lets nothing but ProtocolError out, whatever bytes come', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 8 }), async (chunks) => {
        const unconnected = fresh();
        for (const chunk of chunks) unconnected.receive(chunk);
        const bench = await connected();
        for (const chunk of chunks) bench.receive(chunk);
      }),
      { numRuns: 500 },
    );
  });
});

describe('sizes', () => {
  it('takes a packet at the limit before and after CONNECT, and refuses one byte more by its fixed header alone', async () => {
    const first = connect({ clientId: 'c'.repeat(80) });
    const bench = fresh({ maxUnidentifiedBytes: first.length, maxMessageBytes: 1000 });
    bench.receive(first);
    await bench.settle();
    expect(bench.link.take()).toEqual([hex('20020000')]);
    bench.receive(publishOf(1000));
    expect(bench.host.published).toHaveLength(1);
    bench.receive(publishOf(1001).subarray(0, 3));
    expect(bench.link.closedWith?.reason).toBe('too_large');

    const small = fresh({ maxUnidentifiedBytes: first.length - 1 });
    small.receive(first.subarray(0, 2));
    expect(small.link.closedWith?.reason).toBe('too_large');
    expect(small.host.identifications).toEqual([]);
  });

  it('checks the size of a packet that came whole as well', async () => {
    const bench = await connected({ limits: { maxMessageBytes: 1000 } });
    bench.receive(publishOf(1001));
    expect(bench.link.closedWith?.reason).toBe('too_large');
    expect(bench.host.published).toEqual([]);
  });

  it('refuses 64 MiB before authentication at its fifth byte', () => {
    const bench = fresh();
    bench.receive(hex('10 80 80 80'));
    expect(bench.link.closedWith).toBeNull();
    bench.receive(hex('20'));
    expect(bench.link.closedWith?.reason).toBe('too_large');
  });

  it('refuses what cannot be a CONNECT when its header is there, not when it is whole', () => {
    for (const start of ['30 7f', '47 45', 'f0 10', '12 20', '20 10']) {
      const bench = fresh();
      bench.receive(hex(start));
      expect([start, bench.link.closedWith?.reason]).toEqual([
        start,
        start === '30 7f' || start === '20 10' ? 'protocol_error' : 'malformed',
      ]);
    }
  });

  it('takes a large packet byte by byte', { timeout: 5000 }, async () => {
    const bench = await connected();
    const large = publishOf(200_000);
    for (let i = 0; i < large.length; i++) bench.session.receive(large.subarray(i, i + 1), false);
    expect(bench.host.published[0]?.request.payload.length).toBeGreaterThan(199_900);
  });

  it('keeps copies: the socket may use its buffer again', async () => {
    const bench = fresh();
    bench.host.identity = null;
    const use = (bytes: Buffer): void => {
      const socket = Buffer.alloc(65_536);
      bytes.copy(socket, 100);
      bench.session.receive(socket.subarray(100, 100 + bytes.length), false);
      socket.fill(0xff);
    };
    const first = connect({ clientId: 'kept', will: { topic: 'w', payload: Buffer.from('bye'), qos: 1 } });
    use(first.subarray(0, 9));
    use(Buffer.concat([first.subarray(9), publish({ topic: 'early', payload: Buffer.from('kept') })]));
    expect(bench.host.identifications[0]?.clientId).toBe('kept');
    const template = new FakeHost();
    bench.host.answerIdentify(template.identity!(bench.host.identifications[0]!));
    expect(bench.host.published[0]?.request).toMatchObject({ topic: 'early', payload: Buffer.from('kept') });
    expect(bench.host.identifications[0]?.will?.request).toMatchObject({ topic: 'w', payload: Buffer.from('bye') });
  });
});

describe.each([3, 4, 5] as const)('packets of level %i', (level) => {
  const none = level === 5 ? properties() : Buffer.alloc(0);
  const stream = Buffer.concat([
    whole(0x32, str('a/b'), u16(1), none, Buffer.alloc(200, 1)),
    whole(0x3c, str('é'), u16(2), level === 5 ? properties(pair('stream', 's'), pair('seq', '7')) : none, u8(5)),
    level === 5 ? whole(0x30, str(''), properties(Buffer.from([0x23, 0, 9]))) : whole(0x31, str('/')),
    whole(0x62, u16(2)),
    whole(0x50, ...(level === 5 ? [u16(3), u8(0x87), properties(u8(0x1f), str('why'))] : [u16(3)])),
    whole(0x82, u16(4), none, str('x/+'), u8(2), str('#'), u8(0)),
    whole(0xa2, u16(5), none, str('x/+')),
    whole(0xc0),
    whole(0x30, str('large'), none, Buffer.alloc(20_000, 3)),
    level === 5 ? whole(0xe0, u8(4), properties(pair('a', 'b'))) : whole(0xe0),
  ]);

  /** What is read when the bytes come in these pieces; each piece is spoilt once it was read. */
  function readIn(pieces: Iterable<Buffer>): unknown[] {
    const found: unknown[] = [];
    const reader = new PacketReader(1 << 20);
    reader.strictLength = level === 5;
    for (const piece of pieces) {
      const own = Buffer.from(piece);
      reader.feed(own, {
        expect: (first) => checkFixedHeader(first, level),
        packet: (data, start, _body, end) => found.push(read(level, Buffer.from(data.subarray(start, end)))) > 0,
      });
      own.fill(0xff);
    }
    return found;
  }

  it('are the same whole, byte by byte and in any pieces', () => {
    const atOnce = readIn([stream]);
    expect(atOnce).toHaveLength(10);
    const byByte = Array.from(stream, (_, i) => stream.subarray(i, i + 1));
    expect(readIn(byByte)).toEqual(atOnce);
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length), { maxLength: 30 }), (cuts) => {
        const at = [0, ...cuts, stream.length].sort((a, b) => a - b);
        expect(readIn(at.slice(1).map((to, i) => stream.subarray(at[i], to)))).toEqual(atOnce);
      }),
      { numRuns: 50 },
    );
  });
});

describe('GrowingBytes', () => {
  it('copies a linear number of bytes, owns its memory and never grows past the most it may hold', () => {
    const bytes = new GrowingBytes();
    const piece = Buffer.alloc(65_536, 9);
    let buffer: ArrayBufferLike | null = null;
    let copied = 0;
    for (let i = 0; i < 100_000; i++) {
      bytes.append(piece, i % 100, (i % 100) + 1, 100_000);
      const view = bytes.view();
      if (view.buffer !== buffer) copied += view.length;
      buffer = view.buffer;
      if (view.buffer.byteLength > Math.max(2 * view.length, 256))
        throw new Error(`${view.buffer.byteLength} bytes held`);
    }
    expect(copied).toBeLessThan(300_000);
    expect(bytes.view().buffer.byteLength).toBe(100_000);
    expect(bytes.view().equals(Buffer.alloc(100_000, 9))).toBe(true);
  });
});
