import { AckFifo } from '../ack-fifo.ts';
import { ROUTED, type Outcome, type Pending } from '../outcome.ts';
import type { Header } from './encoder.ts';
import type { StompFrame } from './frame.ts';

/** What a session does when receipts are due. */
export interface ReceiptEvents {
  receipt(headers: readonly Header[]): void;
  /** A numbered message was not stored. `receipt`: what its frame asked for. */
  gap(expected: number, receipt: string | null): void;
  /** Everything before DISCONNECT is decided, and its RECEIPT written. */
  left(): void;
}

/** The frame of a transaction that was aborted. */
interface Aborted {
  readonly aborted: string;
}

/**
 * The RECEIPTs that a session owes: each leaves when its frame is decided, in the order of the frames. What the hub gave up
 * is never acknowledged, nor anything after it: a RECEIPT also speaks for the frames before its own (STOMP 1.2, RECEIPT).
 */
export class Receipts {
  readonly #events: ReceiptEvents;
  readonly #owed = new AckFifo<string | Aborted>((receipt, outcome) => this.#answer(receipt, outcome));
  /** Hears of frames without a receipt, which only the RECEIPT of a DISCONNECT waits for. */
  readonly #unasked: Pending = { settle: (outcome) => this.#settledUnasked(outcome) };
  #unaskedCount = 0;
  #abandoned = false;
  #leaving = false;
  /** The RECEIPT of DISCONNECT, while earlier frames are not decided. */
  #leave: Pending | null = null;

  constructor(events: ReceiptEvents) {
    this.#events = events;
  }

  /** Where the outcome of this frame is reported. */
  of(frame: StompFrame): Pending {
    return this.owe(frame.headers.get('receipt') ?? null);
  }

  /** The same, for a receipt that was asked for earlier; null: none. */
  owe(receipt: string | null): Pending {
    if (receipt !== null) return this.#owed.push(receipt);
    this.#unaskedCount++;
    return this.#unasked;
  }

  /** A frame of a transaction that does not happen: decided, and said to be so. */
  aborted(receipt: string): void {
    this.#owed.push({ aborted: receipt }).settle(ROUTED);
  }

  /** DISCONNECT: its RECEIPT tells that everything before it is decided, so it waits (STOMP 1.2, DISCONNECT). */
  leave(receipt: string): void {
    this.#leaving = true;
    const pending = this.#owed.push(receipt);
    if (this.#unaskedCount === 0) pending.settle(ROUTED);
    else this.#leave = pending;
  }

  close(): void {
    this.#owed.close();
  }

  #settledUnasked(outcome: Outcome): void {
    this.#unaskedCount--;
    if (outcome.kind === 'abandoned') this.#abandoned = true;
    else if (outcome.kind === 'gap') this.#events.gap(outcome.expected, null);
    if (this.#unaskedCount === 0) this.#leave?.settle(ROUTED);
  }

  #answer(owed: string | Aborted, outcome: Outcome): void {
    if (outcome.kind === 'abandoned') this.#abandoned = true;
    if (this.#abandoned) return;
    if (typeof owed !== 'string') {
      this.#events.receipt([
        ['receipt-id', owed.aborted],
        ['muster-status', 'aborted'],
      ]);
      return;
    }
    if (outcome.kind === 'gap') this.#events.gap(outcome.expected, owed);
    else {
      const headers: Header[] = [['receipt-id', owed]];
      if (outcome.kind === 'rejected') headers.push(['muster-status', 'rejected'], ['muster-reason', outcome.code]);
      this.#events.receipt(headers);
    }
    if (this.#leaving && this.#owed.size === 0) this.#events.left();
  }
}
