import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type ServerOptions, type WebSocket } from 'ws';
import type { CloseReason } from '#protocols/close-reasons.js';
import { negotiate } from '#protocols/negotiate.js';
import type { Principal } from '#protocols/principal.js';
import { registry } from '#protocols/registry.js';
import type { Subprotocol } from '#protocols/subprotocol.js';
import { keyIdOf } from '#hub/fleet/tokens.js';
import { increment } from '#hub/observe/counters.js';
import { Admission } from './admission.ts';
import type { BacklogGate } from './backlog-gate.ts';
import { Connection, type ConnectionOwner } from './connection.ts';
import { identifyHandshake, originAllowed, readHandshake, type Handshake } from './handshake.ts';
import type { OutboxLimits } from './outbox.ts';
import type { ConnectionView, Gateway, RefusalCode, RefusedHandshake } from './port.ts';
import { refuse, REFUSAL_STATUS } from './refusal.ts';
import { RefusedLog } from './refused.ts';
import type { Services } from './services.ts';
import { StreamTransport, WebSocketTransport, type Transport } from './transport.ts';
import { TrustedProxies } from './trusted-proxies.ts';

/** How long a closing handshake may take before the socket is cut. */
const CLOSE_TIMEOUT_MS = 3000;
/** Packets of one tick are gathered into WebSocket messages of at most this size. */
const GATHER_BYTES = 16 * 1024;

const PROTOCOL = Symbol('chosen subprotocol');
interface Chosen extends IncomingMessage {
  [PROTOCOL]?: string;
}

const CONNECTION = Symbol('connection');
/** A WebSocket, or the socket of a stream. */
interface Attached {
  [CONNECTION]?: Connection;
}

/** Who comes, once the handshake was found sound. */
export interface Admitted {
  readonly address: string;
  readonly path: string;
  readonly name: string;
  readonly subprotocol: Subprotocol;
  readonly principal: Principal | null;
  readonly keyIds: readonly string[];
}

/** Sockets become sessions. Everything about a connection is decided in the HTTP upgrade, before a WebSocket exists. */
export class WebSocketGateway implements Gateway {
  readonly #services: Services;
  readonly #gate: BacklogGate;
  readonly #served: ReadonlyMap<string, Subprotocol>;
  readonly #admission: Admission;
  readonly #refused: RefusedLog;
  readonly #server: WebSocketServer;
  readonly #echoServer: WebSocketServer;
  readonly #outbox: OutboxLimits;
  readonly #echoOutbox: OutboxLimits;
  readonly #proxies: TrustedProxies;
  readonly #transports = new Set<Transport>();
  // One each for all connections: closures would cost memory on every one.
  readonly #owner: ConnectionOwner;
  readonly #onClose: (this: WebSocket, code: number) => void;
  readonly #onStreamClose: (this: Socket, failed: boolean) => void;
  #nextId = 0;
  #accepting = true;

  constructor(services: Services, gate: BacklogGate) {
    this.#services = services;
    this.#gate = gate;
    const { options, clock } = services;
    this.#served = registry({ echo: options.enableEcho });
    this.#proxies = new TrustedProxies(options.trustedProxies);
    this.#admission = new Admission(options);
    this.#refused = new RefusedLog(clock, options.refusedHandshakesKept);
    this.#server = webSocketServer(options.maxWebSocketMessageBytes, options.perMessageDeflate);
    this.#echoServer = webSocketServer(options.echoMaxMessageBytes, options.perMessageDeflate);
    for (const server of [this.#server, this.#echoServer]) {
      // Version, key or method wrong: found by ws, answered and counted like every other refusal.
      server.on('wsClientError', (error: Error, socket: Duplex, request: IncomingMessage) => {
        this.#refuse(socket, readHandshake(request, this.#proxies), { code: 'not_websocket', detail: error.message });
      });
    }
    const admission = this.#admission;
    this.#owner = {
      ended(connection) {
        services.connections.remove(connection);
        admission.leave(connection.address, connection.isIdentified);
      },
      identified: () => admission.identified(),
    };
    const gone = (connection: Connection | undefined, code: number | null): void => this.#gone(connection, code);
    this.#onClose = function (code) {
      gone((this as Attached)[CONNECTION], code);
    };
    this.#onStreamClose = function (failed) {
      gone((this as Attached)[CONNECTION], failed ? 1006 : null);
    };
    const { outboxHighWaterBytes: highWaterBytes, outboxLowWaterBytes, outboxMaxBytes: maxBytes } = options;
    const lowWaterBytes = Math.max(1, outboxLowWaterBytes);
    this.#outbox = { highWaterBytes, lowWaterBytes, maxBytes, gatherBytes: GATHER_BYTES };
    // An echo of the largest message must fit beside the chunk that a paused socket still hands over.
    this.#echoOutbox = { ...this.#outbox, maxBytes: Math.max(maxBytes, 3 * options.echoMaxMessageBytes) };
  }

  /** The `upgrade` event of the HTTP server. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', destroy);
    const handshake = readHandshake(request, this.#proxies);
    const admitted = this.#decide(request, handshake);
    if ('code' in admitted) {
      this.#refuse(socket, handshake, admitted);
      return;
    }
    const chosen: Chosen = request;
    chosen[PROTOCOL] = admitted.name;
    const server = admitted.subprotocol.family === 'echo' ? this.#echoServer : this.#server;
    // ws looks at the rest of the handshake (version, key) and answers 4xx by itself.
    server.handleUpgrade(request, socket, head, (webSocket) => {
      // Node's HTTP server hands over the TCP or TLS socket itself.
      const transport = new WebSocketTransport(webSocket, socket as unknown as Socket);
      const connection = this.#begin(transport, admitted);
      (webSocket as WebSocket & Attached)[CONNECTION] = connection;
      webSocket.on('message', onMessage);
      webSocket.on('pong', onPong);
      webSocket.on('error', onError);
      webSocket.on('close', this.#onClose);
    });
  }

  /** A stream that speaks one protocol from its first byte. `address`: of the client, behind a proxy too. */
  stream(socket: Socket, address: string, subprotocol: Subprotocol, path: string): void {
    const code = this.#accepting ? this.#admission.check(address) : 'shutting_down';
    if (code !== null) {
      this.refuseStream(address, path, code, 'try again later');
      socket.destroy();
      return;
    }
    const transport = new StreamTransport(socket);
    const name = subprotocol.names[0]!;
    const connection = this.#begin(transport, { address, path, name, subprotocol, principal: null, keyIds: [] });
    // MQTT's own keep-alive finds a dead client that has one; the kernel's finds the others.
    socket.setKeepAlive(true, this.#services.options.pingIntervalMs);
    (socket as Socket & Attached)[CONNECTION] = connection;
    socket.on('data', onData);
    socket.on('close', this.#onStreamClose);
  }

  /**
   * A connection without a socket of its own: that of a device which polls, and has shown who it is. For whom `room` has room.
   * `goneFrom` is to be called when the transport has ended.
   */
  beginWithoutSocket(transport: Transport, admitted: Admitted): Connection {
    return this.#begin(transport, admitted);
  }

  /** The transport of such a connection has ended. */
  goneFrom(connection: Connection): void {
    this.#gone(connection, null);
  }

  /** Why no further connection of this address is taken now, of a client that has said who it is; null: it is taken. */
  room(address: string): RefusalCode | null {
    return this.#accepting ? this.#admission.check(address, true) : 'shutting_down';
  }

  /** A request that was refused: counted and listed like a refused handshake. */
  refuseRequest(handshake: Handshake, code: RefusalCode, detail: string): void {
    this.#noteRefusal(handshake, code, detail);
  }

  /** A stream that was not let in: counted and listed like a refused handshake. */
  refuseStream(address: string, path: string, code: RefusalCode, detail: string): void {
    this.#noteRefusal({ address, path, offered: null, userAgent: null }, code, detail);
  }

  /** From now on upgrades get 503. */
  stopAccepting(): void {
    this.#accepting = false;
  }

  /** Nothing more is read from anybody; what is in hand is still answered. */
  pauseAll(): void {
    for (const connection of this.#services.connections.all()) connection.pause('shutdown');
  }

  /**
   * Goodbye to everybody, in each protocol; to applications last, so that those who watch hear of the devices' wills and
   * ends. Resolves when all sockets are gone, or after `limitMs`.
   */
  async endAll(reason: CloseReason, detail: string, limitMs: number): Promise<void> {
    const { clock, connections, router } = this.#services;
    const end = clock.monotonic() + limitMs;
    const until = async (isOver: () => boolean): Promise<void> => {
      while (!isOver() && clock.monotonic() < end) await new Promise<void>((resolve) => void clock.after(20, resolve));
    };
    for (const connection of [...connections.all()]) {
      if (connection.principal?.kind !== 'application') connection.fail(reason, detail);
    }
    await until(() => router.backlog === 0);
    for (const connection of [...connections.all()]) connection.fail(reason, detail);
    await until(() => this.#transports.size === 0);
    for (const transport of this.#transports) transport.terminate();
  }

  connections(query: { after: string | null; limit: number }): {
    items: readonly ConnectionView[];
    next: string | null;
  } {
    const items: ConnectionView[] = [];
    const after = query.after === null ? -1 : Number.parseInt(query.after, 36);
    // Ids rise, and the map keeps the order in which they were added.
    for (const connection of this.#services.connections.all()) {
      if (Number.parseInt(connection.id, 36) <= after) continue;
      if (items.length === query.limit) return { items, next: items.at(-1)!.id };
      items.push(connection.view());
    }
    return { items, next: null };
  }

  refused(limit: number): {
    items: readonly RefusedHandshake[];
    counts: Readonly<Partial<Record<RefusalCode, number>>>;
  } {
    return { items: this.#refused.newest(limit), counts: this.#refused.counts };
  }

  closeConnection(id: string, reason: CloseReason): boolean {
    const connection = this.#services.connections.get(id);
    connection?.fail(reason, '');
    return connection !== undefined;
  }

  /** A device was deleted or disabled. */
  closeDevice(device: string, reason: CloseReason): void {
    this.#services.connections.holderOf(`device:${device}`)?.fail(reason, '');
  }

  /** The policy of a device was changed, or one of its tokens revoked. */
  reviewDevice(device: string): void {
    this.#services.connections.holderOf(`device:${device}`)?.review();
  }

  /** Tokens were revoked or have expired. Whoever is still about to identify itself is refused then. */
  reviewTokens(keyIds: readonly string[]): void {
    const gone = new Set(keyIds);
    for (const connection of [...this.#services.connections.all()]) {
      if (connection.uses(gone)) connection.review();
    }
  }

  counts(): { byFamily: Record<string, number>; paused: number } {
    const byFamily: Record<string, number> = {};
    let paused = 0;
    for (const connection of this.#services.connections.all()) {
      increment(byFamily, connection.subprotocol.family);
      if (connection.isPaused) paused++;
    }
    return { byFamily, paused };
  }

  #decide(request: IncomingMessage, handshake: Handshake): Admitted | { code: RefusalCode; detail: string } {
    const { options, identity, devices } = this.#services;
    if (!this.#accepting) return { code: 'shutting_down', detail: 'come back in a moment' };
    if (request.method !== 'GET' || request.headers.upgrade?.toLowerCase() !== 'websocket') {
      return { code: 'not_websocket', detail: 'send GET with "Upgrade: websocket" (RFC 6455, 4.1)' };
    }
    if (!options.paths.includes(handshake.path)) {
      return { code: 'unknown_path', detail: `WebSockets are served on: ${options.paths.join(' ')}` };
    }
    if (!originAllowed(handshake, options.allowedOrigins)) {
      return { code: 'origin_not_allowed', detail: 'add the origin to allowedOrigins of the hub' };
    }
    const full = this.#admission.check(handshake.address);
    if (full !== null) return { code: full, detail: 'try again later' };
    const identified = identifyHandshake(handshake, identity);
    if (!identified.ok) return identified;
    const { principal } = identified;
    const policy = principal?.kind === 'device' ? (devices.row(principal.id)?.protocols ?? null) : null;
    const negotiated = negotiate(handshake.offered ?? undefined, this.#served, policy);
    if (!negotiated.ok) return negotiated;
    const { name, subprotocol } = negotiated;
    const { address, path } = handshake;
    const keyIds = handshake.tokens.flatMap((token) => keyIdOf(token) ?? []);
    return { address, path, name, subprotocol, principal, keyIds };
  }

  #refuse(socket: Duplex, handshake: Handshake, refusal: { code: RefusalCode; detail: string }): void {
    const { code, detail } = refusal;
    const { offered } = handshake;
    this.#noteRefusal(handshake, code, detail);
    const names = offered?.split(',').map((name) => name.trim().slice(0, 128)) ?? [];
    refuse(socket, { code, detail, offered: names.slice(0, 32), served: [...this.#served.keys()] });
  }

  #noteRefusal(
    { address, path, offered, userAgent }: Pick<Handshake, 'address' | 'path' | 'offered' | 'userAgent'>,
    code: RefusalCode,
    detail: string,
  ): void {
    const { counters, log } = this.#services;
    const status = REFUSAL_STATUS[code];
    increment(counters.handshakesRefused, code);
    this.#refused.add({ address, path, offered, userAgent, code, status, detail });
    log.info({ address, path, offered: offered?.slice(0, 256), code, status }, 'handshake refused');
  }

  #begin(transport: Transport, admitted: Admitted): Connection {
    const { address, path, name, subprotocol, principal, keyIds } = admitted;
    const { counters, connections, log } = this.#services;
    const outbox = subprotocol.family === 'echo' ? this.#echoOutbox : this.#outbox;
    this.#admission.enter(address);
    this.#transports.add(transport);
    const connection = new Connection(
      {
        id: (++this.#nextId).toString(36),
        transport,
        address,
        path,
        name,
        subprotocol,
        principal,
        keyIds,
        outbox,
        gate: this.#gate,
        owner: this.#owner,
      },
      this.#services,
    );
    connections.add(connection);
    if (!subprotocol.identifies) connection.identified();
    increment(counters.connectionsOpened, subprotocol.family);
    log.debug({ connection: connection.id, address, path, subprotocol: name }, 'connected');
    return connection;
  }

  /** `code`: of the WebSocket's close; null: the stream was closed by the peer. */
  #gone(connection: Connection | undefined, code: number | null): void {
    if (connection === undefined) return;
    this.#transports.delete(connection.transport);
    connection.gone(code);
  }
}

function webSocketServer(maxPayload: number, perMessageDeflate: boolean): WebSocketServer {
  // `closeTimeout` is not in the type definitions yet.
  const options: ServerOptions & { closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    maxPayload,
    perMessageDeflate,
    closeTimeout: CLOSE_TIMEOUT_MS,
    handleProtocols: (_offered, request) => (request as Chosen)[PROTOCOL] ?? false,
  };
  return new WebSocketServer(options);
}

// One function each for all connections: closures would cost memory on every one.

function onMessage(this: WebSocket, data: Buffer | ArrayBuffer | Buffer[], isBinary: boolean): void {
  (this as Attached)[CONNECTION]?.received(data as Buffer, !isBinary);
}

function onData(this: Socket, data: Buffer): void {
  (this as Attached)[CONNECTION]?.received(data, false);
}

/** Errors end the socket, and its close is all that matters. */
function destroy(this: Duplex): void {
  this.destroy();
}

function onPong(this: WebSocket): void {
  (this as Attached)[CONNECTION]?.sawByte();
}

function onError(this: WebSocket, error: Error): void {
  (this as Attached)[CONNECTION]?.broken(error);
}
