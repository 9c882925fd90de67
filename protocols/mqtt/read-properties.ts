import { ProtocolError } from '../errors.ts';
import { isTopicName } from '../topics.ts';
import type { Fields } from './fields.ts';
import { NO_PROPERTIES, type Properties } from './packet.ts';
import { PROPERTY_BY_ID, type PropertyRow } from './properties.ts';
import { DISCONNECT, PUBLISH } from './validate.ts';

/**
 * Reads the property length and the properties of a packet from a client (MQTT 5.0, 2.2.2), and steps over them. `place`: the packet
 * type, or WILL. `maxUserProperties`: more are refused with `limit_exceeded`. Throws ProtocolError: `malformed` for an
 * unknown property, one that does not belong there, or a value that cannot be read; `protocol_error` for a value that is
 * not allowed, and for a property that comes twice.
 */
export function readProperties(fields: Fields, place: number, maxUserProperties = Infinity): Properties {
  const length = fields.varint();
  if (length === 0) return NO_PROPERTIES;
  const part = fields.part(length);
  const values: Record<string, unknown> = {};
  const pairs: [string, string][] = [];
  while (part.left > 0) {
    const id = part.byte();
    const property = PROPERTY_BY_ID[id];
    if (property === undefined || (property.places & (1 << place)) === 0) {
      throw part.malformed(`property 0x${id.toString(16).padStart(2, '0')}, which does not belong there`);
    }
    if (property.kind === 'pairs') {
      if (pairs.length >= maxUserProperties) {
        throw new ProtocolError('limit_exceeded', `more than ${maxUserProperties} user properties in one message`);
      }
      pairs.push([part.text('name of a user property'), part.text('value of a user property')]);
      continue;
    }
    if (values[property.name] !== undefined) throw part.wrong(`the property ${property.name} twice`);
    values[property.name] = readValue(part, property);
  }
  if (pairs.length > 0) values['userProperties'] = pairs;
  const properties: Properties = values;
  checkSender(fields, place, properties);
  return properties;
}

function readValue(part: Fields, { name, kind }: PropertyRow): unknown {
  switch (kind) {
    case 'bit':
    case 'flag': {
      const value = part.byte();
      if (value > 1) throw part.wrong(`${name} ${value}, which must be 0 or 1`);
      return kind === 'bit' ? value : value === 1;
    }
    case 'uint16':
      return part.uint16();
    case 'count16':
      return notZero(part, name, part.uint16());
    case 'uint32':
      return part.uint32();
    case 'count32':
      return notZero(part, name, part.uint32());
    case 'varints':
      // More than one is the server's to send: this reads what clients send.
      return [notZero(part, name, part.varint())];
    case 'text':
      return part.text(name);
    case 'topic': {
      const topic = part.text(name);
      // [MQTT-3.3.2-14, MQTT-4.7.3-1]
      if (!isTopicName(topic)) throw part.malformed(`a ${name} that is empty or holds a wildcard`);
      return topic;
    }
    case 'binary':
      return part.binary();
    case 'pairs':
      throw new Error('read by readProperties');
  }
}

function notZero(part: Fields, name: string, value: number): number {
  if (value === 0) throw part.wrong(`${name} 0`);
  return value;
}

/** What table 2-4 allows in a packet, and a client may not send. */
function checkSender(fields: Fields, place: number, properties: Properties): void {
  if (place === PUBLISH && properties.subscriptionIdentifiers !== undefined) {
    throw fields.wrong('a subscription identifier, which is for servers to send [MQTT-3.3.4-6]');
  }
  if (place === DISCONNECT && properties.serverReference !== undefined) {
    throw fields.wrong('a server reference, which is for servers to send (MQTT 5.0, 3.14.2.2.5)');
  }
  if (properties.topicAlias === 0) throw new ProtocolError('topic_alias_invalid', 'topic alias 0 [MQTT-3.3.2-8]');
  if (properties.authenticationData !== undefined && properties.authenticationMethod === undefined) {
    throw fields.wrong('authentication data without a method (MQTT 5.0, 3.1.2.11.10)');
  }
}
