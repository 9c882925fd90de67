import type { CloseReason } from './close-reasons.ts';

/**
 * The client broke its protocol. A session throws it from `receive`; the gateway then lets the session say so in the
 * protocol's own words (`session.end`) and closes the connection with `reason`. It never passes the connection that read it.
 *
 * `message` is for the client and the operator: it says what was wrong and, where it helps, what would have been right.
 * It holds no credentials and at most a short, printable excerpt of what was sent.
 */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly reason: CloseReason;
  /** For the protocol's own answer, such as the `receipt-id` of the STOMP frame that was at fault. */
  readonly context: Readonly<Record<string, string>>;

  constructor(reason: CloseReason, message: string, context: Readonly<Record<string, string>> = {}) {
    super(message);
    this.reason = reason;
    this.context = context;
  }
}

/** Why a payload or a message could not be used although the protocol around it was sound. Stored, counted and shown. */
export const REJECT_CODES = {
  malformed_payload: 'the payload cannot be read in its format',
  unsupported_format: 'no decoder serves this content type',
  value_not_allowed: 'a value is of a kind that is not stored (array, NaN, infinity, integer past 2^53)',
  metric_name: 'a metric name is empty, too long or not printable',
  too_many_readings: 'one message holds more readings than the limit',
  too_deep: 'the payload is nested deeper than the limit',
  empty: 'the payload holds no reading',
  time_in_future: 'a time stamp lies more than the allowed span ahead of the hub clock',
  time_not_allowed: 'a time stamp cannot be read or lies outside the years 1970 to 9999',
  series_limit: 'the device would have more series than the limit',
  unknown_device: 'the topic names a device that does not exist',
  unknown_command: 'the topic names a command that this device does not have',
  queue_full: 'the queue has no room, or there are too many queues',
  topic_not_allowed: 'the hub keeps this topic for itself, or the client may not use it',
} as const;

export type RejectCode = keyof typeof REJECT_CODES;

/** A payload decoder's refusal: the message is not stored, not in part either. */
export class PayloadError extends Error {
  override readonly name = 'PayloadError';
  readonly code: RejectCode;

  constructor(code: RejectCode, message: string = REJECT_CODES[code]) {
    super(message);
    this.code = code;
  }
}
