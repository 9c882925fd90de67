import { isUtf8, type Buffer } from 'node:buffer';
// The part of the library that reads and writes the wire format: it makes no code at run time, as its reflection does.
import protobuf from 'protobufjs/minimal.js';
import { PayloadError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import type { Reading, Value } from '../reading.ts';
import { STRICT_PAYLOADS, type PayloadOptions } from './json.ts';
import { checkMetric, checkText, checkTime, checkUnit, excerpt } from './rules.ts';

type Reader = protobuf.Reader;

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** A reading as it stands in the message, before the base time is known: that may follow. */
interface Draft {
  metric: string;
  timeUs: number;
  value: Value | undefined;
  unit: string;
}

/**
 * `application/x-protobuf`: a `Telemetry` message of telemetry.proto. As Protocol Buffers have it, unknown fields are passed over, and of a field
 * that stands twice the last one counts. Groups are refused, and so is a known field in another wire type: then sender and hub do not mean
 * the same schema.
 *
 * @param payload may be a slice of the socket's buffer; the readings do not refer to it.
 * @throws PayloadError
 */
export function decodeProtobuf(
  payload: Buffer,
  limits: ProtocolLimits,
  nowMs: number,
  options: PayloadOptions = STRICT_PAYLOADS,
): Reading[] {
  const drafts: Draft[] = [];
  let baseUs = 0;
  try {
    const reader = protobuf.Reader.create(payload);
    while (reader.pos < payload.length) {
      const tag = reader.tag();
      if (tag >>> 3 === 1) {
        if (drafts.length >= limits.maxReadings) {
          throw new PayloadError('too_many_readings', `one message may hold ${limits.maxReadings} readings`);
        }
        drafts.push(draftOf(bytesOf(reader, tag, 'readings'), limits, options));
      } else if (tag >>> 3 === 2) {
        expect(tag, VARINT, 'base_time_us');
        baseUs = timePart(reader.int64());
      } else {
        pass(reader, tag);
      }
    }
  } catch (error) {
    throw error instanceof PayloadError ? error : notProtobuf();
  }
  if (drafts.length === 0) throw new PayloadError('empty');
  return drafts.map((draft) => readingOf(draft, baseUs, nowMs, limits));
}

function draftOf(bytes: Buffer, limits: ProtocolLimits, options: PayloadOptions): Draft {
  const draft: Draft = { metric: '', timeUs: 0, value: undefined, unit: '' };
  const reader = protobuf.Reader.create(bytes);
  while (reader.pos < bytes.length) {
    const tag = reader.tag();
    switch (tag >>> 3) {
      case 1:
        draft.metric = textOf(reader, tag, 'metric');
        break;
      case 2:
        expect(tag, VARINT, 'time_us');
        draft.timeUs = timePart(reader.sint64());
        break;
      case 3:
        expect(tag, FIXED64, 'number');
        draft.value = reader.double();
        break;
      case 4:
        expect(tag, VARINT, 'integer');
        draft.value = integerOf(reader.sint64(), options);
        break;
      case 5:
        expect(tag, VARINT, 'flag');
        draft.value = reader.bool();
        break;
      case 6:
        draft.value = textOf(reader, tag, 'text');
        break;
      case 7:
        draft.unit = textOf(reader, tag, 'unit');
        break;
      default:
        pass(reader, tag);
    }
  }
  checkMetric(draft.metric, limits);
  if (draft.unit !== '') checkUnit(draft.unit, limits);
  return draft;
}

function readingOf(draft: Draft, baseUs: number, nowMs: number, limits: ProtocolLimits): Reading {
  const { metric, value, unit } = draft;
  const us = baseUs + draft.timeUs;
  const timeUs = us === 0 ? null : checkTime(us, nowMs, limits);
  if (value === undefined) {
    throw new PayloadError('malformed_payload', `${excerpt(metric)} has no value (number, integer, flag or text)`);
  }
  if (typeof value === 'string') checkText(metric, value, limits);
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new PayloadError('value_not_allowed', `the number of ${excerpt(metric)} is NaN or infinite`);
  }
  const stored = typeof value === 'number' ? value + 0 : value; // -0 becomes 0
  return unit === '' ? { metric, timeUs, value: stored } : { metric, timeUs, value: stored, unit };
}

/** What `int64` and `sint64` come as: two halves. */
type Wide = ReturnType<Reader['int64']>;

/** Exact up to 2^53, and past it where it lies. */
function numberOf({ high, low }: Wide): number {
  return high * 0x1_0000_0000 + (low >>> 0);
}

function timePart(wide: Wide): number {
  const us = numberOf(wide);
  if (!Number.isSafeInteger(us)) throw new PayloadError('time_not_allowed');
  return us;
}

function integerOf(wide: Wide, options: PayloadOptions): number {
  const value = numberOf(wide);
  if (Number.isSafeInteger(value) || options.largeIntegers === 'round') return value;
  throw new PayloadError('value_not_allowed', 'an integer is past 2^53; send it as number or as text');
}

/** The bytes of a field with a length, which is checked before anything is made of it. */
function bytesOf(reader: Reader, tag: number, field: string): Buffer {
  expect(tag, LENGTH, field);
  return reader.bytes() as Buffer;
}

function textOf(reader: Reader, tag: number, field: string): string {
  const bytes = bytesOf(reader, tag, field);
  if (!isUtf8(bytes)) throw new PayloadError('malformed_payload', `the field ${field} is not UTF-8`);
  return bytes.toString('utf8');
}

function expect(tag: number, wireType: number, field: string): void {
  if ((tag & 7) === wireType) return;
  const words = `the field ${field} has wire type ${tag & 7} and not ${wireType}: not a Telemetry message of telemetry.proto`;
  throw new PayloadError('malformed_payload', words);
}

/** An unknown field. */
function pass(reader: Reader, tag: number): void {
  if (tag >>> 3 === 0) throw notProtobuf();
  switch (tag & 7) {
    case VARINT:
      reader.uint64(); // refuses one of more than ten bytes, which skipping would not
      return;
    case FIXED64:
      reader.skip(8);
      return;
    case LENGTH:
      reader.skip(reader.uint32());
      return;
    case FIXED32:
      reader.skip(4);
      return;
    default:
      throw new PayloadError('malformed_payload', 'groups are not served');
  }
}

function notProtobuf(): PayloadError {
  return new PayloadError('malformed_payload', 'the payload is not a Telemetry message of telemetry.proto');
}
