import { isUtf8 } from 'node:buffer';
import { ProtocolError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import { FOREVER, type Identification, type Will } from '../subprotocol.ts';
import { levelCount } from '../topics.ts';
import { copyOf, messageProperties } from './message-properties.ts';
import type { ConnectPacket, Level } from './packet.ts';
import type { Peer } from './peer.ts';

const NAMES: Record<Level, string> = { 3: '3.1', 4: '3.1.1', 5: '5.0' };

/** Is it MQTT at all? If not, no answer would be understood [MQTT-3.1.2-1]. */
export function isMqtt(protocolName: string): boolean {
  return protocolName === 'MQTT' || protocolName === 'MQIsdp';
}

/** The level that a CONNECT speaks [MQTT-3.1.2-2]. Throws ProtocolError. */
export function servedLevel({ name, level }: { readonly name: string; readonly level: number }): Level {
  if (name === 'MQTT' && (level === 4 || level === 5)) return level;
  if (name === 'MQIsdp' && level === 3) return level;
  const detail = `${name} level ${level} is not served; MQTT 5.0 (MQTT, 5), 3.1.1 (MQTT, 4) and 3.1 (MQIsdp, 3) are`;
  throw new ProtocolError('unsupported_version', detail);
}

/** What the hub must keep to on its way to this client. */
export function peerOf({ level, properties }: ConnectPacket): Peer {
  return {
    level,
    maxPacketBytes: properties.maximumPacketSize ?? Infinity,
    receiveMaximum: properties.receiveMaximum ?? 0xffff,
    topicAliasMaximum: properties.topicAliasMaximum ?? 0,
    problemInformation: properties.requestProblemInformation ?? true,
  };
}

/** What the hub is told of a client, section 3.1. Throws ProtocolError when it needs not be asked. */
export function identificationOf(packet: ConnectPacket, limits: ProtocolLimits): Identification {
  const { level, clientId, cleanStart, keepAliveS, properties } = packet;
  checkClientId(packet, limits);
  if (properties.authenticationMethod !== undefined) {
    throw new ProtocolError('bad_authentication_method', 'no authentication method is served');
  }
  return {
    clientId: clientId === '' ? null : clientId,
    credentials: credentialsOf(packet),
    cleanStart,
    // MQTT 3 knows sessions without an end, and such that end with their connection.
    expiryS: level === 5 ? (properties.sessionExpiryIntervalS ?? 0) : cleanStart ? 0 : FOREVER,
    will: packet.will === null ? null : willOf(packet.will, level, limits),
    refusesSingly: level === 5,
    description: { level: NAMES[level], keepAliveS: String(keepAliveS) },
  };
}

/** [MQTT-3.1.3-8, MQTT-3.1.3-9]; MQTT 5.0 may leave it empty in any case. */
function checkClientId({ level, clientId, cleanStart }: ConnectPacket, limits: ProtocolLimits): void {
  if (clientId === '' && level !== 5 && !cleanStart) {
    throw new ProtocolError('client_id_refused', 'an empty client id needs a clean session');
  }
  // MQTT 3.1, section 3.1: 1 to 23 characters. The hub is generous about the 23, the 1 stands.
  if (clientId === '' && level === 3) throw new ProtocolError('client_id_refused', 'MQTT 3.1 needs a client id');
  if (Buffer.byteLength(clientId) > limits.maxClientIdBytes) {
    throw new ProtocolError('client_id_refused', `a client id may have ${limits.maxClientIdBytes} bytes`);
  }
}

function credentialsOf({ username, password }: ConnectPacket): Identification['credentials'] {
  if (username === null && password === null) return null;
  return { username, password: password === null ? null : password.toString('utf8') };
}

function willOf(will: NonNullable<ConnectPacket['will']>, level: Level, limits: ProtocolLimits): Will {
  const { topic, qos, retain, properties } = will;
  checkTopic(topic, level, limits);
  if (properties.payloadFormatIndicator === 1 && !isUtf8(will.payload)) {
    throw new ProtocolError(
      'payload_format_invalid',
      'the will is not UTF-8, although its payload format indicator says so',
    );
  }
  const more = messageProperties(properties, null);
  return {
    request: {
      topic,
      payload: copyOf(will.payload),
      qos,
      retain,
      contentType: properties.contentType ?? null,
      headers: properties.userProperties ?? [],
      ...(more === undefined ? {} : { properties: more }),
    },
    delayS: properties.willDelayIntervalS ?? 0,
    expiryS: properties.messageExpiryIntervalS ?? null,
  };
}

/** Its grammar is checked where it is read. MQTT 5.0 has a word for a topic that is sound and not taken. */
function checkTopic(topic: string, level: Level, limits: ProtocolLimits): void {
  const reason = level === 5 ? 'topic_name_invalid' : 'limit_exceeded';
  const bytes = Buffer.byteLength(topic);
  if (bytes > limits.maxTopicBytes) {
    throw new ProtocolError(reason, `a will topic of ${bytes} bytes, at most ${limits.maxTopicBytes}`);
  }
  if (levelCount(topic) > limits.maxTopicLevels) {
    throw new ProtocolError(reason, `a will topic of more than ${limits.maxTopicLevels} levels`);
  }
}
