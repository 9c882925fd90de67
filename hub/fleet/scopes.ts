import { isTopicFilter, levelCount } from '#protocols/topics.js';

/** What a caller of the API may do: look, send commands, change devices, change who has access. None contains another. */
export const SCOPES = ['read', 'commands', 'devices', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

export const ROLES = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof ROLES)[number];

const SCOPES_OF: Readonly<Record<Role, readonly Scope[]>> = {
  viewer: ['read'],
  operator: ['read', 'commands', 'devices'],
  admin: SCOPES,
};

export function scopesOf(role: Role): readonly Scope[] {
  return SCOPES_OF[role];
}

/** The topics of an application, as MQTT filters. What no filter allows is refused. */
export interface TopicRules {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/** Most filters in one list: each message of the application is held against them. */
export const MAX_FILTERS = 64;
const MAX_FILTER_BYTES = 1024;
const MAX_FILTER_LEVELS = 32;

/** What is wrong with the rules, for whoever wrote them; null: nothing. */
export function faultOfRules(rules: TopicRules): string | null {
  for (const [list, filters] of Object.entries(rules) as [string, readonly string[]][]) {
    if (filters.length > MAX_FILTERS) return `${list} has more than ${MAX_FILTERS} filters`;
    for (const filter of filters) {
      const fault = faultOfFilter(filter);
      if (fault !== null) return `${list}: "${filter.slice(0, 128)}" ${fault}`;
    }
  }
  return null;
}

function faultOfFilter(filter: string): string | null {
  if (!isTopicFilter(filter)) return 'is no topic filter: + stands alone in a level, # alone in the last one';
  if (!filter.isWellFormed()) return 'is no valid Unicode';
  if (filter === '$share' || filter.startsWith('$share/'))
    return 'is a shared subscription: give the filter behind the share name';
  if (Buffer.byteLength(filter) > MAX_FILTER_BYTES) return `is longer than ${MAX_FILTER_BYTES} bytes`;
  return levelCount(filter) > MAX_FILTER_LEVELS ? `has more than ${MAX_FILTER_LEVELS} levels` : null;
}

/** True only if every topic that `filter` matches is matched by `rule` too. */
export function covers(rule: string, filter: string): boolean {
  // Wildcards in the first level match no topic that begins with `$` [MQTT-4.7.2-1].
  if (filter.startsWith('$') && (rule.startsWith('+') || rule.startsWith('#'))) return false;
  const allowed = rule.split('/');
  const asked = filter.split('/');
  for (const [i, level] of allowed.entries()) {
    if (level === '#') return true;
    // `a/#` matches `a` as well, so `#` is covered by `#` alone.
    if (i >= asked.length || asked[i] === '#') return false;
    if (level !== '+' && level !== asked[i]) return false;
  }
  return allowed.length === asked.length;
}
