import type { Principal } from '#protocols/principal.js';

/**
 * Who may use which topic by default. A device: its own tree. An application: everything but `$SYS` of others.
 * Anonymous mode: whoever connects, any topic and filter.
 */

/** May this principal publish on behalf of the device whose tree the topic is in? */
export function mayWriteDevice(principal: Principal, device: string): boolean {
  return principal.kind === 'application' || principal.anonymous || principal.id === device;
}

/** May it publish on topics that have no meaning to the hub? */
export function mayUseFreeTopics(principal: Principal): boolean {
  return principal.kind === 'application' || principal.anonymous;
}

/** May it subscribe to this filter (`me` already replaced)? Shared subscriptions are not served. */
export function maySubscribe(principal: Principal, filter: string): boolean {
  if (filter === '$share' || filter.startsWith('$share/')) return false;
  if (principal.kind === 'application' || principal.anonymous) return true;
  return filter.startsWith(`devices/${principal.id}/`);
}
