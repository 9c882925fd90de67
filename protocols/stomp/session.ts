import { closeReason, type CloseReason } from '../close-reasons.ts';
import { ProtocolError } from '../errors.ts';
import type { Command, Delivery } from '../message.ts';
import type { DeviceSession, HandshakeContext, Identified, Link, SessionHost, Subprotocol } from '../subprotocol.ts';
import { readConnect, type Connect } from './connect.ts';
import { Conversation, isDroppable } from './conversation.ts';
import { StompDecoder } from './decoder.ts';
import type { Dialect } from './dialect.ts';
import { encodeFrame, type Header } from './encoder.ts';
import { CLIENT_COMMANDS, EXPECTED_HEADER, frameError, LIMIT_HEADER, type StompFrame } from './frame.ts';
import { livenessOf } from './heart-beats.ts';
import { dialectsOf } from './version.ts';

/** STOMP 1.0, 1.1 and 1.2 over WebSocket: each name is one version. What is served, clause by clause, stands in README.md. */
export const stompSubprotocol: Subprotocol = {
  names: ['v12.stomp', 'v11.stomp', 'v10.stomp'],
  family: 'stomp',
  // webstomp-client takes a heart-beat only when it is a message of its own.
  framing: 'message',
  identifies: true,
  open: (link, host, context) => new StompSession(link, host, context),
};

/** The same over TCP or TLS, where CONNECT alone decides the version. No name in `Sec-WebSocket-Protocol`: the registry has none of it. */
export const stompStreamSubprotocol: Subprotocol = { ...stompSubprotocol, names: ['stomp'], framing: 'stream' };

const SERVER = 'muster/0.1';
const LINE_END = Buffer.from('\n');
/** What a ProtocolError knows of the frame at fault that an ERROR says in headers of its own. */
const ERROR_HEADERS = ['version', 'receipt-id', LIMIT_HEADER, EXPECTED_HEADER];

/**
 * `connecting` until CONNECT, `identifying` until the hub knows who it is, `leaving` from DISCONNECT until its RECEIPT,
 * `over` once the last frame was written.
 */
type Phase = 'connecting' | 'identifying' | 'connected' | 'leaving' | 'over';

/** One connection: bytes in and out, CONNECT, and the end. What is said between is the `Conversation`. */
class StompSession implements DeviceSession {
  readonly #link: Link;
  readonly #host: SessionHost;
  readonly #context: HandshakeContext;
  readonly #decoder: StompDecoder;
  /** Until CONNECT, the oldest that the client may speak: what an ERROR says then, every version can read. */
  #dialect: Dialect;
  #phase: Phase = 'connecting';
  /** The client has sent binary messages, so it takes them. */
  #binary = false;
  /** Came while the identification was under way; copies. */
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #conversation: Conversation | null = null;

  constructor(link: Link, host: SessionHost, context: HandshakeContext) {
    this.#link = link;
    this.#host = host;
    this.#context = context;
    this.#dialect = dialectsOf(context.subprotocol)[0]!;
    this.#decoder = new StompDecoder({
      commands: CLIENT_COMMANDS,
      dialect: this.#dialect,
      maxHeaders: host.limits.maxHeaders,
      maxHeaderBytes: host.limits.maxHeaderBytes,
      maxFrameBytes: host.limits.maxUnidentifiedBytes,
      frameLimit: 'maxUnidentifiedBytes',
    });
  }

  receive(data: Buffer, isText: boolean): void {
    if (data.length === 0) return;
    this.#host.heard();
    if (!isText) this.#binary = true;
    this.#read(data);
  }

  deliver(command: Command): boolean {
    return this.#phase === 'connected' && this.#conversation!.deliver(command);
  }

  forward(delivery: Delivery): boolean {
    // Behind a DISCONNECT there is nobody.
    return this.#phase === 'connected' ? this.#conversation!.forward(delivery) : isDroppable(delivery);
  }

  writable(): void {
    if (this.#phase === 'connected') this.#conversation!.writable();
  }

  beat(): void {
    if (this.#phase === 'connected' || this.#phase === 'leaving') this.#link.send(this.#binary ? LINE_END : '\n');
  }

  end(reason: CloseReason, detail: string, context: Readonly<Record<string, string>>): void {
    if (this.#phase === 'over') return;
    const { text, reconnect } = closeReason(reason);
    const advice = reconnect
      ? 'Connect again after a pause, and send again what got no RECEIPT.'
      : 'Do not connect again before this has changed.';
    const headers: Header[] = [['message', reason]];
    for (const name of ERROR_HEADERS) {
      if (context[name] !== undefined) headers.push([name, context[name]]);
    }
    // With its charset: at a bare text/plain stompit 1.0 throws out of its own event handler.
    headers.push(['content-type', 'text/plain;charset=utf-8']);
    const body = `${detail === '' || detail === text ? text : `${text}: ${detail}`}.\n${advice}\n`;
    this.#write('ERROR', headers, Buffer.from(body));
    this.#phase = 'over';
  }

  closed(_reason: CloseReason): void {
    this.#phase = 'over';
    this.#early = [];
    this.#conversation?.closed();
  }

  #read(data: Buffer): void {
    let at = 0;
    while (at < data.length && this.#reads()) {
      const frame = this.#decoder.read(data, at);
      at = this.#decoder.position;
      if (frame !== null) this.#handle(frame);
    }
    if (at < data.length && this.#phase === 'identifying') this.#keepEarly(data.subarray(at));
  }

  /** Frames behind a DISCONNECT are ignored: "Clients MUST NOT send any more frames after the DISCONNECT frame". */
  #reads(): boolean {
    return this.#phase === 'connecting' || this.#phase === 'connected';
  }

  #keepEarly(data: Buffer): void {
    const limit = this.#host.limits.maxEarlyBytes;
    this.#earlyBytes += data.length;
    if (this.#earlyBytes > limit) {
      const message = `more than ${limit} bytes came before CONNECTED; wait for it (maxEarlyBytes)`;
      throw new ProtocolError('limit_exceeded', message, { [LIMIT_HEADER]: 'maxEarlyBytes' });
    }
    this.#early.push(Buffer.from(data));
  }

  #handle(frame: StompFrame): void {
    if (this.#phase === 'connected') this.#conversation!.handle(frame);
    else if (frame.command === 'CONNECT' || frame.command === 'STOMP') this.#connect(frame);
    else throw frameError(frame, 'protocol_error', 'the first frame must be CONNECT or STOMP');
  }

  #connect(frame: StompFrame): void {
    const { subprotocol } = this.#context;
    const connect = readConnect(frame, dialectsOf(subprotocol), subprotocol, this.#host.limits);
    this.#dialect = connect.dialect;
    this.#decoder.dialect = connect.dialect;
    this.#phase = 'identifying';
    this.#host.identify(connect.identification, (result) => this.#whenIdentified(result, connect));
  }

  #whenIdentified(result: Identified, { heartBeats, identification }: Connect): void {
    if (this.#phase !== 'identifying') return;
    if (!result.ok) {
      this.#fail(new ProtocolError(result.reason, ''));
      return;
    }
    this.#phase = 'connected';
    this.#conversation = this.#begin(result, identification.clientId);
    this.#decoder.maxFrameBytes = this.#host.limits.maxMessageBytes;
    this.#decoder.frameLimit = 'maxMessageBytes';
    const { version, hasHeartBeats } = this.#dialect;
    const headers: Header[] = [['version', version]];
    // What was agreed, which each side reads as what will happen.
    if (hasHeartBeats) headers.push(['heart-beat', `${heartBeats.serverSendsMs},${heartBeats.clientSendsMs}`]);
    headers.push(['server', SERVER], ['session', this.#context.connectionId]);
    this.#write('CONNECTED', headers);
    this.#host.liveness(livenessOf(heartBeats));
    this.#host.ready();
    this.#readEarly();
  }

  #begin({ principal }: Identified & { readonly ok: true }, clientId: string | null): Conversation {
    return new Conversation({
      link: this.#link,
      host: this.#host,
      dialect: this.#dialect,
      principal,
      clientId,
      write: (command, headers, body) => this.#write(command, headers, body),
      fail: (error) => this.#fail(error),
      leaving: () => {
        this.#phase = 'leaving';
      },
      left: () => {
        this.#phase = 'over';
        this.#link.close('client_disconnect');
      },
      isOver: () => this.#phase === 'over',
    });
  }

  /** Outside `receive`, so a ProtocolError is answered here. */
  #readEarly(): void {
    const early = this.#early;
    this.#early = [];
    try {
      for (const data of early) this.#read(data);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#fail(error);
    }
  }

  #fail({ reason, message, context }: ProtocolError): void {
    if (this.#phase === 'over') return;
    this.end(reason, message, context);
    this.#link.close(reason, message);
  }

  #write(command: string, headers: readonly Header[], body: Buffer | null = null): void {
    if (this.#phase !== 'over') this.#link.send(encodeFrame(this.#dialect, command, headers, body, this.#binary));
  }
}
