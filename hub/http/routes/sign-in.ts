import * as z from 'zod';
import { csrfOf } from '#hub/fleet/csrf.js';
import { FleetError, type SignedIn } from '#hub/fleet/port.js';
import { empty, json } from '../answers.ts';
import { clearCookie, cookieSecret, setCookie } from '../cookie.ts';
import type { HubApi } from '../deps.ts';
import { mustBeOwnOrigin } from '../origin.ts';
import { route, type Route } from '../route.ts';
import { me, signedIn } from '../schemas/access.ts';
import { isoOfMs } from '../time.ts';
import { newPassword, secretText } from '../validate.ts';

const tag = 'Access';

const credentials = z.union(
  [
    z.strictObject({ name: secretText, password: secretText }),
    z.strictObject({
      link: secretText.describe('What stands behind # in a one-time link'),
      password: newPassword.optional().describe('To be set as the new password of the operator'),
    }),
  ],
  'send {"name", "password"}, or {"link"} with the secret of a one-time link',
);

export function signInRoutes(): readonly Route[] {
  return [
    route(
      'POST',
      '/api/v1/sign-in',
      {
        id: 'signIn',
        tag,
        summary: 'Sign in by name and password, or by a one-time link',
        scope: 'none',
        body: credentials,
        answers: {
          200: json(signedIn, 'The cookie `muster_session` is set', { 'Set-Cookie': 'HttpOnly, SameSite=Strict' }),
        },
        problems: ['denied', 'forbidden'],
      },
      async ({ api, body, req, res }) => {
        // A page of another site must not be able to sign a browser in under a name of its choice.
        mustBeOwnOrigin(req);
        const made =
          'link' in body
            ? await byLink(api, body.link, body.password)
            : await api.operators.signIn(body.name, body.password, req.socket.remoteAddress ?? '');
        setCookie(req, res, made.secret, made.expiresMs - api.clock.now());
        const { caller, csrf, expiresMs } = made;
        return { status: 200, body: { caller, csrf, expiresMs, expires: isoOfMs(expiresMs) } };
      },
    ),
    route(
      'POST',
      '/api/v1/sign-out',
      {
        id: 'signOut',
        tag,
        summary: 'End the sign-in of this cookie',
        scope: 'any',
        body: z.strictObject({}).optional(),
        answers: { 204: empty('Nobody can use the cookie any more; with a token there is nothing to end') },
      },
      async ({ api, caller, req, res }) => {
        const secret = caller?.kind === 'operator' ? cookieSecret(req) : null;
        if (secret !== null) {
          await api.operators.signOut(secret);
          clearCookie(req, res);
        }
        return { status: 204 };
      },
    ),
    route(
      'GET',
      '/api/v1/me',
      {
        id: 'whoAmI',
        tag,
        summary: 'Who is asking, and what he may do',
        scope: 'any',
        answers: { 200: json(me, 'The caller of this request') },
      },
      ({ caller, req }) => {
        const secret = caller?.kind === 'operator' ? cookieSecret(req) : null;
        return { status: 200, body: { caller: caller!, csrf: secret === null ? null : csrfOf(secret) } };
      },
    ),
  ];
}

/** Whoever holds the link may choose a password without knowing the old one: that is what links are for. */
async function byLink(api: HubApi, link: string, password: string | undefined): Promise<SignedIn> {
  const { writable } = api.telemetry.health;
  if (password !== undefined && !writable) {
    throw new FleetError(
      'unavailable',
      'the store cannot write at present, so no password can be set; the link stays good',
    );
  }
  const made = await api.operators.signInByLink(link);
  if (password === undefined || made.caller.kind !== 'operator') return made;
  try {
    await api.operators.setPassword(made.caller.name, password, undefined, made.secret);
  } catch (error) {
    // Nobody gets this cookie; and while somebody is signed in, no new link is made at the next start.
    await api.operators.signOut(made.secret).catch(() => undefined);
    throw error;
  }
  return made;
}
