import type { Outcome } from '../outcome.ts';
import type { Link } from '../subprotocol.ts';
import { encodeAck, encodeDone, encodeNack } from './codec.ts';

/** A RECEIVED or RESULT: what it spoke of. They have no seq. */
export interface CommandWord {
  readonly commandId: string;
  readonly isResult: boolean;
}

/**
 * Turns outcomes, in the order in which they are due, into ACK, NACK and DONE. ACK is cumulative: all outcomes of one commit arrive in one
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

  /** `owed`: the seq of a DATA or EVENT, or the command that was spoken of. */
  release(owed: number | CommandWord, outcome: Outcome): void {
    if (typeof owed === 'number') this.#numbered(owed, outcome);
    else this.#ofCommand(owed, outcome);
  }

  #numbered(seq: number, outcome: Outcome): void {
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

  /** A RECEIVED that was taken is answered by nothing: the command simply does not come again. */
  #ofCommand({ commandId, isResult }: CommandWord, outcome: Outcome): void {
    if (outcome.kind === 'rejected') {
      this.#link.send(encodeNack(0, outcome.code, outcome.message, commandId));
    } else if (outcome.kind === 'stored' && isResult) {
      this.flush(); // answers leave in the order of what they answer
      this.#link.send(encodeDone(commandId));
    }
  }

  #decide(seq: number): void {
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
