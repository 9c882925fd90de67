import { createServer as createHttpServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { CertificateReloader, readCredentials, type Credentials, type ReloadOptions } from './tls.ts';

/** A request line and headers larger than this are refused by Node with 431. */
const MAX_HEADER_BYTES = 16 * 1024;
/** How long a client may take for TLS, and to send its headers: long for a bad link, short for a slow-header attack. */
const HEADERS_TIMEOUT_MS = 10_000;

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  /** PEM files, both or none. */
  readonly tlsCert: string | null;
  readonly tlsKey: string | null;
}

/** The one port. */
export interface Port {
  readonly server: Server;
  /** Takes changed certificate files into use; null without TLS. */
  readonly certificate: CertificateReloader | null;
  /** For other listeners; null without TLS. */
  readonly credentials: Credentials | null;
}

/**
 * http and ws, or https and wss with a certificate. Not listening yet. Throws in words when the certificate files cannot
 * be read, and OpenSSL's error when they cannot be used.
 */
export function createPort(options: ListenOptions, reload: ReloadOptions, handler: RequestListener): Port {
  const common = { maxHeaderSize: MAX_HEADER_BYTES, headersTimeout: HEADERS_TIMEOUT_MS, shouldUpgradeCallback };
  const { tlsCert, tlsKey } = options;
  if (tlsCert === null || tlsKey === null) {
    return { server: createHttpServer(common, handler), certificate: null, credentials: null };
  }
  const files = { cert: tlsCert, key: tlsKey };
  const credentials = readCredentials(files);
  const server = createHttpsServer({ ...common, ...credentials, handshakeTimeout: HEADERS_TIMEOUT_MS }, handler);
  return { server, certificate: new CertificateReloader(server, files, credentials, reload), credentials };
}

/**
 * Other upgrades are not served, so they are ordinary requests (RFC 9110, 7.8): Java's HttpClient and `curl --http2` ask
 * for h2c with every one. Node before 24.9 does not ask, and the gateway then refuses them.
 */
function shouldUpgradeCallback(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket';
}

/** Resolves with the port once it listens. Rejects with words when the address is taken or not allowed. */
export function listen(server: Server, options: ListenOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    // Later ones are of a connection that could not be accepted, for want of files: no reason to end.
    server.on('error', (error: NodeJS.ErrnoException) => {
      reject(new Error(listenFailure(error, { ...options, portFlag: '--port' }), { cause: error }));
    });
    server.listen({ port: options.port, host: options.host, backlog: 4096 }, () => {
      const address = server.address();
      if (address === null || typeof address === 'string') reject(new Error('the port has no address'));
      else resolve(address.port);
    });
  });
}

/** Why a port cannot be had, in words. `portFlag`: the option that sets it. */
export function listenFailure(
  error: NodeJS.ErrnoException,
  { host, port, portFlag }: { readonly host: string; readonly port: number; readonly portFlag: string },
): string {
  if (error.code === 'EADDRINUSE') return `port ${port} on ${host} is in use; choose another with ${portFlag}`;
  if (error.code === 'EACCES') return `port ${port} needs privileges; choose one above 1023 with ${portFlag}`;
  if (error.code === 'EADDRNOTAVAIL') return `${host} is no address of this machine; choose another with --host`;
  return `cannot listen on ${host}:${port}: ${error.message}`;
}
