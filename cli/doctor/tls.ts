import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Config } from '#hub/config.js';
import { fileProblem } from '../secret-file.ts';
import { fail, ok, warn, type Finding } from './finding.ts';

const DAY_MS = 86_400_000;
const SOON_DAYS = 14;

/** Null: no TLS is configured. */
export async function checkTls(
  { tlsCert, tlsKey }: Pick<Config, 'tlsCert' | 'tlsKey'>,
  cwd: string,
  nowMs: number,
): Promise<Finding | null> {
  if (tlsCert === null || tlsKey === null) return null;
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(await pem(resolve(cwd, tlsCert)));
    const key = createPrivateKey(await pem(resolve(cwd, tlsKey)));
    if (!certificate.checkPrivateKey(key))
      return fail('tls', `${tlsKey} is not the key of ${tlsCert}`, 'name the two files that belong together');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return fail(
      'tls',
      `tlsCert and tlsKey cannot be used: ${why}`,
      'both must be PEM; `muster cert` makes a pair for development',
    );
  }
  const fromMs = Date.parse(certificate.validFrom);
  const days = Math.floor((Date.parse(certificate.validTo) - nowMs) / DAY_MS);
  if (nowMs < fromMs)
    return fail('tls', `the certificate is valid only from ${certificate.validFrom}`, 'wait, or look at the clock');
  if (days < 0) return fail('tls', `the certificate ended ${certificate.validTo}`, 'renew it: no device will connect');
  if (days < SOON_DAYS)
    return warn('tls', `the certificate ends in ${days} days`, 'renew it; the hub takes the new one by itself');
  return ok('tls', `the certificate is valid for ${days} days`);
}

async function pem(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new Error(fileProblem(error, path), { cause: error });
  }
}
