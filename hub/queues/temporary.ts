import type { RoutedMessage } from '#protocols/message.js';
import type { Clock } from '#hub/clock.js';
import type { QueueLimits, QueueSums } from '#hub/sessions/queue.js';
import type { QueueConsumer } from './consumer.ts';
import { Dispatch } from './dispatch.ts';
import { MemoryStock, type Own } from './memory-stock.ts';
import type { QueueTallies } from './tallies.ts';

export interface TemporaryParts {
  readonly clock: Pick<Clock, 'now'>;
  readonly limits: QueueLimits;
  readonly sums: QueueSums;
  /** Of its connection. */
  readonly own: Own;
  readonly maxDeliveries: number;
  readonly tallies: QueueTallies;
}

/** A temporary queue: of one connection, in memory. A full one drops what comes, as a topic does for a slow subscriber. */
export class TemporaryQueue {
  readonly topic: string;
  readonly dispatch: Dispatch;
  readonly #stock: MemoryStock;
  readonly #tallies: QueueTallies;

  /** `empty`: nobody consumes it, and nothing waits. */
  constructor(topic: string, parts: TemporaryParts, empty: () => void) {
    this.topic = topic;
    this.#tallies = parts.tallies;
    this.#stock = new MemoryStock(parts.limits, parts.sums, parts.own);
    this.dispatch = new Dispatch(this.#stock, {
      ...parts,
      bury: () => {
        parts.tallies.dead++;
        parts.tallies.deadDropped++;
      },
      idle: () => {
        if (this.#stock.count === 0) empty();
      },
    });
  }

  add(consumer: QueueConsumer): void {
    this.dispatch.add(consumer);
  }

  push(message: RoutedMessage): void {
    if (!this.#stock.push(message)) {
      this.#tallies.dropped++;
      return;
    }
    this.#tallies.sent++;
    this.dispatch.soon();
  }

  close(): void {
    this.dispatch.close();
    this.#stock.close();
  }
}
