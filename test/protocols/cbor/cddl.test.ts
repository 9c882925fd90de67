import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Answers } from '#protocols/cbor/answers.js';
import {
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
} from '#protocols/cbor/codec.js';
import { TYPE } from '#protocols/cbor/messages.js';
import { cborSubprotocol } from '#protocols/cbor/session.js';
import { CLOSE_REASONS, type CloseReason } from '#protocols/close-reasons.js';
import { REJECT_CODES, type RejectCode } from '#protocols/errors.js';
import type { Command } from '#protocols/message.js';
import type { Outcome } from '#protocols/outcome.js';
import { readItem, show, type CborItem } from '#test/support/cddl/items.js';
import { flawOfMessage as flawOf, musterSchema as schema } from '#test/support/cddl/muster.js';
import { flaw } from '#test/support/cddl/validator.js';
import { Bench, FakeHost, FakeLink } from '#test/support/fake-host.js';
import { refused, taken } from './vectors.ts';

const bytesOf = ({ hex }: { readonly hex: string }): Buffer => Buffer.from(hex, 'hex');

describe('the vectors', () => {
  test.each(taken.fromDevice.vectors)('$name is a message of a device', (vector) => {
    expect(flawOf('device-message', bytesOf(vector))).toBeNull();
  });

  test.each(taken.fromHub.vectors)('$name is a message of the hub, or none that is known', (vector) => {
    const found = flawOf('hub-message', bytesOf(vector));
    if (vector.meaning.type === 'unknown') expect(found).not.toBeNull();
    else expect(found).toBeNull();
  });

  /** Wrong by what went before, by the clock, or by what CDDL has no words for (SPEC.md, 3). */
  const BEYOND_CDDL = new Set([
    ...['hello-twice', 'data-first', 'data-future', 'data-deep', 'data-no-name'],
    ...['data-nan', 'data-infinity', 'result-nan', 'data-bom'],
  ]);

  test.each(refused.byHub.vectors.filter(({ diagnostic }) => diagnostic !== null))('$name is no message', (vector) => {
    let found: string | null;
    try {
      found = flawOf('device-message', bytesOf(vector));
    } catch (error) {
      found = String(error); // not of the shape that SPEC.md, 3, asks for
    }
    if (BEYOND_CDDL.has(vector.name) && vector.name !== 'data-deep') expect(found).toBeNull();
    else expect(found).not.toBeNull();
  });

  test.each(refused.byDevice.vectors.filter(({ diagnostic }) => diagnostic !== null))(
    '$name is none either',
    (vector) => {
      expect(() => {
        const found = flawOf('hub-message', bytesOf(vector));
        if (found !== null) throw new Error(found);
      }).toThrow();
    },
  );
});

// Random messages: whatever the code is given, what it writes is by the book.

const seq = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const whole = fc.nat(Number.MAX_SAFE_INTEGER);
const name = fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/);
const commandId = fc.stringMatching(/^[A-Za-z0-9-]{1,64}$/);
const words = fc.string({ unit: 'binary', maxLength: 40 });
/** A text that is not empty and does not begin with the mark that the protocol leaves out. */
const short = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((text) => !text.startsWith('\ufeff'));
const json = fc
  .jsonValue({ maxDepth: 5, stringUnit: 'grapheme' })
  .filter((value) => !JSON.stringify(value).includes('\ufeff'));
const reading = fc.record({
  metric: short,
  timeUs: fc.option(fc.integer({ min: 2 ** 28 * 1e6, max: 4e15 })),
  value: fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.maxSafeInteger(), fc.boolean(), short),
});
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const hello = fc
  .record({ stream: name, next: seq, token: optional(short), id: optional(short), firmware: optional(short) })
  .map((fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)))
  .map((fields) => encodeHello(fields as unknown as Parameters<typeof encodeHello>[0]));

const fromDevice = {
  hello,
  data: fc
    .tuple(seq, fc.array(reading, { minLength: 1, maxLength: 8 }))
    .map(([n, r]) => encodeData(n, senmlRecords(r))),
  received: commandId.map(encodeReceived),
  result: fc
    .tuple(commandId, fc.constantFrom('succeeded', 'failed', 'rejected'), json)
    .map(([id, status, value]) => encodeResult(id, status as 'failed', value)),
  event: fc.tuple(seq, name, json).map(([n, what, value]) => encodeEvent(n, what, value)),
};
const code = fc.constantFrom(...(Object.keys(REJECT_CODES) as RejectCode[]));
const reason = fc.constantFrom(...(Object.keys(CLOSE_REASONS) as CloseReason[]));
const fromHub = {
  welcome: fc
    .record({
      timeMs: whole,
      resumeSeq: seq,
      window: fc.integer({ min: 1, max: 65_535 }),
      maxMessageBytes: fc.integer({ min: 1024, max: 2 ** 32 - 1 }),
      device: fc.stringMatching(/^[A-Za-z0-9._:-]{1,128}$/),
      epoch: whole,
    })
    .map(encodeWelcome),
  ack: seq.map(encodeAck),
  nack: fc.tuple(seq, code, words).map(([n, what, text]) => encodeNack(n, what, text, null)),
  gap: fc.tuple(seq, words, seq).map(([n, text, expected]) => encodeNack(n, 'gap', text, expected)),
  nackOfCommand: fc.tuple(code, words, commandId).map(([what, text, id]) => encodeNack(0, what, text, id)),
  command: fc.tuple(commandId, name, json, whole).map(([id, what, params, ms]) => encodeCommand(id, what, params, ms)),
  done: commandId.map(encodeDone),
  error: fc.tuple(reason, words).map(([what, text]) => encodeError(what, text)),
};

describe('what the code writes', () => {
  test.each(Object.entries(fromDevice))('%s of a device', (_, messages: fc.Arbitrary<Buffer>) => {
    const sound = (bytes: Buffer): void => {
      expect(flawOf('device-message', bytes)).toBeNull();
    };
    fc.assert(fc.property(messages, sound), { numRuns: 300 });
  });

  test.each(Object.entries(fromHub))('%s of the hub', (_, messages: fc.Arbitrary<Buffer>) => {
    const sound = (bytes: Buffer): void => {
      expect(flawOf('hub-message', bytes)).toBeNull();
    };
    fc.assert(fc.property(messages, sound), { numRuns: 300 });
  });

  test('every type of message is among them', () => {
    const types = (file: readonly { hex: string }[]): number[] =>
      file.map((vector) => Number((readItem(bytesOf(vector)).value as readonly CborItem[])[0]!.value));
    const there = new Set([...types(taken.fromDevice.vectors), ...types(taken.fromHub.vectors)]);
    for (const [type, number] of Object.entries(TYPE)) expect(there.has(number), type).toBe(type !== 'reported');
  });

  const outcome: fc.Arbitrary<Outcome> = fc.oneof(
    fc.constantFrom<Outcome>({ kind: 'stored', duplicate: false }, { kind: 'stored', duplicate: true }),
    fc.constantFrom<Outcome>({ kind: 'routed' }, { kind: 'abandoned' }),
    fc.record({ kind: fc.constant('rejected'), code, message: words, recorded: fc.boolean() }) as fc.Arbitrary<Outcome>,
    fc.record({ kind: fc.constant('gap'), expected: seq }) as fc.Arbitrary<Outcome>,
  );

  test('every answer, whatever becomes of a message', async () => {
    const owed = fc.oneof(seq, fc.record({ commandId, isResult: fc.boolean() }));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(owed, outcome), { maxLength: 12 }), async (releases) => {
        const link = new FakeLink();
        const answers = new Answers(link);
        for (const [what, became] of releases) answers.release(what, became);
        await Promise.resolve();
        for (const unit of link.take()) expect(flawOf('hub-message', unit as Buffer)).toBeNull();
      }),
      { numRuns: 300 },
    );
  });

  test('all that a session says, from WELCOME to ERROR', async () => {
    const bench = new Bench(cborSubprotocol);
    bench.receive(encodeHello({ stream: 'q1', next: 1 }));
    await bench.settle();
    const command: Command = {
      id: 'c-1',
      device: 'd1',
      name: 'blink',
      params: { times: [1, null, { a: 2 ** 40 }] },
      payload: Buffer.alloc(0),
      deadlineMs: bench.host.clock + 0.5,
      attempts: 0,
    };
    expect(bench.session.deliver(command)).toBe(true);
    bench.receive(encodeData(1, senmlRecords([{ metric: 'm', timeUs: null, value: 1 }])));
    bench.receive(encodeResult('c-1', 'succeeded', { ok: true }));
    FakeHost.settle(bench.host.ingested, { kind: 'gap', expected: 1 });
    FakeHost.settle(bench.host.progressed, { kind: 'stored', duplicate: false });
    bench.session.end('hub_shutdown', '', {});
    const said = bench.link.take() as Buffer[];
    expect(said.map((bytes) => readItem(bytes).value).map((items) => Number((items as CborItem[])[0]!.value))).toEqual([
      TYPE.welcome,
      TYPE.command,
      TYPE.nack,
      TYPE.done,
      TYPE.error,
    ]);
    for (const bytes of said) expect(flawOf('hub-message', bytes)).toBeNull();
  });
});

describe('what is changed is noticed', () => {
  const INTRUDER: CborItem = { kind: 'bstr', value: Buffer.from([1]) };

  /** The message with one thing changed that no message may have: an item less, one more, one of another kind, a key less. */
  function* mutants(item: CborItem): Generator<[string, CborItem]> {
    const items = item.value as readonly CborItem[];
    yield ['the last item is missing', { kind: 'array', value: items.slice(0, -1) }];
    yield ['an item too many', { kind: 'array', value: [...items, { kind: 'simple', value: null }] }];
    yield ['as a map', { kind: 'map', value: items.map((one, i) => [{ kind: 'int', value: BigInt(i) }, one]) }];
    for (const [i, one] of items.entries()) {
      yield [`item ${i} as a byte string`, { kind: 'array', value: items.with(i, INTRUDER) }];
      if (one.kind === 'int' && i < 2) {
        const float: CborItem = { kind: 'float', value: Number(one.value) };
        yield [`item ${i} as a float`, { kind: 'array', value: items.with(i, float) }];
        const negative: CborItem = { kind: 'int', value: -1n - one.value };
        yield [`item ${i} below zero`, { kind: 'array', value: items.with(i, negative) }];
      }
      if (one.kind !== 'map' || i !== 1) continue;
      for (const [at, [key]] of one.value.entries()) {
        const named = key.kind === 'tstr' ? key.value : show(key);
        const required = ['stream', 'next', 'time', 'resume', 'window', 'max', 'device', 'epoch'].includes(named);
        const less: CborItem = { kind: 'map', value: one.value.toSpliced(at, 1) };
        if (required) yield [`${named} is missing`, { kind: 'array', value: items.with(i, less) }];
        const wrong: CborItem = { kind: 'map', value: one.value.with(at, [key, INTRUDER]) };
        const known = required || ['token', 'id', 'firmware'].includes(named);
        if (known) yield [`${named} as a byte string`, { kind: 'array', value: items.with(i, wrong) }];
        const twice: CborItem = { kind: 'map', value: [...one.value, one.value[at]!] };
        yield [`${named} twice`, { kind: 'array', value: items.with(i, twice) }];
      }
    }
  }

  test.each([
    ...taken.fromDevice.vectors.map((vector) => ['device-message', vector.name, vector] as const),
    ...taken.fromHub.vectors
      .filter(({ meaning }) => meaning.type !== 'unknown')
      .map((vector) => ['hub-message', vector.name, vector] as const),
  ])('%s %s', (rule, _, vector) => {
    for (const [what, mutant] of mutants(readItem(bytesOf(vector)))) {
      expect(flaw(schema, rule, mutant), what).not.toBeNull();
    }
  });

  test('a record with a label of the wrong kind', () => {
    const record = (...pairs: [number, CborItem][]): CborItem => ({
      kind: 'map',
      value: pairs.map(([label, value]) => [{ kind: 'int', value: BigInt(label) }, value]),
    });
    const text: CborItem = { kind: 'tstr', value: 'a' };
    const one: CborItem = { kind: 'int', value: 1n };
    expect(flaw(schema, 'senml-record', record([0, text], [2, one]))).toBeNull();
    for (const label of [-1, -2, -3, -4, -5, -6, 0, 1, 2, 3, 4, 5, 6, 7]) {
      const pairs = (
        [
          [0, text],
          [2, one],
        ] as [number, CborItem][]
      ).filter(([known]) => known !== label);
      expect(flaw(schema, 'senml-record', record(...pairs, [label, INTRUDER])), `label ${label}`).not.toBeNull();
    }
    expect(flaw(schema, 'senml-record', record([0, text], [2, one], [9, INTRUDER]))).toBeNull();
  });
});
