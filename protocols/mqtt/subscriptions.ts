import { ProtocolError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import type { Subscription } from '../message.ts';
import type { SessionState } from '../session-state.ts';
import type { Grant, SessionHost } from '../subprotocol.ts';
import { levelCount } from '../topics.ts';
import { partsOf, type Filter } from './filters.ts';
import type { Level, SubscribePacket, UnsubscribePacket } from './packet.ts';
import { REASON, SUBSCRIPTION_FAILED } from './reason-codes.ts';
import type { Wire } from './wire.ts';

type Asked = SubscribePacket['subscriptions'][number];

/**
 * SUBSCRIBE, section 3.8: answers with SUBACK, then lets retained messages and commands follow. A filter that goes over a
 * limit, or that the hub does not grant, fails alone; one that is no filter closes the connection (ProtocolError).
 */
export function subscribe(packet: SubscribePacket, wire: Wire, host: SessionHost, state: SessionState): void {
  const { level } = wire.peer;
  const identifier = packet.properties.subscriptionIdentifiers?.[0];
  const codes: number[] = [];
  const requests: Subscription[] = [];
  const places: number[] = [];
  const added = new Set<string>();
  for (const [place, asked] of packet.subscriptions.entries()) {
    const parts = partsOf(asked.filter, level);
    if (asked.noLocal && parts !== null && parts.share !== null) {
      throw new ProtocolError('protocol_error', 'no local on a shared subscription [MQTT-3.8.3-4]');
    }
    const refused =
      parts === null ? REASON.topicFilterInvalid : refusedAs(asked.filter, parts, state, added, host.limits);
    // A granted one gets its QoS when the hub has answered.
    codes.push(refused === null ? REASON.success : level === 5 ? refused : SUBSCRIPTION_FAILED);
    if (parts === null || refused !== null) continue;
    requests.push(subscriptionOf(asked, parts, identifier));
    places.push(place);
  }
  if (requests.length === 0) {
    wire.suback(packet.packetId, codes);
    return;
  }
  host.subscribe(requests, (grants) => {
    if (wire.stopped) return;
    for (const [i, grant] of grants.entries()) codes[places[i]!] = codeOf(grant, level);
    if (wire.suback(packet.packetId, codes) && grants.some((grant) => grant.ok)) {
      host.subscribed(requests.filter((request, i) => wantsRetained(request, grants[i]!)));
    }
  });
}

/** UNSUBSCRIBE, section 3.10: always answered, whether there was such a subscription or not [MQTT-3.10.4-4]. */
export function unsubscribe(packet: UnsubscribePacket, wire: Wire, host: SessionHost): void {
  for (const filter of packet.filters) partsOf(filter, wire.peer.level);
  host.unsubscribe(packet.filters, (existed) => {
    wire.unsuback(
      packet.packetId,
      existed.map((did) => (did ? REASON.success : REASON.noSubscriptionExisted)),
    );
  });
}

/** The reason code with which the filter fails, or null: the hub is asked. `added`: new ids of this packet. */
function refusedAs(
  written: string,
  { filter }: Filter,
  state: SessionState,
  added: Set<string>,
  limits: ProtocolLimits,
): number | null {
  if (Buffer.byteLength(written) > limits.maxTopicBytes) return REASON.topicFilterInvalid;
  if (levelCount(filter) > limits.maxTopicLevels) return REASON.topicFilterInvalid;
  if ((state.subscribed > 0 && state.subscriptions.has(written)) || added.has(written)) return null;
  if (state.subscribed + added.size >= limits.maxSubscriptions) return REASON.quotaExceeded;
  added.add(written);
  return null;
}

/** The same filter again replaces the older subscription [MQTT-3.8.4-3]: what was written is the id. */
function subscriptionOf(asked: Asked, { share, filter }: Filter, identifier: number | undefined): Subscription {
  return {
    id: asked.filter,
    filter,
    qos: asked.qos,
    ...(share === null ? {} : { share }),
    ...(asked.noLocal ? { noLocal: true } : {}),
    ...(asked.retainAsPublished ? { retainAsPublished: true } : {}),
    ...(asked.retainHandling === 0 ? {} : { retainHandling: asked.retainHandling }),
    ...(identifier === undefined ? {} : { identifier }),
  };
}

function codeOf(grant: Grant, level: Level): number {
  if (grant.ok) return grant.qos;
  if (level !== 5) return SUBSCRIPTION_FAILED;
  return grant.reason === 'limit' ? REASON.quotaExceeded : REASON.notAuthorized;
}

/** [MQTT-3.3.1-9 to -11]; none for shared subscriptions (4.8.2). */
function wantsRetained({ share, retainHandling }: Subscription, grant: Grant): boolean {
  if (!grant.ok || share !== undefined) return false;
  return retainHandling === undefined || retainHandling === 0 || (retainHandling === 1 && !grant.existed);
}
