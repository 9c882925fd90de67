import type { Value } from '#protocols/reading.js';

/** One value of one metric. */
export interface MessageReading {
  readonly metric: string;
  readonly value: Value;
  /** Integer microseconds since 1970; absent: the time of the message. */
  readonly timeUs?: number;
}

/** What was measured, as one message: stored whole or not at all. */
export interface DataMessage {
  /** Integer microseconds since 1970, of every reading that has none of its own. Null: the hub gives its time at arrival. */
  readonly timeUs: number | null;
  readonly readings: readonly MessageReading[];
}

/** Something that happened. */
export interface EventMessage {
  /** Name of the event, `[A-Za-z0-9._-]{1,64}`. */
  readonly event: string;
  /** A JSON value, null for none. */
  readonly value: unknown;
}

/** What a device keeps until the hub has it on disk. Readings and events share one numbering. */
export type Message = DataMessage | EventMessage;

export function isEvent(message: Message): message is EventMessage {
  return 'event' in message;
}

/** Objects and numbers of a reading in memory, roughly. */
const READING_BYTES = 32;
const MESSAGE_BYTES = 64;

/** What a message weighs in a queue, in bytes: an estimate, never far below what it takes. */
export function messageBytes(message: Message): number {
  if (isEvent(message))
    return MESSAGE_BYTES + 2 * (message.event.length + JSON.stringify(message.value ?? null).length);
  let bytes = MESSAGE_BYTES;
  for (const { metric, value } of message.readings) {
    bytes += READING_BYTES + metric.length + (typeof value === 'string' ? 2 * value.length : 8);
  }
  return bytes;
}

/**
 * Readings as JSON: an object of metric to value with `ts` in milliseconds since 1970, and an array of such objects where
 * readings have times of their own or a metric comes twice.
 */
export function telemetryJson(message: DataMessage): string {
  const objects: Record<string, unknown>[] = [];
  let current: Record<string, unknown> | null = null;
  let currentUs: number | null = null;
  for (const { metric, value, timeUs = message.timeUs } of message.readings) {
    if (current === null || timeUs !== currentUs || metric in current) {
      // No prototype: a metric may be called `__proto__`.
      current = Object.create(null) as Record<string, unknown>;
      if (timeUs !== null) current['ts'] = timeUs / 1000;
      currentUs = timeUs;
      objects.push(current);
    }
    current[metric] = value;
  }
  return JSON.stringify(objects.length === 1 ? objects[0] : objects);
}
