import { closeReason, type CloseReason } from '../close-reasons.ts';
import type { Identification, Identified, SessionHost } from '../subprotocol.ts';
import { encodeConnack } from './encode.ts';
import type { Properties } from './packet.ts';
import type { Peer } from './peer.ts';
import { ACCEPTED, connackCode } from './reason-codes.ts';
import { returnCode } from './reasons.ts';
import { reason } from './wire.ts';

/** What MQTT 5.0 clients are told of the hub: what is not said is as the specification has it (QoS 2, retain, wildcards, identifiers, shared subscriptions). */
export interface Announced {
  /** QoS 1 and 2 messages that the client may have under way [MQTT-3.3.4-7]. */
  readonly receiveMaximum: number;
  readonly topicAliasMaximum: number;
  /** Longest keep-alive, in seconds. */
  readonly maxKeepAliveS: number;
}

/** What the hub takes of this client. The window is smaller while the store lags, and stands for the connection. */
export function announce(host: SessionHost): Announced {
  return {
    receiveMaximum: Math.min(host.inboundWindow, 0xffff),
    topicAliasMaximum: Math.min(host.limits.maxTopicAliases, 0xffff),
    maxKeepAliveS: Math.floor(host.limits.maxKeepAliveMs / 1000),
  };
}

/** The keep-alive that counts, in seconds: the client's, in MQTT 5.0 at most the hub's, which it is told [MQTT-3.2.2-21]. 0: none. */
export function keepAliveOf({ level }: Peer, askedS: number, { maxKeepAliveS }: Announced): number {
  return level === 5 ? Math.min(askedS, maxKeepAliveS) : askedS;
}

/** CONNACK for a client that is let in, section 3.2. `keepAliveS`: as asked for. */
export function acceptance(
  peer: Peer,
  keepAliveS: number,
  identification: Identification,
  identified: Extract<Identified, { ok: true }>,
  announced: Announced,
  maxMessageBytes: number,
): Buffer {
  const { level } = peer;
  // MQTT 3.1 has no session present flag: that byte is reserved there.
  if (level !== 5) return encodeConnack(level, identified.resumed && level === 4, ACCEPTED);
  const { receiveMaximum, topicAliasMaximum } = announced;
  const countsS = keepAliveOf(peer, keepAliveS, announced);
  const properties: Properties = {
    ...(identified.expiryS === identification.expiryS ? {} : { sessionExpiryIntervalS: identified.expiryS }),
    ...(receiveMaximum === 0xffff ? {} : { receiveMaximum }),
    maximumPacketSize: maxMessageBytes,
    ...(topicAliasMaximum === 0 ? {} : { topicAliasMaximum }),
    ...(identification.clientId === null ? { assignedClientIdentifier: identified.clientId } : {}),
    ...(countsS === keepAliveS ? {} : { serverKeepAliveS: countsS }),
  };
  return encodeConnack(level, identified.resumed, ACCEPTED, properties);
}

/**
 * CONNACK for a client that is not let in; null: MQTT 3 has no word for it but `otherwise`, or nothing fits the client. An
 * empty `detail` is said in the words of the close reason.
 */
export function refusal(
  { level, maxPacketBytes }: Peer,
  why: CloseReason,
  detail: string,
  otherwise: number | null = null,
): Buffer | null {
  if (level !== 5) {
    const said = returnCode(why) ?? otherwise;
    return said === null ? null : encodeConnack(level, false, said);
  }
  const code = connackCode(why);
  const packet = encodeConnack(level, false, code, reason(detail === '' ? closeReason(why).text : detail));
  // [MQTT-3.2.2-19]
  const fitting = packet.length <= maxPacketBytes ? packet : encodeConnack(level, false, code);
  return fitting.length <= maxPacketBytes ? fitting : null;
}
