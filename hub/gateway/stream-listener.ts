import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import type { Subprotocol } from '#protocols/subprotocol.js';
import type { Clock } from '#hub/clock.js';
import type { RefusalCode } from './port.ts';
import { readProxyHeader } from './proxy-header.ts';
import { listenFailure } from './server.ts';
import type { Credentials } from './tls.ts';
import { plainAddress, type TrustedProxies } from './trusted-proxies.ts';

/** Who makes sessions of the streams. */
export interface StreamGateway {
  stream(socket: Socket, address: string, subprotocol: Subprotocol, path: string): void;
  refuseStream(address: string, path: string, code: RefusalCode, detail: string): void;
}

export interface StreamListenerOptions {
  /** `mqtt`, `mqtts`: what connections show as their path, followed by `:`. */
  readonly scheme: string;
  readonly host: string;
  readonly port: number;
  /** The option that sets the port, for messages. */
  readonly portFlag: string;
  /** TLS from the first byte; null: none. */
  readonly credentials: Credentials | null;
  /** Trusted proxies begin each connection with a PROXY protocol header. */
  readonly proxyProtocol: boolean;
  readonly proxies: TrustedProxies;
  /** How long a client may take for TLS and a proxy for its header. */
  readonly beginTimeoutMs: number;
  readonly maxConnections: number;
}

/** A TCP port on which every connection speaks one protocol, with or without TLS around it. The sessions are those of the WebSocket port. */
export class StreamListener {
  readonly #gateway: StreamGateway;
  readonly #subprotocol: Subprotocol;
  readonly #options: StreamListenerOptions;
  readonly #clock: Clock;
  /** Takes the sockets; with TLS it hands them on. */
  readonly #server: Server;
  readonly #tls: TlsServer | null;
  /** Addresses that proxies told, by the socket's own address and port, which TLS keeps. */
  readonly #told = new Map<string, string>();
  /** Those of whom a header or TLS is awaited, by the same. */
  readonly #waiting = new Map<string, Socket>();

  constructor(gateway: StreamGateway, subprotocol: Subprotocol, options: StreamListenerOptions, clock: Clock) {
    this.#gateway = gateway;
    this.#subprotocol = subprotocol;
    this.#options = options;
    this.#clock = clock;
    this.#server = createServer((socket) => this.#arrived(socket));
    this.#server.maxConnections = options.maxConnections;
    this.#server.on('drop', (dropped) => {
      this.#refuse(plainAddress(dropped?.remoteAddress), 'too_many_connections', 'try again later');
    });
    this.#tls = options.credentials === null ? null : this.#tlsServer(options.credentials);
  }

  /** For renewed certificates; null without TLS. */
  get tls(): Pick<TlsServer, 'setSecureContext'> | null {
    return this.#tls;
  }

  /** Resolves with the port once it listens. Rejects with words when the address is taken or not allowed. */
  listen(): Promise<number> {
    const { host, port, portFlag } = this.#options;
    return new Promise((resolve, reject) => {
      // Later ones are of a connection that could not be accepted, for want of files: no reason to end.
      this.#server.on('error', (error: NodeJS.ErrnoException) => {
        reject(new Error(listenFailure(error, { host, port, portFlag }), { cause: error }));
      });
      this.#server.listen({ port, host, backlog: 4096 }, () => resolve((this.#server.address() as AddressInfo).port));
    });
  }

  /** Takes nobody any more; whoever is connected stays. */
  close(): void {
    this.#server.close();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const socket of waiting) socket.destroy();
  }

  #tlsServer(credentials: Credentials): TlsServer {
    const server = createTlsServer({ ...credentials, handshakeTimeout: this.#options.beginTimeoutMs });
    server.on('secureConnection', (socket) => this.#begin(socket));
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      // The client hung up: the close of the socket below tells, which still knows the address.
      if (error.code === 'ECONNRESET') return;
      this.#waiting.delete(peerOf(socket));
      this.#refuse(this.#addressOf(socket), 'tls_failed', error.message);
      // Node leaves the socket open when it was the time that ran out.
      socket.destroy();
    });
    return server;
  }

  #arrived(socket: Socket): void {
    // Errors end the socket, and its close is all that matters.
    socket.on('error', destroy);
    if (!this.#options.proxyProtocol || !this.#options.proxies.trusts(plainAddress(socket.remoteAddress))) {
      this.#handOn(socket);
      return;
    }
    this.#readHeader(socket);
  }

  /** A header is due, and nothing else is read before it (PROXY protocol, 2: a receiver must not guess). */
  #readHeader(socket: Socket): void {
    let read = Buffer.alloc(0);
    const timer = this.#clock.after(this.#options.beginTimeoutMs, () => {
      this.#refuse(plainAddress(socket.remoteAddress), 'bad_proxy_header', 'the PROXY header did not come in time');
      socket.destroy();
    });
    const peer = peerOf(socket);
    this.#waiting.set(peer, socket);
    const onClose = (): void => {
      timer.cancel();
      this.#waiting.delete(peer);
    };
    const onData = (data: Buffer): void => {
      read = Buffer.concat([read, data]);
      const header = readProxyHeader(read);
      if (header.kind === 'incomplete') return;
      onClose();
      socket.off('data', onData);
      socket.off('close', onClose);
      if (header.kind === 'malformed') {
        this.#refuse(plainAddress(socket.remoteAddress), 'bad_proxy_header', header.detail);
        socket.destroy();
        return;
      }
      socket.pause();
      if (read.length > header.bytes) socket.unshift(read.subarray(header.bytes));
      if (header.address !== null) this.#remember(socket, header.address);
      this.#handOn(socket);
    };
    socket.on('close', onClose);
    socket.on('data', onData);
  }

  #handOn(socket: Socket): void {
    if (this.#tls === null) this.#begin(socket);
    else this.#agree(socket, this.#tls);
  }

  #agree(socket: Socket, tls: TlsServer): void {
    const peer = peerOf(socket);
    const address = this.#addressOf(socket);
    const headerBytes = socket.bytesRead - socket.readableLength;
    this.#waiting.set(peer, socket);
    socket.once('close', () => {
      const isUnsettled = this.#waiting.delete(peer);
      // Health checks say nothing: they only look whether the port is open.
      if (isUnsettled && socket.bytesRead > headerBytes) {
        this.#refuse(address, 'tls_failed', 'the client hung up before TLS was agreed on');
      }
    });
    tls.emit('connection', socket);
  }

  #begin(socket: Socket): void {
    this.#waiting.delete(peerOf(socket));
    // TLS has a socket of its own around the one that arrived.
    if (this.#tls !== null) socket.on('error', destroy);
    const { scheme } = this.#options;
    this.#gateway.stream(socket, this.#addressOf(socket), this.#subprotocol, `${scheme}:`);
    socket.resume();
  }

  #refuse(address: string, code: RefusalCode, detail: string): void {
    this.#gateway.refuseStream(address, `${this.#options.scheme}:`, code, detail);
  }

  #remember(socket: Socket, address: string): void {
    const key = peerOf(socket);
    this.#told.set(key, address);
    socket.once('close', () => this.#told.delete(key));
  }

  #addressOf(socket: Socket): string {
    return this.#told.get(peerOf(socket)) ?? plainAddress(socket.remoteAddress);
  }
}

function destroy(this: Socket): void {
  this.destroy();
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ''} ${remotePort ?? 0}`;
}
