import type { CloseReason } from '../close-reasons.ts';
import type { RejectCode } from '../errors.ts';
import type { Outcome } from '../outcome.ts';
import {
  BAD_CREDENTIALS,
  IDENTIFIER_REJECTED,
  NOT_AUTHORIZED,
  REASON,
  SERVER_UNAVAILABLE,
  UNACCEPTABLE_VERSION,
} from './reason-codes.ts';

/** CONNACK return codes of MQTT 3, table 3.1; reasons without one are closed without a word. */
const RETURN_CODES: Partial<Record<CloseReason, number>> = {
  unsupported_version: UNACCEPTABLE_VERSION,
  client_id_refused: IDENTIFIER_REJECTED,
  store_unavailable: SERVER_UNAVAILABLE,
  overloaded: SERVER_UNAVAILABLE,
  registration_limit: SERVER_UNAVAILABLE,
  internal_error: SERVER_UNAVAILABLE,
  hub_shutdown: SERVER_UNAVAILABLE,
  identify_timeout: SERVER_UNAVAILABLE,
  bad_credentials: BAD_CREDENTIALS,
  credentials_required: NOT_AUTHORIZED,
  credentials_contradict: NOT_AUTHORIZED,
  protocol_not_allowed: NOT_AUTHORIZED,
  device_disabled: NOT_AUTHORIZED,
  device_deleted: NOT_AUTHORIZED,
  not_authorized: NOT_AUTHORIZED,
};

/** The CONNACK return code of MQTT 3 that says `reason`, or null: it has no word for it. */
export function returnCode(reason: CloseReason): number | null {
  return RETURN_CODES[reason] ?? null;
}

/** Reason codes of PUBACK and PUBREC, MQTT 5.0, 3.4.2.1, for what the hub could not use. */
const REJECTED: Record<RejectCode, number> = {
  malformed_payload: REASON.payloadFormatInvalid,
  unsupported_format: REASON.payloadFormatInvalid,
  value_not_allowed: REASON.payloadFormatInvalid,
  metric_name: REASON.payloadFormatInvalid,
  too_many_readings: REASON.quotaExceeded,
  too_deep: REASON.payloadFormatInvalid,
  empty: REASON.payloadFormatInvalid,
  time_in_future: REASON.payloadFormatInvalid,
  time_not_allowed: REASON.payloadFormatInvalid,
  series_limit: REASON.quotaExceeded,
  queue_full: REASON.quotaExceeded,
  unknown_device: REASON.notAuthorized,
  unknown_command: REASON.topicNameInvalid,
  topic_not_allowed: REASON.notAuthorized,
};

/** What PUBACK or PUBREC of MQTT 5.0 say of an outcome. */
export function publishReason(outcome: Outcome): { readonly code: number; readonly text: string } {
  switch (outcome.kind) {
    case 'rejected':
      return { code: REJECTED[outcome.code], text: `${outcome.code}: ${outcome.message}` };
    case 'gap':
      return { code: REASON.implementationSpecific, text: `sequence gap: seq ${outcome.expected} is expected` };
    default:
      return { code: REASON.success, text: '' };
  }
}
