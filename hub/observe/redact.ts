/** Query parameters whose value is a secret. */
const SECRET_PARAMETER = /([?&;](?:access_token|token|password)=)[^&;#\s"'\\]+/gi;
/** A token of this hub: the key id tells which one it is, the rest is the secret. */
const TOKEN = /\bmst_([0-9A-Za-z]{1,64})_[A-Za-z0-9_~+/=-]+/g;
/** Credentials of an HTTP Authorization header, wherever they stand. */
const AUTHORIZATION = /\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi;

const REDACTED = '[redacted]';

/** A URL, or its path and query, without the secrets that its query may hold. */
export function redactUrl(url: string): string {
  return url.replace(SECRET_PARAMETER, `$1${REDACTED}`);
}

/** Any text without tokens, secret query parameters and Authorization values. The key id of a token stays: it is no secret. */
export function redactSecrets(text: string): string {
  return redactUrl(text).replace(TOKEN, `mst_$1_${REDACTED}`).replace(AUTHORIZATION, `$1 ${REDACTED}`);
}
