import { closeReason, type CloseReason } from '../close-reasons.ts';

// CONNACK return codes of MQTT 3, table 3.1.
export const ACCEPTED = 0;
export const UNACCEPTABLE_VERSION = 1;
export const IDENTIFIER_REJECTED = 2;
export const SERVER_UNAVAILABLE = 3;
export const BAD_CREDENTIALS = 4;
export const NOT_AUTHORIZED = 5;

/** SUBACK return code `Failure` of MQTT 3, section 3.9.3. */
export const SUBSCRIPTION_FAILED = 0x80;

/** Reason codes of MQTT 5.0, section 2.4. */
export const REASON = {
  success: 0x00,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  continueAuthentication: 0x18,
  reAuthenticate: 0x19,
  unspecifiedError: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecific: 0x83,
  unsupportedVersion: 0x84,
  clientIdNotValid: 0x85,
  badCredentials: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  banned: 0x8a,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdInUse: 0x91,
  packetIdNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  messageRateTooHigh: 0x96,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  useAnotherServer: 0x9c,
  serverMoved: 0x9d,
  sharedSubscriptionsNotSupported: 0x9e,
  connectionRateExceeded: 0x9f,
  maximumConnectTime: 0xa0,
  subscriptionIdentifiersNotSupported: 0xa1,
  wildcardSubscriptionsNotSupported: 0xa2,
} as const;

const PUBLISH_RECEIVED = codes(0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99);
const RELEASED = codes(0x00, 0x92);

/** What a client may say, by packet type [MQTT-3.4.2-1, MQTT-3.5.2-1, MQTT-3.6.2-1, MQTT-3.7.2-1, MQTT-3.14.2-1, MQTT-3.15.2-1]. */
export const CLIENT_CODES: Readonly<Partial<Record<number, ReadonlySet<number>>>> = {
  4: PUBLISH_RECEIVED,
  5: PUBLISH_RECEIVED,
  6: RELEASED,
  7: RELEASED,
  // 0x00, 0x04, 0x80 to 0x83, 0x90, 0x93 to 0x99: the others of table 3-13 are the server's.
  14: codes(0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99),
  15: codes(0x00, 0x18, 0x19),
};

/** What a server may say in CONNACK, section 3.2.2.2. */
export const CONNACK_CODES = codes(
  ...[0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99],
  ...[0x9a, 0x9b, 0x9c, 0x9d, 0x9f],
);

/** What a server may say in DISCONNECT, section 3.14.2.1; 0x8C by section 2.4. */
export const DISCONNECT_CODES = codes(
  ...[0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97],
  ...[0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2],
);

/** Codes of the close reasons that only a DISCONNECT may say, as a CONNACK says them. */
const IN_CONNACK: Readonly<Partial<Record<number, number>>> = {
  [REASON.success]: REASON.unspecifiedError,
  [REASON.serverShuttingDown]: REASON.serverUnavailable,
  [REASON.keepAliveTimeout]: REASON.unspecifiedError,
  [REASON.sessionTakenOver]: REASON.unspecifiedError,
  [REASON.receiveMaximumExceeded]: REASON.quotaExceeded,
  [REASON.topicAliasInvalid]: REASON.protocolError,
  // The device was deleted, or an operator closes the connection.
  [REASON.administrativeAction]: REASON.notAuthorized,
};

/** Codes of the close reasons that only a CONNACK may say, as a DISCONNECT says them. */
const IN_DISCONNECT: Readonly<Partial<Record<number, number>>> = {
  [REASON.unsupportedVersion]: REASON.protocolError,
  [REASON.clientIdNotValid]: REASON.notAuthorized,
  // A token that is revoked while its client is connected.
  [REASON.badCredentials]: REASON.notAuthorized,
  [REASON.serverUnavailable]: REASON.serverBusy,
};

/** The reason code of a CONNACK that refuses because of `reason`; never a code of success. */
export function connackCode(reason: CloseReason): number {
  const { mqtt5 } = closeReason(reason);
  return IN_CONNACK[mqtt5] ?? mqtt5;
}

/** The reason code of the DISCONNECT that closes because of `reason`. */
export function disconnectCode(reason: CloseReason): number {
  const { mqtt5 } = closeReason(reason);
  return IN_DISCONNECT[mqtt5] ?? mqtt5;
}

function codes(...values: readonly number[]): ReadonlySet<number> {
  return new Set(values);
}
