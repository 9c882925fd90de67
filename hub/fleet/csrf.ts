import { createHmac } from 'node:crypto';

/**
 * What a changing request must carry beside the cookie with this secret. Pages of other sites may make a browser send the
 * cookie, but cannot read this; and it tells nothing about the secret.
 */
export function csrfOf(secret: string): string {
  return createHmac('sha256', secret).update('muster csrf 1').digest('base64url');
}
