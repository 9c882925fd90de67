import { hostname, networkInterfaces } from 'node:os';
import { isIP } from 'node:net';
import { InvalidArgumentError, type Command } from 'commander';
import { print, printJson, type CliIo } from './io.ts';

/** Systems refuse server certificates that are valid for longer (Apple, since 2019). */
const LONGEST_DAYS = 825;
const USUAL_DAYS = 365;
const USUAL_PORT = 8080;
/** Whoever develops on the machine itself connects to these. */
const OWN_HOSTS = ['localhost', '127.0.0.1', '::1'];
/** RFC 1123, with a wildcard as the first label (RFC 6125, 6.4.3). */
const NAME = /^(\*\.)?(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/i;

interface CertOptions {
  readonly host: readonly string[];
  readonly out: string;
  readonly days: number;
  readonly force?: boolean;
  readonly json?: boolean;
}

export function addCertCommand(program: Command, io: CliIo): void {
  program
    .command('cert')
    .description('make a development CA and a server certificate for the hub, and say how devices come to trust it')
    .option(
      '--host <a,b>',
      'names and addresses by which devices reach the hub, besides localhost (default: those of this machine)',
      hosts,
      [],
    )
    .option('--out <dir>', 'folder of the four PEM files; a CA that is there is used again', 'certs')
    .option('--days <n>', `how long the server certificate is valid, at most ${LONGEST_DAYS}`, days, USUAL_DAYS)
    .option('--force', 'replace a server certificate that another CA has made')
    .option('--json', 'as JSON, for programs')
    .action(async (options: CertOptions) => {
      // Loaded when it is wanted: the certificate library takes longer than all other commands together.
      const { writeCertificates } = await import('./cert-files.ts');
      const names = [...new Set([...OWN_HOSTS, ...(options.host.length > 0 ? options.host : machineHosts())])];
      const written = await writeCertificates({ ...options, hosts: names, nowMs: Date.now() });
      if (options.json) printJson(io, written);
      else print(io, explain(written));
    });
}

/** What devices in the same network may know this machine by. */
function machineHosts(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const own = addresses.filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address);
  return [hostname(), ...own].filter(isHost);
}

function isHost(text: string): boolean {
  return isIP(text) !== 0 || (text.length <= 253 && NAME.test(text));
}

function hosts(text: string, before: readonly string[]): readonly string[] {
  const given = text
    .split(',')
    .map((host) => host.trim())
    .filter((host) => host !== '');
  const wrong = given.find((host) => !isHost(host));
  if (wrong !== undefined)
    throw new InvalidArgumentError(`${JSON.stringify(wrong)} is no host name and no IP address (no scheme, no port).`);
  return [...before, ...given];
}

function days(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text) || Number(text) > LONGEST_DAYS)
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${LONGEST_DAYS}.`);
  return Number(text);
}

/** Where everything is, and what it is good for. */
export interface WrittenCertificates {
  readonly ca: string;
  readonly caKey: string;
  readonly cert: string;
  readonly key: string;
  readonly hosts: readonly string[];
  /** RFC 3339. */
  readonly validTo: string;
  /** SHA-256 of the CA's certificate, as `openssl x509 -fingerprint -sha256` shows it. */
  readonly caFingerprint: string;
  /** False: the CA was there already. */
  readonly newCa: boolean;
}

/** How to use the files, for those who have not done it before. */
function explain({ ca, caKey, cert, key, hosts: names, validTo, caFingerprint, newCa }: WrittenCertificates): string {
  const host = names.find((name) => !OWN_HOSTS.includes(name) && !name.startsWith('*')) ?? 'localhost';
  const at = `${host.includes(':') ? `[${host}]` : host}:${USUAL_PORT}`;
  const column = (file: string): string => file.padEnd(caKey.length);
  return `${newCa ? 'A development CA and a server certificate' : 'A server certificate by the CA that was there'}, valid until ${validTo.slice(0, 10)}
  for ${names.join(', ')}

  ${column(ca)}  give this one to devices; its SHA-256 begins with ${caFingerprint.slice(0, 23)}
  ${column(caKey)}  keep it to yourself: who has it can pose as any server to whoever trusts the CA
  ${column(cert)}  for the hub
  ${column(key)}  for the hub

Run the hub with it; a hub that runs already takes renewed files by itself:
  muster serve --tls-cert ${cert} --tls-key ${key}

Try it:
  curl --cacert ${ca} https://${at}/healthz
  openssl s_client -connect ${at} -CAfile ${ca} -verify_return_error </dev/null

Trust it on a device, which needs ${ca} and a clock that is about right:
  MQTT.js      mqtt.connect('wss://${at}/mqtt', { ca: readFileSync('ca.pem') })
  Node         NODE_EXTRA_CA_CERTS=ca.pem node device.mjs
  paho Python  client.tls_set(ca_certs='ca.pem') before client.connect(…)
  ESP32        esp_mqtt_client_config_t: .broker.address.uri = "wss://${at}/mqtt",
               .broker.verification.certificate = the text of ca.pem; set the clock by SNTP before connecting
  Debian       cp ca.pem /usr/local/share/ca-certificates/muster-dev.crt && update-ca-certificates
  macOS        security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db ca.pem

For development and closed networks. On the open internet use a public CA, such as Let's Encrypt.`;
}
