import type { MessageProperties, RoutedMessage } from '#protocols/message.js';
import type { StoredMessage } from '#hub/store/port.js';

/** A message as the store keeps it. `origin`: keep it, too; what waits in a queue has been past the question that it answers. */
export function toStored(message: RoutedMessage, origin: boolean): StoredMessage {
  const { topic, payload, qos, retain, contentType, headers, properties } = message;
  return {
    topic,
    payload,
    qos,
    retain,
    contentType,
    headers,
    responseTopic: properties?.responseTopic ?? null,
    correlationData: properties?.correlationData ?? null,
    payloadIsText: properties?.payloadIsText ?? false,
    expiresMs: properties?.expiresMs ?? null,
    origin: origin ? (message.origin ?? null) : null,
  };
}

export function fromStored(stored: StoredMessage): RoutedMessage {
  const { topic, qos, retain, contentType, headers, origin } = stored;
  const properties = propertiesOf(stored);
  return {
    topic,
    payload: bufferOf(stored.payload),
    qos,
    retain,
    contentType,
    headers,
    ...(properties === null ? {} : { properties }),
    ...(origin === null ? {} : { origin }),
  };
}

/** Bytes that a message is charged with where it waits: all that it holds, and a flat share for what stands around it. */
export function messageBytes({ topic, payload, contentType, headers, properties }: RoutedMessage): number {
  let bytes = 64 + topic.length + payload.length + (contentType?.length ?? 0);
  for (const [name, value] of headers) bytes += 32 + name.length + value.length;
  if (properties !== undefined) {
    bytes += 64 + (properties.responseTopic?.length ?? 0) + (properties.correlationData?.length ?? 0);
  }
  return bytes;
}

export function hasExpired({ properties }: RoutedMessage, nowMs: number): boolean {
  return properties?.expiresMs !== undefined && properties.expiresMs <= nowMs;
}

function propertiesOf(stored: StoredMessage): MessageProperties | null {
  const { responseTopic, correlationData, payloadIsText, expiresMs } = stored;
  if (responseTopic === null && correlationData === null && !payloadIsText && expiresMs === null) return null;
  return {
    ...(responseTopic === null ? {} : { responseTopic }),
    ...(correlationData === null ? {} : { correlationData: bufferOf(correlationData) }),
    ...(payloadIsText ? { payloadIsText } : {}),
    ...(expiresMs === null ? {} : { expiresMs }),
  };
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
