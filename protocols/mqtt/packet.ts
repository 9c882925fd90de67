/** Packets as the session sees them, of MQTT 3.1 (level 3), 3.1.1 (4) and 5.0 (5). */
export type Level = 3 | 4 | 5;

/** In the order in which they came [MQTT-3.1.3-10, MQTT-3.3.2-18]; a name may come twice. */
export type UserProperties = readonly (readonly [name: string, value: string])[];

/** Properties of MQTT 5.0, 2.2.2.2, as far as they were present. Intervals in seconds; binary data is a slice of the packet when read. */
export interface Properties {
  readonly payloadFormatIndicator?: 0 | 1;
  readonly messageExpiryIntervalS?: number;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: Buffer;
  /** One in a SUBSCRIBE; as many as match in a PUBLISH to a client. */
  readonly subscriptionIdentifiers?: readonly number[];
  readonly sessionExpiryIntervalS?: number;
  readonly assignedClientIdentifier?: string;
  readonly serverKeepAliveS?: number;
  readonly authenticationMethod?: string;
  readonly authenticationData?: Buffer;
  readonly requestProblemInformation?: boolean;
  readonly willDelayIntervalS?: number;
  readonly requestResponseInformation?: boolean;
  readonly responseInformation?: string;
  readonly serverReference?: string;
  readonly reasonString?: string;
  readonly receiveMaximum?: number;
  readonly topicAliasMaximum?: number;
  readonly topicAlias?: number;
  readonly maximumQos?: 0 | 1;
  readonly retainAvailable?: boolean;
  readonly userProperties?: UserProperties;
  readonly maximumPacketSize?: number;
  readonly wildcardSubscriptionAvailable?: boolean;
  readonly subscriptionIdentifiersAvailable?: boolean;
  readonly sharedSubscriptionAvailable?: boolean;
}

export const NO_PROPERTIES: Properties = Object.freeze({});

export interface ConnectPacket {
  readonly level: Level;
  /** Clean session in MQTT 3. */
  readonly cleanStart: boolean;
  readonly keepAliveS: number;
  /** Possibly empty. */
  readonly clientId: string;
  readonly username: string | null;
  readonly password: Buffer | null;
  readonly will: {
    readonly topic: string;
    readonly payload: Buffer;
    readonly qos: 0 | 1 | 2;
    readonly retain: boolean;
    readonly properties: Properties;
  } | null;
  readonly properties: Properties;
}

/** From a client. One object serves every PUBLISH of every connection: take out what is needed before the next is read. */
export interface PublishPacket {
  /** Empty: the topic alias stands for it. */
  readonly topic: string;
  /** 0: none. */
  readonly topicAlias: number;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly dup: boolean;
  /** 0 at QoS 0. */
  readonly packetId: number;
  /** A slice of what was received. */
  readonly payload: Buffer;
  /** Null: none but possibly the topic alias (always in MQTT 3). */
  readonly properties: Properties | null;
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP. One object serves all, as for PUBLISH. */
export interface AckPacket {
  readonly type: 4 | 5 | 6 | 7;
  readonly packetId: number;
  /** 0 in MQTT 3 and where it was left out. */
  readonly reasonCode: number;
  readonly properties: Properties;
}

export interface SubscribePacket {
  readonly packetId: number;
  readonly subscriptions: readonly {
    readonly filter: string;
    readonly qos: 0 | 1 | 2;
    readonly noLocal: boolean;
    readonly retainAsPublished: boolean;
    readonly retainHandling: 0 | 1 | 2;
  }[];
  readonly properties: Properties;
}

export interface UnsubscribePacket {
  readonly packetId: number;
  readonly filters: readonly string[];
  readonly properties: Properties;
}

export interface DisconnectPacket {
  readonly reasonCode: number;
  readonly properties: Properties;
}

export interface AuthPacket {
  readonly reasonCode: number;
  readonly properties: Properties;
}
