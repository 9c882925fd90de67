import type { Config } from '#hub/config.js';

/** Why the hub did not start, in one line that says what to do. */
export function startupError(error: unknown, config: Config): string {
  if (!(error instanceof Error)) return String(error);
  const { code, path } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'EADDRINUSE':
      return `port ${config.port} is in use: stop what uses it, or choose another with --port`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `this machine has no address ${config.host}: choose another with --host`;
    case 'EACCES':
    case 'EPERM':
      return path === undefined
        ? `port ${config.port} may not be opened by this user: choose one above 1023 with --port`
        : `${path} may not be used by this user: change its permissions, or choose another`;
    case 'ENOENT':
      return `${path ?? 'a file'} does not exist: check the paths in --tls-cert, --tls-key and --data`;
    case 'EMFILE':
      return 'too many open files: raise the limit (ulimit -n)';
  }
  if (code?.startsWith('ERR_OSSL') === true || code?.startsWith('ERR_SSL') === true) {
    return `--tls-cert and --tls-key cannot be used (${error.message}): they must be PEM and belong together`;
  }
  return error.message;
}
