import type { StoredMessage } from '../../port.ts';

/** Messages on their way to the writer: one object for all of them, since cloning a small object costs more than writing it. */
export interface MessageColumns {
  readonly count: number;
  readonly topics: readonly string[];
  readonly origins: readonly (string | null)[];
  readonly flags: Uint8Array;
  /** NaN: it does not expire. */
  readonly expiresMs: Float64Array;
  /** All payloads; message i has the bytes from payloadEnd[i - 1] to payloadEnd[i]. */
  readonly payloads: Uint8Array;
  readonly payloadEnd: Float64Array;
  /** What only some have, by the index of the message. */
  readonly more: ReadonlyMap<number, MoreOfMessage>;
}

export interface MoreOfMessage {
  readonly contentType: string | null;
  /** JSON. */
  readonly headers: string | null;
  readonly responseTopic: string | null;
  readonly correlation: Uint8Array | null;
}

const NOTHING_MORE: MoreOfMessage = { contentType: null, headers: null, responseTopic: null, correlation: null };

export const MESSAGE_COLUMNS =
  'topic, flags, content_type, headers, response_topic, correlation, expires_ms, origin, payload';
/** How many values `bindMessage` gives. */
export const MESSAGE_VALUES = 9;

export const FLAG_QOS = 3;
export const FLAG_RETAIN = 4;
export const FLAG_TEXT = 8;

export function packMessages(messages: readonly StoredMessage[]): MessageColumns {
  const count = messages.length;
  let bytes = 0;
  for (const { payload } of messages) bytes += payload.length;
  const topics: string[] = [];
  const origins: (string | null)[] = [];
  const flags = new Uint8Array(count);
  const expiresMs = new Float64Array(count);
  const payloads = new Uint8Array(bytes);
  const payloadEnd = new Float64Array(count);
  const more = new Map<number, MoreOfMessage>();
  let end = 0;
  for (let i = 0; i < count; i++) {
    const message = messages[i]!;
    topics.push(message.topic);
    origins.push(message.origin);
    flags[i] = messageFlags(message);
    expiresMs[i] = message.expiresMs ?? Number.NaN;
    payloads.set(message.payload, end);
    end += message.payload.length;
    payloadEnd[i] = end;
    const rare = moreOf(message);
    if (rare !== NOTHING_MORE) more.set(i, rare);
  }
  return { count, topics, origins, flags, expiresMs, payloads, payloadEnd, more };
}

export function messageBuffers(columns: MessageColumns): ArrayBuffer[] {
  const { flags, expiresMs, payloads, payloadEnd } = columns;
  return [flags.buffer, expiresMs.buffer, payloads.buffer, payloadEnd.buffer] as ArrayBuffer[];
}

/** Puts the values of message i at `at`, in the order of MESSAGE_COLUMNS. */
export function bindMessage(columns: MessageColumns, i: number, bound: unknown[], at: number): void {
  const { topics, origins, flags, expiresMs, payloads, payloadEnd } = columns;
  const more = columns.more.size === 0 ? NOTHING_MORE : (columns.more.get(i) ?? NOTHING_MORE);
  const expires = expiresMs[i]!;
  bound[at] = topics[i];
  bound[at + 1] = flags[i];
  bound[at + 2] = more.contentType;
  bound[at + 3] = more.headers;
  bound[at + 4] = more.responseTopic;
  bound[at + 5] = more.correlation;
  bound[at + 6] = Number.isNaN(expires) ? null : expires;
  bound[at + 7] = origins[i];
  bound[at + 8] = payloads.subarray(i === 0 ? 0 : payloadEnd[i - 1], payloadEnd[i]);
}

/** A row of MESSAGE_COLUMNS, read raw. */
export type RawMessage = readonly [
  topic: string,
  flags: number,
  contentType: string | null,
  headers: string | null,
  responseTopic: string | null,
  correlation: Uint8Array | null,
  expiresMs: number | null,
  origin: string | null,
  payload: Uint8Array,
];

export function storedMessage(raw: RawMessage): StoredMessage {
  const [topic, flags, contentType, headers, responseTopic, correlationData, expiresMs, origin, payload] = raw;
  return {
    topic,
    payload,
    qos: (flags & FLAG_QOS) as StoredMessage['qos'],
    retain: (flags & FLAG_RETAIN) !== 0,
    contentType,
    headers: headers === null ? [] : (JSON.parse(headers) as [string, string][]),
    responseTopic,
    correlationData,
    payloadIsText: (flags & FLAG_TEXT) !== 0,
    expiresMs,
    origin,
  };
}

function messageFlags({ qos, retain, payloadIsText }: StoredMessage): number {
  return qos | (retain ? FLAG_RETAIN : 0) | (payloadIsText ? FLAG_TEXT : 0);
}

function moreOf({ contentType, headers, responseTopic, correlationData }: StoredMessage): MoreOfMessage {
  if (contentType === null && headers.length === 0 && responseTopic === null && correlationData === null)
    return NOTHING_MORE;
  return {
    contentType,
    headers: headers.length === 0 ? null : JSON.stringify(headers),
    responseTopic,
    // Cloning a view clones all of the buffer below it.
    correlation: correlationData === null ? null : new Uint8Array(correlationData),
  };
}
