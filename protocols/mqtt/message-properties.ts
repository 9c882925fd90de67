import type { Delivery, MessageProperties, RoutedMessage } from '../message.ts';
import type { Properties } from './packet.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * What a PUBLISH or a will says of its message, as the hub passes it on: unchanged [MQTT-3.3.2-4, -15, -16, -17, -20]. Owns its
 * memory. Content type and user properties stand beside it in the message; undefined: there is nothing else.
 */
export function messageProperties(properties: Properties, expiresMs: number | null): MessageProperties | undefined {
  const { payloadFormatIndicator, responseTopic, correlationData } = properties;
  const kept: Writable<MessageProperties> = {};
  if (payloadFormatIndicator === 1) kept.payloadIsText = true;
  if (responseTopic !== undefined) kept.responseTopic = responseTopic;
  if (correlationData !== undefined) kept.correlationData = copyOf(correlationData);
  if (expiresMs !== null) kept.expiresMs = expiresMs;
  return Object.keys(kept).length === 0 ? undefined : kept;
}

/** Seconds that a message is still worth something, rounded up; 0 or less: none. Infinity: it does not expire. */
export function secondsLeft(message: RoutedMessage, nowMs: number): number {
  const expiresMs = message.properties?.expiresMs;
  return expiresMs === undefined ? Infinity : Math.ceil((expiresMs - nowMs) / 1000);
}

/** Properties of the PUBLISH that carries a delivery to a client of MQTT 5.0; undefined: none. `alias` 0: none. */
export function publishProperties(delivery: Delivery, alias: number, expiryS: number): Properties | undefined {
  const { message, matches } = delivery;
  const { contentType, headers, properties } = message;
  let out: Writable<Properties> | undefined;
  for (const { identifier } of matches) {
    if (identifier === undefined) continue;
    // One for each subscription that matches, also when two have the same [MQTT-3.3.4-4].
    out ??= {};
    out.subscriptionIdentifiers = [...(out.subscriptionIdentifiers ?? []), identifier];
  }
  if (alias > 0) (out ??= {}).topicAlias = alias;
  if (contentType !== null) (out ??= {}).contentType = contentType;
  if (headers.length > 0) (out ??= {}).userProperties = headers;
  if (properties === undefined) return out;
  out ??= {};
  if (properties.payloadIsText === true) out.payloadFormatIndicator = 1;
  if (properties.responseTopic !== undefined) out.responseTopic = properties.responseTopic;
  if (properties.correlationData !== undefined) out.correlationData = properties.correlationData;
  // The interval that was published, less the time that the message has waited here [MQTT-3.3.2-6].
  if (expiryS !== Infinity) out.messageExpiryIntervalS = Math.max(expiryS, 0);
  return out;
}

/** Not from Node's small-buffer pool: a message that waits would pin 8 KiB of it. */
export function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
