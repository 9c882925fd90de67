import type { Delivery } from '../message.ts';
import type { Wanted } from './subscribe.ts';

/** A subscription that is served. */
export interface Held extends Wanted {
  /** With `me` written out. */
  readonly filter: string;
  /** Unique within the connection: subscriptions may end and their ids be used again. */
  readonly serial: number;
  /** What was sent by it and waits for an answer, in the order of sending. */
  readonly sent: Map<number, Sent>;
  /** How many of those are no commands: they fill its prefetch window. */
  messages: number;
}

/** A message, and how many of its copies (one for each subscription that acknowledges) wait for an answer. */
export interface Owed {
  readonly delivery: Delivery;
  copies: number;
}

/** A MESSAGE that waits for its ACK or NACK. */
export interface Sent {
  readonly number: number;
  readonly held: Held;
  readonly what: Owed | { readonly commandId: string };
  /** Answered in a transaction that is open. */
  claimed: boolean;
}

/** What was sent and waits for an answer, by number. Topics, queues and commands fill windows of their own. */
export class InFlight {
  readonly #sent = new Map<number, Sent>();
  #topicMessages = 0;
  #commands = 0;

  /** Copies of messages of topics: one window for all subscriptions, as they have one queue in the hub. */
  get topicMessages(): number {
    return this.#topicMessages;
  }

  get commands(): number {
    return this.#commands;
  }

  get(number: number): Sent | undefined {
    return this.#sent.get(number);
  }

  add(sent: Sent): void {
    this.#sent.set(sent.number, sent);
    sent.held.sent.set(sent.number, sent);
    this.#count(sent, 1);
  }

  /** False: it was taken out before. */
  delete(sent: Sent): boolean {
    if (!this.#sent.delete(sent.number)) return false;
    sent.held.sent.delete(sent.number);
    this.#count(sent, -1);
    return true;
  }

  /** What a cumulative answer to `number` speaks for, in the order of sending. */
  upTo({ sent }: Held, number: number): Sent[] {
    const answered: Sent[] = [];
    for (const [at, message] of sent) {
      if (at > number) break;
      if (!message.claimed) answered.push(message);
    }
    return answered;
  }

  #count({ held, what }: Sent, by: 1 | -1): void {
    if ('commandId' in what) this.#commands += by;
    else {
      held.messages += by;
      if (held.queue === null) this.#topicMessages += by;
    }
  }
}
