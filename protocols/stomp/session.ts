import { AckFifo } from '../ack-fifo.ts';
import { closeReason, type CloseReason } from '../close-reasons.ts';
import { ProtocolError } from '../errors.ts';
import type { Command, Qos, RoutedMessage, Subscription } from '../message.ts';
import { ROUTED, type Outcome, type Pending } from '../outcome.ts';
import type { DeviceSession, HandshakeContext, Identified, Link, SessionHost, Subprotocol } from '../subprotocol.ts';
import { livenessOf, readConnect, type HeartBeats } from './connect.ts';
import { StompDecoder } from './decoder.ts';
import { Deliveries } from './deliveries.ts';
import { STOMP_1_2 } from './dialect.ts';
import { encodeFrame, type Header } from './encoder.ts';
import { CLIENT_COMMANDS, excerpt, frameError, requiredHeader, type StompFrame } from './frame.ts';
import { readSend, refuseTransaction } from './send.ts';
import { readSubscribe } from './subscribe.ts';

/** STOMP 1.2. What is served, clause by clause, stands in README.md. */
export const stompSubprotocol: Subprotocol = {
  names: ['v12.stomp'],
  family: 'stomp',
  // webstomp-client takes a heart-beat only when it is a message of its own.
  framing: 'message',
  identifies: true,
  open: (link, host, context) => new StompSession(link, host, context),
};

const SERVER = 'muster/0.1';
const LINE_END = Buffer.from('\n');

/**
 * `connecting` until CONNECT, `identifying` until the hub knows who it is, `leaving` from DISCONNECT until its RECEIPT,
 * `over` once the last frame was written.
 */
type Phase = 'connecting' | 'identifying' | 'connected' | 'leaving' | 'over';

class StompSession implements DeviceSession {
  readonly #link: Link;
  readonly #host: SessionHost;
  readonly #connectionId: string;
  readonly #decoder: StompDecoder;
  /** Receipts owed, by receipt id: RECEIPTs leave in the order of their frames. */
  readonly #receipts = new AckFifo<string>((receipt, outcome) => this.#answer(receipt, outcome));
  /** Hears of frames without a receipt, which only the RECEIPT of a DISCONNECT waits for. */
  readonly #unreceipted: Pending = { settle: (outcome) => this.#settledUnreceipted(outcome) };
  #unreceiptedCount = 0;
  #phase: Phase = 'connecting';
  /** The client has sent binary messages, so it takes them. */
  #binary = false;
  /** Came while the identification was under way; copies. */
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #identified: (Identified & { ok: true }) | null = null;
  #deliveries: Deliveries | null = null;
  /** The hub gave up on a frame. A RECEIPT also speaks for the frames before its own (STOMP 1.2, RECEIPT): none follows. */
  #abandoned = false;
  /** The RECEIPT of DISCONNECT, while earlier frames are not decided. */
  #leave: Pending | null = null;

  constructor(link: Link, host: SessionHost, context: HandshakeContext) {
    this.#link = link;
    this.#host = host;
    this.#connectionId = context.connectionId;
    this.#decoder = new StompDecoder({
      commands: CLIENT_COMMANDS,
      dialect: STOMP_1_2,
      maxHeaders: host.limits.maxHeaders,
      maxHeaderBytes: host.limits.maxHeaderBytes,
      maxFrameBytes: host.limits.maxUnidentifiedBytes,
    });
  }

  receive(data: Buffer, isText: boolean): void {
    if (data.length === 0) return;
    this.#host.heard();
    if (!isText) this.#binary = true;
    this.#read(data);
  }

  deliver(command: Command): boolean {
    return this.#phase === 'connected' && this.#deliveries !== null && this.#deliveries.deliver(command);
  }

  forward(message: RoutedMessage, matches: readonly Subscription[], qos: Qos): void {
    if (this.#phase === 'connected') this.#deliveries?.forward(message, matches, qos);
  }

  writable(): void {
    if (this.#phase === 'connected') this.#deliveries?.goOn();
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
    for (const name of ['version', 'receipt-id']) {
      if (context[name] !== undefined) headers.push([name, context[name]]);
    }
    headers.push(['content-type', 'text/plain']);
    const body = `${detail === '' || detail === text ? text : `${text}: ${detail}`}.\n${advice}\n`;
    this.#write('ERROR', headers, Buffer.from(body));
    this.#phase = 'over';
  }

  closed(_reason: CloseReason): void {
    this.#phase = 'over';
    this.#early = [];
    this.#receipts.close();
    this.#deliveries = null;
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
      throw new ProtocolError('limit_exceeded', `more than ${limit} bytes came before CONNECTED; wait for it`);
    }
    this.#early.push(Buffer.from(data));
  }

  #handle(frame: StompFrame): void {
    if (this.#phase === 'connecting') {
      if (frame.command === 'CONNECT' || frame.command === 'STOMP') this.#connect(frame);
      else throw frameError(frame, 'protocol_error', 'the first frame must be CONNECT or STOMP');
      return;
    }
    switch (frame.command) {
      case 'SEND':
        this.#host.publish(readSend(frame, this.#host.limits), this.#pending(frame));
        return;
      case 'SUBSCRIBE':
        this.#subscribe(frame);
        return;
      case 'UNSUBSCRIBE':
        this.#unsubscribe(frame);
        return;
      case 'ACK':
      case 'NACK':
        this.#acknowledge(frame);
        return;
      case 'DISCONNECT':
        this.#disconnect(frame);
        return;
      case 'CONNECT':
      case 'STOMP':
        throw frameError(frame, 'protocol_error', 'this connection is connected already');
      default:
        throw frameError(frame, 'protocol_error', 'transactions are not served here; send each frame by itself');
    }
  }

  #connect(frame: StompFrame): void {
    const { identification, heartBeats } = readConnect(frame, this.#host.limits);
    this.#phase = 'identifying';
    this.#host.identify(identification, (result) => this.#whenIdentified(result, heartBeats));
  }

  #whenIdentified(result: Identified, heartBeats: HeartBeats): void {
    if (this.#phase !== 'identifying') return;
    if (!result.ok) {
      this.#close(result.reason, '', {});
      return;
    }
    this.#identified = result;
    this.#phase = 'connected';
    this.#decoder.maxFrameBytes = this.#host.limits.maxMessageBytes;
    this.#write('CONNECTED', [
      ['version', STOMP_1_2.version],
      // What was agreed, which each side reads as what will happen.
      ['heart-beat', `${heartBeats.serverSendsMs},${heartBeats.clientSendsMs}`],
      ['server', SERVER],
      ['session', this.#connectionId],
    ]);
    this.#host.liveness(livenessOf(heartBeats));
    this.#host.ready();
    this.#readEarly();
  }

  /** Outside `receive`, so a ProtocolError is answered here. */
  #readEarly(): void {
    const early = this.#early;
    this.#early = [];
    try {
      for (const data of early) this.#read(data);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#close(error.reason, error.message, error.context);
    }
  }

  #subscribe(frame: StompFrame): void {
    const { limits } = this.#host;
    const subscription = readSubscribe(frame, limits);
    if (this.#deliveries?.has(subscription.id) === true) {
      throw frameError(frame, 'protocol_error', `there is a subscription ${excerpt(subscription.id)} already`);
    }
    if ((this.#deliveries?.subscriptionCount ?? 0) >= limits.maxSubscriptions) {
      throw frameError(frame, 'limit_exceeded', `no more than ${limits.maxSubscriptions} subscriptions of one session`);
    }
    const grant = this.#host.subscribe([subscription])[0]!;
    if (!grant.ok) {
      const reason = grant.reason === 'limit' ? 'limit_exceeded' : 'not_authorized';
      throw frameError(frame, reason, `${excerpt(frame.headers.get('destination')!)} may not be subscribed to`);
    }
    this.#deliveries ??= this.#makeDeliveries();
    this.#deliveries.add(subscription);
    this.#done(frame);
    this.#host.subscribed([subscription]);
  }

  #makeDeliveries(): Deliveries {
    const { principal, state } = this.#identified!;
    return new Deliveries(this.#link, this.#host, principal, state.queue, (headers, body) =>
      this.#write('MESSAGE', headers, body),
    );
  }

  #unsubscribe(frame: StompFrame): void {
    const id = requiredHeader(frame, 'id');
    if (this.#deliveries?.has(id) !== true) {
      throw frameError(frame, 'protocol_error', `there is no subscription ${excerpt(id)}`);
    }
    this.#host.unsubscribe(id);
    this.#done(frame);
    this.#deliveries.remove(id);
  }

  /** NACK rejects a command; an ordinary message that is refused is discarded, as there is nobody else to give it to. */
  #acknowledge(frame: StompFrame): void {
    refuseTransaction(frame);
    const id = requiredHeader(frame, 'id');
    const delivered = this.#deliveries?.acknowledge(id) ?? null;
    if (delivered === null) {
      throw frameError(
        frame,
        'protocol_error',
        `no message waits for an answer to ${excerpt(id)}; 'id' repeats the header 'ack' of the MESSAGE`,
      );
    }
    if (delivered.kind === 'message') this.#done(frame);
    else {
      const progress =
        frame.command === 'ACK'
          ? ({ kind: 'received' } as const)
          : ({ kind: 'result', status: 'rejected', value: null } as const);
      this.#host.progress(delivered.commandId, progress, this.#pending(frame));
    }
    this.#deliveries?.goOn();
  }

  /** Its RECEIPT tells that everything before it is decided, so it waits (STOMP 1.2, DISCONNECT). */
  #disconnect(frame: StompFrame): void {
    if (!frame.headers.has('receipt')) {
      this.#phase = 'over';
      this.#link.close('client_disconnect');
      return;
    }
    this.#phase = 'leaving';
    const pending = this.#receipts.push(frame.headers.get('receipt')!);
    if (this.#unreceiptedCount === 0) pending.settle(ROUTED);
    else this.#leave = pending;
  }

  /** Where the outcome of this frame is reported. */
  #pending(frame: StompFrame): Pending {
    const receipt = frame.headers.get('receipt');
    if (receipt !== undefined) return this.#receipts.push(receipt);
    this.#unreceiptedCount++;
    return this.#unreceipted;
  }

  /** The frame was carried out; its RECEIPT, if any, takes its place behind the earlier ones. */
  #done(frame: StompFrame): void {
    const receipt = frame.headers.get('receipt');
    if (receipt !== undefined) this.#receipts.push(receipt).settle(ROUTED);
  }

  #settledUnreceipted(outcome: Outcome): void {
    if (outcome.kind === 'abandoned') this.#abandoned = true;
    this.#unreceiptedCount--;
    if (this.#unreceiptedCount === 0) this.#leave?.settle(ROUTED);
  }

  /** In the order of the frames. What is abandoned is never acknowledged. */
  #answer(receipt: string, outcome: Outcome): void {
    if (outcome.kind === 'abandoned') this.#abandoned = true;
    if (this.#phase === 'over' || this.#abandoned) return;
    if (outcome.kind === 'gap') {
      this.#close('sequence_gap', `seq ${outcome.expected} is expected`, { 'receipt-id': receipt });
      return;
    }
    const headers: Header[] = [['receipt-id', receipt]];
    if (outcome.kind === 'rejected') headers.push(['muster-status', 'rejected'], ['muster-reason', outcome.code]);
    this.#write('RECEIPT', headers);
    if (this.#phase === 'leaving' && this.#receipts.size === 0) {
      this.#phase = 'over';
      this.#link.close('client_disconnect');
    }
  }

  #close(reason: CloseReason, detail: string, context: Readonly<Record<string, string>>): void {
    this.end(reason, detail, context);
    this.#link.close(reason, detail);
  }

  #write(command: string, headers: readonly Header[], body: Buffer | null = null): void {
    if (this.#phase !== 'over') this.#link.send(encodeFrame(STOMP_1_2, command, headers, body, this.#binary));
  }
}
