/**
 * Topic names and filters, as in MQTT 3.1.1 section 4.7; STOMP destinations are turned into them.
 * Lengths and UTF-8 are the codecs' business; here is only the meaning.
 */

/** A topic name: at least one character, no wildcard, no NUL [MQTT-3.3.2-2, MQTT-4.7.3-1, MQTT-4.7.3-2]. */
export function isTopicName(topic: string): boolean {
  return topic.length > 0 && !topic.includes('+') && !topic.includes('#') && !topic.includes('\0');
}

/** A topic filter: `#` alone in the last level, `+` alone in its level [MQTT-4.7.1-2, MQTT-4.7.1-3]. */
export function isTopicFilter(filter: string): boolean {
  if (filter.length === 0 || filter.includes('\0')) return false;
  const levels = filter.split('/');
  for (let i = 0; i < levels.length; i++) {
    const level = levels[i]!;
    if (level.includes('#') && (level !== '#' || i !== levels.length - 1)) return false;
    if (level.includes('+') && level !== '+') return false;
  }
  return true;
}

export function levelCount(topic: string): number {
  let n = 1;
  for (let i = topic.indexOf('/'); i !== -1; i = topic.indexOf('/', i + 1)) n++;
  return n;
}

/**
 * Topics that a wildcard in the first level does not match: those that begin with `$` [MQTT-4.7.2-1], and the hub's own word on its devices. Who
 * subscribes to everything means what clients say to each other; who wants presence asks for `devices/+/presence` or `devices/#`.
 */
export function hidesFromWildcards(topic: string): boolean {
  return topic.startsWith('$') || (topic.startsWith('devices/') && topic.endsWith('/presence'));
}

/** Does the filter match the topic name? A wildcard in the first level does not match every one: see `hidesFromWildcards`. */
export function matchesFilter(filter: string, topic: string): boolean {
  if ((filter.startsWith('+') || filter.startsWith('#')) && hidesFromWildcards(topic)) return false;
  const f = filter.split('/');
  const t = topic.split('/');
  for (let i = 0; i < f.length; i++) {
    const level = f[i]!;
    if (level === '#') return true;
    if (i >= t.length) return false;
    if (level !== '+' && level !== t[i]) return false;
  }
  return f.length === t.length;
}

/** What a topic name means to the hub. `device` is null where the topic wrote `me`. */
export type TopicMeaning =
  | { readonly kind: 'telemetry'; readonly device: string | null; readonly format: string | null }
  | { readonly kind: 'event'; readonly device: string | null; readonly name: string }
  | { readonly kind: 'result'; readonly device: string | null; readonly commandId: string }
  /** The hub's own word (commands, presence, `$SYS`), or a device topic that means nothing: not for clients to publish on. */
  | { readonly kind: 'reserved' }
  | { readonly kind: 'free' };

const FREE: TopicMeaning = { kind: 'free' };
const RESERVED: TopicMeaning = { kind: 'reserved' };

/** Reads a topic name. Everything under `devices/`, `$SYS` and `$share` has a meaning or is reserved; the rest is free. */
export function topicMeaning(topic: string): TopicMeaning {
  if (topic.startsWith('$')) return isUnder(topic, '$SYS') || isUnder(topic, '$share') ? RESERVED : FREE;
  if (!topic.startsWith('devices/')) return topic === 'devices' ? RESERVED : FREE;
  const levels = topic.split('/');
  const id = levels[1]!;
  if (id === '') return RESERVED;
  const device = id === 'me' ? null : id;
  if (levels[2] === 'telemetry' && (levels.length === 3 || (levels.length === 4 && levels[3] !== ''))) {
    return { kind: 'telemetry', device, format: levels[3] ?? null };
  }
  if (levels[2] === 'events' && levels.length === 4 && levels[3] !== '')
    return { kind: 'event', device, name: levels[3]! };
  if (levels[2] === 'commands' && levels.length === 5 && levels[3] !== '' && levels[4] === 'result') {
    return { kind: 'result', device, commandId: levels[3]! };
  }
  return RESERVED;
}

function isUnder(topic: string, root: string): boolean {
  return topic.startsWith(root) && (topic.length === root.length || topic[root.length] === '/');
}

/** `devices/me/x` with the id written out; other topics and filters unchanged. */
export function resolveMe(topicOrFilter: string, deviceId: string): string {
  if (topicOrFilter === 'devices/me') return `devices/${deviceId}`;
  return topicOrFilter.startsWith('devices/me/')
    ? `devices/${deviceId}/${topicOrFilter.slice('devices/me/'.length)}`
    : topicOrFilter;
}

/** The topic as a subscriber should see it: a subscription written with `me` is answered with `me`. */
export function answerTopic(topic: string, filterAsWritten: string, deviceId: string): string {
  const own = `devices/${deviceId}/`;
  return filterAsWritten.startsWith('devices/me/') && topic.startsWith(own)
    ? `devices/me/${topic.slice(own.length)}`
    : topic;
}

export function commandTopic(device: string, commandId: string, name: string): string {
  return `devices/${device}/commands/${commandId}/${name}`;
}
