import { Buffer } from 'node:buffer';
import { AckFifo } from '../ack-fifo.ts';
import { CLOSE_REASONS, type CloseReason } from '../close-reasons.ts';
import { PayloadError, ProtocolError } from '../errors.ts';
import type { Command, CommandProgress } from '../message.ts';
import type { Outcome, Pending } from '../outcome.ts';
import type { Principal } from '../principal.ts';
import type { Reading } from '../reading.ts';
import type { DeviceSession, Identified, Link, SessionHost, Subprotocol } from '../subprotocol.ts';
import { decodeDeviceMessage, encodeError, encodeWelcome, type DeviceMessage } from './codec.ts';
import { CommandWindow } from './command-window.ts';
import { Answers, type CommandWord } from './answers.ts';
import { readFastData } from './fast-data.ts';
import type { Hello } from './messages.ts';
import { readingsFromRecords } from './records.ts';

/** `v1.cbor.muster`: Muster's own language, one CBOR array a binary WebSocket message. Normative: SPEC.md. */
export const cborSubprotocol: Subprotocol = {
  names: ['v1.cbor.muster'],
  family: 'cbor',
  framing: 'message',
  identifies: true,
  open: (link, host) => new CborSession(link, host),
};

/** SPEC.md: how many windows a device may be over before it is closed; room for a device that counts from its own resends. */
const WINDOWS_OF_SLACK = 4;
/**
 * SPEC.md: RECEIVED and RESULT that wait for their outcome. Two for each command on its way, and room for devices that send again at once
 * all the results that they have kept.
 */
const MOST_WORDS = 512;
/** What an early message is charged with beside its bytes, so that empty ones are bounded too. */
const EARLY_OVERHEAD_BYTES = 64;

/** `hello`: nothing heard yet. `pending`: the hub looks who it is and opens its stream. `open`: WELCOME was sent. */
type State = 'hello' | 'pending' | 'open' | 'ended';

class CborSession implements DeviceSession {
  readonly #link: Link;
  readonly #host: SessionHost;
  readonly #answers: Answers;
  readonly #owed: AckFifo<number | CommandWord>;
  readonly #commands: CommandWindow;
  /** Of `#owed`: RECEIVED and RESULT. */
  #words = 0;
  #state: State = 'hello';
  #stream = '';
  #early: Buffer[] = [];
  #earlyBytes = 0;

  constructor(link: Link, host: SessionHost) {
    this.#link = link;
    this.#host = host;
    this.#answers = new Answers(link);
    this.#owed = new AckFifo((owed, outcome) => {
      if (typeof owed !== 'number') this.#words--;
      this.#answers.release(owed, outcome);
    });
    this.#commands = new CommandWindow(link, host);
  }

  receive(data: Buffer, isText: boolean): void {
    if (this.#state === 'ended') return;
    if (isText) throw new ProtocolError('unsupported_data', 'this subprotocol takes binary messages only');
    const { limits } = this.#host;
    const maxBytes = this.#state === 'hello' ? limits.maxUnidentifiedBytes : limits.maxMessageBytes;
    if (data.length > maxBytes) {
      throw new ProtocolError('too_large', `a message may have ${maxBytes} bytes; ${data.length} came`);
    }
    this.#host.heard();
    if (this.#state === 'pending') this.#keep(data);
    else this.#handle(data);
  }

  /** Hot path. */
  #handle(data: Buffer): void {
    const fast = this.#state === 'open' ? readFastData(data, this.#host.limits, this.#host.now()) : null;
    if (fast !== null) {
      this.#host.ingest(fast.readings, this.#owe(fast.seq), this.#position(fast.seq));
      return;
    }
    const message = decodeDeviceMessage(data, this.#host.limits);
    if (this.#state === 'hello') {
      if (message.type !== 'hello') throw new ProtocolError('protocol_error', 'the first message must be HELLO');
      this.#hello(message.hello);
    } else if (message.type === 'hello') {
      throw new ProtocolError('protocol_error', 'HELLO may be sent once');
    } else {
      this.#take(message, data);
    }
  }

  // Opening.

  #hello(hello: Hello): void {
    this.#state = 'pending';
    this.#stream = hello.stream;
    const request = {
      clientId: hello.id ?? null,
      credentials: hello.token === undefined ? null : { username: null, password: hello.token },
      cleanStart: true,
      expiryS: 0,
      will: null,
      refusesSingly: true,
      description: hello.firmware === undefined ? {} : { firmware: hello.firmware },
    };
    this.#host.identify(request, (result) => this.#identified(result, hello));
  }

  #identified(result: Identified, hello: Hello): void {
    if (this.#state !== 'pending') return;
    if (!result.ok) {
      this.#leave(result.reason);
    } else if (result.principal.kind !== 'device') {
      this.#leave(...whyNoDevice(result.principal, hello));
    } else {
      const { principal, epoch } = result;
      this.#host.openStream(hello.stream, hello.next, (resumeSeq) => this.#opened(resumeSeq, principal.id, epoch));
    }
  }

  #opened(resumeSeq: number | null, device: string, epoch: number): void {
    if (this.#state !== 'pending') return;
    if (resumeSeq === null) {
      this.#leave('store_unavailable');
      return;
    }
    if (!Number.isSafeInteger(resumeSeq)) {
      this.#leave('limit_exceeded', 'every number of this stream is used; begin a new stream');
      return;
    }
    const { windowMessages, maxMessageBytes } = this.#host.limits;
    const timeMs = Math.max(0, Math.round(this.#host.now()));
    this.#link.send(encodeWelcome({ timeMs, resumeSeq, window: windowMessages, maxMessageBytes, device, epoch }));
    this.#answers.resumeAfter(resumeSeq - 1);
    this.#state = 'open';
    // The WebSocket's own pings, and the gateway's idle rule, are all the heart-beat there is.
    this.#host.liveness({ expectMs: 0, sendMs: 0, reason: 'idle_timeout' });
    this.#host.ready();
    this.#takeEarly();
  }

  /** A device need not wait for WELCOME. Copied: `data` is a slice of the socket's buffer. */
  #keep(data: Buffer): void {
    this.#earlyBytes += data.length + EARLY_OVERHEAD_BYTES;
    if (this.#earlyBytes > this.#host.limits.maxEarlyBytes) {
      throw new ProtocolError('limit_exceeded', 'too much was sent before WELCOME');
    }
    this.#early.push(Buffer.from(data));
  }

  #takeEarly(): void {
    const early = this.#early;
    this.#early = [];
    try {
      for (const data of early) {
        if (!this.#isOpen()) return;
        this.#handle(data);
      }
    } catch (error) {
      // Not inside `receive`, so the gateway would not see it.
      if (!(error instanceof ProtocolError)) throw error;
      this.#leave(error.reason, error.message);
    }
  }

  // Open.

  #take(message: Exclude<DeviceMessage, { type: 'hello' }>, data: Buffer): void {
    switch (message.type) {
      case 'data':
        this.#data(message.seq, message.records, data);
        return;
      case 'event':
        this.#host.event(message.name, message.value, this.#owe(message.seq), this.#position(message.seq));
        return;
      case 'unreadable':
        this.#reject(message.seq, message.error, data);
        return;
      case 'unreadableResult':
        this.#rejectResult(message.commandId, message.error, data);
        return;
      case 'received':
        this.#progress(message.commandId, { kind: 'received' });
        return;
      case 'result':
        this.#progress(message.commandId, { kind: 'result', status: message.status, value: message.value });
    }
  }

  #data(seq: number, records: unknown, data: Buffer): void {
    let readings: Reading[];
    try {
      readings = readingsFromRecords(records, this.#host.limits, this.#host.now());
    } catch (error) {
      if (!(error instanceof PayloadError)) throw error;
      this.#reject(seq, error, data);
      return;
    }
    this.#host.ingest(readings, this.#owe(seq), this.#position(seq));
  }

  #reject(seq: number, error: PayloadError, data: Buffer): void {
    this.#host.reject(data, error.code, error.message, this.#owe(seq), this.#position(seq));
  }

  /** The device must forget it: sent again, it would be refused again. The command goes on as if it had not come. */
  #rejectResult(commandId: string, error: PayloadError, data: Buffer): void {
    this.#host.reject(data, error.code, error.message, this.#owe({ commandId, isResult: true }));
  }

  /**
   * RECEIVED and RESULT have no seq, but they stand in the same queue as DATA and EVENT: an ACK of anything sent after them says that
   * they too are decided. A RESULT is answered by DONE besides, so that a device can keep it until then.
   */
  #progress(commandId: string, progress: CommandProgress): void {
    const owed = this.#owe({ commandId, isResult: progress.kind === 'result' });
    const settled = this.#commands.answered(commandId);
    this.#host.progress(commandId, progress, {
      settle(outcome: Outcome) {
        settled();
        owed.settle(outcome);
      },
    });
  }

  #owe(owed: number | CommandWord): Pending {
    if (typeof owed === 'number') {
      const most = this.#host.limits.windowMessages * WINDOWS_OF_SLACK;
      if (this.#owed.size - this.#words >= most)
        throw tooMany(most, 'DATA and EVENT wait for their ACK; see window in WELCOME');
    } else {
      if (this.#words >= MOST_WORDS) throw tooMany(MOST_WORDS, 'RECEIVED and RESULT wait for their answer');
      this.#words++;
    }
    return this.#owed.push(owed);
  }

  #position(seq: number): { readonly stream: string; readonly seq: number } {
    return { stream: this.#stream, seq };
  }

  deliver(command: Command): boolean {
    return this.#isOpen() && this.#commands.deliver(command);
  }

  /** This protocol has no subscriptions, so the router has nothing for it. */
  forward(): boolean {
    return true;
  }

  writable(): void {
    if (this.#isOpen()) this.#commands.roomAgain();
  }

  /** `liveness` asked for no heart-beats. */
  beat(): void {
    return;
  }

  // Ending.

  end(reason: CloseReason, detail: string): void {
    if (this.#state === 'ended') return;
    this.#answers.flush(); // what is on disk is acknowledged before the goodbye
    this.#link.send(encodeError(reason, detail === '' ? CLOSE_REASONS[reason].text : detail));
    this.#stop();
  }

  closed(): void {
    this.#stop();
  }

  #leave(reason: CloseReason, detail = ''): void {
    this.end(reason, detail);
    this.#link.close(reason, detail);
  }

  #stop(): void {
    this.#state = 'ended';
    this.#early = [];
    this.#owed.close();
    this.#answers.close();
  }

  /** Asked anew where a call in between may have ended the session. */
  #isOpen(): boolean {
    return this.#state === 'open';
  }
}

function tooMany(most: number, words: string): ProtocolError {
  return new ProtocolError('limit_exceeded', `${most} ${words}`);
}

/** Without a token, in anonymous mode, the id makes the device. */
function whyNoDevice(principal: Principal, hello: Hello): [CloseReason, string] {
  if (!principal.anonymous) {
    return ['not_authorized', 'only devices speak this protocol; these credentials are of an application'];
  }
  if (hello.id === undefined) {
    return ['credentials_required', 'neither a token nor an id came: only devices speak this protocol'];
  }
  return ['client_id_refused', 'a device id is 1 to 128 of A-Z a-z 0-9 . _ : - and not me, . or ..'];
}
