import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MetricNames } from '#protocols/cbor/metric-names.js';

const nameAt = (names: MetricNames, bytes: Buffer): string | null => names.at(bytes, 0, bytes.length);

test('a name is that of its bytes, however many others were read before', () => {
  const names = new MetricNames();
  // More than there are places, so that names take each other's.
  const all = Array.from({ length: 5000 }, (_, i) => `sensor.${i}.temperature`);
  for (let round = 0; round < 2; round++) {
    for (const name of all) expect(nameAt(names, Buffer.from(name))).toBe(name);
  }
});

test('whatever the bytes are, it is their text or none', () => {
  const names = new MetricNames();
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ maxLength: 70 }).map((text) => Buffer.from(text)),
        fc.uint8Array({ maxLength: 70 }).map((b) => Buffer.from(b)),
      ),
      (bytes) => {
        const readable = /^[\x20-\x7e]{1,64}$/.test(bytes.toString('latin1'));
        expect(nameAt(names, bytes)).toBe(readable ? bytes.toString('latin1') : null);
      },
    ),
    { numRuns: 2000 },
  );
});

test('a piece of a buffer is a name, and the buffer may change after it', () => {
  const names = new MetricNames();
  const bytes = Buffer.from('..temp..');
  expect(names.at(bytes, 2, 6)).toBe('temp');
  bytes.fill(0x78);
  expect(names.at(bytes, 2, 6)).toBe('xxxx');
  expect(nameAt(names, Buffer.from('temp'))).toBe('temp');
});
