import type { CloseReason } from '../close-reasons.ts';
import { ProtocolError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import type { Identification, PublishRequest } from '../subprotocol.ts';
import {
  BAD_CREDENTIALS,
  CONNACK_5_UNSUPPORTED_VERSION,
  encodeConnack,
  IDENTIFIER_REJECTED,
  NOT_AUTHORIZED,
  SERVER_UNAVAILABLE,
  UNACCEPTABLE_VERSION,
} from './encode.ts';
import { parseConnect, withByte } from './packets.ts';
import { checkTopicName } from './publish.ts';
import { checkConnect, readVersion } from './validate.ts';

/** What a CONNECT asks for, or the answer with which it is refused at once. */
export type Connect =
  | {
      readonly ok: true;
      /** 3: MQTT 3.1, 4: MQTT 3.1.1. */
      readonly level: 3 | 4;
      readonly keepAliveS: number;
      readonly identification: Identification;
      /** Owns its payload. */
      readonly will: PublishRequest | null;
    }
  | { readonly ok: false; readonly answer: Buffer; readonly reason: CloseReason; readonly detail: string };

/** Reads a whole CONNECT packet, section 3.1. Throws ProtocolError where MQTT wants a close without CONNACK. */
export function readConnect(data: Buffer, start: number, body: number, end: number, limits: ProtocolLimits): Connect {
  const refusal = refusedVersion(readVersion(data, body, end));
  if (refusal !== null) return refusal;
  const shape = checkConnect(data, body, end);
  const level = shape.level === 3 ? 3 : 4;
  const packet = parseConnect(withByte(data.subarray(start, end), shape.flagsAt - start, shape.flags));
  const persistent = packet.clean === false;
  if (packet.clientId === '' && persistent) return refusedClientId('an empty client id needs a clean session');
  // MQTT 3.1, section 3.1: 1 to 23 characters. The hub is generous about the 23, the 1 stands.
  if (packet.clientId === '' && level === 3) return refusedClientId('MQTT 3.1 needs a client id');
  if (Buffer.byteLength(packet.clientId) > limits.maxClientIdBytes) {
    return refusedClientId(`a client id may have ${limits.maxClientIdBytes} bytes`);
  }
  const keepAliveS = packet.keepalive ?? 0;
  return {
    ok: true,
    level,
    keepAliveS,
    identification: {
      clientId: packet.clientId === '' ? null : packet.clientId,
      credentials: readCredentials(packet.username, packet.password),
      persistent,
      description: { level: level === 3 ? '3.1' : '3.1.1', keepAliveS: String(keepAliveS) },
    },
    will: packet.will === undefined ? null : readWill(packet.will, limits),
  };
}

/** [MQTT-3.1.2-1, MQTT-3.1.2-2]; a client of MQTT 5.0 is answered in its own form (MQTT 5.0, 3.1.2.2). */
function refusedVersion({ name, level }: { readonly name: string; readonly level: number }): Connect | null {
  if (name !== 'MQTT' && name !== 'MQIsdp') {
    throw new ProtocolError('unsupported_version', 'the protocol name is neither MQTT nor MQIsdp');
  }
  if ((name === 'MQTT' && level === 4) || (name === 'MQIsdp' && level === 3)) return null;
  const isFive = name === 'MQTT' && level === 5;
  return {
    ok: false,
    answer: isFive ? CONNACK_5_UNSUPPORTED_VERSION : encodeConnack(false, UNACCEPTABLE_VERSION),
    reason: 'unsupported_version',
    detail: `${name} level ${level} is not served; MQTT 3.1.1 (MQTT, 4) and 3.1 (MQIsdp, 3) are`,
  };
}

/** [MQTT-3.1.3-8, MQTT-3.1.3-9] */
function refusedClientId(detail: string): Connect {
  return { ok: false, answer: encodeConnack(false, IDENTIFIER_REJECTED), reason: 'client_id_refused', detail };
}

function readCredentials(username: string | undefined, password: Buffer | undefined): Identification['credentials'] {
  if (username === undefined) return null;
  return { username, password: password === undefined ? null : password.toString('utf8') };
}

function readWill(
  will: { topic: string; payload: Buffer | string; qos?: number; retain?: boolean },
  limits: ProtocolLimits,
): PublishRequest {
  checkTopicName(will.topic, Buffer.byteLength(will.topic), limits);
  const payload = Buffer.allocUnsafeSlow(will.payload.length);
  (will.payload as Buffer).copy(payload);
  return {
    topic: will.topic,
    payload,
    // QoS 2 is not served yet: such a will is published at QoS 1, the most that any subscriber is granted.
    qos: will.qos === 0 ? 0 : 1,
    retain: will.retain === true,
    contentType: null,
    headers: [],
  };
}

/** CONNACK return code of a refusal; reasons without one are closed without a word. */
const CONNACK_CODES: Partial<Record<CloseReason, number>> = {
  bad_credentials: BAD_CREDENTIALS,
  credentials_required: NOT_AUTHORIZED,
  credentials_contradict: NOT_AUTHORIZED,
  protocol_not_allowed: NOT_AUTHORIZED,
  device_disabled: NOT_AUTHORIZED,
  device_deleted: NOT_AUTHORIZED,
  not_authorized: NOT_AUTHORIZED,
  client_id_refused: IDENTIFIER_REJECTED,
  store_unavailable: SERVER_UNAVAILABLE,
  overloaded: SERVER_UNAVAILABLE,
  registration_limit: SERVER_UNAVAILABLE,
  internal_error: SERVER_UNAVAILABLE,
  hub_shutdown: SERVER_UNAVAILABLE,
  identify_timeout: SERVER_UNAVAILABLE,
};

/** The CONNACK that says `reason` (table 3.1), or null: MQTT 3 has no word for it. */
export function refusal(reason: CloseReason): Buffer | null {
  const code = CONNACK_CODES[reason];
  return code === undefined ? null : encodeConnack(false, code);
}
