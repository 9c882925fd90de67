import { ProtocolError } from '../errors.ts';
import type { ProtocolLimits } from '../limits.ts';
import { isTopicName, levelCount } from '../topics.ts';
import { checkText, Fields } from './fields.ts';
import type { Level, PublishPacket } from './packet.ts';
import { readProperties } from './read-properties.ts';
import { DUP, PUBLISH } from './validate.ts';

/** Property identifier of the topic alias, and the bytes of a property length that covers it alone. */
const TOPIC_ALIAS = 0x23;
const TOPIC_ALIAS_BYTES = 3;

const NO_BYTES = Buffer.alloc(0);

/** What `read` returns. One for all readers: kept by each, it would pin the last piece that its socket has read. */
const packet: { -readonly [K in keyof PublishPacket]: PublishPacket[K] } = {
  topic: '',
  topicAlias: 0,
  qos: 0,
  retain: false,
  dup: false,
  packetId: 0,
  payload: NO_BYTES,
  properties: null,
};

/**
 * The hot path: PUBLISH (section 3.3) at every level. Apart from the payload slice it allocates nothing for a topic that is
 * the same as before and no properties but a topic alias. A property test compares it with mqtt-packet.
 */
export class PublishReader {
  /** Of the client, once its CONNECT is read. */
  level: Level = 4;
  readonly #limits: ProtocolLimits;
  /** The last topic, if it was ASCII: then its char codes are its bytes, and no copy of those has to be kept. */
  #lastTopic = '';

  constructor(limits: ProtocolLimits) {
    this.#limits = limits;
  }

  /**
   * Reads one whole PUBLISH; the payload is a slice of `data`. The packet is the same object each time, for all readers: take
   * out what is needed before the next is read. Throws ProtocolError.
   */
  read(data: Buffer, first: number, body: number, end: number): PublishPacket {
    const qos = (first >> 1) & 0x03;
    if (qos === 3) throw new ProtocolError('malformed', 'PUBLISH with QoS 3 [MQTT-3.3.1-4]');
    if (qos === 0 && (first & DUP) !== 0) throw new ProtocolError('malformed', 'DUP at QoS 0 [MQTT-3.3.1-2]');
    const topicAt = body + 2;
    if (topicAt > end) throw short();
    const topicEnd = topicAt + ((data[body]! << 8) | data[body + 1]!);
    const idEnd = qos === 0 ? topicEnd : topicEnd + 2;
    if (idEnd > end) throw short();
    packet.topicAlias = 0;
    packet.properties = null;
    const payloadAt = this.level === 5 ? this.#skipProperties(data, idEnd, end) : idEnd;
    packet.topic = this.#isLastTopic(data, topicAt, topicEnd)
      ? this.#lastTopic
      : this.#readTopic(data, topicAt, topicEnd);
    packet.packetId = qos === 0 ? 0 : (data[topicEnd]! << 8) | data[topicEnd + 1]!;
    if (qos !== 0 && packet.packetId === 0) {
      throw new ProtocolError('malformed', 'PUBLISH with packet id 0 [MQTT-2.2.1-3]');
    }
    packet.qos = qos as 0 | 1 | 2;
    packet.retain = (first & 0x01) !== 0;
    packet.dup = (first & DUP) !== 0;
    packet.payload = data.subarray(payloadAt, end);
    return packet;
  }

  /** Puts the properties into the packet; returns where they end. Those that come often, none or a topic alias alone, are read here. */
  #skipProperties(data: Buffer, at: number, end: number): number {
    if (at >= end) throw short();
    const length = data[at]!;
    if (length === 0) return at + 1;
    if (length === TOPIC_ALIAS_BYTES && data[at + 1] === TOPIC_ALIAS && at + 4 <= end) {
      packet.topicAlias = (data[at + 2]! << 8) | data[at + 3]!;
      if (packet.topicAlias === 0) throw new ProtocolError('topic_alias_invalid', 'topic alias 0 [MQTT-3.3.2-8]');
      return at + 4;
    }
    const fields = new Fields(data, at, end, 'PUBLISH');
    packet.properties = readProperties(fields, PUBLISH, this.#limits.maxHeaders);
    packet.topicAlias = packet.properties.topicAlias ?? 0;
    return fields.at;
  }

  #isLastTopic(data: Buffer, from: number, to: number): boolean {
    const last = this.#lastTopic;
    const length = to - from;
    if (length !== last.length || length === 0) return false;
    for (let i = 0; i < length; i++) if (last.charCodeAt(i) !== data[from + i]) return false;
    return true;
  }

  #readTopic(data: Buffer, from: number, to: number): string {
    if (from === to && this.level === 5) {
      if (packet.topicAlias !== 0) return '';
      throw new ProtocolError('protocol_error', 'PUBLISH with neither topic nor topic alias (MQTT 5.0, 3.3.2.1)');
    }
    const topic = readTopicName(data, from, to, this.level, this.#limits);
    if (topic.length === to - from) this.#lastTopic = topic;
    return topic;
  }
}

function short(): ProtocolError {
  return new ProtocolError('malformed', 'PUBLISH ends inside a field');
}

/** Grammar and bounds. MQTT 5.0 has a word for a topic that is sound and not taken (0x90). */
function readTopicName(data: Buffer, from: number, to: number, level: Level, limits: ProtocolLimits): string {
  checkText(data, from, to, 'topic name');
  const topic = data.toString('utf8', from, to);
  if (!isTopicName(topic)) {
    throw new ProtocolError('malformed', 'a topic name is empty or holds a wildcard [MQTT-3.3.2-2, MQTT-4.7.3-1]');
  }
  const reason = level === 5 ? 'topic_name_invalid' : 'limit_exceeded';
  if (to - from > limits.maxTopicBytes) {
    throw new ProtocolError(reason, `a topic name of ${to - from} bytes, at most ${limits.maxTopicBytes}`);
  }
  if (levelCount(topic) > limits.maxTopicLevels) {
    throw new ProtocolError(reason, `a topic name of more than ${limits.maxTopicLevels} levels`);
  }
  return topic;
}
