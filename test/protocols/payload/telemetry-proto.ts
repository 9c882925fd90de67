import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import type { Reading } from '#protocols/reading.js';

const SOURCE = readFileSync(join(import.meta.dirname, '../../../protocols/payload/telemetry.proto'), 'utf8');

/** The published schema as the library itself reads it. */
export const PROTO = protobuf.parse(SOURCE, { keepCase: true }).root;
export const TELEMETRY = PROTO.lookupType('muster.v1.Telemetry');

/** As a device would that has code made of telemetry.proto. */
export function encodeProtobuf(readings: readonly Reading[], baseUs = 0): Buffer {
  const message = {
    base_time_us: baseUs,
    readings: readings.map(({ metric, timeUs, value, unit }) => ({
      metric,
      time_us: timeUs === null ? 0 : timeUs - baseUs,
      ...fieldOf(value),
      unit: unit ?? '',
    })),
  };
  return Buffer.from(TELEMETRY.encode(TELEMETRY.create(message)).finish());
}

function fieldOf(value: Reading['value']): Record<string, unknown> {
  if (typeof value === 'string') return { text: value };
  if (typeof value === 'boolean') return { flag: value };
  return Number.isSafeInteger(value) ? { integer: value } : { number: value };
}
