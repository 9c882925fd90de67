import type { Principal } from '#protocols/principal.js';
import { matchesFilter } from '#protocols/topics.js';
import { covers, type TopicRules } from './scopes.ts';

/**
 * Who may use which topic. A device: its own tree. An application: everything but `$SYS` of others, or what the rules of its
 * token name and nothing else. Anonymous mode: whoever connects, any topic and filter.
 */

/** May this principal publish on behalf of the device whose tree the topic is in? */
export function mayWriteDevice(principal: Principal, device: string): boolean {
  return principal.kind === 'application' || principal.anonymous || principal.id === device;
}

/** May it publish on topics that have no meaning to the hub? */
export function mayUseFreeTopics(principal: Principal): boolean {
  return principal.kind === 'application' || principal.anonymous;
}

/** Do the rules allow to publish on this topic? They take away, and never give: the topic must be open to the principal as well. */
export function rulesAllow(rules: TopicRules | null, topic: string): boolean {
  return rules === null || rules.publish.some((filter) => matchesFilter(filter, topic));
}

/** May it subscribe to this filter (`me` already replaced)? One rule must cover all of it. Shared subscriptions are not served. */
export function maySubscribe(principal: Principal, filter: string, rules: TopicRules | null): boolean {
  if (filter === '$share' || filter.startsWith('$share/')) return false;
  if (rules !== null && !rules.subscribe.some((rule) => covers(rule, filter))) return false;
  if (principal.kind === 'application' || principal.anonymous) return true;
  return filter.startsWith(`devices/${principal.id}/`);
}
