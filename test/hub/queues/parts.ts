import type { Delivery, Qos, RoutedMessage, Subscription } from '#protocols/message.js';
import type { Outcome, Pending } from '#protocols/outcome.js';
import { QUEUE_ROOT } from '#protocols/queues.js';
import { QueueBook, type QueueBookOptions } from '#hub/queues/book.js';
import { Handed, QueueConsumer } from '#hub/queues/consumer.js';
import type { Dispatch } from '#hub/queues/dispatch.js';
import type { NamedQueueLimits } from '#hub/queues/limits.js';
import type { Taker } from '#hub/sessions/queue.js';
import { ticks } from '#test/support/hub-parts.js';
import { LIMITS, message, World, type WorldOptions } from '../sessions/parts.ts';

export const QUEUE_LIMITS: NamedQueueLimits = {
  maxQueues: 5,
  queue: { ...LIMITS, windowMessages: 4 },
  maxDeliveries: 3,
  maxTopicBytes: 100,
  maxTopicLevels: 5,
};

/** A subscription of a connection that answers when it is told to. */
export class Taking implements Taker {
  readonly taken: Delivery[] = [];
  /** Not answered. */
  readonly inHand: Handed[] = [];
  readonly consumer: QueueConsumer;
  dispatch!: Dispatch;
  congested = false;

  constructor(prefetch = 100, qos: Qos = 1, id = 's') {
    const subscription: Subscription = { id, filter: 'f', qos };
    this.consumer = new QueueConsumer(subscription, prefetch, this);
  }

  forward(delivery: Delivery): boolean {
    if (this.congested) return false;
    if (!(delivery instanceof Handed)) throw new Error('it comes from no queue');
    this.taken.push(delivery);
    this.inHand.push(delivery);
    // `auto`.
    if (delivery.qos === 0) this.answer(true);
    return true;
  }

  /** What was taken since the last call; a star marks what was had before. */
  take(): string[] {
    return this.taken.splice(0).map((delivery) => `${text(delivery)}${delivery.dup ? '*' : ''}`);
  }

  /** ACK or NACK of the oldest. */
  answer(accepted: boolean, pending?: Pending): void {
    const handed = this.inHand.shift()!;
    if (accepted) handed.queue.acknowledged(handed, pending);
    else handed.queue.returned(handed, true, pending);
  }

  /** Its connection ends. */
  leave(): void {
    this.inHand.length = 0;
    this.dispatch.takeBack(this.consumer);
  }

  acknowledgeAll(): void {
    while (this.inHand.length > 0) this.answer(true);
  }
}

export function text({ message: { payload } }: Delivery): string {
  return payload.toString();
}

/** Remembers what it was told. */
export class Told implements Pending {
  outcome: Outcome | null = null;

  settle(outcome: Outcome): void {
    this.outcome = outcome;
  }
}

export interface QueueWorldOptions extends WorldOptions {
  readonly queues?: Partial<NamedQueueLimits>;
}

/** One hub's queues, beside its sessions, on a store in memory. */
export class QueueWorld extends World {
  book!: QueueBook;
  readonly #queues: Partial<NamedQueueLimits>;

  constructor({ queues = {}, ...options }: QueueWorldOptions = {}) {
    super(options);
    this.#queues = queues;
  }

  static override async started(options: QueueWorldOptions = {}): Promise<QueueWorld> {
    const world = new QueueWorld(options);
    await world.store.open();
    await world.start();
    return world;
  }

  override async start(): Promise<void> {
    await super.start();
    const { router, clock, journal, store, away, sums } = this;
    const options: QueueBookOptions = {
      router,
      clock,
      journal,
      reader: store.read,
      observer: { dropped: () => undefined, failed: (error) => void this.faults.push(error) },
      away,
      expiryMs: 60_000,
      limits: { ...QUEUE_LIMITS, ...this.#queues },
      ownLimits: { ...LIMITS, ...this.options.limits },
      sessionSums: sums,
    };
    this.book = new QueueBook(options);
    this.book.restore(await store.read.startState());
    await ticks();
  }

  override async crash(lost = false): Promise<void> {
    this.book.close();
    await super.crash(lost);
  }

  /** Puts messages into a queue; what stands against one, by its limit. */
  send(name: string, ...texts: readonly string[]): (string | null)[] {
    return texts.map((body) => this.sendMessage(message(QUEUE_ROOT + name, body)));
  }

  sendMessage(sent: RoutedMessage): string | null {
    const fault = this.book.send(sent);
    return fault === null ? null : (fault.limit ?? fault.message);
  }

  consume(name: string, taking: Taking = new Taking()): Taking {
    const queue = this.book.consume(name, taking.consumer);
    if (!('dispatch' in queue)) throw new Error(queue.message);
    taking.dispatch = queue.dispatch;
    return taking;
  }

  view(name: string): { messages: number; unacknowledged: number; consumers: number; deadLetters: number } | null {
    const view = this.book.find(name);
    if (view === null) return null;
    const { messages, unacknowledged, consumers, deadLetters } = view;
    return { messages, unacknowledged, consumers, deadLetters };
  }
}
