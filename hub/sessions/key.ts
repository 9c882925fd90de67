import type { Principal } from '#protocols/principal.js';

/**
 * What a session is found by. Device and client ids may both hold `:`, so the length of the first keeps (`a`, `b:c`) and
 * (`a:b`, `c`) apart.
 */
export function sessionKey(principal: Pick<Principal, 'kind' | 'id'>, clientId: string): string {
  return `${principal.kind}:${principal.id.length}:${principal.id}:${clientId}`;
}
