import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { decodeHubMessage } from '#protocols/cbor/codec.js';

const VECTORS = join(import.meta.dirname, '../../protocols/cbor/vectors');

/** A message of protocols/cbor/vectors. */
export interface Vector {
  readonly name: string;
  readonly hex: string;
  readonly meaning: Meaning;
  /** False: the meaning has shorter or plainer bytes, too. */
  readonly encodes?: boolean;
}

interface VectorReading {
  readonly metric: string;
  readonly unit?: string;
  readonly timeUs: number | null;
  readonly value: unknown;
}

/** What a message says; which of it is there depends on `type`. */
export interface Meaning {
  readonly type: string;
  readonly seq?: number;
  readonly stream?: string;
  readonly next?: number;
  readonly token?: string;
  readonly id?: string;
  readonly firmware?: string;
  readonly readings?: readonly VectorReading[];
  readonly commandId?: string;
  readonly status?: string;
  readonly name?: string;
  readonly value?: unknown;
  readonly params?: unknown;
  readonly deadlineMs?: number;
  readonly timeMs?: number;
  readonly resumeSeq?: number;
  readonly window?: number;
  readonly maxMessageBytes?: number;
  readonly device?: string;
  readonly epoch?: number;
  readonly code?: string;
  readonly text?: string;
  readonly expected?: number;
  readonly number?: number;
}

/** `file`: `device-to-hub`, `hub-to-device`, `refused-by-device`. */
export function vectorsOf(file: string): Vector[] {
  const { vectors } = JSON.parse(readFileSync(join(VECTORS, `${file}.json`), 'utf8')) as { vectors: Vector[] };
  return vectors;
}

export interface Damaged {
  readonly bytes: Buffer;
  /** What our own reader finds in it; null: it refuses. */
  readonly type: string | null;
}

/** Messages of a hub with up to four damages each, some of them harmless; and mere bytes. */
export function damagedMessages(count: number): Damaged[] {
  const vectors = vectorsOf('hub-to-device').map(({ hex }) => Buffer.from(hex, 'hex'));
  const damage = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }), fc.constantFrom('set', 'insert', 'drop', 'cut'));
  const damaged = fc
    .tuple(fc.constantFrom(...vectors), fc.array(damage, { minLength: 1, maxLength: 4 }))
    .map(([bytes, damages]) => damages.reduce<Buffer>((before, one) => damagedBy(before, ...one), bytes));
  const anything = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes));
  const samples = fc.sample(fc.oneof({ arbitrary: damaged, weight: 5 }, { arbitrary: anything, weight: 1 }), count);
  const found = samples.map((bytes) => ({ bytes, type: typeOf(bytes) }));
  const taken = found.filter(({ type }) => type !== null).length;
  if (taken < count / 100 || taken > count / 2) throw new Error(`${taken} of ${count} are still sound`);
  return found;
}

function damagedBy(bytes: Buffer, position: number, byte: number, how: string): Buffer {
  const at = bytes.length === 0 ? 0 : position % bytes.length;
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at + 1)];
  if (how === 'cut') return before;
  if (how === 'drop') return Buffer.concat([before, after]);
  return Buffer.concat([before, Buffer.of(byte), how === 'set' ? after : bytes.subarray(at)]);
}

function typeOf(bytes: Buffer): string | null {
  try {
    return decodeHubMessage(bytes).type;
  } catch {
    return null;
  }
}
