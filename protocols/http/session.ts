import { Buffer } from 'node:buffer';
import { CLOSE_REASONS, type CloseReason } from '../close-reasons.ts';
import type { Command } from '../message.ts';
import type { DeviceSession, HandshakeContext, Identified, Link, SessionHost, Subprotocol } from '../subprotocol.ts';
import { encodeCursor, MOST_HANDED_OUT } from './cursor.ts';
import { encodeUnit } from './units.ts';

/** How a device asks for its commands. */
export interface PollTerms {
  /** What it has received of earlier answers, by command id. */
  readonly received: readonly string[];
  /** One answer: how long it may wait for the first command, 0 not at all. An event stream: how long it may last. */
  readonly waitMs: number;
  /** An event stream: the longest silence on it. Null: one answer. */
  readonly beatMs: number | null;
}

/** A poll that has not been answered to its end. */
export interface Poll {
  readonly terms: PollTerms;
}

export interface HttpSubprotocol extends Subprotocol {
  open(link: Link, host: SessionHost, context: HandshakeContext): HttpSession;
}

/**
 * Devices that can only ask: commands leave in the answers to polls. Not offered by name in a handshake.
 *
 * @param graceMs how long the device counts as connected after its last poll.
 */
export function httpSubprotocol(graceMs: number): HttpSubprotocol {
  return {
    names: ['http'],
    family: 'http',
    framing: 'message',
    identifies: true,
    open: (link, host) => new HttpSession(link, host, graceMs),
  };
}

/** `new`: no poll yet. `pending`: the hub looks who it is. */
type State = 'new' | 'pending' | 'open' | 'ended';

/**
 * The connection of a device that polls. Commands are handed to the poll that waits; what was handed over and neither received nor
 * answered is handed to the next one again. One poll waits at a time: a further one sends it home with what it has.
 */
export class HttpSession implements DeviceSession {
  readonly #link: Link;
  readonly #host: SessionHost;
  readonly #graceMs: number;
  #state: State = 'new';
  #poll: Poll | null = null;
  /** Given to the poll that waits, and not answered. */
  readonly #handed = new Set<string>();
  #handedBytes = 0;
  /** Received or answered, as the device says, and not written down yet: the hub may offer them once more. */
  readonly #settling = new Set<string>();
  /** A command was turned away for want of room. */
  #refused = false;

  constructor(link: Link, host: SessionHost, graceMs: number) {
    this.#link = link;
    this.#host = host;
    this.#graceMs = graceMs;
  }

  /** The device asks. Who it is stands in the handshake's context. */
  poll(terms: PollTerms): Poll {
    const poll = { terms };
    this.#answer();
    this.#poll = poll;
    this.#host.heard();
    if (this.#state === 'open') this.#begin(poll);
    else if (this.#state === 'new') this.#identify();
    return poll;
  }

  /** The poll is over before its time: the device has gone away, or its stream has lasted long enough. What it was given is not received by that. */
  leave(poll: Poll): void {
    if (poll === this.#poll) this.#answer();
  }

  /** The device says by another way that it has received or answered a command. Returns what is to be called once that is written down. */
  answered(commandId: string): () => void {
    this.#settling.add(commandId);
    if (this.#handed.delete(commandId)) this.#roomAgain();
    return () => void this.#settling.delete(commandId);
  }

  /** The device says goodbye. */
  goodbye(): void {
    this.#answer();
    this.#link.close('client_disconnect');
  }

  receive(): void {
    throw new Error('what a device posts does not pass its polls');
  }

  deliver(command: Command): boolean {
    const poll = this.#poll;
    if (this.#state !== 'open' || poll === null || this.#settling.has(command.id)) return false;
    const json = jsonOf(command);
    const bytes = Buffer.byteLength(json);
    if (!this.#hasRoom(bytes)) {
      this.#refused = true;
      return false;
    }
    this.#handed.add(command.id);
    this.#handedBytes += bytes;
    this.#link.send(encodeUnit({ kind: 'command', cursor: encodeCursor(this.#handed), json }));
    if (poll.terms.beatMs === null) this.#answerSoon(poll);
    return true;
  }

  /** Polls have no subscriptions, so the router has nothing for them. */
  forward(): boolean {
    return true;
  }

  writable(): void {
    this.#roomAgain();
  }

  /** An event stream says that it is alive; one answer has waited long enough. */
  beat(): void {
    if (this.#poll === null) return;
    if (this.#poll.terms.beatMs === null) this.#answer();
    else this.#link.send(encodeUnit({ kind: 'beat' }));
  }

  end(reason: CloseReason, detail: string): void {
    if (this.#state === 'ended') return;
    this.#link.send(
      encodeUnit({ kind: 'goodbye', reason, detail: detail === '' ? CLOSE_REASONS[reason].text : detail }),
    );
    this.#stop();
  }

  closed(): void {
    this.#stop();
  }

  #identify(): void {
    this.#state = 'pending';
    const request = {
      clientId: null,
      credentials: null,
      cleanStart: true,
      expiryS: 0,
      will: null,
      refusesSingly: true,
      description: {},
    };
    this.#host.identify(request, (result) => this.#identified(result));
  }

  #identified(result: Identified): void {
    if (this.#state !== 'pending') return;
    if (!result.ok) {
      this.end(result.reason, '');
      this.#link.close(result.reason);
      return;
    }
    this.#state = 'open';
    this.#agree();
    if (this.#poll !== null) this.#confirm(this.#poll);
    this.#host.ready();
    this.#begun();
  }

  #begin(poll: Poll): void {
    this.#agree();
    this.#confirm(poll);
    this.#host.takeBackCommands();
    this.#begun();
  }

  /** Commands that wait have been offered by now. */
  #begun(): void {
    const poll = this.#poll;
    if (this.#state !== 'open' || poll === null) return;
    const { waitMs, beatMs } = poll.terms;
    // The head of an event stream is to reach the device at once.
    if (beatMs !== null) this.#link.send(encodeUnit({ kind: 'beat' }));
    else if (waitMs === 0) this.#answerSoon(poll);
  }

  #confirm(poll: Poll): void {
    for (const id of poll.terms.received) {
      this.#host.progress(id, { kind: 'received' }, { settle: this.answered(id) });
    }
  }

  /** While a poll waits its own end is near enough; after it the time of grace runs. The margin is for the wheel that ends it. */
  #agree(): void {
    const terms = this.#poll?.terms ?? null;
    const expectMs = this.#graceMs + (terms?.waitMs ?? 0);
    const sendMs = terms === null ? 0 : (terms.beatMs ?? terms.waitMs);
    this.#host.liveness({ expectMs, sendMs, reason: 'idle_timeout' });
  }

  /** All that the hub offers in one go belongs into one answer. */
  #answerSoon(poll: Poll): void {
    queueMicrotask(() => this.leave(poll));
  }

  /** Sends the poll that waits home, with what it was given. */
  #answer(): void {
    if (this.#poll === null) return;
    this.#poll = null;
    const cursor = encodeCursor(this.#handed);
    this.#handed.clear();
    this.#handedBytes = 0;
    this.#refused = false;
    if (this.#state === 'ended') return;
    this.#link.send(encodeUnit({ kind: 'done', cursor }));
    if (this.#state === 'open') this.#agree();
  }

  /** One command always has room, however large. */
  #hasRoom(bytes: number): boolean {
    if (this.#link.congested || this.#handed.size >= MOST_HANDED_OUT) return false;
    if (this.#poll?.terms.beatMs !== null) return true;
    return this.#handed.size === 0 || this.#handedBytes + bytes <= this.#host.limits.maxMessageBytes;
  }

  #roomAgain(): void {
    if (!this.#refused || this.#state !== 'open') return;
    this.#refused = false;
    this.#host.readyForCommands();
  }

  #stop(): void {
    this.#state = 'ended';
    this.#poll = null;
    this.#handed.clear();
    this.#settling.clear();
  }
}

function jsonOf({ id, name, params, deadlineMs }: Command): string {
  return JSON.stringify({ id, name, params, deadline: deadlineMs });
}
