import type { Value } from '#protocols/reading.js';
import type { DataMessage, EventMessage, MessageReading } from './message.ts';

/** One reading as a program gives it. */
export interface ReadingInput {
  readonly metric: string;
  readonly value: Value;
  /** Milliseconds since 1970, fractions to the microsecond; absent: the time of the message. */
  readonly timeMs?: number;
}

/** Metric to value, or readings. */
export type Readings = Readonly<Record<string, Value>> | readonly ReadingInput[];

/** A hub takes so many readings in one message unless it was told otherwise. */
const MAX_READINGS = 1000;
/** RFC 8428, 4.5.3: SenML cannot say times before July 1978, and no clock that has been set is there. */
const EARLIEST_MS = 2 ** 28 * 1000;
/** The end of the year 9999. */
const LATEST_MS = 253_402_300_800_000;
const NAME = /^[A-Za-z0-9._-]{1,64}$/;

/** What was measured, as the message that leaves. Throws TypeError for what every hub would refuse. */
export function checkReadings(input: Readings, timeMs: number): DataMessage {
  const given: readonly ReadingInput[] = Array.isArray(input)
    ? (input as readonly ReadingInput[])
    : Object.entries(input as Readonly<Record<string, Value>>).map(([metric, value]) => ({ metric, value }));
  if (given.length === 0) throw new TypeError('there is no reading to send');
  if (given.length > MAX_READINGS) throw new TypeError(`a message may hold ${MAX_READINGS} readings`);
  const timeUs = timeMs < EARLIEST_MS ? null : microseconds(timeMs);
  return { timeUs, readings: given.map(checkReading) };
}

function checkReading({ metric, value, timeMs }: ReadingInput): MessageReading {
  if (typeof metric !== 'string' || metric === '') throw new TypeError('a metric must have a name');
  if (metric === 'ts') throw new TypeError('ts cannot be the name of a metric: in JSON it is the time');
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`${metric} is ${value}; only finite numbers are stored`);
    if (Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < 2 ** 64) {
      throw new TypeError(`${metric} is an integer past 2^53, which a number cannot hold exactly; send it as a string`);
    }
  } else if (typeof value !== 'boolean' && typeof value !== 'string') {
    throw new TypeError(`${metric} must be a number, a boolean or a string`);
  }
  // JSON has no -0.
  const kept = value === 0 ? 0 : value;
  return timeMs === undefined ? { metric, value: kept } : { metric, value: kept, timeUs: microseconds(timeMs) };
}

function microseconds(timeMs: number): number {
  if (!(timeMs >= EARLIEST_MS && timeMs < LATEST_MS)) {
    throw new TypeError(`${timeMs} is no time in milliseconds since 1970, from July 1978 to the year 9999`);
  }
  return Math.round(timeMs * 1000);
}

/** An event, as the message that leaves. Throws TypeError. */
export function checkEvent(event: string, value: unknown): EventMessage {
  if (!NAME.test(event)) throw new TypeError('an event name must be 1 to 64 of A-Z a-z 0-9 . _ -');
  const json = JSON.stringify(value ?? null) as string | undefined;
  if (json === undefined) throw new TypeError('the value of an event must be a JSON value');
  // A copy: what the program does with its object later must not change what is sent.
  return { event, value: JSON.parse(json) as unknown };
}
