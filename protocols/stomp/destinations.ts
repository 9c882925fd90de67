import type { ProtocolLimits } from '../limits.ts';
import { isQueueTopic, QUEUE_ROOT, REPLY_ROOT } from '../queues.ts';
import { isTopicFilter, isTopicName, levelCount } from '../topics.ts';
import { excerpt } from './frame.ts';

/** A destination read, or why it cannot be one, for the client. */
export type Destination =
  /** `topic` is what the hub calls it: of a SUBSCRIBE a filter, of a queue `$queue/…`. */
  | { readonly ok: true; readonly kind: 'topic' | 'queue' | 'reply'; readonly topic: string }
  /** `/temp-queue/{name}`: the hub knows its topic. */
  | { readonly ok: true; readonly kind: 'temporary'; readonly name: string }
  | Refusal;

interface Refusal {
  readonly ok: false;
  readonly message: string;
  readonly limit: keyof ProtocolLimits | null;
}

const TOPIC = '/topic/';
const QUEUE = '/queue/';
const TEMPORARY = '/temp-queue/';
const REPLY = '/reply-queue/';
const DEVICES = 'devices/';

type DestinationLimits = Pick<ProtocolLimits, 'maxTopicBytes' | 'maxTopicLevels'>;

/** Where a SEND goes: `/topic/a/b` is the topic `a/b`; `/devices/…` and `devices/…` are `devices/…`. No wildcards. */
export function topicOfDestination(destination: string, limits: DestinationLimits): Destination {
  const read = strip(destination);
  if (!read.ok) return read;
  if (read.kind === 'temporary') return temporary(read.name, limits);
  if (hasWildcard(read.topic)) return no(`${excerpt(destination)} holds a wildcard; a message goes to one destination`);
  return bounded(read, limits);
}

/**
 * What a SUBSCRIBE asks for: as above, and of topics with MQTT's wildcards `+` (one level) and `#` (all that follow), which
 * may be written `*` and `>`.
 */
export function filterOfDestination(destination: string, limits: DestinationLimits): Destination {
  const read = strip(destination);
  if (!read.ok) return read;
  if (read.kind === 'temporary') return temporary(read.name, limits);
  if (read.kind === 'reply' || isQueueTopic(read.topic) !== (read.kind === 'queue')) {
    return no(`${excerpt(destination)} cannot be subscribed to; queues are /queue/{name} and /temp-queue/{name}`);
  }
  if (read.kind === 'queue') {
    return hasWildcard(read.topic)
      ? no(`${excerpt(destination)} holds a wildcard; a queue has one name`)
      : bounded(read, limits);
  }
  const filter = read.topic
    .split('/')
    .map((level) => (level === '*' ? '+' : level === '>' ? '#' : level))
    .join('/');
  if (!isTopicFilter(filter)) {
    return no(`${excerpt(destination)} misplaces a wildcard: '+' and '#' take a whole level, and '#' the last one`);
  }
  return bounded({ ...read, topic: filter }, limits);
}

/** The destination under which a topic is shown to STOMP clients. */
export function destinationOfTopic(topic: string): string {
  if (topic.startsWith(DEVICES)) return `/${topic}`;
  if (topic.startsWith(QUEUE_ROOT)) return `${QUEUE}${topic.slice(QUEUE_ROOT.length)}`;
  if (topic.startsWith(REPLY_ROOT)) return `${REPLY}${topic.slice(REPLY_ROOT.length)}`;
  return `${TOPIC}${topic}`;
}

/** The destination of a temporary queue as its own connection knows it. */
export function temporaryDestination(name: string): string {
  return `${TEMPORARY}${name}`;
}

/** How a destination begins, and what its topic begins with in its place. */
const PREFIXES = [
  [TOPIC, 'topic', ''],
  [`/${DEVICES}`, 'topic', DEVICES],
  [DEVICES, 'topic', DEVICES],
  [QUEUE, 'queue', QUEUE_ROOT],
  [REPLY, 'reply', REPLY_ROOT],
] as const;

function strip(destination: string): Destination {
  for (const [prefix, kind, root] of PREFIXES) {
    if (isBehind(prefix, destination)) return { ok: true, kind, topic: root + destination.slice(prefix.length) };
  }
  if (isBehind(TEMPORARY, destination)) {
    return { ok: true, kind: 'temporary', name: destination.slice(TEMPORARY.length) };
  }
  return no(`${excerpt(destination)} is no destination of this hub; ${KNOWN}`);
}

function isBehind(prefix: string, destination: string): boolean {
  return destination.startsWith(prefix) && destination.length > prefix.length;
}

const KNOWN =
  'there are /topic/{topic}, /devices/{id or me}/… (telemetry, events/{name}, commands/#), /queue/{name} and /temp-queue/{name}';

/** `*` and `>` are wildcards where they fill a level, as in a SUBSCRIBE. */
function hasWildcard(topic: string): boolean {
  return !isTopicName(topic) || topic.split('/').some((level) => level === '*' || level === '>');
}

function temporary(name: string, limits: DestinationLimits): Destination {
  if (hasWildcard(name)) return no(`${excerpt(name)} holds a wildcard; a queue has one name`);
  const read = bounded({ ok: true, kind: 'queue', topic: name }, limits);
  return read.ok ? { ok: true, kind: 'temporary', name } : read;
}

function bounded<T extends { readonly ok: true; readonly topic: string }>(
  read: T,
  limits: DestinationLimits,
): T | Refusal {
  const { maxTopicBytes, maxTopicLevels } = limits;
  if (Buffer.byteLength(read.topic) > maxTopicBytes) {
    return no(`the destination is longer than ${maxTopicBytes} bytes`, 'maxTopicBytes');
  }
  if (levelCount(read.topic) > maxTopicLevels) {
    return no(`the destination has more than ${maxTopicLevels} levels`, 'maxTopicLevels');
  }
  return read;
}

function no(message: string, limit: keyof ProtocolLimits | null = null): Refusal {
  return { ok: false, message, limit };
}
