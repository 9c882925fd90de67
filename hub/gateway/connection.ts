import { closeReason, type CloseReason } from '#protocols/close-reasons.js';
import { ProtocolError } from '#protocols/errors.js';
import type { Principal } from '#protocols/principal.js';
import type { DeviceSession, Link, Subprotocol } from '#protocols/subprotocol.js';
import { increment } from '#hub/observe/counters.js';
import type { BacklogGate } from './backlog-gate.ts';
import { HubSession } from './hub-session.ts';
import { Liveness, type LivenessOwner } from './liveness.ts';
import { Outbox, type OutboxLimits, type OutboxOwner, type OutboxSink } from './outbox.ts';
import type { ConnectionView } from './port.ts';
import { MessageRate } from './rate.ts';
import type { Services } from './services.ts';
import type { Transport } from './transport.ts';
import { Deadline } from './wheel.ts';

/** Why a socket is not read: several may hold at once. */
export type PauseReason = 'identify' | 'backlog' | 'outbox' | 'rate' | 'shutdown';

export interface ConnectionParts {
  readonly id: string;
  readonly transport: Transport;
  readonly address: string;
  readonly path: string;
  readonly name: string;
  readonly subprotocol: Subprotocol;
  readonly principal: Principal | null;
  /** Of the tokens that the handshake showed. */
  readonly keyIds: readonly string[];
  readonly outbox: OutboxLimits;
  readonly gate: BacklogGate;
  readonly owner: ConnectionOwner;
}

/** Whose connections they are: one for all, since closures would cost memory on every one. */
export interface ConnectionOwner {
  /** It is over: taken from the lists. */
  ended(connection: Connection): void;
  identified(): void;
}

/** Close reasons after which nothing can be written any more, or nobody would read it. */
const UNSPEAKABLE: ReadonlySet<CloseReason> = new Set<CloseReason>([
  'connection_lost',
  'ping_timeout',
  'slow_consumer',
]);

/** A close frame's reason has room for 123 bytes of UTF-8 (RFC 6455, 5.5). */
const CLOSE_TEXT_BYTES = 123;

/** One client: bytes in to the session, bytes out through the outbox, alive or not, paused or not, and one end. */
export class Connection implements Link, LivenessOwner, OutboxOwner, OutboxSink {
  readonly id: string;
  readonly address: string;
  readonly subprotocol: Subprotocol;
  readonly liveness: Liveness;
  readonly session: DeviceSession;
  /** Set by `Connections.hold`. */
  holder: string | null = null;
  description: Readonly<Record<string, string>> = {};
  reason: CloseReason | null = null;

  readonly #parts: ConnectionParts;
  readonly #services: Services;
  readonly #outbox: Outbox;
  readonly #host: HubSession;
  readonly #connectedMs: number;
  #lastByteMs: number;
  #pauses: PauseReason[] | null = null;
  #messagesIn = 0;
  #messagesOut = 0;
  #dropped = 0;
  #identified = false;
  #rate: MessageRate | null = null;
  #withinRate: Deadline | null = null;

  constructor(parts: ConnectionParts, services: Services) {
    this.#parts = parts;
    this.#services = services;
    this.id = parts.id;
    this.address = parts.address;
    this.subprotocol = parts.subprotocol;
    this.#connectedMs = services.clock.now();
    this.#lastByteMs = this.#connectedMs;
    const { clock, wheel, options, flusher } = services;
    this.#outbox = new Outbox(this, parts.subprotocol.framing, parts.outbox, flusher, this);
    const pings = parts.transport.pings;
    this.liveness = new Liveness(this, wheel, clock, options, parts.subprotocol.identifies, pings, Math.random());
    this.#host = new HubSession(this, services, parts.principal, parts.keyIds);
    const { id, name: subprotocol, principal } = parts;
    this.session = parts.subprotocol.open(this, this.#host, { connectionId: id, subprotocol, principal });
  }

  /** False from the moment at which the end was decided. */
  get open(): boolean {
    return this.reason === null;
  }

  get isIdentified(): boolean {
    return this.#identified;
  }

  get transport(): Transport {
    return this.#parts.transport;
  }

  get isPaused(): boolean {
    return this.#pauses !== null;
  }

  /** Null until it has identified itself. */
  get principal(): Principal | null {
    return this.#host.identity?.principal ?? null;
  }

  // What the transport brings.

  /** Hot path. */
  received(data: Buffer, isText: boolean): void {
    if (!this.open) return;
    this.count(data.length);
    try {
      this.session.receive(data, isText);
    } catch (error) {
      this.#failed(error);
    }
    // A client that sends and does not read what it is answered waits until it does.
    if (this.#outbox.congested) this.pause('outbox');
  }

  /** Hot path. A message of so many bytes has come. */
  count(bytes: number): void {
    this.#messagesIn++;
    const { counters, clock } = this.#services;
    const { family } = this.subprotocol;
    counters.messagesReceived[family] = (counters.messagesReceived[family] ?? 0) + 1;
    counters.bytesReceived += bytes;
    this.#lastByteMs = clock.now();
  }

  /** Runs a piece of the session: what it throws ends this connection and nothing else. */
  run(piece: () => void): void {
    try {
      piece();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** A pong, or another control frame. */
  sawByte(): void {
    this.#lastByteMs = this.#services.clock.now();
  }

  /** A fault of ours. */
  fault(error: unknown): void {
    this.#services.log.error({ connection: this.id, err: error }, 'fault in a session');
    this.fail('internal_error', closeReason('internal_error').text, {});
  }

  /** The transport has ended, by whomever. `code` is a WebSocket's; null: a stream was closed by the peer. */
  gone(code: number | null): void {
    if (code === 1006) this.#end('connection_lost', '');
    else this.#end('client_closed', code === null ? '' : `close code ${code}`);
  }

  /** ws found the frames wrong and closes by itself. */
  broken(error: Error & { code?: string }): void {
    this.#end(reasonOf(error.code), error.message);
  }

  // Link.

  send(unit: Uint8Array | string): void {
    if (!this.open) return;
    this.#services.counters.unitsSent++;
    this.#outbox.send(unit);
    if (this.#outbox.congested) this.liveness.congested(true);
  }

  get queuedBytes(): number {
    return this.#outbox.queuedBytes;
  }

  get congested(): boolean {
    return this.#outbox.congested;
  }

  close(reason: CloseReason, detail = ''): void {
    if (!this.open) return;
    // What the session has said so far goes out before the end is decided.
    this.#outbox.flush();
    if (!this.#end(reason, detail)) return;
    const { transport } = this.#parts;
    const { webSocketCode, text } = closeReason(reason);
    if (UNSPEAKABLE.has(reason) || webSocketCode === 1006) transport.terminate();
    else transport.close(webSocketCode, cut(detail === '' ? `${reason}: ${text}` : `${reason}: ${detail}`));
  }

  // What the hub decides.

  /** Says why in the protocol's own words, then closes. */
  fail(reason: CloseReason, detail: string, context: Readonly<Record<string, string>> = {}): void {
    if (!this.open) return;
    try {
      this.session.end(reason, detail, context);
    } catch (error) {
      this.#services.log.error({ connection: this.id, err: error }, 'fault in a goodbye');
    }
    this.close(reason, detail);
  }

  takenOver(): void {
    const paused = this.isPaused;
    this.fail('taken_over', closeReason('taken_over').text);
    if (paused) this.#parts.transport.terminate();
  }

  /** Did it identify itself with one of these tokens, by key id? */
  uses(keyIds: ReadonlySet<string>): boolean {
    return this.principal !== null && this.#host.keyIds.some((keyId) => keyIds.has(keyId));
  }

  /** The device's policy or tokens have changed: the connection stays if it would be let in now. */
  review(): void {
    const barred = this.#host.barred();
    if (barred !== null) this.fail(barred, closeReason(barred).text);
  }

  identified(): void {
    this.#identified = true;
    this.liveness.identified();
    this.#parts.owner.identified();
  }

  /** Not once it has ended: a paused WebSocket never finishes its close. */
  pause(why: PauseReason): void {
    if (!this.open || this.#pauses?.includes(why) === true) return;
    if (this.#pauses === null) {
      this.#parts.transport.pause();
      this.liveness.paused();
      this.#pauses = [why];
    } else {
      this.#pauses.push(why);
    }
  }

  resume(why: PauseReason): void {
    if (this.#pauses?.includes(why) !== true) return;
    const left = this.#pauses.filter((other) => other !== why);
    this.#pauses = left.length === 0 ? null : left;
    if (this.#pauses !== null || !this.open) return;
    this.liveness.resumed();
    this.#parts.transport.resume();
  }

  /** Called after each message that the session handed to the hub: the places where reading may have to wait. */
  accepted(): void {
    // A will, said last.
    if (!this.open) return;
    this.#parts.gate.check(this);
    const { maxMessagesPerSecond } = this.#services.options;
    if (maxMessagesPerSecond > 0) this.#keepRate(maxMessagesPerSecond);
  }

  /** Called after what else of the client waits for the disk. */
  wrote(): void {
    if (this.open) this.#parts.gate.check(this);
  }

  #keepRate(perSecond: number): void {
    const { clock, wheel } = this.#services;
    const now = clock.monotonic();
    this.#rate ??= new MessageRate(perSecond, now);
    const waitMs = this.#rate.take(now);
    if (waitMs === 0) return;
    this.pause('rate');
    this.#withinRate ??= new Deadline(() => this.resume('rate'));
    wheel.schedule(this.#withinRate, now + waitMs);
  }

  countDropped(why: 'slow' | 'too_large' | 'expired'): void {
    this.#dropped++;
    increment(this.#services.counters.messagesDropped, why);
  }

  // LivenessOwner.

  get bytesRead(): number {
    return this.#parts.transport.bytesRead;
  }

  ping(): void {
    this.#parts.transport.ping();
  }

  beat(): void {
    this.run(() => this.session.beat());
  }

  expired(reason: CloseReason): void {
    this.fail(reason, closeReason(reason).text);
  }

  // OutboxOwner and OutboxSink.

  onWritable(): void {
    this.liveness.congested(false);
    this.resume('outbox');
    if (this.open) this.run(() => this.session.writable());
  }

  onOverflow(): void {
    const { outboxMaxBytes } = this.#services.options;
    this.close('slow_consumer', `more than ${outboxMaxBytes} bytes wait for this client`);
  }

  get bufferedBytes(): number {
    return this.#parts.transport.bufferedBytes;
  }

  /** Hot path. */
  write(frames: (Uint8Array | string)[]): void {
    const drained = this.#outbox.congested ? (): void => this.#outbox.drained() : null;
    if (!this.#parts.transport.write(frames, drained)) return;
    const { counters } = this.#services;
    const { family } = this.subprotocol;
    this.#messagesOut += frames.length;
    counters.messagesSent[family] = (counters.messagesSent[family] ?? 0) + frames.length;
    for (const frame of frames) counters.bytesSent += frame.length;
    this.liveness.sent();
  }

  view(): ConnectionView {
    const identity = this.#host.identity;
    const { transport, name, path } = this.#parts;
    return {
      id: this.id,
      principal: identity?.principal ?? null,
      clientId: identity?.clientId ?? null,
      epoch: identity?.epoch ?? 0,
      subprotocol: name,
      address: this.address,
      path,
      connectedMs: this.#connectedMs,
      lastByteMs: this.#lastByteMs,
      messagesIn: this.#messagesIn,
      messagesOut: this.#messagesOut,
      bytesIn: transport.bytesRead,
      bytesOut: transport.bytesWritten,
      queuedBytes: this.queuedBytes,
      dropped: this.#dropped + this.#host.droppedByQueue,
      paused: this.isPaused,
      description: this.description,
    };
  }

  #failed(error: unknown): void {
    if (error instanceof ProtocolError) this.fail(error.reason, error.message, error.context);
    else this.fault(error);
  }

  /** The one end. False: it was decided before. */
  #end(reason: CloseReason, detail: string): boolean {
    if (!this.open) return false;
    this.reason = reason;
    this.liveness.stop();
    if (this.#withinRate !== null) this.#services.wheel.cancel(this.#withinRate);
    this.#parts.gate.forget(this);
    try {
      this.#host.finish(reason, detail);
    } catch (error) {
      this.#services.log.error({ connection: this.id, err: error }, 'fault at the end of a session');
    }
    this.#outbox.close();
    increment(this.#services.counters.connectionsClosed, reason);
    this.#services.log.debug({ connection: this.id, address: this.address, reason, detail }, 'connection ended');
    this.#parts.owner.ended(this);
    return true;
  }
}

function reasonOf(code: string | undefined): CloseReason {
  if (code === undefined || !code.startsWith('WS_ERR_')) return 'connection_lost';
  const tooLarge = code.includes('LENGTH') || code === 'WS_ERR_TOO_MANY_BUFFERED_PARTS';
  return tooLarge && code !== 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH' ? 'too_large' : 'malformed';
}

function cut(text: string): string {
  if (Buffer.byteLength(text) <= CLOSE_TEXT_BYTES) return text;
  let short = text.slice(0, CLOSE_TEXT_BYTES);
  while (Buffer.byteLength(short) > CLOSE_TEXT_BYTES) short = short.slice(0, -1);
  return short;
}
