// Before x509, which looks for it when it is loaded.
import 'reflect-metadata';
import { randomBytes, webcrypto, X509Certificate as NodeCertificate, createPrivateKey } from 'node:crypto';
import { isIP } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** P-256 with SHA-256: what every TLS library of the last fifteen years has, microcontrollers included. */
const KEY_KIND = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const;
const DAY_MS = 24 * 60 * 60 * 1000;
const CA_DAYS = 10 * 365;
/** Valid since yesterday: the clock of a device may be behind. */
const CLOCK_SLACK_MS = DAY_MS;

/** A certificate and its private key, as PEM. */
export interface PemPair {
  readonly cert: string;
  readonly key: string;
}

/** A certificate authority for development, valid for ten years. It may sign servers and nothing below itself. */
export async function makeCa(nowMs: number): Promise<PemPair> {
  const keys = await webcrypto.subtle.generateKey(KEY_KIND, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    // The random part tells one development CA from another in a trust store.
    name: [{ O: ['Muster development'] }, { CN: [`Muster development CA ${randomBytes(3).toString('hex')}`] }],
    notBefore: new Date(nowMs - CLOCK_SLACK_MS),
    notAfter: new Date(nowMs + CA_DAYS * DAY_MS),
    signingAlgorithm: SIGNATURE,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: `${certificate.toString('pem')}\n`, key: await pemKey(keys.privateKey) };
}

/**
 * A server certificate for `hosts` (names, `*.` before them allowed, and IP addresses), signed by `ca`. It ends with the CA
 * at the latest. Throws when the CA's key does not belong to its certificate, or the CA has expired.
 */
export async function makeServerCertificate(
  ca: PemPair,
  { hosts, days, nowMs }: { readonly hosts: readonly string[]; readonly days: number; readonly nowMs: number },
): Promise<PemPair> {
  const caCertificate = new NodeCertificate(ca.cert);
  if (!caCertificate.checkPrivateKey(createPrivateKey(ca.key))) throw new Error('the key of the CA is not its own');
  const caEndsMs = caCertificate.validToDate.getTime();
  if (caEndsMs <= nowMs) throw new Error(`the CA has expired on ${caCertificate.validTo}`);
  const keys = await webcrypto.subtle.generateKey(KEY_KIND, true, ['sign', 'verify']);
  const issuer = new X509Certificate(ca.cert);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ O: ['Muster development'] }, { CN: [commonName(hosts)] }],
    issuer: issuer.subjectName,
    notBefore: new Date(nowMs - CLOCK_SLACK_MS),
    notAfter: new Date(Math.min(nowMs + days * DAY_MS, caEndsMs)),
    signingAlgorithm: SIGNATURE,
    publicKey: keys.publicKey,
    signingKey: await signingKey(ca.key),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(
        hosts.map((host) => ({ type: isIP(host) === 0 ? 'dns' : 'ip', value: host }) as const),
      ),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { cert: `${certificate.toString('pem')}\n`, key: await pemKey(keys.privateKey) };
}

/** X.520 allows 64 characters; clients look at the alternative names. */
function commonName(hosts: readonly string[]): string {
  return hosts.find((host) => host.length <= 64) ?? 'muster';
}

/** Positive and of 16 bytes (RFC 5280, 4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
}

async function pemKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', key);
  return `${PemConverter.encode(der, PemConverter.PrivateKeyTag)}\n`;
}

async function signingKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' });
  return webcrypto.subtle.importKey('pkcs8', der, KEY_KIND, false, ['sign']);
}
