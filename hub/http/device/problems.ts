import { CLOSE_REASONS, type CloseReason } from '#protocols/close-reasons.js';
import { REJECT_CODES, type RejectCode } from '#protocols/errors.js';
import type { RefusalCode } from '#hub/gateway/port.js';
import { REFUSAL_TITLES } from '#hub/gateway/refusal.js';

interface Row {
  readonly status: number;
  readonly title: string;
}

/** How a request of a device can fail, besides the ways of the API: the words are those of every other protocol. */
export const DEVICE_PROBLEMS = {
  // What it sent: the codes of the rejected list.
  malformed_payload: rejected(400, 'malformed_payload'),
  unsupported_format: rejected(415, 'unsupported_format'),
  value_not_allowed: rejected(422, 'value_not_allowed'),
  metric_name: rejected(422, 'metric_name'),
  too_many_readings: rejected(413, 'too_many_readings'),
  too_deep: rejected(422, 'too_deep'),
  empty: rejected(422, 'empty'),
  time_in_future: rejected(422, 'time_in_future'),
  time_not_allowed: rejected(422, 'time_not_allowed'),
  series_limit: rejected(422, 'series_limit'),
  queue_full: rejected(503, 'queue_full'),
  unknown_command: { status: 404, title: 'this device has no such command' },
  unknown_device: { status: 404, title: 'there is no such device' },
  topic_not_allowed: { status: 403, title: 'this device may not send that' },
  gap: { status: 409, title: 'a sequence number was skipped' },

  // Who it is: the codes of handshakes and of closed connections.
  bad_credentials: refused(401, 'bad_credentials'),
  credentials_required: closed(401, 'credentials_required'),
  credentials_contradict: refused(400, 'credentials_contradict'),
  client_id_refused: { status: 400, title: 'the header Muster-Device is not acceptable' },
  not_authorized: closed(403, 'not_authorized'),
  origin_not_allowed: refused(403, 'origin_not_allowed'),
  protocol_not_allowed: closed(403, 'protocol_not_allowed'),
  device_disabled: closed(403, 'device_disabled'),
  device_deleted: closed(401, 'device_deleted'),
  registration_limit: closed(403, 'registration_limit'),

  // Its connection.
  taken_over: closed(409, 'taken_over'),
  closed_by_operator: closed(503, 'closed_by_operator'),
  identify_timeout: closed(503, 'identify_timeout'),
  idle_timeout: closed(503, 'idle_timeout'),

  // The hub's own state.
  too_many_from_address: refused(429, 'too_many_from_address'),
  too_many_connections: refused(503, 'too_many_connections'),
  overloaded: closed(503, 'overloaded'),
  store_unavailable: closed(503, 'store_unavailable'),
  shutting_down: refused(503, 'shutting_down'),
  hub_shutdown: closed(503, 'hub_shutdown'),
  internal_error: closed(503, 'internal_error'),
} as const satisfies Record<string, Row>;

export type DeviceProblemCode = keyof typeof DEVICE_PROBLEMS;

export function isDeviceProblem(code: string): code is DeviceProblemCode {
  return Object.hasOwn(DEVICE_PROBLEMS, code);
}

function rejected(status: number, code: RejectCode): Row {
  return { status, title: REJECT_CODES[code] };
}

function closed(status: number, reason: CloseReason): Row {
  return { status, title: CLOSE_REASONS[reason].text };
}

function refused(status: number, code: RefusalCode): Row {
  return { status, title: REFUSAL_TITLES[code] };
}
