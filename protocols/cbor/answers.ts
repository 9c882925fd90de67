import type { Outcome } from '../outcome.ts';
import type { Link } from '../subprotocol.ts';
import { encodeAck, encodeNack } from './codec.ts';

/**
 * Turns outcomes, in the order in which they are due, into ACK and NACK. ACK is cumulative: all outcomes of one commit arrive in one
 * macrotask, and a microtask after them sends one ACK for the highest seq decided.
 */
export class Answers {
  readonly #link: Link;
  /** Highest seq known to be decided on disk; everything below it is decided too. */
  #decided = 0;
  /** An ACK of `#decided` is owed. */
  #due = false;
  #flushScheduled = false;
  #open = true;

  constructor(link: Link) {
    this.#link = link;
  }

  /** The device was told to go on after `seq`: everything up to it is decided on disk. */
  resumeAfter(seq: number): void {
    this.#decided = seq;
  }

  /** `seq` 0: the message had none (RECEIVED, RESULT), so there is nothing to acknowledge. */
  release(seq: number, outcome: Outcome): void {
    switch (outcome.kind) {
      case 'stored':
      case 'routed':
        this.#decide(seq);
        return;
      case 'rejected':
        this.#link.send(encodeNack(seq, outcome.code, outcome.message, null));
        this.#decide(seq);
        return;
      case 'gap': {
        // What is decided is said first, so that the device drops it before it goes back.
        this.flush();
        const words = `seq ${outcome.expected} is expected; go on from there`;
        this.#link.send(encodeNack(seq, 'gap', words, outcome.expected));
        return;
      }
      case 'abandoned':
        return;
    }
  }

  #decide(seq: number): void {
    if (seq === 0) return;
    // A resent message is decided again after later ones: the mark never goes back, but the resend is answered.
    this.#decided = Math.max(this.#decided, seq);
    this.#due = true;
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    queueMicrotask(() => {
      this.#flushScheduled = false;
      this.flush();
    });
  }

  /** Sends the ACK that is owed, if one is. */
  flush(): void {
    if (!this.#due || !this.#open) return;
    this.#due = false;
    this.#link.send(encodeAck(this.#decided));
  }

  close(): void {
    this.#open = false;
  }
}
