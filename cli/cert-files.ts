import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCa, makeServerCertificate, type PemPair } from './dev-ca.ts';
import { CliError } from './io.ts';
import type { WrittenCertificates } from './cert.ts';

/** For the owner alone: two of the four are secrets, and nobody has to remember which. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

export interface CertificateRequest {
  readonly out: string;
  readonly hosts: readonly string[];
  readonly days: number;
  readonly nowMs: number;
  /** Replace a server certificate of another CA. */
  readonly force?: boolean;
}

/**
 * Writes `ca.pem`, `ca-key.pem`, `cert.pem` and `key.pem` into a folder. A CA that is there stays, so that devices which
 * trust it still do. Throws CliError when what is there cannot be used.
 */
export async function writeCertificates(request: CertificateRequest): Promise<WrittenCertificates> {
  const { out, hosts, days, nowMs } = request;
  const file = (name: string): string => join(out, name);
  const paths = { ca: file('ca.pem'), caKey: file('ca-key.pem'), cert: file('cert.pem'), key: file('key.pem') };
  const found = readCa(paths.ca, paths.caKey, nowMs);
  const ca = found ?? (await makeCa(nowMs));
  const caCertificate = new X509Certificate(ca.cert);
  if (request.force !== true) refuseForeign(paths.cert, paths.key, caCertificate);
  const server = await makeServerCertificate(ca, { hosts, days, nowMs });
  try {
    mkdirSync(out, { recursive: true, mode: FOLDER_MODE });
    if (found === null) writePair(paths.ca, paths.caKey, ca);
    writePair(paths.cert, paths.key, server);
  } catch (error) {
    throw new CliError(`cannot write to ${out}: ${wordsOf(error)}\nchoose another folder with --out`, { cause: error });
  }
  return {
    ...paths,
    hosts,
    validTo: new X509Certificate(server.cert).validToDate.toISOString(),
    caFingerprint: caCertificate.fingerprint256,
    newCa: found === null,
  };
}

/** Null: there is none yet. */
function readCa(certFile: string, keyFile: string, nowMs: number): PemPair | null {
  if (!existsSync(certFile) && !existsSync(keyFile)) return null;
  const mend = 'choose another folder with --out, or remove both for a new CA, which devices must then be given';
  if (!existsSync(certFile) || !existsSync(keyFile)) {
    const missing = existsSync(certFile) ? keyFile : certFile;
    throw new CliError(`half of the CA is missing: there is no ${missing}\nput it back, ${mend}`);
  }
  try {
    const pair = { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
    const certificate = new X509Certificate(pair.cert);
    if (!certificate.ca) throw new Error('it is no CA');
    if (!certificate.checkPrivateKey(createPrivateKey(pair.key)))
      throw new Error('certificate and key do not belong together');
    if (certificate.validToDate.getTime() <= nowMs) throw new Error(`it has expired on ${certificate.validTo}`);
    return pair;
  } catch (error) {
    throw new CliError(`the CA in ${certFile} and ${keyFile} cannot be used: ${wordsOf(error)}\n${mend}`, {
      cause: error,
    });
  }
}

/** A certificate that somebody else has made, such as a public CA, is not overwritten by accident. */
function refuseForeign(certFile: string, keyFile: string, ca: X509Certificate): void {
  const refuse = (file: string, why: string): never => {
    throw new CliError(`${file} is there and ${why}\nchoose another folder with --out, or overwrite it with --force`);
  };
  if (!existsSync(certFile)) {
    if (existsSync(keyFile)) refuse(keyFile, 'belongs to no certificate of this folder');
    return;
  }
  if (!isIssuedBy(certFile, ca)) refuse(certFile, 'was not made by this CA');
}

function isIssuedBy(certFile: string, ca: X509Certificate): boolean {
  try {
    return new X509Certificate(readFileSync(certFile)).verify(ca.publicKey);
  } catch {
    return false;
  }
}

/** Each file appears whole, under its name, so that a hub which looks at that moment reads no half of it. */
function writePair(certFile: string, keyFile: string, pair: PemPair): void {
  const write = (file: string, text: string): void => {
    const temporary = `${file}.${randomBytes(4).toString('hex')}`;
    try {
      writeFileSync(temporary, text, { flag: 'wx', mode: FILE_MODE });
      // The mode above is cut by the umask.
      chmodSync(temporary, FILE_MODE);
      renameSync(temporary, file);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  };
  write(keyFile, pair.key);
  write(certFile, pair.cert);
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
