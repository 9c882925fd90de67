import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeCbor, encodeCbor, type CborValue } from '#devices-sim/device/cbor-bytes.js';
import { encodeHello, encodeMessage, encodeReceived, encodeResult } from '#devices-sim/device/cbor-messages.js';
import { CborWire } from '#devices-sim/device/cbor.js';
import { WireError, type WireEvents } from '#devices-sim/device/wire.js';
import {
  decodeDeviceMessage,
  encodeAck,
  encodeCommand,
  encodeDone,
  encodeError,
  encodeNack,
  encodeWelcome,
} from '#protocols/cbor/codec.js';
import { readingsFromRecords } from '#protocols/cbor/records.js';
import { DEFAULT_LIMITS } from '#protocols/limits.js';

const NOW_US = Date.UTC(2026, 0, 1) * 1000;
const WELCOME = { timeMs: 1_767_225_600_000, resumeSeq: 1, window: 4, maxMessageBytes: 1000, device: 'd1', epoch: 1 };
const IDENTITY = { deviceId: 'd1', token: null };

function asHub(bytes: Uint8Array) {
  return decodeDeviceMessage(Buffer.from(bytes), DEFAULT_LIMITS);
}

/** A wire and what it tells. */
function wire() {
  const told: unknown[][] = [];
  const sent: (Uint8Array | string)[] = [];
  const events = new Proxy({} as WireEvents, {
    get:
      (_, name: string) =>
      (...args: unknown[]) =>
        void told.push([name, ...args]),
  });
  const device = new CborWire(IDENTITY, { stream: 'q1', next: 1 }, { send: (unit) => void sent.push(unit) }, events);
  return { device, told, sent };
}

describe('CBOR as a device writes and reads it', () => {
  const value = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (n === 0 ? 0 : n)),
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.string({ unit: 'binary', maxLength: 300 }).map((text) => `.${text}`),
  );
  const json = fc.letrec((tie) => ({
    json: fc.oneof({ maxDepth: 4 }, fc.constant(null), value, fc.array(tie('json'), { maxLength: 5 }), tie('object')),
    object: fc.dictionary(fc.string({ maxLength: 8 }), tie('json'), { maxKeys: 5 }),
  })).json;

  test('the hub reads the readings that were meant, times to the microsecond', () => {
    const reading = fc.record(
      {
        metric: fc.string({ minLength: 1, maxLength: 20 }).filter((name) => /^[\x21-\x7e]+$/.test(name)),
        value,
        timeUs: fc.integer({ min: 2 ** 28 * 1e6, max: NOW_US }),
      },
      { requiredKeys: ['metric', 'value'] },
    );
    const timeUs = fc.option(fc.integer({ min: 2 ** 28 * 1e6, max: NOW_US }));
    fc.assert(
      fc.property(fc.array(reading, { minLength: 1, maxLength: 8 }), timeUs, (readings, messageUs) => {
        const message = asHub(encodeMessage(7, { timeUs: messageUs, readings }));
        expect(message).toMatchObject({ type: 'data', seq: 7 });
        const { records } = message as { records: unknown };
        expect(readingsFromRecords(records, DEFAULT_LIMITS, NOW_US / 1000)).toEqual(
          readings.map((one) => ({ ...one, timeUs: one.timeUs ?? messageUs })),
        );
      }),
    );
  });

  test('the hub reads events, results and introductions that were meant', () => {
    fc.assert(
      fc.property(json, (item) => {
        const meant: unknown = JSON.parse(JSON.stringify(item).replaceAll('-0,', '0,'));
        expect(asHub(encodeMessage(3, { event: 'boot', value: meant }))).toEqual({
          type: 'event',
          seq: 3,
          name: 'boot',
          value: meant,
        });
        expect(asHub(encodeResult({ commandId: 'c-1', status: 'failed', value: meant }))).toMatchObject({
          value: meant,
        });
      }),
    );
    expect(asHub(encodeReceived('c-1'))).toEqual({ type: 'received', commandId: 'c-1' });
    const hello = encodeHello({ stream: 'q1', next: 2 ** 40 }, { deviceId: 'd', token: 'mst_aa_b', firmware: '1.2' });
    expect(asHub(hello)).toMatchObject({ hello: { stream: 'q1', next: 2 ** 40, token: 'mst_aa_b', firmware: '1.2' } });
  });

  test('what it wrote it reads', () => {
    const item: fc.Arbitrary<CborValue> = fc.letrec<{ item: CborValue }>((tie) => ({
      item: fc.oneof(
        { maxDepth: 5 },
        fc.constant(null),
        value,
        fc.array(tie('item'), { maxLength: 30 }),
        fc.array(fc.tuple(fc.oneof(fc.string(), fc.integer()), tie('item'))).map((entries) => new Map(entries)),
      ),
    })).item;
    fc.assert(
      fc.property(item, (meant) => {
        expect(decodeCbor(encodeCbor(meant))).toEqual(meant);
      }),
    );
  });

  test('lengths of texts around each width of their head', () => {
    for (const length of [0, 23, 24, 255, 256, 65_535, 65_536]) {
      const text = 'x'.repeat(length);
      expect(decodeCbor(encodeCbor(text))).toBe(text);
      // Two bytes a character: the head is guessed too short.
      expect(decodeCbor(encodeCbor('ü'.repeat(length)))).toBe('ü'.repeat(length));
    }
  });

  test('reads every message of the hub, also its longest forms', () => {
    const { device, told } = wire();
    const feed = (bytes: Uint8Array): void => device.receive(bytes, false);
    feed(encodeWelcome(WELCOME));
    feed(encodeAck(2 ** 40));
    feed(encodeNack(9, 'gap', 'x', 4));
    feed(encodeNack(9, 'empty', 'x', null));
    feed(encodeNack(0, 'unknown_command', 'x', 'c-9'));
    feed(encodeNack(0, 'unknown_command', 'x', null));
    feed(encodeCommand('c-1', 'blink', { times: [1, 2.5, null, { a: 'ü' }] }, 99));
    feed(encodeDone('c-1'));
    feed(encodeError('overloaded', 'later'));
    expect(told).toEqual([
      ['ready', 1, WELCOME.timeMs],
      ['acknowledgedUpTo', 2 ** 40],
      ['gap', 4],
      ['refused', 9, 'NACK empty: x'],
      ['resultAcknowledged', 'c-9', false],
      ['command', { id: 'c-1', name: 'blink', params: { times: [1, 2.5, null, { a: 'ü' }] }, deadlineMs: 99 }, 'c-1'],
      ['resultAcknowledged', 'c-1', true],
      ['goodbye', 'CBOR ERROR overloaded: later'],
    ]);
  });

  test('half floats', () => {
    const half = (hex: string) => decodeCbor(Buffer.from(`f9${hex}`, 'hex'));
    // RFC 8949, appendix A.
    expect(['0000', '3c00', '3e00', '7bff', '0001', '0400', 'c400'].map(half)).toEqual([
      0, 1, 1.5, 65504, 5.960464477539063e-8, 0.00006103515625, -4,
    ]);
  });

  test('a message larger than the hub takes is not sent', () => {
    const { device, sent } = wire();
    device.receive(encodeWelcome(WELCOME), false);
    const readings = [{ metric: 'a', value: 'x'.repeat(1000) }];
    expect(device.send(1, { timeUs: null, readings }, false)).toBe(false);
    expect(sent).toEqual([]);
  });

  test('whatever comes, it is read or is a fault of the hub', () => {
    const messages = [
      encodeWelcome(WELCOME),
      encodeNack(9, 'gap', 'x', 4),
      encodeCommand('c-1', 'blink', { times: [1, { a: 'ü' }] }, 99),
    ];
    const faultOrRead = (bytes: Uint8Array): void => {
      try {
        wire().device.receive(bytes, false);
      } catch (error) {
        expect(error).toBeInstanceOf(WireError);
      }
    };
    for (const message of messages) {
      for (let end = 0; end < message.length; end++) {
        expect(() => decodeCbor(message.subarray(0, end))).toThrow(WireError);
        faultOrRead(
          Buffer.concat([message.subarray(0, end), Buffer.of(message[end]! ^ 0x80), message.subarray(end + 1)]),
        );
      }
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), faultOrRead));
    expect(() => decodeCbor(Buffer.alloc(100_000, 0x81))).toThrow('nested too deep');
    expect(() => decodeCbor(Buffer.from('9affffffff', 'hex'))).toThrow('ends too early');
  });
});

interface Vector {
  readonly name: string;
  readonly hex: string;
  readonly meaning: Record<string, any>;
  readonly state?: 'hello' | 'open';
}

function vectors(file: string): [string, Vector][] {
  const url = new URL(`../../../protocols/cbor/vectors/${file}.json`, import.meta.url);
  const { vectors: list } = JSON.parse(readFileSync(url, 'utf8')) as { vectors: Vector[] };
  return list.map((vector) => [vector.name, vector]);
}

/** What the wire tells of a message with this meaning. */
function tellings(meaning: Record<string, any>): unknown[][] {
  switch (meaning.type) {
    case 'welcome':
      return [['ready', meaning.resumeSeq, meaning.timeMs]];
    case 'ack':
      return [['acknowledgedUpTo', meaning.seq]];
    case 'done':
      return [['resultAcknowledged', meaning.commandId, true]];
    case 'command': {
      const { commandId: id, name, params, deadlineMs } = meaning;
      return [['command', { id, name, params, deadlineMs }, id]];
    }
    case 'error':
      return [['goodbye', `CBOR ERROR ${meaning.code}: ${meaning.text}`]];
    case 'nack':
      if (meaning.code === 'gap') return [['gap', meaning.expected]];
      if (meaning.seq > 0) return [['refused', meaning.seq, `NACK ${meaning.code}: ${meaning.text}`]];
      return typeof meaning.commandId === 'string' ? [['resultAcknowledged', meaning.commandId, false]] : [];
    default:
      return [];
  }
}

describe('the published vectors', () => {
  test.each(vectors('hub-to-device'))('%s is read as it is meant', (_, { hex, meaning }) => {
    const { device, told } = wire();
    if (meaning.type !== 'welcome' && meaning.type !== 'error') device.receive(encodeWelcome(WELCOME), false);
    told.length = 0;
    device.receive(Buffer.from(hex, 'hex'), false);
    expect(told).toEqual(tellings(meaning));
  });

  test.each(vectors('refused-by-device'))('%s is noticed', (_, { hex, state }) => {
    const { device } = wire();
    if (state === 'open') device.receive(encodeWelcome(WELCOME), false);
    expect(() => device.receive(Buffer.from(hex, 'hex'), false)).toThrow(WireError);
  });
});
