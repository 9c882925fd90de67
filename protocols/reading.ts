/** What a metric can hold. NaN, infinities and integers past 2^53 are refused by the decoders. */
export type Value = number | boolean | string;

/** One value of one metric at one time, as a decoder hands it over. */
export interface Reading {
  readonly metric: string;
  /** Integer microseconds since 1970-01-01T00:00Z, or null: the device gave no time and the hub gives its own. */
  readonly timeUs: number | null;
  readonly value: Value;
  /** What it is measured in, as the device wrote it (SenML's `u`); absent where the format has no units or the device gave none. */
  readonly unit?: string;
}

/** Place of a message in a device's numbered queue: exactly-once storage. `stream` is the device's random name for the queue, `seq` counts from 1. */
export interface StreamPosition {
  readonly stream: string;
  readonly seq: number;
}
