import { pino, type DestinationStream, type Logger } from 'pino';
import { redactSecrets } from './redact.ts';

export type Log = Logger;

/** Keys whose value is never logged, whoever passes the object. */
const SECRET_KEYS = ['token', 'password', 'secret', 'authorization', 'access_token'];

/**
 * The log of the hub: one JSON object a line, to stderr, so that stdout stays for the words of the command line.
 * No line holds a token: known keys are cut by pino, and every finished line passes `redactSecrets`.
 */
export function createLog(level: string, destination: DestinationStream = standardError()): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: '[redacted]' },
      hooks: { streamWrite: redactSecrets },
    },
    destination,
  );
}

/** Written at once: the hub logs little, and the last lines before a crash are the ones that matter. */
function standardError(): DestinationStream {
  return pino.destination({ dest: 2, sync: true });
}
