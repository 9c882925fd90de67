import { encode } from '@msgpack/msgpack';
import { encodeArray } from '#protocols/cbor/cbor.js';
import { senmlRecords } from '#protocols/cbor/records.js';
import { fromJson } from '#protocols/cbor/values.js';
import { SENML } from '#protocols/payload/senml.js';
import type { Reading } from '#protocols/reading.js';
import { encodeProtobuf } from './telemetry-proto.ts';

const NAMES = new Map<number, string>(Object.entries(SENML).map(([name, label]) => [label, name]));

/** Readings as each format's usual library writes them, by the name of the format. */
export const ENCODERS: Readonly<Record<string, (readings: readonly Reading[]) => Buffer>> = {
  JSON: (readings) => Buffer.from(JSON.stringify(asDocument(readings))),
  'SenML JSON': (readings) =>
    Buffer.from(
      JSON.stringify(
        senmlRecords(readings).map((record) =>
          Object.fromEntries(
            [...record].map(([label, v]) => [NAMES.get(label)!, typeof v === 'bigint' ? Number(v) : v]),
          ),
        ),
      ),
    ),
  'SenML CBOR': (readings) => encodeArray(senmlRecords(readings)),
  CBOR: (readings) => encodeArray(fromJson(asDocument(readings), 8) as unknown[]),
  MessagePack: (readings) => Buffer.from(encode(asDocument(readings))),
  Protobuf: (readings) => encodeProtobuf(readings),
};

/** A batch of one object each: times as milliseconds. */
function asDocument(readings: readonly Reading[]): Record<string, unknown>[] {
  return readings.map(({ metric, timeUs, value }) =>
    timeUs === null ? { [metric]: value } : { ts: timeUs / 1000, [metric]: value },
  );
}
