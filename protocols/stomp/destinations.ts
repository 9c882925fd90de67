import type { ProtocolLimits } from '../limits.ts';
import { isTopicFilter, isTopicName, levelCount } from '../topics.ts';
import { excerpt } from './frame.ts';

/** A destination read as a topic or filter, or why it cannot be one, for the client. */
export type Destination =
  { readonly ok: true; readonly topic: string } | { readonly ok: false; readonly message: string };

const TOPIC = '/topic/';
const DEVICES = 'devices/';

type DestinationLimits = Pick<ProtocolLimits, 'maxTopicBytes' | 'maxTopicLevels'>;

/** Where a SEND goes: `/topic/a/b` is the topic `a/b`; `/devices/…` and `devices/…` are `devices/…`. No wildcards. */
export function topicOfDestination(destination: string, limits: DestinationLimits): Destination {
  const read = strip(destination);
  if (!read.ok) return read;
  if (!isTopicName(read.topic) || read.topic.split('/').some((level) => level === '*' || level === '>')) {
    return no(`${excerpt(destination)} holds a wildcard; a message goes to one topic`);
  }
  return bounded(read.topic, limits);
}

/** What a SUBSCRIBE asks for: as above, with MQTT's wildcards `+` (one level) and `#` (all that follow), which may be written `*` and `>`. */
export function filterOfDestination(destination: string, limits: DestinationLimits): Destination {
  const read = strip(destination);
  if (!read.ok) return read;
  const filter = read.topic
    .split('/')
    .map((level) => (level === '*' ? '+' : level === '>' ? '#' : level))
    .join('/');
  if (!isTopicFilter(filter)) {
    return no(`${excerpt(destination)} misplaces a wildcard: '+' and '#' take a whole level, and '#' the last one`);
  }
  return bounded(filter, limits);
}

/** The destination under which a topic is shown to STOMP clients. */
export function destinationOfTopic(topic: string): string {
  return topic.startsWith(DEVICES) ? `/${topic}` : `${TOPIC}${topic}`;
}

function strip(destination: string): Destination {
  if (destination.startsWith(TOPIC) && destination.length > TOPIC.length) {
    return { ok: true, topic: destination.slice(TOPIC.length) };
  }
  const relative = destination.startsWith('/') ? destination.slice(1) : destination;
  if (relative.startsWith(DEVICES) && relative.length > DEVICES.length) return { ok: true, topic: relative };
  return no(
    `${excerpt(destination)} is no destination of this hub; there are /topic/{topic} and /devices/{id or me}/… (telemetry, events/{name}, commands/#)`,
  );
}

function bounded(topic: string, limits: DestinationLimits): Destination {
  if (Buffer.byteLength(topic) > limits.maxTopicBytes) {
    return no(`the destination is longer than ${limits.maxTopicBytes} bytes`);
  }
  if (levelCount(topic) > limits.maxTopicLevels)
    return no(`the destination has more than ${limits.maxTopicLevels} levels`);
  return { ok: true, topic };
}

function no(message: string): Destination {
  return { ok: false, message };
}
