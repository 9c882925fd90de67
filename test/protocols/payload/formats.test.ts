import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PayloadError } from '#protocols/errors.js';
import { DEFAULT_LIMITS } from '#protocols/limits.js';
import { PAYLOAD_FORMATS, type PayloadFormat } from '#protocols/payload/index.js';
import type { Reading } from '#protocols/reading.js';
import { ENCODERS } from './encoders.ts';
import { hex, NOW } from './read.ts';

const DOC = readFileSync(join(import.meta.dirname, '../../../docs/payloads.md'), 'utf8');

/** Null: refused, as PayloadError says it. Anything else that is thrown fails the test. */
function tryRead({ decode }: PayloadFormat, payload: Buffer, nowMs = NOW): Reading[] | null {
  try {
    return decode(payload, DEFAULT_LIMITS, nowMs);
  } catch (error) {
    if (error instanceof PayloadError) return null;
    throw error;
  }
}

const anyReading = fc.record({
  metric: fc.stringMatching(/^[a-zé0-9./-]{1,30}$/).filter((metric) => metric !== 'ts'),
  timeUs: fc.option(fc.integer({ min: 2 ** 28 * 1e6, max: NOW * 1000 })),
  value: fc.oneof(
    // A whole double past 2^53 looks like an integer in JSON, up to 1e21.
    fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .filter((n) => !Number.isInteger(n) || Number.isSafeInteger(n) || Math.abs(n) >= 1e21)
      .map((n) => n + 0),
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.string({ unit: 'grapheme', maxLength: 300 }).filter((s) => !s.startsWith('\ufeff')),
  ),
});

describe('every format', () => {
  test('has an encoder in the tests', () => {
    expect(Object.keys(ENCODERS)).toEqual(PAYLOAD_FORMATS.map((one) => one.name));
  });

  test('gives the same readings for what its usual library wrote', () => {
    fc.assert(
      fc.property(fc.array(anyReading, { minLength: 1, maxLength: 20 }), (readings) => {
        for (const format of PAYLOAD_FORMATS) {
          expect(tryRead(format, ENCODERS[format.name]!(readings)), format.name).toEqual(readings);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('with units gives them back', () => {
    const withUnits: Reading[] = [
      { metric: 'a', timeUs: null, value: 1, unit: 'Cel' },
      { metric: 'b', timeUs: NOW * 1000, value: 'x' },
      { metric: 'c', timeUs: NOW * 1000, value: true, unit: '°' },
    ];
    const named = PAYLOAD_FORMATS.filter(({ name }) => name.startsWith('SenML') || name === 'Protobuf');
    expect(named).toHaveLength(3);
    for (const format of named) {
      expect(tryRead(format, ENCODERS[format.name]!(withUnits)), format.name).toStrictEqual(withUnits);
    }
  });

  const readings: Reading[] = [
    { metric: 'temperature', timeUs: NOW * 1000 - 1, value: 21.53 },
    { metric: 'count', timeUs: NOW * 1000, value: 5_000_000_000 },
    { metric: 'label', timeUs: null, value: 'Grün' },
    { metric: 'open', timeUs: null, value: true },
  ];

  test.each(PAYLOAD_FORMATS)(
    '$name cut after any byte is refused, or a shorter whole that is told from the message',
    (format) => {
      const whole = ENCODERS[format.name]!(readings);
      expect(tryRead(format, whole)).toEqual(readings);
      for (let length = 0; length < whole.length; length++) {
        const cut = tryRead(format, whole.subarray(0, length));
        // Protocol Buffers have no end of their own: cut between two fields, a message is a shorter one.
        if (format.name === 'Protobuf' && cut !== null) expect(cut).toEqual(readings.slice(0, cut.length));
        else expect(cut, `${length} bytes`).toBeNull();
      }
    },
  );

  test.each(PAYLOAD_FORMATS)('$name with any byte changed lets nothing but PayloadError out', (format) => {
    const whole = ENCODERS[format.name]!(readings);
    for (let at = 0; at < whole.length; at++) {
      for (const byte of [0, 1, 0x7f, 0x80, 0xc1, 0xc7, 0xdd, 0xdf, 0xff, whole[at]! ^ 1, whole[at]! ^ 0x20]) {
        const bad = Buffer.from(whole);
        bad[at] = byte;
        checkStorable(tryRead(format, bad));
      }
    }
  });

  test.each(PAYLOAD_FORMATS)('$name made of any bytes lets nothing but PayloadError out', (format) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        checkStorable(tryRead(format, Buffer.from(bytes)));
      }),
      { numRuns: 5000 },
    );
  });

  test.each(PAYLOAD_FORMATS)('$name keeps nothing of the buffer that it was read from', (format) => {
    const bytes = ENCODERS[format.name]!(readings);
    const read = tryRead(format, bytes);
    bytes.fill(0xff);
    expect(read).toEqual(readings);
  });
});

function checkStorable(readings: readonly Reading[] | null): void {
  if (readings === null) return;
  expect(readings.length).toBeGreaterThan(0);
  for (const { metric, timeUs, value, unit } of readings) {
    expect(metric.length).toBeGreaterThan(0);
    expect(timeUs === null || (Number.isSafeInteger(timeUs) && timeUs >= 0)).toBe(true);
    expect(['number', 'string', 'boolean']).toContain(typeof value);
    if (typeof value === 'number') expect(Number.isFinite(value) && !Object.is(value, -0)).toBe(true);
    expect(unit).not.toBe('');
  }
}

describe('docs/payloads.md', () => {
  const rows = [...DOC.matchAll(/^\| \*\*(.+?)\*\* \|(.+)\|$/gm)].map(([, name, rest]) => ({
    name: name!,
    cells: rest!.split('|').map((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code!)),
  }));

  test('its table is that of the code', () => {
    expect(rows.map(({ name, cells }) => ({ name, contentTypes: cells[0]!, topicFormats: cells[1]! }))).toEqual(
      PAYLOAD_FORMATS.map(({ name, contentTypes, topicFormats }) => ({ name, contentTypes, topicFormats })),
    );
  });

  const sections = [...DOC.matchAll(/^### (.+)$([\s\S]*?)(?=^##|$(?![\s\S]))/gm)].map(([, name, text]) => ({
    name: name!,
    examples: [...text!.matchAll(/^```(json|hex)\n([\s\S]*?)^```/gm)].map(([, kind, body]) =>
      kind === 'hex' ? hex(body!.replace(/#.*$/gm, '')) : Buffer.from(body!),
    ),
  }));

  test.each(PAYLOAD_FORMATS)('its examples of $name are read as it says', (format) => {
    const { examples } = sections.find(({ name }) => name === format.name)!;
    expect(examples.length).toBeGreaterThan(0);
    const unit = format.name.startsWith('SenML') || format.name === 'Protobuf' ? { unit: 'Cel' } : {};
    for (const example of examples) {
      expect(tryRead(format, example)).toStrictEqual([
        { metric: 'temperature', timeUs: 1767225600000000, value: 21.5, ...unit },
        { metric: 'door', timeUs: 1767225600000000, value: true },
      ]);
    }
  });
});
