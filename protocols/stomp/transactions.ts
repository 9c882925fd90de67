import type { ProtocolLimits } from '../limits.ts';
import type { Pending } from '../outcome.ts';
import type { PublishRequest } from '../subprotocol.ts';
import { excerpt, frameError, limitError, requiredHeader, type StompFrame } from './frame.ts';

/** A frame that waits for its COMMIT. It owns everything that it holds. */
export interface Step {
  /** The receipt that it asked for. */
  readonly receipt: string | null;
  /** What it sends; null: it answers. */
  readonly request: PublishRequest | null;
  /** Throws ProtocolError. */
  carryOut(pending: Pending): void;
  /** It does not happen. */
  drop(): void;
}

interface Waiting {
  readonly step: Step;
  readonly bytes: number;
}

/** The open transactions of a session: SEND, ACK and NACK frames that wait for a COMMIT, bounded in number and bytes over all. */
export class Transactions {
  readonly #limits: ProtocolLimits;
  readonly #open = new Map<string, Waiting[]>();
  #frames = 0;
  #bytes = 0;

  constructor(limits: ProtocolLimits) {
    this.#limits = limits;
  }

  /** BEGIN. Throws ProtocolError. */
  begin(frame: StompFrame): void {
    const id = requiredHeader(frame, 'transaction');
    if (this.#open.has(id)) {
      throw frameError(frame, 'protocol_error', `the transaction ${excerpt(id)} has begun already`);
    }
    const { maxTransactions } = this.#limits;
    if (this.#open.size >= maxTransactions) {
      throw limitError(frame, 'maxTransactions', `no more than ${maxTransactions} transactions at once`);
    }
    this.#open.set(id, []);
  }

  /** A frame with the header `transaction`. `make` is called once there is room for it. Throws ProtocolError. */
  add(frame: StompFrame, make: () => Step): void {
    const waiting = this.#found(frame);
    const bytes = bytesOf(frame);
    const { maxTransactionFrames, maxTransactionBytes } = this.#limits;
    if (this.#frames + 1 > maxTransactionFrames) {
      const message = `more than ${maxTransactionFrames} frames wait for a COMMIT`;
      throw limitError(frame, 'maxTransactionFrames', message);
    }
    if (this.#bytes + bytes > maxTransactionBytes) {
      throw limitError(frame, 'maxTransactionBytes', `more than ${maxTransactionBytes} bytes wait for a COMMIT`);
    }
    waiting.push({ step: make(), bytes });
    this.#frames++;
    this.#bytes += bytes;
  }

  /** COMMIT or ABORT: the frames of the transaction, in order; it is over. Throws ProtocolError. */
  take(frame: StompFrame): Step[] {
    const waiting = this.#found(frame);
    this.#open.delete(requiredHeader(frame, 'transaction'));
    this.#frames -= waiting.length;
    for (const { bytes } of waiting) this.#bytes -= bytes;
    return waiting.map(({ step }) => step);
  }

  /** DISCONNECT aborts them all (STOMP 1.2, BEGIN). */
  takeAll(): Step[] {
    const steps = [...this.#open.values()].flat().map(({ step }) => step);
    this.#open.clear();
    this.#frames = 0;
    this.#bytes = 0;
    return steps;
  }

  #found(frame: StompFrame): Waiting[] {
    const id = requiredHeader(frame, 'transaction');
    const waiting = this.#open.get(id);
    if (waiting !== undefined) return waiting;
    throw frameError(frame, 'protocol_error', `there is no transaction ${excerpt(id)}; it begins with BEGIN`);
  }
}

/** What a frame keeps in memory beside its text, about. */
const FRAME_BYTES = 128;

function bytesOf(frame: StompFrame): number {
  let bytes = FRAME_BYTES + frame.body.length;
  for (const [name, value] of frame.headers) bytes += name.length + value.length;
  return bytes;
}
