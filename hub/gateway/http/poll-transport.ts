import { decodeUnit, type Unit } from '#protocols/http/units.js';
import type { Transport } from '../transport.ts';
import type { PollAnswer } from './port.ts';

/**
 * Carries the connection of a device that polls: what is written goes into the answer to the poll that waits longest. Between polls
 * nothing is written.
 */
export class PollTransport implements Transport {
  readonly pings = false;
  /** Of what the device posts while it has this connection. */
  bytesRead = 0;
  bytesWritten = 0;
  readonly #onGone: () => void;
  /** Polls without an answer, in the order in which they came. */
  readonly #waiting: PollAnswer[] = [];
  /** Polls whose answers the sockets still have to take are among them. */
  readonly #open = new Set<PollAnswer>();
  #drains: (() => void)[] = [];
  #ended = false;
  #gone = false;

  /** `onGone` is called once, when the connection has ended and all answers have left. */
  constructor(onGone: () => void) {
    this.#onGone = onGone;
  }

  get bufferedBytes(): number {
    let bytes = 0;
    for (const answer of this.#open) bytes += answer.bufferedBytes;
    return bytes;
  }

  /** A poll: it is answered when those before it are. */
  add(answer: PollAnswer): void {
    this.#waiting.push(answer);
    this.#open.add(answer);
  }

  /** A socket has taken what was written. */
  drained(): void {
    const drains = this.#drains;
    this.#drains = [];
    for (const drained of drains) drained();
  }

  /** The answer has left, or its socket has gone. */
  closed(answer: PollAnswer): void {
    this.#open.delete(answer);
    this.drained();
    this.#goneIfOver();
  }

  pause(): void {
    // There is nothing to read: polls have no body, and each is one small request.
  }

  resume(): void {
    // See `pause`.
  }

  ping(): void {
    // HTTP has none; an event stream has comments.
  }

  write(frames: readonly (Uint8Array | string)[], drained: (() => void) | null): boolean {
    if (this.#ended) return false;
    for (const frame of frames) {
      this.bytesWritten += frame.length;
      this.#say(decodeUnit(frame as string));
    }
    if (drained !== null) {
      this.#drains.push(drained);
      if (this.bufferedBytes === 0) queueMicrotask(() => this.drained());
    }
    return true;
  }

  /** The goodbye has answered everybody who waited. */
  close(): void {
    this.#end((answer) => answer.destroy());
  }

  terminate(): void {
    for (const answer of this.#open) answer.destroy();
    this.#end(() => undefined);
  }

  #say(unit: Unit): void {
    const answer = this.#waiting[0];
    switch (unit.kind) {
      case 'command':
        answer?.command(unit.json, unit.cursor);
        return;
      case 'beat':
        answer?.beat();
        return;
      case 'done':
        this.#waiting.shift();
        answer?.done(unit.cursor);
        return;
      case 'goodbye':
        for (const waiting of this.#waiting.splice(0)) waiting.refuse(unit.reason, unit.detail);
    }
  }

  #end(rest: (answer: PollAnswer) => void): void {
    this.#ended = true;
    this.#waiting.splice(0).forEach(rest);
    this.#goneIfOver();
  }

  #goneIfOver(): void {
    if (!this.#ended || this.#open.size > 0 || this.#gone) return;
    this.#gone = true;
    this.#onGone();
  }
}
