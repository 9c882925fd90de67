import type { IncomingMessage } from 'node:http';
import type { Principal } from '#protocols/principal.js';
import type { Identity } from '#hub/fleet/identity.js';
import type { RefusalCode } from './port.ts';
import { plainAddress, type TrustedProxies } from './trusted-proxies.ts';

/** What an upgrade request says, before anything is decided. */
export interface Handshake {
  readonly path: string;
  /** Of the client, as far as trusted proxies tell it. */
  readonly address: string;
  readonly offered: string | null;
  readonly origin: string | null;
  readonly host: string | null;
  readonly userAgent: string | null;
  /** Secrets of the Authorization header and of the query. */
  readonly tokens: readonly string[];
  /** An Authorization header that is neither Bearer nor Basic, or cannot be read. */
  readonly unreadable: boolean;
}

/** What stands before the path when a request names the whole address, as through a proxy (RFC 6455, 4.2.1). */
const ABSOLUTE = /^https?:\/\/[^/?]*/i;

/** `inQuery`: whether a token may stand in the query, for clients that cannot set a header (browsers). */
export function readHandshake(request: IncomingMessage, proxies: TrustedProxies, inQuery = true): Handshake {
  const url = (request.url ?? '').replace(ABSOLUTE, '');
  const cut = url.indexOf('?');
  const path = cut < 0 ? url : url.slice(0, cut);
  const queried = cut < 0 || !inQuery ? [] : new URLSearchParams(url.slice(cut + 1)).getAll('access_token');
  const tokens = queried.filter((text) => text !== '');
  const authorization = request.headers.authorization;
  const token = authorization === undefined ? null : tokenOf(authorization);
  if (token !== null) tokens.push(token);
  return {
    path: path === '' ? '/' : path,
    address: addressOf(request, proxies),
    offered: request.headers['sec-websocket-protocol'] ?? null,
    origin: request.headers.origin ?? null,
    host: request.headers.host ?? null,
    userAgent: request.headers['user-agent'] ?? null,
    tokens,
    unreadable: authorization !== undefined && token === null,
  };
}

function addressOf(request: IncomingMessage, proxies: TrustedProxies): string {
  const peer = plainAddress(request.socket.remoteAddress);
  return proxies.clientOf(peer, request.headers['x-forwarded-for']);
}

/** RFC 6750 Bearer, RFC 7617 Basic (the token is the password; the user name is a label). */
function tokenOf(authorization: string): string | null {
  const [scheme = '', value = ''] = authorization.split(' ', 2);
  if (scheme.toLowerCase() === 'bearer' && value !== '') return value;
  if (scheme.toLowerCase() !== 'basic') return null;
  const text = Buffer.from(value, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) return null;
  const [username, password] = [text.slice(0, colon), text.slice(colon + 1)];
  return password === '' ? username : password;
}

export type HandshakeIdentity =
  | { readonly ok: true; readonly principal: Principal | null }
  | { readonly ok: false; readonly code: RefusalCode; readonly detail: string };

/** Whom the handshake's own credentials name; null: it showed none. */
export function identifyHandshake(handshake: Handshake, identity: Identity): HandshakeIdentity {
  if (handshake.unreadable) {
    return { ok: false, code: 'bad_credentials', detail: 'Authorization must be "Bearer <token>" or Basic' };
  }
  let principal: Principal | null = null;
  for (const token of handshake.tokens) {
    const named = identity.ofToken(token);
    if (!named.ok) {
      if (named.reason === 'device_disabled')
        return { ok: false, code: 'device_disabled', detail: 'the device is disabled' };
      if (named.reason === 'not_authorized')
        return { ok: false, code: 'bad_credentials', detail: 'an API token without admin: use an application token' };
      return { ok: false, code: 'bad_credentials', detail: 'the token is unknown, was revoked, or has expired' };
    }
    if (principal !== null && (principal.kind !== named.principal.kind || principal.id !== named.principal.id)) {
      return { ok: false, code: 'credentials_contradict', detail: 'header and query name different principals' };
    }
    principal = named.principal;
  }
  return { ok: true, principal };
}

/**
 * Requests without Origin are no browser's. A browser's must come from this host or from the list (`*`: from anywhere).
 * Host is read under the scheme of the origin: it may name the default port, as Paho's does, which an origin never shows.
 */
export function originAllowed(handshake: Handshake, allowed: readonly string[]): boolean {
  const { origin, host } = handshake;
  if (origin === null || allowed.includes('*') || allowed.includes(origin)) return true;
  if (host === null || !URL.canParse(origin)) return false;
  const { protocol, host: from } = new URL(origin);
  const here = `${protocol}//${host}`;
  return from !== '' && URL.canParse(here) && new URL(here).host === from;
}
