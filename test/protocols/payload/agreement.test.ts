import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeArray } from '#protocols/cbor/cbor.js';
import { fromJson } from '#protocols/cbor/values.js';
import { PayloadError } from '#protocols/errors.js';
import { DEFAULT_LIMITS } from '#protocols/limits.js';
import { PAYLOAD_FORMATS, type PayloadDecoder } from '#protocols/payload/index.js';
import { NOW } from './read.ts';

const limits = { ...DEFAULT_LIMITS, maxReadings: 8, maxDepth: 3, maxMetricBytes: 12, maxStringValueBytes: 10 };
const decoder = (name: string): PayloadDecoder => PAYLOAD_FORMATS.find((one) => one.name === name)!.decode;

/** The readings, or the code of the refusal; nothing but PayloadError may come out. */
function told(name: string, payload: Buffer): unknown {
  try {
    return decoder(name)(payload, limits, NOW);
  } catch (error) {
    if (error instanceof PayloadError) return error.code;
    throw error;
  }
}

const text = fc.oneof(fc.constantFrom('a', 'b', 'ts', 'n', 'v', 'constructor', '', 'é'), fc.string({ maxLength: 14 }));
const { document } = fc.letrec((tie) => ({
  document: fc.oneof({ depthSize: 'small' }, tie('map'), fc.array(tie('map'), { maxLength: 5 }), tie('leaf')),
  map: fc.dictionary(
    text.filter((key) => key !== '__proto__'),
    tie('value'),
    { maxKeys: 5, noNullPrototype: true },
  ),
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('leaf'),
    tie('map'),
    fc.array(tie('leaf'), { maxLength: 2 }),
  ),
  leaf: fc.oneof(
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 }),
    fc.integer({ min: NOW - 1000, max: NOW + 400_000 }),
    fc.boolean(),
    fc.constant(null),
    text,
  ),
}));

describe('JSON, CBOR and MessagePack', () => {
  test('say the same of every document that all can write', () => {
    const outcomes = new Map<string, number>();
    fc.assert(
      fc.property(document, (value) => {
        const json = told('JSON', Buffer.from(JSON.stringify(value)));
        const others = {
          MessagePack: told('MessagePack', Buffer.from(encode(value))),
          CBOR: told('CBOR', encodeArray(fromJson(value, 20) as unknown[])),
        };
        // Of several faults, each may name another: the guards look at all bytes first.
        if (typeof json !== 'string') expect(others).toEqual({ MessagePack: json, CBOR: json });
        else for (const other of Object.values(others)) expect(typeof other).toBe('string');
        const kind = typeof json === 'string' ? json : 'taken';
        outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
      }),
      { numRuns: 5000 },
    );
    // Else the property would say little.
    for (const kind of [
      'taken',
      'empty',
      'malformed_payload',
      'value_not_allowed',
      'metric_name',
      'time_not_allowed',
    ]) {
      expect(outcomes.get(kind) ?? 0, kind).toBeGreaterThan(10);
    }
  });
});

describe('SenML in JSON and in CBOR', () => {
  const number = fc.oneof(
    fc.integer({ min: -100, max: 100 }),
    fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 }),
  );
  const time = fc.oneof(
    fc.integer({ min: -100, max: 100 }),
    fc.integer({ min: NOW / 1000 - 100, max: NOW / 1000 + 400 }),
  );
  const name = fc.oneof({ weight: 4, arbitrary: fc.constantFrom('a', 'b', 'c') }, { weight: 1, arbitrary: text });
  const record = fc.record(
    {
      bn: name,
      bt: time,
      bu: name,
      bv: number,
      bs: number,
      bver: fc.constantFrom(5, 10, 11, 0),
      n: name,
      u: name,
      v: fc.oneof(number, text),
      vs: text,
      vb: fc.oneof(fc.boolean(), text),
      vd: fc.uint8Array({ maxLength: 10 }),
      s: number,
      t: time,
      ut: number,
      x: text,
      x_: text,
    },
    { requiredKeys: [], noNullPrototype: true },
  );
  /** Most of the fields left out, so that some packs are taken. */
  const sparse = fc
    .tuple(record, fc.subarray(['v', 'vs', 'vb', 'vd', 's', 'bver', 'x_'], { maxLength: 1 }))
    .map(
      ([all, kept]) =>
        Object.fromEntries(
          Object.entries(all).filter(
            ([name]) => !['v', 'vs', 'vb', 'vd', 's', 'bver', 'x_'].includes(name) || kept.includes(name),
          ),
        ) as Record<string, unknown>,
    );
  const LABELS: Readonly<Record<string, number>> = {
    ...{ bver: -1, bn: -2, bt: -3, bu: -4, bv: -5, bs: -6 },
    ...{ n: 0, u: 1, v: 2, vs: 3, vb: 4, s: 5, t: 6, ut: 7, vd: 8 },
  };

  test('is the same', () => {
    let taken = 0;
    fc.assert(
      fc.property(fc.array(sparse, { maxLength: 3 }), (records) => {
        const asJson = records.map((one) =>
          'vd' in one ? { ...one, vd: Buffer.from(one.vd as Uint8Array).toString('base64url') } : one,
        );
        const asCbor = records.map(
          (one) =>
            new Map<number | string, unknown>(
              Object.entries(one).map(([name, value]) => [
                LABELS[name] ?? name,
                name === 'vd' ? Buffer.from(value as Uint8Array) : fromJson(value, 1),
              ]),
            ),
        );
        const json = told('SenML JSON', Buffer.from(JSON.stringify(asJson)));
        expect(told('SenML CBOR', encodeArray(asCbor))).toEqual(json);
        if (typeof json !== 'string') taken++;
      }),
      { numRuns: 5000 },
    );
    expect(taken).toBeGreaterThan(80);
  });
});
