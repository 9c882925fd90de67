/**
 * Why a connection ended: the one table that every protocol, the presence events, the logs and the metrics share.
 *
 * - `webSocketCode`: RFC 6455, 7.4; 4000 to 4999 are ours.
 * - `mqtt5`: reason code of an MQTT 5.0 DISCONNECT, section 3.14.2.1.
 * - `initiator`: who ended it, as shown to operators.
 * - `reconnect`: whether a device should come back by itself.
 * - `text`: what the other side and the operator read.
 */
interface Row {
  readonly webSocketCode: number;
  readonly mqtt5: number;
  readonly initiator: Initiator;
  readonly reconnect: boolean;
  readonly text: string;
}

export type Initiator = 'device' | 'hub' | 'network';

export const CLOSE_REASONS = {
  // The device's doing.
  client_disconnect: row(1000, 0x00, 'device', true, 'the client said goodbye'),
  client_closed: row(1000, 0x00, 'device', true, 'the client closed the WebSocket without a goodbye of its protocol'),
  connection_lost: row(1006, 0x80, 'network', true, 'the connection broke without a close'),

  // Liveness.
  ping_timeout: row(4008, 0x8d, 'hub', true, 'no pong and no other byte within the ping time-out'),
  keep_alive_timeout: row(4008, 0x8d, 'hub', true, 'no control packet within 1.5 times the MQTT keep-alive'),
  heart_beat_timeout: row(4008, 0x8d, 'hub', true, 'no byte within twice the agreed STOMP heart-beat'),
  idle_timeout: row(4008, 0x8d, 'hub', true, 'no message within the idle time-out'),
  identify_timeout: row(4001, 0x87, 'hub', true, 'the client did not identify itself in time'),

  // Identity.
  bad_credentials: row(4003, 0x86, 'hub', false, 'the credentials are unknown or were revoked'),
  credentials_required: row(4003, 0x87, 'hub', false, 'this hub accepts nobody without credentials'),
  credentials_contradict: row(4003, 0x87, 'hub', false, 'two credentials name different principals'),
  protocol_not_allowed: row(4003, 0x87, 'hub', false, 'the policy of this device does not allow this protocol'),
  bad_authentication_method: row(4003, 0x8c, 'hub', false, 'this hub knows no authentication by AUTH packets'),
  client_id_refused: row(4003, 0x85, 'hub', false, 'the client id is not acceptable'),
  device_disabled: row(4003, 0x87, 'hub', false, 'the device is disabled'),
  device_deleted: row(4003, 0x98, 'hub', false, 'the device was deleted'),
  registration_limit: row(4003, 0x97, 'hub', false, 'no more devices may register by themselves'),
  taken_over: row(4009, 0x8e, 'hub', false, 'a newer connection of the same device took over'),
  closed_by_operator: row(4000, 0x98, 'hub', true, 'an operator closed the connection'),

  // What the client sent.
  malformed: row(1002, 0x81, 'hub', false, 'the bytes are not what the protocol allows'),
  protocol_error: row(1002, 0x82, 'hub', false, 'the message is well formed but not allowed here'),
  unsupported_version: row(1002, 0x84, 'hub', false, 'this protocol version is not served'),
  unsupported_data: row(
    1003,
    0x81,
    'hub',
    false,
    'this subprotocol takes no such WebSocket message (text where binary is needed, or the reverse)',
  ),
  too_large: row(1009, 0x95, 'hub', false, 'a message is larger than the limit'),
  topic_name_invalid: row(
    1008,
    0x90,
    'hub',
    false,
    'the topic name is sound, and longer or deeper than this hub takes',
  ),
  topic_alias_invalid: row(
    1008,
    0x94,
    'hub',
    false,
    'a topic alias of 0 or above the agreed maximum, or one never set',
  ),
  receive_maximum_exceeded: row(1008, 0x93, 'hub', false, 'more unacknowledged messages than the receive maximum'),
  payload_format_invalid: row(1008, 0x99, 'hub', false, 'a will is not UTF-8, although it says that it is'),
  limit_exceeded: row(1008, 0x97, 'hub', false, 'the client went over one of its limits'),
  not_authorized: row(1008, 0x87, 'hub', false, 'the client may not do this'),
  qos_not_supported: row(1008, 0x9b, 'hub', false, 'this quality of service is not served'),
  sequence_gap: row(1008, 0x82, 'hub', true, 'a sequence number was skipped'),

  // The hub's own state.
  slow_consumer: row(4013, 0x97, 'hub', true, 'the client does not read what it is sent'),
  overloaded: row(1013, 0x89, 'hub', true, 'the hub cannot take more at present'),
  store_unavailable: row(1013, 0x88, 'hub', true, 'the hub cannot write to its disk at present'),
  hub_shutdown: row(1001, 0x8b, 'hub', true, 'the hub is shutting down'),
  hub_crashed: row(1006, 0x80, 'hub', true, 'the hub ended without a goodbye; found at its next start'),
  internal_error: row(1011, 0x80, 'hub', true, 'a fault inside the hub'),
} as const satisfies Record<string, Row>;

export type CloseReason = keyof typeof CLOSE_REASONS;

export function closeReason(name: CloseReason): Row {
  return CLOSE_REASONS[name];
}

function row(webSocketCode: number, mqtt5: number, initiator: Initiator, reconnect: boolean, text: string): Row {
  return { webSocketCode, mqtt5, initiator, reconnect, text };
}
