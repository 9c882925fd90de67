import { ProtocolError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import type { Subscription } from '../message.ts';
import type { SessionState } from '../session-state.ts';
import type { Link, SessionHost } from '../subprotocol.ts';
import { isTopicFilter, levelCount } from '../topics.ts';
import { encodeSuback, encodeUnsuback, SUBSCRIPTION_FAILED } from './encode.ts';
import { parseSubscribe, parseUnsubscribe, withByte } from './packets.ts';
import { checkSubscribe, checkUnsubscribe, DUP } from './validate.ts';

/**
 * SUBSCRIBE, section 3.8: answers with SUBACK, then lets retained messages and commands follow. A filter that goes over a
 * limit, or that the hub does not grant, fails alone (0x80); one that is no filter closes the connection (ProtocolError).
 * QoS 2 is granted as 1 until it is served [MQTT-3.8.4-6].
 */
export function subscribe(
  data: Buffer,
  start: number,
  body: number,
  end: number,
  link: Link,
  host: SessionHost,
  state: SessionState,
): void {
  checkSubscribe(data, body, end);
  const packet = parseSubscribe(withoutDup(data.subarray(start, end)));
  for (const { topic } of packet.subscriptions) checkFilter(topic);

  const codes = packet.subscriptions.map(() => SUBSCRIPTION_FAILED);
  const requests: Subscription[] = [];
  const places: number[] = [];
  const added = new Set<string>();
  for (const [place, { topic: filter, qos }] of packet.subscriptions.entries()) {
    if (!fits(filter, host.limits)) continue;
    if (!state.subscriptions.has(filter)) {
      if (!added.has(filter) && state.subscriptions.size + added.size >= host.limits.maxSubscriptions) continue;
      added.add(filter);
    }
    requests.push({ id: filter, filter, qos: qos === 0 ? 0 : 1 });
    places.push(place);
  }

  const granted: Subscription[] = [];
  const grants = requests.length === 0 ? [] : host.subscribe(requests);
  for (const [i, grant] of grants.entries()) {
    if (!grant.ok) continue;
    const request = requests[i]!;
    const subscription: Subscription = { ...request, qos: grant.qos === 0 ? 0 : request.qos };
    // The same filter again replaces the older subscription [MQTT-3.8.4-3].
    state.subscriptions.set(subscription.id, subscription);
    granted.push(subscription);
    codes[places[i]!] = subscription.qos;
  }
  link.send(encodeSuback(packet.messageId!, codes));
  if (granted.length > 0) host.subscribed(granted);
}

/** UNSUBSCRIBE, section 3.10: always answered, whether there was such a subscription or not [MQTT-3.10.4-5]. */
export function unsubscribe(
  data: Buffer,
  start: number,
  body: number,
  end: number,
  link: Link,
  host: SessionHost,
  state: SessionState,
): void {
  checkUnsubscribe(data, body, end);
  const packet = parseUnsubscribe(withoutDup(data.subarray(start, end)));
  for (const filter of packet.unsubscriptions) checkFilter(filter);
  for (const filter of packet.unsubscriptions) {
    host.unsubscribe(filter);
    state.subscriptions.delete(filter);
  }
  link.send(encodeUnsuback(packet.messageId!));
}

/** MQTT 3.1 allows DUP here, mqtt-packet does not. */
function withoutDup(packet: Buffer): Buffer {
  return withByte(packet, 0, packet[0]! & ~DUP);
}

function checkFilter(filter: string): void {
  if (isTopicFilter(filter)) return;
  throw new ProtocolError('malformed', 'a topic filter is empty or misplaces a wildcard [MQTT-4.7.1-2, MQTT-4.7.1-3]');
}

function fits(filter: string, limits: ProtocolLimits): boolean {
  return Buffer.byteLength(filter) <= limits.maxTopicBytes && levelCount(filter) <= limits.maxTopicLevels;
}
