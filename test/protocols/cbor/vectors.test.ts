import { describe, expect, test } from 'vitest';
import {
  decodeDeviceMessage,
  decodeHubMessage,
  encodeAck,
  encodeCommand,
  encodeData,
  encodeDone,
  encodeError,
  encodeEvent,
  encodeHello,
  encodeNack,
  encodeReceived,
  encodeResult,
  encodeWelcome,
  senmlRecords,
  type Hello,
  type HubMessage,
  type ResultStatus,
  type Welcome,
} from '#protocols/cbor/codec.js';
import { readFastData } from '#protocols/cbor/fast-data.js';
import { readingsFromRecords } from '#protocols/cbor/records.js';
import { cborSubprotocol } from '#protocols/cbor/session.js';
import { closeReason } from '#protocols/close-reasons.js';
import { ProtocolError } from '#protocols/errors.js';
import { DEFAULT_LIMITS } from '#protocols/limits.js';
import type { Reading } from '#protocols/reading.js';
import { Bench } from '#test/support/fake-host.js';
import { diagnostic } from './diagnostic.ts';
import { FILES, filesThere, refused, taken, type Meaning, type RefusedVector } from './vectors.ts';

const bytesOf = ({ hex }: { readonly hex: string }): Buffer => Buffer.from(hex, 'hex');
const all = [taken.fromDevice, taken.fromHub, refused.byHub, refused.byDevice].flatMap(
  (file): readonly { name: string; what: string; hex: string; diagnostic: string | null }[] => file.vectors,
);

describe('the vectors', () => {
  test('are in the files that the tests read, each with its own name and bytes', () => {
    expect(filesThere().sort()).toEqual([...FILES].sort());
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
    expect(new Set(all.map(({ hex }) => hex)).size).toBeGreaterThan(all.length - 5);
    for (const { hex } of all) expect(hex).toMatch(/^([0-9a-f]{2})*$/);
  });

  test.each(all)('$name: the diagnostic notation says what the bytes say', ({ hex, diagnostic: words }) => {
    if (words === null) expect(() => diagnostic(bytesOf({ hex }))).toThrow();
    else expect(diagnostic(bytesOf({ hex }))).toBe(words);
  });
});

describe.each([
  ['a device', taken.fromDevice.vectors, (bytes: Buffer) => decodeDeviceMessage(bytes, DEFAULT_LIMITS)],
  ['the hub', taken.fromHub.vectors, (bytes: Buffer) => decodeHubMessage(bytes)],
] as const)('of %s', (_, vectors, decode) => {
  const reasonOf = (bytes: Buffer): string => {
    try {
      return decode(bytes).type;
    } catch (error) {
      if (error instanceof ProtocolError) return error.reason;
      throw error;
    }
  };

  test.each(vectors)('$name, cut short anywhere or with a byte behind it, is malformed', (vector) => {
    const whole = bytesOf(vector);
    for (let end = 0; end < whole.length; end++) expect(reasonOf(whole.subarray(0, end))).toBe('malformed');
    for (const byte of [0x00, 0xf6, 0xff]) {
      expect(reasonOf(Buffer.concat([whole, Buffer.from([byte])]))).toBe('malformed');
    }
  });

  test.each(vectors)('$name with any one byte changed is refused in words or read as something else', (vector) => {
    const whole = bytesOf(vector);
    for (let at = 0; at < whole.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = Buffer.from(whole);
        changed[at]! ^= 1 << bit;
        expect(typeof reasonOf(changed)).toBe('string');
      }
    }
  });
});

describe('device to hub', () => {
  const { hubTimeMs, vectors } = taken.fromDevice;

  /** What the hub takes a message for, as the vectors write it. */
  function meaningOf(bytes: Buffer): Record<string, unknown> {
    const message = decodeDeviceMessage(bytes, DEFAULT_LIMITS);
    if (message.type === 'hello') return { type: 'hello', ...message.hello };
    if (message.type !== 'data') return { ...message };
    const readings = readingsFromRecords(message.records, DEFAULT_LIMITS, hubTimeMs!);
    return { type: 'data', seq: message.seq, readings };
  }

  test.each(vectors)('$name is read as its meaning', ({ hex, meaning }) => {
    expect(meaningOf(bytesOf({ hex }))).toEqual(meaning);
  });

  test.each(vectors.filter(({ meaning }) => meaning.type === 'data'))('$name is read so on the fast path too', (v) => {
    const fast = readFastData(bytesOf(v), DEFAULT_LIMITS, hubTimeMs!);
    if (fast !== null) expect({ type: 'data', ...fast }).toEqual(v.meaning);
  });

  test('the fast path takes what is common', () => {
    const isFast = (name: string): boolean =>
      readFastData(bytesOf(vectors.find((v) => v.name === name)!), DEFAULT_LIMITS, hubTimeMs!) !== null;
    expect(['data-now', 'data-timed', 'data-times'].map(isFast)).toEqual([true, true, true]);
  });

  test.each(vectors.filter(({ encodes }) => encodes !== false))('$name is what its meaning is written as', (vector) => {
    expect(encodeFromDevice(vector.meaning).toString('hex')).toBe(vector.hex);
  });
});

describe('hub to device', () => {
  const { vectors } = taken.fromHub;

  /** As the vectors write it: without the members that say nothing. */
  function meaningOf(bytes: Buffer): Record<string, unknown> {
    const message: HubMessage = decodeHubMessage(bytes);
    if (message.type === 'command') {
      const { id, ...rest } = message;
      return { ...rest, commandId: id };
    }
    return Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null));
  }

  test.each(vectors)('$name is read as its meaning', ({ hex, meaning }) => {
    expect(meaningOf(bytesOf({ hex }))).toEqual(meaning);
  });

  test.each(vectors.filter(({ encodes }) => encodes !== false))('$name is what its meaning is written as', (vector) => {
    expect(encodeFromHub(vector.meaning).toString('hex')).toBe(vector.hex);
  });
});

describe('refused by the hub', () => {
  const { hubTimeMs, vectors } = refused.byHub;

  /** A session in the state that the vector names, which has been given its bytes, and what it said. */
  async function heard({ state, hex }: RefusedVector): Promise<{ bench: Bench; said: HubMessage[] }> {
    const bench = new Bench(cborSubprotocol);
    bench.host.clock = hubTimeMs!;
    bench.host.immediate = true;
    if (state === 'open') {
      bench.receive(encodeHello({ stream: 'q1', next: 1 }));
      await bench.settle();
      bench.link.take();
    }
    bench.receive(bytesOf({ hex }));
    await bench.settle();
    return { bench, said: bench.link.take().map((unit) => decodeHubMessage(unit as Buffer)) };
  }

  test.each(vectors.filter(({ expected }) => expected.close !== undefined))('$name closes', async (vector) => {
    const { bench, said } = await heard(vector);
    expect(said).toMatchObject([{ type: 'error', code: vector.expected.error }]);
    expect(bench.link.closedWith?.reason).toBe(vector.expected.error);
    expect(closeReason(vector.expected.error!).webSocketCode).toBe(vector.expected.close);
    expect(bench.host.ingested).toEqual([]);
  });

  test.each(vectors.filter(({ expected }) => expected.nack !== undefined))('$name gets a NACK', async (vector) => {
    const { bench, said } = await heard(vector);
    const nack = vector.expected.nack!;
    expect(said[0]).toMatchObject({ type: 'nack', ...nack });
    expect(said.slice(1)).toEqual(nack.seq === 0 ? [] : [{ type: 'ack', seq: nack.seq }]);
    expect(bench.link.closedWith).toBeNull();
    expect(bench.host.ingested).toEqual([]);
    expect(bench.host.rejections[0]?.request.payload.toString('hex')).toBe(vector.hex);
  });

  test('every one of them says what is expected', () => {
    for (const { expected } of vectors)
      expect((expected.close === undefined) !== (expected.nack === undefined)).toBe(true);
  });
});

describe('refused by the device', () => {
  test.each(refused.byDevice.vectors)('$name', ({ hex, expected }) => {
    let thrown: unknown = null;
    try {
      decodeHubMessage(bytesOf({ hex }));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ProtocolError);
    expect((thrown as ProtocolError).reason).toBe(expected.error);
  });
});

function encodeFromDevice(meaning: Meaning): Buffer {
  const { type, ...rest } = meaning;
  const m = meaning as unknown as Members;
  if (type === 'hello') return encodeHello(rest as unknown as Hello);
  if (type === 'data') return encodeData(m.seq, senmlRecords(m.readings));
  if (type === 'received') return encodeReceived(m.commandId);
  if (type === 'result') return encodeResult(m.commandId, m.status, m.value);
  if (type === 'event') return encodeEvent(m.seq, m.name, m.value);
  throw new Error(`a vector of type ${type}`);
}

function encodeFromHub(meaning: Meaning): Buffer {
  const m = meaning as unknown as Members;
  if (meaning.type === 'welcome') return encodeWelcome(meaning as unknown as Welcome);
  if (meaning.type === 'ack') return encodeAck(m.seq);
  if (meaning.type === 'nack') return encodeNack(m.seq, m.code, m.text, aboutOf(meaning));
  if (meaning.type === 'command') return encodeCommand(m.commandId, m.name, m.params, m.deadlineMs);
  if (meaning.type === 'done') return encodeDone(m.commandId);
  if (meaning.type === 'error') return encodeError(m.code, m.text);
  throw new Error(`a vector of type ${meaning.type}`);
}

/** The fifth item of a NACK. */
function aboutOf({ expected, commandId }: Meaning): number | string | null {
  return (expected ?? commandId ?? null) as number | string | null;
}

/** Members of a meaning, of which each type has some. */
interface Members {
  readonly seq: number;
  readonly readings: readonly Reading[];
  readonly commandId: string;
  readonly status: ResultStatus;
  readonly name: string;
  readonly value: unknown;
  readonly params: unknown;
  readonly deadlineMs: number;
  readonly code: string;
  readonly text: string;
}
