import type { Properties } from './packet.ts';
import * as type from './validate.ts';

/** Where properties stand: a packet type, or the will of a CONNECT, whose properties are its own. */
export const WILL = 0;

/**
 * How a property is written (MQTT 5.0, table 2-4). `bit` and `flag` are bytes of which only 0 and 1 are allowed;
 * `count` may not be 0; `varints` and `pairs` may come more than once.
 */
export type PropertyKind =
  'bit' | 'flag' | 'uint16' | 'count16' | 'uint32' | 'count32' | 'text' | 'topic' | 'binary' | 'varints' | 'pairs';

export interface PropertyRow {
  readonly id: number;
  readonly name: keyof Properties;
  readonly kind: PropertyKind;
  /** Bit n: it belongs in packets of type n; bit 0: in wills. */
  readonly places: number;
}

const ACKNOWLEDGEMENTS = [type.PUBACK, type.PUBREC, type.PUBREL, type.PUBCOMP, type.SUBACK, type.UNSUBACK] as const;
const MESSAGE = [type.PUBLISH, WILL] as const;
const SESSION = [type.CONNECT, type.CONNACK] as const;
const EVERYWHERE = [
  ...[WILL, type.CONNECT, type.CONNACK, type.PUBLISH, type.SUBSCRIBE, type.UNSUBSCRIBE, type.DISCONNECT, type.AUTH],
  ...ACKNOWLEDGEMENTS,
] as const;

/** MQTT 5.0, 2.2.2.2, table 2-4. */
export const PROPERTIES: readonly PropertyRow[] = [
  row(0x01, 'payloadFormatIndicator', 'bit', MESSAGE),
  row(0x02, 'messageExpiryIntervalS', 'uint32', MESSAGE),
  row(0x03, 'contentType', 'text', MESSAGE),
  row(0x08, 'responseTopic', 'topic', MESSAGE),
  row(0x09, 'correlationData', 'binary', MESSAGE),
  row(0x0b, 'subscriptionIdentifiers', 'varints', [type.PUBLISH, type.SUBSCRIBE]),
  row(0x11, 'sessionExpiryIntervalS', 'uint32', [...SESSION, type.DISCONNECT]),
  row(0x12, 'assignedClientIdentifier', 'text', [type.CONNACK]),
  row(0x13, 'serverKeepAliveS', 'uint16', [type.CONNACK]),
  row(0x15, 'authenticationMethod', 'text', [...SESSION, type.AUTH]),
  row(0x16, 'authenticationData', 'binary', [...SESSION, type.AUTH]),
  row(0x17, 'requestProblemInformation', 'flag', [type.CONNECT]),
  row(0x18, 'willDelayIntervalS', 'uint32', [WILL]),
  row(0x19, 'requestResponseInformation', 'flag', [type.CONNECT]),
  row(0x1a, 'responseInformation', 'text', [type.CONNACK]),
  row(0x1c, 'serverReference', 'text', [type.CONNACK, type.DISCONNECT]),
  row(0x1f, 'reasonString', 'text', [type.CONNACK, ...ACKNOWLEDGEMENTS, type.DISCONNECT, type.AUTH]),
  row(0x21, 'receiveMaximum', 'count16', SESSION),
  row(0x22, 'topicAliasMaximum', 'uint16', SESSION),
  row(0x23, 'topicAlias', 'uint16', [type.PUBLISH]),
  row(0x24, 'maximumQos', 'bit', [type.CONNACK]),
  row(0x25, 'retainAvailable', 'flag', [type.CONNACK]),
  row(0x26, 'userProperties', 'pairs', EVERYWHERE),
  row(0x27, 'maximumPacketSize', 'count32', SESSION),
  row(0x28, 'wildcardSubscriptionAvailable', 'flag', [type.CONNACK]),
  row(0x29, 'subscriptionIdentifiersAvailable', 'flag', [type.CONNACK]),
  row(0x2a, 'sharedSubscriptionAvailable', 'flag', [type.CONNACK]),
];

/** Undefined: no property has this identifier. */
export const PROPERTY_BY_ID: readonly (PropertyRow | undefined)[] = Array.from({ length: 0x2b }, (_, id) =>
  PROPERTIES.find((property) => property.id === id),
);
export const PROPERTY_BY_NAME: ReadonlyMap<string, PropertyRow> = new Map(
  PROPERTIES.map((property) => [property.name, property]),
);

function row(id: number, name: keyof Properties, kind: PropertyKind, places: readonly number[]): PropertyRow {
  return { id, name, kind, places: places.reduce((bits, place) => bits | (1 << place), 0) };
}
